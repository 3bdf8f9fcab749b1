//! Everything that lasts, as it is in memory, and the steps by which it changes.

use std::collections::BTreeMap;
use std::mem::replace;
use std::sync::Arc;

use super::messages::MessageChanges;
use crate::domain::access::{AccessBook, AccessEntry, PanelUser, SessionEntry, TokenDigest};
use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::backup::BackupSettings;
use crate::domain::dns::DnsSettings;
use crate::domain::firewall::{End, FilterRule, FirewallSettings};
use crate::domain::host::HostSettings;
use crate::domain::ikev2::{Credential, Ikev2Settings, ServerCredential};
use crate::domain::intended::Intended;
use crate::domain::name::{AccountName, RuleName, ServerName, UserName, WebhookName};
use crate::domain::one_time_link::{LinkBook, LinkDigest, LinkSettings, OneTimeLink};
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::server::Server;
use crate::domain::system::SystemConfig;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::domain::web_certificate::WebCertificate;
use crate::domain::webhook::Webhook;

/// Webhooks by name.
pub type WebhookBook = BTreeMap<WebhookName, Arc<Webhook>>;

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
    /// The webhooks, by name.
    pub(super) webhooks: Arc<WebhookBook>,
    /// The certificate of the API and the panel.
    pub(super) web_certificate: Arc<WebCertificate>,
    /// What is set of the host.
    pub(super) host: Arc<HostSettings>,
    /// The number of the latest entry of the audit log, which itself is only in the file.
    pub(super) audited: u64,
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
    TrafficLog(Arc<TrafficLogSettings>),
    Rule(i64, FilterRule),
    NoRule(RuleName),
    Forward(ServerName, PortForward),
    NoForward(ServerName, OuterPort),
    System(SystemConfig),
    Ikev2(bool),
    Ikev2Settings(Arc<Ikev2Settings>),
    Authority(Option<Arc<Credential>>),
    ServerCertificate(Option<Arc<ServerCredential>>),
    /// One on which nothing runs.
    Beside(Beside),
}

/// One record, on which nothing runs, that is written or taken away.
#[derive(Debug, Clone)]
pub(super) enum Beside {
    Access(AccessEntry),
    NoAccess(String),
    PanelUser(Box<PanelUser>),
    NoPanelUser(UserName),
    Session(Box<SessionEntry>),
    NoSession(TokenDigest),
    Backups(Arc<BackupSettings>),
    WebCertificate(Arc<WebCertificate>),
    Host(Arc<HostSettings>),
    Link(Arc<OneTimeLink>),
    NoLink(LinkDigest),
    LinkSettings(Arc<LinkSettings>),
    Webhook(Arc<Webhook>),
    NoWebhook(WebhookName),
    /// Messages of webhooks, which are only in the file.
    Messages(Arc<MessageChanges>),
    Audit(Arc<AuditEntry>),
    /// Undoes [`Self::Audit`]: the latest entry is again this one. Never written.
    Audited(u64),
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

    /// The rules that get another place in the file where these are all of them in their new order, each with that place:
    /// numbered without gaps, from the one that keeps the API reachable in both directions.
    pub(super) fn displaced(&self, ordered: &[FilterRule]) -> Vec<(i64, FilterRule)> {
        let rules = &self.intended.firewall.rules;
        let present: BTreeMap<_, _> = rules.iter().map(|rule| &rule.name).zip(self.places.iter().copied()).collect();
        let before = ordered.iter().position(FilterRule::is_system);
        let first = before.and_then(|before| i64::try_from(before).ok()).map_or(1, |before| -before);
        let moved = (first..).zip(ordered).filter(|(place, rule)| present.get(&rule.name) != Some(place));
        moved.map(|(place, rule)| (place, rule.clone())).collect()
    }

    /// Puts a port forward in, and returns the step that undoes it.
    fn take_forward(&mut self, server: ServerName, forward: PortForward) -> Step {
        let outer = forward.outer;
        match self.intended.insert_forward(&server, forward) {
            Some(before) => Step::Forward(server, before),
            None => Step::NoForward(server, outer),
        }
    }

    /// Takes a step, and returns the one that undoes it.
    pub(super) fn take(&mut self, step: Step) -> Step {
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
            Step::TrafficLog(settings) => Step::TrafficLog(replace(&mut self.intended.traffic_log, settings)),
            Step::Rule(place, rule) => {
                let name = rule.name.clone();
                self.place(place, rule);
                Step::NoRule(name)
            }
            Step::NoRule(name) => match self.displace(&name) {
                Some((place, rule)) => Step::Rule(place, rule),
                None => Step::NoRule(name),
            },
            Step::Forward(server, forward) => self.take_forward(server, forward),
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
            Step::Beside(step) => Step::Beside(self.take_beside(step)),
        }
    }

    /// [`Self::take`], of what nothing runs on.
    fn take_beside(&mut self, step: Beside) -> Beside {
        let AccessBook { entries, users, sessions } = &mut self.access;
        match step {
            Beside::Access(entry) => {
                let label = entry.label.clone();
                entries.insert(label.clone(), entry).map_or(Beside::NoAccess(label), Beside::Access)
            }
            Beside::NoAccess(label) => entries.remove(&label).map_or(Beside::NoAccess(label), Beside::Access),
            Beside::PanelUser(user) => {
                let name = user.name.clone();
                users
                    .insert(name.clone(), *user)
                    .map_or(Beside::NoPanelUser(name), |user| Beside::PanelUser(user.into()))
            }
            Beside::NoPanelUser(name) => {
                users.remove(&name).map_or(Beside::NoPanelUser(name), |user| Beside::PanelUser(user.into()))
            }
            Beside::Session(session) => {
                let digest = session.digest;
                let before = Arc::make_mut(sessions).insert(digest, *session);
                before.map_or(Beside::NoSession(digest), |session| Beside::Session(session.into()))
            }
            Beside::NoSession(digest) => {
                let before = Arc::make_mut(sessions).remove(&digest);
                before.map_or(Beside::NoSession(digest), |session| Beside::Session(session.into()))
            }
            Beside::Backups(settings) => Beside::Backups(replace(&mut self.backups, settings)),
            Beside::WebCertificate(certificate) => {
                Beside::WebCertificate(replace(&mut self.web_certificate, certificate))
            }
            Beside::Host(settings) => Beside::Host(replace(&mut self.host, settings)),
            Beside::Link(link) => {
                let digest = link.key.digest();
                Arc::make_mut(&mut self.links.links).insert(digest, link).map_or(Beside::NoLink(digest), Beside::Link)
            }
            Beside::NoLink(digest) => {
                Arc::make_mut(&mut self.links.links).remove(&digest).map_or(Beside::NoLink(digest), Beside::Link)
            }
            Beside::LinkSettings(settings) => Beside::LinkSettings(replace(&mut self.links.settings, settings)),
            Beside::Webhook(webhook) => {
                let name = webhook.name.clone();
                let before = Arc::make_mut(&mut self.webhooks).insert(name.clone(), webhook);
                before.map_or(Beside::NoWebhook(name), Beside::Webhook)
            }
            Beside::NoWebhook(name) => {
                Arc::make_mut(&mut self.webhooks).remove(&name).map_or(Beside::NoWebhook(name), Beside::Webhook)
            }
            // nothing of them is in memory here, so there is nothing to undo
            Beside::Messages(_) => Beside::Messages(Arc::default()),
            Beside::Audit(entry) => Beside::Audited(replace(&mut self.audited, entry.number)),
            Beside::Audited(number) => Beside::Audited(replace(&mut self.audited, number)),
        }
    }
}

impl Step {
    /// Whether it changes what ought to run.
    pub(super) fn is_intended(&self) -> bool {
        !matches!(self, Self::Beside(_))
    }
}

impl From<Beside> for Step {
    fn from(step: Beside) -> Self {
        Self::Beside(step)
    }
}
