//! Everything that lasts, as it is in memory, and the steps by which it changes.

use std::mem::replace;
use std::sync::Arc;

use crate::domain::access::{AccessBook, AccessEntry, PanelUser};
use crate::domain::account::Account;
use crate::domain::backup::BackupSettings;
use crate::domain::dns::DnsSettings;
use crate::domain::firewall::{End, FilterRule, FirewallSettings};
use crate::domain::ikev2::{Credential, Ikev2Settings, ServerCredential};
use crate::domain::intended::Intended;
use crate::domain::name::{AccountName, RuleName, ServerName};
use crate::domain::one_time_link::{LinkBook, LinkDigest, LinkSettings, OneTimeLink};
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::system::SystemConfig;

/// Everything that lasts.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// What ought to run.
    pub(super) intended: Intended,
    /// Who may call.
    pub(super) access: AccessBook,
    /// The one-time links.
    pub(super) links: LinkBook,
    /// The place of each firewall rule in the file, in their order: negative before the rule that keeps the API
    /// reachable, which is in no file and has place 0. A new rule at either end moves no other.
    pub(super) places: Arc<Vec<i64>>,
    /// When and where backups are made.
    pub(super) backups: Arc<BackupSettings>,
}

/// One record that is written or taken away.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Server(Arc<Server>),
    NoServer(ServerName),
    Account(Arc<Account>),
    NoAccount(AccountName),
    Firewall(FirewallSettings),
    Dns(DnsSettings),
    Rule(i64, FilterRule),
    NoRule(RuleName),
    Forward(ServerName, PortForward),
    NoForward(ServerName, OuterPort),
    System(SystemConfig),
    Ikev2(bool),
    Ikev2Settings(Arc<Ikev2Settings>),
    Authority(Option<Arc<Credential>>),
    ServerCertificate(Option<Arc<ServerCredential>>),
    Access(AccessEntry),
    NoAccess(String),
    PanelUser(PanelUser),
    NoPanelUser(String),
    Backups(Arc<BackupSettings>),
    Link(Arc<OneTimeLink>),
    NoLink(LinkDigest),
    LinkSettings(Arc<LinkSettings>),
}

impl State {
    /// Puts the rule among the others that keeps the API at this port reachable.
    pub(super) fn keep_open(&mut self, api_port: u16) {
        self.place(0, FilterRule::system(api_port));
    }

    /// Puts a rule into its place.
    pub(super) fn place(&mut self, place: i64, rule: FilterRule) {
        let at = self.places.partition_point(|other| *other < place);
        Arc::make_mut(&mut self.places).insert(at, place);
        Arc::make_mut(&mut self.intended.firewall).rules.insert(at, rule);
    }

    /// Takes the rule of this name from its place.
    fn displace(&mut self, name: &RuleName) -> Option<(i64, FilterRule)> {
        let at = self.intended.firewall.rules.iter().position(|rule| rule.name == *name)?;
        let place = Arc::make_mut(&mut self.places).remove(at);
        Some((place, Arc::make_mut(&mut self.intended.firewall).rules.remove(at)))
    }

    /// A place beyond all that are taken.
    pub(super) fn place_at(&self, end: End) -> i64 {
        match end {
            End::Top => self.places.first().map_or(0, |first| *first.min(&0)) - 1,
            End::Bottom => self.places.last().map_or(0, |last| *last.max(&0)) + 1,
        }
    }

    /// Takes a step, and returns the one that undoes it.
    pub(super) fn take(&mut self, step: Step) -> Step {
        let AccessBook { entries, users } = &mut self.access;
        match step {
            Step::Server(server) => {
                let name = server.name.clone();
                self.intended.insert_server(server).map_or(Step::NoServer(name), Step::Server)
            }
            Step::NoServer(name) => match self.intended.servers.remove(&name) {
                Some(removed) => Step::Server(removed.server),
                None => Step::NoServer(name),
            },
            Step::Account(account) => {
                let name = account.name.clone();
                self.intended.insert_account(account).ok().flatten().map_or(Step::NoAccount(name), Step::Account)
            }
            Step::NoAccount(name) => {
                self.intended.remove_account(name.as_str()).map_or(Step::NoAccount(name), Step::Account)
            }
            Step::Firewall(settings) => {
                let firewall = Arc::make_mut(&mut self.intended.firewall);
                Step::Firewall(replace(&mut firewall.settings, settings))
            }
            Step::Dns(settings) => Step::Dns(replace(&mut self.intended.dns, settings)),
            Step::Rule(place, rule) => {
                let name = rule.name.clone();
                self.place(place, rule);
                Step::NoRule(name)
            }
            Step::NoRule(name) => match self.displace(&name) {
                Some((place, rule)) => Step::Rule(place, rule),
                None => Step::NoRule(name),
            },
            Step::Forward(server, forward) => {
                let outer = forward.outer;
                match self.intended.insert_forward(&server, forward) {
                    Some(before) => Step::Forward(server, before),
                    None => Step::NoForward(server, outer),
                }
            }
            Step::NoForward(server, outer) => match self.intended.remove_forward(&server, outer) {
                Some(removed) => Step::Forward(server, removed),
                None => Step::NoForward(server, outer),
            },
            Step::System(config) => Step::System(replace(&mut self.intended.system, config)),
            Step::Ikev2(on) => Step::Ikev2(replace(&mut self.intended.ikev2.enabled, on)),
            Step::Ikev2Settings(settings) => Step::Ikev2Settings(replace(&mut self.intended.ikev2.settings, settings)),
            Step::Authority(credential) => Step::Authority(replace(&mut self.intended.ikev2.authority, credential)),
            Step::ServerCertificate(credential) => {
                Step::ServerCertificate(replace(&mut self.intended.ikev2.server, credential))
            }
            Step::Access(entry) => {
                let label = entry.label.clone();
                entries.insert(label.clone(), entry).map_or(Step::NoAccess(label), Step::Access)
            }
            Step::NoAccess(label) => entries.remove(&label).map_or(Step::NoAccess(label), Step::Access),
            Step::PanelUser(user) => {
                let name = user.name.clone();
                users.insert(name.clone(), user).map_or(Step::NoPanelUser(name), Step::PanelUser)
            }
            Step::NoPanelUser(name) => users.remove(&name).map_or(Step::NoPanelUser(name), Step::PanelUser),
            Step::Backups(settings) => Step::Backups(replace(&mut self.backups, settings)),
            Step::Link(link) => {
                let digest = link.key.digest();
                Arc::make_mut(&mut self.links.links).insert(digest, link).map_or(Step::NoLink(digest), Step::Link)
            }
            Step::NoLink(digest) => {
                Arc::make_mut(&mut self.links.links).remove(&digest).map_or(Step::NoLink(digest), Step::Link)
            }
            Step::LinkSettings(settings) => Step::LinkSettings(replace(&mut self.links.settings, settings)),
        }
    }
}

impl Step {
    /// Whether it changes what ought to run.
    pub(super) fn is_intended(&self) -> bool {
        let access = matches!(self, Self::Access(_) | Self::NoAccess(_) | Self::PanelUser(_) | Self::NoPanelUser(_));
        let beside = matches!(self, Self::Backups(_) | Self::Link(_) | Self::NoLink(_) | Self::LinkSettings(_));
        !access && !beside
    }
}
