//! What ought to run: the whole configuration as one value, cheap to clone and to compare.
//!
//! The store publishes one after each commit; the runtime makes it so. Boot, edit and restore are the same event.
//! Every part is behind an `Arc` of its own, so two revisions share what did not change, and pointer equality is a
//! sound and fast "nothing changed here".

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::Account;
use super::dns::DnsSettings;
use super::firewall::Firewall;
use super::ikev2::Ikev2;
use super::name::{AccountName, ServerName};
use super::numbers::AccountNumbers;
use super::port_forward::{OuterPort, PortForward};
use super::server::Server;
use super::system::SystemConfig;
use super::traffic_log::TrafficLogSettings;

/// Counts commits; grows by one with each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// Everything that ought to run.
#[derive(Debug, Clone, Default)]
pub struct Intended {
    /// The commit that it is the state of.
    pub revision: Revision,
    /// The servers, each with its accounts.
    pub servers: BTreeMap<ServerName, IntendedServer>,
    /// The firewall, which is one for all servers.
    pub firewall: Arc<Firewall>,
    /// The resolver, which is one for all servers.
    pub dns: DnsSettings,
    /// What is logged of the traffic.
    pub traffic_log: Arc<TrafficLogSettings>,
    /// What is set of the appliance as a whole.
    pub system: SystemConfig,
    /// IKEv2, which is one for all servers.
    pub ikev2: Ikev2,
    /// Which numbers the accounts have.
    pub numbers: AccountNumbers,
}

/// A server that ought to run, and its accounts.
#[derive(Debug, Clone)]
pub struct IntendedServer {
    /// The server itself.
    pub server: Arc<Server>,
    /// Its accounts, the disabled ones too.
    pub accounts: Arc<BTreeMap<AccountName, Arc<Account>>>,
    /// Its port forwards.
    pub forwards: Arc<BTreeMap<OuterPort, PortForward>>,
}

impl Intended {
    /// The server of this name.
    pub fn server(&self, name: &str) -> Option<&IntendedServer> {
        self.servers.get(name)
    }

    /// The account of this name, whichever server it belongs to.
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.servers.values().find_map(|server| server.accounts.get(name))
    }

    /// Puts `server` in, or in the place of the one of its name, whose accounts it gets.
    pub fn insert_server(&mut self, server: Arc<Server>) -> Option<Arc<Server>> {
        if let Some(present) = self.servers.get_mut(&server.name) {
            return Some(std::mem::replace(&mut present.server, server));
        }
        self.servers
            .insert(server.name.clone(), IntendedServer { server, accounts: Arc::default(), forwards: Arc::default() });
        None
    }

    /// Puts `account` into its server, or in the place of the one of its name there; returns that one.
    ///
    /// # Errors
    /// Gives the account back where its server does not exist.
    pub fn insert_account(&mut self, account: Arc<Account>) -> Result<Option<Arc<Account>>, Arc<Account>> {
        let Some(server) = self.servers.get_mut(&account.server) else { return Err(account) };
        let before = Arc::make_mut(&mut server.accounts).insert(account.name.clone(), account.clone());
        self.numbers.exchange(before.as_deref(), Some(&account));
        Ok(before)
    }

    /// Takes the account of this name out.
    pub fn remove_account(&mut self, name: &str) -> Option<Arc<Account>> {
        let server = self.servers.values_mut().find(|server| server.accounts.contains_key(name))?;
        let removed = Arc::make_mut(&mut server.accounts).remove(name);
        self.numbers.exchange(removed.as_deref(), None);
        removed
    }

    /// Puts a port forward into the server of this name, or in the place of the one of its port; returns that one. Does
    /// nothing where there is no such server.
    pub fn insert_forward(&mut self, server: &ServerName, forward: PortForward) -> Option<PortForward> {
        let server = self.servers.get_mut(server)?;
        Arc::make_mut(&mut server.forwards).insert(forward.outer, forward)
    }

    /// Takes the port forward of this port out of the server of this name.
    pub fn remove_forward(&mut self, server: &ServerName, outer: OuterPort) -> Option<PortForward> {
        let server = self.servers.get_mut(server)?;
        Arc::make_mut(&mut server.forwards).remove(&outer)
    }

    /// Every account, by server and then by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.servers.values().flat_map(|server| server.accounts.values())
    }

    /// How many accounts there are.
    pub fn count_accounts(&self) -> usize {
        self.servers.values().map(|server| server.accounts.len()).sum()
    }
}
