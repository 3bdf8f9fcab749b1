//! From what runs to what ought to run: a pure comparison that yields steps.
//!
//! Level-triggered and idempotent: it looks at two states, never at what happened between them, so a missed wake-up, a
//! restart and an edit are the same. Two states share every part that did not change, and a shared part is skipped by
//! comparing pointers: one edit among 10,000 accounts costs 10,000 comparisons of addresses and one step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::domain::account::Account;
use crate::domain::intended::{Intended, IntendedServer};
use crate::domain::name::{AccountName, ServerName};
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;

/// One thing to do so that what runs comes closer to what ought to.
#[derive(Debug, Clone)]
pub enum Step {
    /// Opens a server's port and gives it its accounts.
    Start(IntendedServer),
    /// Closes a server with all its tunnels.
    Stop(ServerName),
    /// Changes a running server; tunnels that the change does not concern go on.
    Change(Arc<Server>),
    /// Adds an account to a running server, or changes it.
    Set(Arc<Account>),
    /// Takes an account from a running server and ends its tunnel.
    Remove(ServerName, AccountName),
    /// Changes a running server's port forwards.
    Forward(ServerName, Arc<BTreeMap<OuterPort, PortForward>>),
}

impl Step {
    /// The server that it concerns.
    pub fn server(&self) -> &ServerName {
        match self {
            Self::Start(wanted) => &wanted.server.name,
            Self::Change(server) => &server.name,
            Self::Set(account) => &account.server,
            Self::Stop(name) | Self::Remove(name, _) | Self::Forward(name, _) => name,
        }
    }

    /// Whether it is about the server itself, not about what it has.
    pub const fn is_of_a_server(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Stop(_) | Self::Change(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(wanted) => write!(f, "start {}", wanted.server.name),
            Self::Stop(name) => write!(f, "stop {name}"),
            Self::Change(server) => write!(f, "change {}", server.name),
            Self::Set(account) => write!(f, "set {}", account.name),
            Self::Remove(server, account) => write!(f, "remove {account} of {server}"),
            Self::Forward(server, forwards) => write!(f, "forward {} ports of {server}", forwards.len()),
        }
    }
}

/// `steps`, and for every server that goes on and is in none of them the steps that tell it again what it is.
pub fn steps_anew(running: &Intended, wanted: &Intended, mut steps: Vec<Step>) -> Vec<Step> {
    let begins = |step: &&Step| matches!(step, Step::Start(_) | Step::Stop(_));
    let touched: BTreeSet<ServerName> = steps.iter().filter(begins).map(|step| step.server().clone()).collect();
    let goes_on = |name: &ServerName| running.servers.contains_key(name) && !touched.contains(name);
    for (name, server) in wanted.servers.iter().filter(|(name, _)| goes_on(name)) {
        steps.push(Step::Change(Arc::clone(&server.server)));
        steps.extend(server.accounts.values().map(|account| Step::Set(Arc::clone(account))));
        steps.push(Step::Forward(name.clone(), Arc::clone(&server.forwards)));
    }
    steps
}

/// The steps from `running` to `wanted`. Ports that become free come first, so that another server may take them.
pub fn steps(running: &Intended, wanted: &Intended) -> Vec<Step> {
    let gone = running.servers.keys().filter(|name| !wanted.servers.contains_key(*name));
    let mut steps: Vec<Step> = gone.cloned().map(Step::Stop).collect();
    let mut starts = Vec::new();
    let kept = wanted;
    for (name, wanted) in &wanted.servers {
        match running.servers.get(name) {
            None => starts.push(Step::Start(wanted.clone())),
            Some(present) if takes_a_port_from_another(present, wanted, running, kept) => {
                steps.push(Step::Stop(name.clone()));
                starts.push(Step::Start(wanted.clone()));
            }
            Some(present) => change(present, wanted, &mut steps),
        }
    }
    for start in starts {
        let Step::Start(IntendedServer { server, forwards, .. }) = &start else { continue };
        // again, so that what cannot be forwarded is a fault and is tried again
        let forward = (!forwards.is_empty()).then(|| Step::Forward(server.name.clone(), Arc::clone(forwards)));
        steps.push(start);
        steps.extend(forward);
    }
    steps
}

/// Whether a server moves to the port that another has that stays: servers that change places would wait for each other
/// for ever.
fn takes_a_port_from_another(
    present: &IntendedServer,
    wanted: &IntendedServer,
    running: &Intended,
    kept: &Intended,
) -> bool {
    let port = wanted.server.listen_port;
    let has_it = |(name, other): (&ServerName, &IntendedServer)| {
        other.server.listen_port == port && *name != wanted.server.name && kept.servers.contains_key(name)
    };
    port != present.server.listen_port && running.servers.iter().any(has_it)
}

/// The steps within one server.
fn change(running: &IntendedServer, wanted: &IntendedServer, steps: &mut Vec<Step>) {
    if !same(&running.server, &wanted.server) {
        steps.push(Step::Change(Arc::clone(&wanted.server)));
    }
    change_accounts(running, wanted, steps);
    // a forward leads to an account that is there by then
    if !same(&running.forwards, &wanted.forwards) {
        steps.push(Step::Forward(wanted.server.name.clone(), Arc::clone(&wanted.forwards)));
    }
}

fn change_accounts(running: &IntendedServer, wanted: &IntendedServer, steps: &mut Vec<Step>) {
    if Arc::ptr_eq(&running.accounts, &wanted.accounts) {
        return;
    }
    // what leaves comes before what arrives: an address or a key may move from one account to another
    for name in running.accounts.keys().filter(|name| !wanted.accounts.contains_key(*name)) {
        steps.push(Step::Remove(wanted.server.name.clone(), name.clone()));
    }
    let changed = pairs(&running.accounts, &wanted.accounts);
    steps.extend(changed.map(|account| Step::Set(Arc::clone(account))));
}

/// The accounts that are new or different.
fn pairs<'a>(
    running: &'a BTreeMap<AccountName, Arc<Account>>,
    wanted: &'a BTreeMap<AccountName, Arc<Account>>,
) -> impl Iterator<Item = &'a Arc<Account>> {
    // both are ordered by name, so one walk over each is enough
    let mut old = running.iter().peekable();
    wanted.iter().filter_map(move |(name, account)| {
        while old.next_if(|(before, _)| *before < name).is_some() {}
        let before = old.next_if(|(before, _)| *before == name);
        let unchanged = before.is_some_and(|(_, before)| same(before, account));
        (!unchanged).then_some(account)
    })
}

fn same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::domain::account::{AccountId, Allowance, Password};
    use crate::domain::key::PrivateKey;
    use crate::domain::name::{InterfaceName, Username};
    use crate::domain::rate::Mbps;

    fn server(name: &str, port: u16) -> Server {
        let private_key = PrivateKey::from_entropy([1; 32]);
        Server {
            name: ServerName::parse(name).unwrap(),
            interface: InterfaceName::numbered(1),
            listen_port: port,
            public_key: private_key.public(),
            private_key,
            address: "10.0.0.1/24".parse().unwrap(),
            ipv6: false,
            address_ipv6: "fd00::1/64".parse().unwrap(),
            mtu: 1420,
            keep_alive: 25,
            allowed_ips: Vec::new(),
            endpoint: None,
            external_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            dns_1: Ipv4Addr::LOCALHOST,
            dns_2: Ipv4Addr::LOCALHOST,
            dns_1_ipv6: None,
            dns_2_ipv6: None,
            b_download: Mbps::UNLIMITED,
            b_upload: Mbps::UNLIMITED,
            internal_traffic: false,
            ikev2: false,
            disable_nat: false,
            limit_download: Mbps::UNLIMITED,
            limit_upload: Mbps::UNLIMITED,
        }
    }

    fn account(name: &str, enabled: bool) -> Account {
        let private_key = PrivateKey::from_entropy([2; 32]);
        Account {
            name: AccountName::parse(name).unwrap(),
            server: ServerName::parse("a").unwrap(),
            enabled,
            username: Username::parse(name).unwrap(),
            password: Password::new(String::new()),
            address: Ipv4Addr::new(10, 0, 0, 2),
            address_ipv6: None,
            public_key: private_key.public(),
            private_key: Some(private_key),
            b_download: Mbps::UNLIMITED,
            b_upload: Mbps::UNLIMITED,
            mark: 100,
            id: AccountId::default(),
            allowance: Allowance::default(),
            owner: None,
        }
    }

    fn state(servers: &[(Server, &[Account])]) -> Intended {
        let entries = servers.iter().map(|(server, accounts)| {
            let accounts = accounts.iter().map(|a| (a.name.clone(), Arc::new(a.clone()))).collect();
            let name = server.name.clone();
            let server = Arc::new(server.clone());
            (name, IntendedServer { server, accounts: Arc::new(accounts), forwards: Arc::default() })
        });
        Intended { servers: entries.collect(), ..Intended::default() }
    }

    fn sentences(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::to_string).collect()
    }

    #[test]
    fn has_nothing_to_do_for_equal_states() {
        let one = state(&[(server("a", 1), &[account("x", true)])]);
        let equal_but_apart = state(&[(server("a", 1), &[account("x", true)])]);
        assert!(steps(&one, &one).is_empty());
        assert!(steps(&one, &equal_but_apart).is_empty());
    }

    #[test]
    fn touches_only_the_account_that_changed() {
        let before = state(&[(server("a", 1), &[account("x", true), account("y", true), account("z", true)])]);
        let after = state(&[(server("a", 1), &[account("x", true), account("y", false), account("z", true)])]);
        assert_eq!(sentences(&steps(&before, &after)), ["set y"]);
    }

    #[test]
    fn tells_a_server_that_goes_on_again_what_it_is() {
        let before = state(&[(server("a", 1), &[account("x", true)]), (server("b", 2), &[])]);
        let after = state(&[(server("a", 1), &[account("x", true)]), (server("c", 3), &[])]);

        let anew = steps_anew(&before, &after, steps(&before, &after));

        assert_eq!(sentences(&anew), ["stop b", "start c", "change a", "set x", "forward 0 ports of a"]);
    }

    #[test]
    fn removes_before_it_adds() {
        let before = state(&[(server("a", 1), &[account("x", true), account("z", true)])]);
        let after = state(&[(server("a", 1), &[account("w", true), account("z", true)])]);
        assert_eq!(sentences(&steps(&before, &after)), ["remove x of a", "set w"]);
    }

    #[test]
    fn stops_and_changes_before_it_starts_so_that_ports_are_free() {
        let before = state(&[(server("a", 1), &[]), (server("b", 2), &[])]);
        let after = state(&[(server("0", 2), &[]), (server("a", 3), &[])]);
        assert_eq!(sentences(&steps(&before, &after)), ["stop b", "change a", "start 0"]);
    }

    #[test]
    fn reaches_every_state_from_nothing_and_leaves_nothing() {
        let full = state(&[(server("a", 1), &[account("x", true)]), (server("b", 2), &[])]);
        let nothing = Intended::default();
        assert_eq!(sentences(&steps(&nothing, &full)), ["start a", "start b"]);
        assert_eq!(sentences(&steps(&full, &nothing)), ["stop a", "stop b"]);
    }
}
