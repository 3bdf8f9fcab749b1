//! From what is in the kernel to what ought to be: a pure comparison that yields steps.
//!
//! The rules of a family with a shared address, in their order:
//!
//! ```text
//! 1  iif culvert0 goto 5, iif wg28 goto 5      what we write is never steered: handed back, it goes to the host
//! 2  to EXTERNAL ipproto icmp lookup UPLINK    also the host's own errors about what we wrote (IPv4 alone)
//! 3  iif lo goto 5                             what the host itself sends
//! 4  to EXTERNAL ipproto tcp dport RANGE lookup UPLINK, and udp, and the forwarded ports
//! 5  lookup local                              moved here from 0
//! 6  not iif lo lookup CLIENTS                 from outside to clients
//! ```
//!
//! An empty table has no answer and the next rule is asked: while the device is gone, as after a crash, the host is as it
//! was without us. Steering begins and ends with one step: the kernel's own `local` rule at 0 is removed or put back.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::wish::{Device, Forwarded, Found, Reached, Wish};
use crate::runtime::os::netlink::{Action, Address, Link, PROTOCOL, Reverse, Route, Rule};

/// The table that leads everything to the uplink.
pub const UPLINK: u32 = 20_220;
/// The table that leads to the uplink what is for clients.
pub const CLIENTS: u32 = 20_221;
/// The kernel's tables.
const LOCAL: u32 = 255;
const MAIN: u32 = 254;
/// The kernel as the maker of a rule.
const KERNEL: u8 = 2;

/// The rules' places.
const OWN: u32 = 1;
const ICMP: u32 = 2;
const HOST: u32 = 3;
const STEER: u32 = 4;
const LOCAL_MOVED: u32 = 5;
const FROM_OUTSIDE: u32 = 6;

/// How many packets may wait in a device of ours; one may be a super-packet.
pub(super) const QUEUE: u32 = 2_000;
/// Our devices take packets from any source, the host's own addresses too.
pub(super) const ANY_SOURCE: Reverse = Reverse { filter: 0, accept_local: true };

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Sets a device of ours up.
    SetUp {
        /// Its number.
        link: u32,
        /// Its MTU in bytes.
        mtu: u32,
    },
    /// Gives a device of ours an address.
    AddAddress(Address),
    /// Takes an address from a device of ours.
    RemoveAddress(Address),
    /// Adds a route of ours.
    AddRoute(Route),
    /// Removes a route of ours.
    RemoveRoute(Route),
    /// Adds a rule of ours, or puts the kernel's back.
    AddRule(Rule),
    /// Removes a rule of ours, or the kernel's when ours stands in for it.
    RemoveRule(Rule),
}

impl Step {
    /// Whether it begins steering: nothing before it may have failed.
    pub(super) fn begins_steering(&self) -> bool {
        matches!(self, Self::RemoveRule(rule) if *rule == kernels_local(rule.v6))
    }
}

/// The kernel's own rule, which stands before all others.
pub(super) fn kernels_local(v6: bool) -> Rule {
    Rule { protocol: KERNEL, ..rule(v6, 0, Action::Table(LOCAL)) }
}

/// The steps from `found` to `wish`. What goes comes before what is new.
pub(super) fn steps(wish: &Wish, found: &Found) -> Vec<Step> {
    let (rules, routes, addresses) = (rules(wish, found), routes(wish, found), addresses(wish, found));
    let steers = |v6| rules.iter().any(|rule| rule.v6 == v6 && rule.preference == LOCAL_MOVED);
    let mut steps = Vec::new();
    for v6 in [false, true].into_iter().filter(|v6| !steers(*v6)) {
        // a host is lost without it, so it is put back even where we do not know who took it
        let has_local = |rule: &Rule| rule.v6 == v6 && rule.protocol != PROTOCOL && is_local(rule);
        let ours = |rule: &Rule| rule.v6 == v6 && rule.protocol == PROTOCOL && is_local(rule);
        if found.rules.iter().any(ours) && !found.rules.iter().any(has_local) {
            steps.push(Step::AddRule(kernels_local(v6)));
        }
    }
    let ours: Vec<&Rule> = found.rules.iter().filter(|rule| rule.protocol == PROTOCOL).collect();
    let twice = |nth: usize| ours[..nth].contains(&ours[nth]);
    let gone = (0..ours.len()).filter(|nth| !rules.contains(ours[*nth]) || twice(*nth)).map(|nth| ours[nth].clone());
    // what stands in for the kernel's own at another place, as of another version of us, goes when ours is there
    let (last, gone): (Vec<Rule>, Vec<Rule>) = gone.partition(is_local);
    steps.extend(gone.into_iter().map(Step::RemoveRule));
    let gone = found.routes.iter().filter(|route| !routes.contains(route));
    steps.extend(gone.copied().map(Step::RemoveRoute));
    let of_ours = |address: &&Address| devices(wish, found).any(|(_, link)| link.index == address.link);
    let gone = found.addresses.iter().filter(of_ours).filter(|address| !addresses.contains(address));
    steps.extend(gone.copied().map(Step::RemoveAddress));

    let unready = devices(wish, found).filter(|(device, link)| !is_ready(device, link));
    steps.extend(unready.map(|(device, link)| Step::SetUp { link: link.index, mtu: device.mtu }));
    let new = addresses.into_iter().filter(|address| !found.addresses.contains(address));
    steps.extend(new.map(Step::AddAddress));
    let new = routes.into_iter().filter(|route| !found.routes.contains(route));
    steps.extend(new.map(Step::AddRoute));
    let steered: Vec<bool> = [false, true].into_iter().filter(|v6| steers(*v6)).collect();
    let new = rules.into_iter().filter(|rule| !found.rules.contains(rule));
    steps.extend(new.map(Step::AddRule));
    steps.extend(last.into_iter().map(Step::RemoveRule));
    let begin = steered.into_iter().map(kernels_local).filter(|rule| found.rules.contains(rule));
    steps.extend(begin.map(Step::RemoveRule));
    steps
}

/// Those of our devices that are there.
fn devices<'a>(wish: &'a Wish, found: &'a Found) -> impl Iterator<Item = (&'a Device, &'a Link)> {
    wish.uplink.iter().chain(&wish.servers).filter_map(|device| Some((device, found.links.get(&device.name)?)))
}

fn is_ready(device: &Device, link: &Link) -> bool {
    // a device without IPv4 has nothing to ask
    let reverse = link.reverse.is_none_or(|reverse| reverse == ANY_SOURCE);
    link.up && link.mtu == device.mtu && link.queue == QUEUE && reverse
}

/// The rules that ought to be, those first that must be there before others work.
fn rules(wish: &Wish, found: &Found) -> Vec<Rule> {
    let is_there = wish.uplink.as_ref().is_some_and(|uplink| found.links.contains_key(&uplink.name));
    let families = [false, true].into_iter();
    let steered = families.filter(|v6| is_there && wish.forwards(*v6) && found.forwards[usize::from(*v6)]);
    steered.flat_map(|v6| rules_of(wish, v6)).collect()
}

fn rules_of(wish: &Wish, v6: bool) -> Vec<Rule> {
    let mut rules = Vec::new();
    if wish.shared(v6).next().is_some() {
        rules.push(rule(v6, LOCAL_MOVED, Action::Table(LOCAL)));
        let skip = |name: &str, place| Rule { input: Some(name.into()), ..rule(v6, place, Action::Goto(LOCAL_MOVED)) };
        rules.extend(wish.devices().into_iter().map(|name| skip(name, OWN)));
        rules.push(skip("lo", HOST));
    }
    for external in wish.shared(v6) {
        let to = Some(IpNet::from(external));
        let steer = |place, carries: libc::c_int| {
            let carries = u8::try_from(carries).ok();
            Rule { to, carries, ..rule(v6, place, Action::Table(UPLINK)) }
        };
        // neighbour discovery is ICMPv6 to the same address: see `os::icmp6`
        if !v6 {
            rules.push(steer(ICMP, libc::IPPROTO_ICMP));
        }
        for carries in [libc::IPPROTO_TCP, libc::IPPROTO_UDP] {
            rules.push(Rule { ports: Some(wish.ports.clone()), ..steer(STEER, carries) });
        }
        let at = wish.forwards.iter().filter(|forwarded| forwarded.external == external);
        rules.extend(at.map(|Forwarded { protocol, ports, .. }| Rule {
            ports: Some(ports.0..=ports.1),
            ..steer(STEER, libc::c_int::from(*protocol))
        }));
    }
    if wish.servers.iter().flat_map(|server| &server.addresses).any(|net| net.addr().is_ipv6() == v6) {
        let outside = Rule { input: Some("lo".into()), not: true, ..rule(v6, FROM_OUTSIDE, Action::Table(CLIENTS)) };
        rules.push(outside);
    }
    rules
}

const fn rule(v6: bool, preference: u32, action: Action) -> Rule {
    Rule { v6, preference, protocol: PROTOCOL, action, not: false, input: None, to: None, carries: None, ports: None }
}

/// Whether it looks every packet up in the kernel's `local` table.
fn is_local(candidate: &Rule) -> bool {
    let all = rule(candidate.v6, candidate.preference, Action::Table(LOCAL));
    Rule { protocol: candidate.protocol, ..all } == *candidate
}

fn routes(wish: &Wish, found: &Found) -> Vec<Route> {
    let uplink = wish.uplink.as_ref().and_then(|uplink| found.links.get(&uplink.name));
    let Some(link) = uplink.map(|uplink| uplink.index) else { return Vec::new() };
    let into = |table, to| Route { table, to, link };
    let mut routes = BTreeSet::new();
    for v6 in [false, true].into_iter().filter(|v6| wish.forwards(*v6) && found.forwards[usize::from(*v6)]) {
        if wish.shared(v6).next().is_some() {
            let all: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            routes.extend(IpNet::new(all, 0).ok().map(|all| into(UPLINK, all)));
        }
        let externals = wish.reached(Reached::Routed).filter(|address| address.is_ipv6() == v6);
        routes.extend(externals.map(|external| into(MAIN, external.into())));
        let networks = wish.servers.iter().flat_map(|server| &server.addresses);
        let of_family = networks.filter(|net| net.addr().is_ipv6() == v6);
        routes.extend(of_family.map(|net| into(CLIENTS, net.trunc())));
    }
    routes.into_iter().collect()
}

/// The addresses that our devices ought to have.
fn addresses(wish: &Wish, found: &Found) -> Vec<Address> {
    let of_device = |(device, link): (&Device, &Link)| {
        let link = link.index;
        device.addresses.iter().map(move |net| Address { link, net: *net }).collect::<Vec<_>>()
    };
    devices(wish, found).flat_map(of_device).collect()
}
