//! A server's port forwards, by either end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::domain::name::AccountName;
use crate::domain::port_forward::{OuterPort, PortForward, Transport};
use crate::engine::wire::protocol;

/// What is forwarded.
#[derive(Debug)]
pub(super) struct Forwards {
    outer: Arc<BTreeMap<OuterPort, PortForward>>,
    inner: HashMap<AccountName, Vec<PortForward>, FixedState>,
}

impl Forwards {
    pub(super) fn new(seed: u64, forwards: Arc<BTreeMap<OuterPort, PortForward>>) -> Self {
        let mut inner: HashMap<AccountName, Vec<PortForward>, FixedState> =
            HashMap::with_hasher(FixedState::with_seed(seed));
        for forward in forwards.values() {
            inner.entry(forward.to_peer.clone()).or_default().push(forward.clone());
        }
        Self { outer: forwards, inner }
    }

    /// Where an external port leads.
    pub(super) fn at(&self, protocol: u8, port: u16) -> Option<&PortForward> {
        self.outer.get(&OuterPort { port, protocol: transport(protocol)? })
    }

    /// The external port that leads to a client's port.
    pub(super) fn to(&self, account: &AccountName, protocol: u8, port: u16) -> Option<u16> {
        let protocol = transport(protocol)?;
        let mut forwards = self.inner.get(account)?.iter();
        forwards.find(|forward| forward.outer.protocol == protocol && forward.to_port == port).map(|it| it.outer.port)
    }
}

const fn transport(protocol: u8) -> Option<Transport> {
    match protocol {
        protocol::TCP => Some(Transport::Tcp),
        protocol::UDP => Some(Transport::Udp),
        _ => None,
    }
}
