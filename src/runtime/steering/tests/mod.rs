//! Wish against found, without a kernel: the steps, and what they come to.

mod rules;
mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::compare::{ANY_SOURCE, QUEUE, Step, kernels_local, steps};
use super::wish::{Device, Forwarded, Found, Reached, Wish};
use crate::runtime::os::netlink::{Action, Address, Link, PROTOCOL, Route, Rule};

const LOCAL: u32 = 255;
const MAIN: u32 = 254;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One server behind one shared address of each family.
fn wish() -> Wish {
    let device = |name: &str, mtu, addresses: &[&str]| Device {
        name: name.into(),
        mtu,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
    };
    let externals = ["203.0.113.1", "2001:db8::1"].map(|external| (address(external), Reached::Shared));
    Wish {
        uplink: Some(device("culvert0", 65_535, &[])),
        forwarding: true,
        externals: externals.into(),
        ports: 16_384..=51_819,
        forwards: [Forwarded { external: address("203.0.113.1"), protocol: 6, ports: (443, 443) }].into(),
        servers: vec![device("wg28", 1_420, &["10.0.0.1/24", "fd00::1/64"])],
    }
}

/// A device as it is when it has just been opened.
fn opened(index: u32, name: &str) -> (String, Link) {
    (name.into(), Link { index, name: name.into(), up: false, mtu: 1_500, queue: 500, reverse: None })
}

/// A host that forwards, with our devices open, on which nothing has been done yet.
fn host() -> Found {
    let wan = Link { index: 2, name: "eth0".into(), up: true, mtu: 1_500, queue: 1_000, reverse: None };
    let mut links: BTreeMap<String, Link> = [opened(7, "culvert0"), opened(8, "wg28")].into();
    links.insert("eth0".into(), wan);
    Found {
        links,
        addresses: vec![Address { link: 2, net: "203.0.113.1/24".parse().unwrap() }],
        rules: vec![kernels_local(false), kernels_local(true)],
        routes: Vec::new(),
        forwards: [true, true],
    }
}

/// The rule of somebody else's.
fn foreign(preference: u32) -> Rule {
    Rule {
        v6: false,
        preference,
        protocol: 4,
        action: Action::Table(4_242),
        not: false,
        input: None,
        to: Some("192.0.2.250/32".parse().unwrap()),
        carries: None,
        ports: None,
    }
}

/// What the kernel does with a step.
fn take(found: &mut Found, step: &Step) {
    match step {
        Step::SetUp { link, mtu } => {
            let device = found.links.values_mut().find(|device| device.index == *link).unwrap();
            (device.up, device.mtu, device.queue, device.reverse) = (true, *mtu, QUEUE, Some(ANY_SOURCE));
        }
        Step::AddAddress(address) => found.addresses.push(*address),
        Step::RemoveAddress(address) => found.addresses.retain(|other| other != address),
        Step::AddRoute(route) => {
            assert!(!found.routes.iter().any(|other| (other.table, other.to) == (route.table, route.to)), "{route:?}");
            found.routes.push(*route);
        }
        Step::RemoveRoute(route) => found.routes.retain(|other| other != route),
        Step::AddRule(rule) => {
            assert!(!found.rules.contains(rule), "{rule:?}");
            found.rules.push(rule.clone());
        }
        Step::RemoveRule(rule) => {
            let place = found.rules.iter().position(|other| other == rule).unwrap();
            found.rules.remove(place);
        }
    }
}

/// Carries every step out. After none of them a family is without a way to the host's own addresses.
fn conform(wish: &Wish, found: &mut Found) -> Vec<Step> {
    let steps = steps(wish, found);
    for step in &steps {
        take(found, step);
        for v6 in [false, true] {
            assert!(has_local(found, v6), "the host does not find itself after {step:?}");
        }
    }
    steps
}

fn has_local(found: &Found, v6: bool) -> bool {
    let looks_up = |rule: &&Rule| rule.v6 == v6 && rule.action == Action::Table(LOCAL);
    found.rules.iter().filter(looks_up).any(|rule| rule.to.is_none() && rule.input.is_none() && rule.carries.is_none())
}

fn steered() -> Found {
    let mut found = host();
    conform(&wish(), &mut found);
    found
}
