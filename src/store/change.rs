//! What a write works on: a private copy of everything, and the list of records to be written.

use std::sync::Arc;

use jiff::Timestamp;

use super::messages::MessageChanges;
use super::state::{Beside, State, Step, WebhookBook};
use crate::domain::access::{AccessBook, AccessEntry, Author, PanelUser, SessionEntry, TokenDigest};
use crate::domain::account::Account;
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::backup::BackupSettings;
use crate::domain::dns::DnsSettings;
use crate::domain::firewall::FirewallSettings;
use crate::domain::host::HostSettings;
use crate::domain::ikev2::{Credential, Ikev2Settings, ServerCredential};
use crate::domain::intended::Intended;
use crate::domain::one_time_link::{LinkBook, LinkDigest, LinkSettings, OneTimeLink};
use crate::domain::port_forward::{OuterPort, PortForward};
use crate::domain::refusal::Refusal;
use crate::domain::server::Server;
use crate::domain::system::SystemConfig;
use crate::domain::traffic_log::TrafficLogSettings;
use crate::domain::web_certificate::WebCertificate;
use crate::domain::webhook::Webhook;

/// What a closure given to [`super::Store::write`] sees and changes. If it refuses, nothing of it remains.
#[derive(Debug)]
pub struct Change {
    pub(super) state: State,
    steps: Vec<Step>,
    undo: Vec<Step>,
}

impl Change {
    pub(super) fn new(state: State) -> Self {
        Self { state, steps: Vec::new(), undo: Vec::new() }
    }

    /// What ought to run, with what this change has done so far.
    pub fn intended(&self) -> &Intended {
        &self.state.intended
    }

    /// Who may call, with what this change has done so far.
    pub fn access(&self) -> &AccessBook {
        &self.state.access
    }

    /// The one-time links, with what this change has done so far.
    pub fn links(&self) -> &LinkBook {
        &self.state.links
    }

    /// Stores a server; one of its name is replaced and keeps its accounts.
    pub fn put_server(&mut self, server: Server) -> Arc<Server> {
        let server = Arc::new(server);
        self.step(Step::Server(server.clone()));
        server
    }

    /// Removes a server that has no accounts.
    ///
    /// # Errors
    /// [`Refusal::ServerNotFound`], [`Refusal::ServerHasPeers`].
    pub fn remove_server(&mut self, name: &str) -> Result<(), Refusal> {
        let server = self.state.intended.server(name).ok_or(Refusal::ServerNotFound)?;
        if !server.accounts.is_empty() {
            return Err(Refusal::ServerHasPeers);
        }
        let name = server.server.name.clone();
        self.step(Step::NoServer(name));
        Ok(())
    }

    /// Stores an account; one of its name is replaced.
    ///
    /// # Errors
    /// [`Refusal::ServerNotValid`] where its server does not exist.
    pub fn put_account(&mut self, mut account: Account) -> Result<Arc<Account>, Refusal> {
        let server = self.state.intended.server(account.server.as_str()).ok_or(Refusal::ServerNotValid)?;
        // one name in memory for all accounts of a server
        account.server = server.server.name.clone();
        let account = Arc::new(account);
        self.step(Step::Account(account.clone()));
        Ok(account)
    }

    /// Removes an account, the port forwards that lead to it, and its one-time links.
    ///
    /// # Errors
    /// [`Refusal::AccountNotFound`].
    pub fn remove_account(&mut self, name: &str) -> Result<(), Refusal> {
        let account = self.state.intended.account(name).ok_or(Refusal::AccountNotFound)?.clone();
        let server = self.state.intended.server(account.server.as_str()).ok_or(Refusal::ServerNotFound)?;
        let forwards = server.forwards.values().filter(|forward| forward.to_peer == account.name);
        let forwarded: Vec<OuterPort> = forwards.map(|forward| forward.outer).collect();
        for outer in forwarded {
            self.step(Step::NoForward(account.server.clone(), outer));
        }
        self.remove_links(self.state.links.of_account(&account.name));
        self.step(Step::NoAccount(account.name.clone()));
        Ok(())
    }

    /// Stores the firewall's settings.
    pub fn put_firewall(&mut self, settings: FirewallSettings) {
        self.step(Step::Firewall(settings));
    }

    /// Stores the resolver's settings.
    pub fn put_dns(&mut self, settings: DnsSettings) {
        self.step(Step::Dns(settings));
    }

    /// Stores a port forward of a server; one of its port is replaced.
    ///
    /// # Errors
    /// [`Refusal::ServerNotFound`], [`Refusal::ForwardPeerUnknown`] where it leads to no account of the server.
    pub fn put_forward(&mut self, server: &str, forward: PortForward) -> Result<(), Refusal> {
        let server = self.state.intended.server(server).ok_or(Refusal::ServerNotFound)?;
        if !server.accounts.contains_key(&forward.to_peer) {
            return Err(Refusal::ForwardPeerUnknown);
        }
        let name = server.server.name.clone();
        self.step(Step::Forward(name, forward));
        Ok(())
    }

    /// Removes a port forward of a server.
    ///
    /// # Errors
    /// [`Refusal::ServerNotFound`], [`Refusal::ForwardNotFound`].
    pub fn remove_forward(&mut self, server: &str, outer: OuterPort) -> Result<(), Refusal> {
        let server = self.state.intended.server(server).ok_or(Refusal::ServerNotFound)?;
        if !server.forwards.contains_key(&outer) {
            return Err(Refusal::ForwardNotFound);
        }
        let name = server.server.name.clone();
        self.step(Step::NoForward(name, outer));
        Ok(())
    }

    /// Stores what is set of the appliance as a whole.
    pub fn put_system(&mut self, config: SystemConfig) {
        self.step(Step::System(config));
    }

    /// Turns IKEv2 on or off.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`], [`Refusal::ServerCertificateMissing`] where it is to be on without them.
    pub fn enable_ikev2(&mut self, on: bool) -> Result<(), Refusal> {
        if on {
            self.state.intended.ikev2.server()?;
        }
        if self.state.intended.ikev2.enabled != on {
            self.step(Step::Ikev2(on));
        }
        Ok(())
    }

    /// Stores the advanced settings of IKEv2.
    pub fn put_ikev2_settings(&mut self, settings: Ikev2Settings) {
        if *self.state.intended.ikev2.settings != settings {
            self.step(Step::Ikev2Settings(Arc::new(settings)));
        }
    }

    /// Stores the certificate authority.
    ///
    /// # Errors
    /// [`Refusal::RootPresent`] where there is one.
    pub fn put_authority(&mut self, credential: Credential) -> Result<(), Refusal> {
        if self.state.intended.ikev2.authority.is_some() {
            return Err(Refusal::RootPresent);
        }
        self.step(Step::Authority(Some(Arc::new(credential))));
        Ok(())
    }

    /// Removes the certificate authority and what it has signed; IKEv2 goes off with it.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`].
    pub fn remove_authority(&mut self) -> Result<(), Refusal> {
        self.state.intended.ikev2.authority()?;
        if self.state.intended.ikev2.server.is_some() {
            self.remove_server_certificate()?;
        }
        self.step(Step::Authority(None));
        Ok(())
    }

    /// Stores the server's certificate in the place of the present one. It must have been signed by `authority`.
    ///
    /// # Errors
    /// [`Refusal::RootAbsent`] where that is not the authority any more.
    pub fn put_server_certificate(
        &mut self,
        authority: &Credential,
        credential: ServerCredential,
    ) -> Result<(), Refusal> {
        if self.state.intended.ikev2.authority.as_deref() != Some(authority) {
            return Err(Refusal::RootAbsent);
        }
        self.step(Step::ServerCertificate(Some(Arc::new(credential))));
        Ok(())
    }

    /// Removes the server's certificate; IKEv2 goes off with it.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`], [`Refusal::ServerCertificateMissing`].
    pub fn remove_server_certificate(&mut self) -> Result<(), Refusal> {
        self.state.intended.ikev2.server()?;
        self.enable_ikev2(false)?;
        self.step(Step::ServerCertificate(None));
        Ok(())
    }

    /// Stores an access hash; one of its label is replaced.
    pub fn put_access(&mut self, entry: AccessEntry) {
        self.step(Beside::Access(entry));
    }

    /// Removes an access hash.
    ///
    /// # Errors
    /// [`Refusal::AccessNotFound`].
    pub fn remove_access(&mut self, label: &str) -> Result<(), Refusal> {
        if !self.state.access.entries.contains_key(label) {
            return Err(Refusal::AccessNotFound);
        }
        self.step(Beside::NoAccess(label.to_owned()));
        Ok(())
    }

    /// Stores a login of the panel; one of its name is replaced.
    pub fn put_panel_user(&mut self, user: PanelUser) {
        self.step(Beside::PanelUser(Box::new(user)));
    }

    /// Removes a login of the panel, with its sessions.
    ///
    /// # Errors
    /// [`Refusal::UserNotFound`].
    pub fn remove_panel_user(&mut self, name: &str) -> Result<(), Refusal> {
        let name = self.state.access.users.get(name).ok_or(Refusal::UserNotFound)?.name.clone();
        let sessions = self.state.access.sessions_of(name.as_str()).iter().map(|session| session.digest).collect();
        self.remove_sessions(sessions);
        self.step(Beside::NoPanelUser(name));
        Ok(())
    }

    /// Stores a session; one of its token is replaced.
    pub fn put_session(&mut self, session: SessionEntry) {
        self.step(Beside::Session(Box::new(session)));
    }

    /// Removes sessions. What is not there is left out.
    pub fn remove_sessions(&mut self, digests: Vec<TokenDigest>) {
        for digest in digests {
            if self.state.access.sessions.contains_key(&digest) {
                self.step(Beside::NoSession(digest));
            }
        }
    }

    /// The certificate of the API and the panel, with what this change has done so far.
    pub fn web_certificate(&self) -> &WebCertificate {
        &self.state.web_certificate
    }

    /// Stores the certificate of the API and the panel.
    pub fn put_web_certificate(&mut self, certificate: WebCertificate) {
        self.step(Beside::WebCertificate(Arc::new(certificate)));
    }

    /// What is set of the host, with what this change has done so far.
    pub fn host(&self) -> &HostSettings {
        &self.state.host
    }

    /// Stores what is set of the host.
    pub fn put_host(&mut self, settings: HostSettings) {
        self.step(Beside::Host(Arc::new(settings)));
    }

    /// When and where backups are made, with what this change has done so far.
    pub fn backups(&self) -> &BackupSettings {
        &self.state.backups
    }

    /// Stores when and where backups are made.
    pub fn put_backups(&mut self, settings: BackupSettings) {
        self.step(Beside::Backups(Arc::new(settings)));
    }

    /// Stores what is logged of the traffic.
    pub fn put_traffic_log(&mut self, settings: Arc<TrafficLogSettings>) {
        self.step(Step::TrafficLog(settings));
    }

    /// Stores a one-time link.
    pub fn put_link(&mut self, link: OneTimeLink) {
        self.step(Beside::Link(Arc::new(link)));
    }

    /// Removes one-time links. What is not there is left out.
    pub fn remove_links(&mut self, digests: Vec<LinkDigest>) {
        for digest in digests {
            if self.state.links.links.contains_key(&digest) {
                self.step(Beside::NoLink(digest));
            }
        }
    }

    /// Stores what the page of one-time links shows.
    pub fn put_link_settings(&mut self, settings: LinkSettings) {
        self.step(Beside::LinkSettings(Arc::new(settings)));
    }

    /// The webhooks, with what this change has done so far.
    pub fn webhooks(&self) -> &WebhookBook {
        &self.state.webhooks
    }

    /// Stores a webhook; one of its name is replaced.
    pub fn put_webhook(&mut self, webhook: Webhook) -> Arc<Webhook> {
        let webhook = Arc::new(webhook);
        self.step(Beside::Webhook(webhook.clone()));
        webhook
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// [`Refusal::WebhookNotFound`].
    pub fn remove_webhook(&mut self, name: &str) -> Result<(), Refusal> {
        let name = self.state.webhooks.get(name).ok_or(Refusal::WebhookNotFound)?.name.clone();
        self.step(Beside::NoWebhook(name));
        Ok(())
    }

    /// Has messages of webhooks wait in the file, and others no more.
    pub fn keep_messages(&mut self, changes: MessageChanges) {
        self.step(Beside::Messages(Arc::new(changes)));
    }

    /// How many records this change, and those that are committed with it, write so far.
    pub fn count_steps(&self) -> usize {
        self.steps.len()
    }

    /// Puts a deed into the audit log, to be found there as long as what was done is.
    pub fn note(&mut self, at: Timestamp, by: Author, deed: Deed) {
        let number = self.state.audited + 1;
        self.step(Beside::Audit(Arc::new(AuditEntry { number, at, by, deed })));
    }

    /// Takes a step, and remembers how to undo it.
    pub(super) fn step(&mut self, step: impl Into<Step>) {
        let step = step.into();
        self.steps.push(step.clone());
        self.undo.push(self.state.take(step));
    }

    /// Where this change stands, for [`Self::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.steps.len()
    }

    /// Undoes every step after `mark`.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.steps.truncate(mark);
        for step in self.undo.split_off(mark).into_iter().rev() {
            self.state.take(step);
        }
    }

    /// The steps, in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether any step changes what ought to run.
    pub(super) fn is_intended(&self) -> bool {
        self.steps.iter().any(Step::is_intended)
    }

    /// Everything, as the steps left it.
    pub(super) fn into_state(self) -> State {
        self.state
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::firewall::{End, FilterRule};
    use crate::domain::fixture::{account_of, account_seed, house};
    use crate::domain::ikev2::{Ikev2, fixture};
    use crate::domain::limits;
    use crate::domain::name::{AccountName, RuleName};
    use crate::domain::one_time_link::{LinkKey, LinkPage};
    use crate::domain::port_forward::Transport;

    pub(in crate::store) fn shown(change: &Change) -> String {
        format!("{:?}", change.state)
    }

    /// A change of the house, with the API at its port.
    pub(in crate::store) fn change() -> Change {
        let mut state = State { intended: house(), ..State::default() };
        state.keep_open(8098);
        Change::new(state)
    }

    pub(in crate::store) fn rule(name: &str) -> FilterRule {
        FilterRule { name: RuleName::parse(name).unwrap(), ..FilterRule::system(23) }
    }

    fn forward(port: u16, to_peer: &str) -> PortForward {
        let outer = OuterPort { port, protocol: Transport::Tcp };
        PortForward { outer, to_peer: AccountName::parse(to_peer).unwrap(), to_port: 80 }
    }

    fn link(number: u8, account: &str) -> OneTimeLink {
        let key = LinkKey::from_entropy([number; limits::LINK_KEY_BYTES]);
        let account = AccountName::parse(account).unwrap();
        OneTimeLink { key, account, created: Timestamp::UNIX_EPOCH, expires: Timestamp::MAX }
    }

    fn authority() -> Credential {
        let at = "2026-11-24T12:00:00Z".parse().unwrap();
        Credential::import(fixture::CA, fixture::RSA_KEY, at).unwrap()
    }

    fn server_certificate(authority: &Credential) -> ServerCredential {
        let credential = authority.clone();
        ServerCredential { credential, domain: "vpn.example".into(), ip: [192, 0, 2, 1].into(), ipv6: None }
    }

    #[test]
    fn has_ikev2_on_only_with_both_certificates() {
        let (mut change, root) = (change(), authority());
        assert_eq!(change.enable_ikev2(true), Err(Refusal::RootMissing));
        assert_eq!(change.enable_ikev2(false), Ok(()));
        assert_eq!(change.put_server_certificate(&root, server_certificate(&root)), Err(Refusal::RootAbsent));
        change.put_authority(root.clone()).unwrap();
        assert_eq!(change.put_authority(root.clone()), Err(Refusal::RootPresent));
        assert_eq!(change.enable_ikev2(true), Err(Refusal::ServerCertificateMissing));
        assert_eq!(change.remove_server_certificate(), Err(Refusal::ServerCertificateMissing));
        change.put_server_certificate(&root, server_certificate(&root)).unwrap();
        change.enable_ikev2(true).unwrap();

        change.remove_authority().unwrap();

        assert_eq!(change.intended().ikev2, Ikev2::default());
        assert_eq!(change.remove_authority(), Err(Refusal::RootMissing));
        assert_eq!(change.remove_server_certificate(), Err(Refusal::RootMissing));
    }

    #[test]
    fn undoes_every_kind_of_step() {
        let mut change = change();
        change.add_rule(rule("first"), End::Bottom).unwrap();
        change.put_forward("Default_1", forward(80, "peer_1")).unwrap();
        let before = shown(&change);
        let mark = change.mark();

        change.put_firewall(FirewallSettings { ip_forward: false, ..FirewallSettings::default() });
        change.put_system(SystemConfig { wireguard_handshake_uptime: 7, ..SystemConfig::default() });
        for (name, end) in [("top", End::Top), ("bottom", End::Bottom), ("above", End::Top)] {
            change.add_rule(rule(name), end).unwrap();
        }
        change.remove_rule("first").unwrap();
        change.remove_rule("top").unwrap();
        change.put_forward("Default_1", forward(81, "peer_1")).unwrap();
        change.put_forward("Default_1", PortForward { to_port: 7, ..forward(80, "peer_1") }).unwrap();
        change.remove_forward("Default_1", forward(81, "peer_1").outer).unwrap();

        let root = authority();
        change.put_authority(root.clone()).unwrap();
        change.put_server_certificate(&root, server_certificate(&root)).unwrap();
        change.enable_ikev2(true).unwrap();
        change.put_ikev2_settings(Ikev2Settings { rekey: true, ..Ikev2Settings::default() });
        change.remove_authority().unwrap();
        let page = LinkPage { lifetime: 3, ..LinkPage::default() };
        change.put_link_settings(LinkSettings { page: page.into(), ..LinkSettings::default() });
        change.put_link(link(1, "peer_1"));
        change.put_link(link(2, "peer_1"));
        change.remove_links(vec![link(1, "peer_1").key.digest(), link(9, "peer_1").key.digest()]);

        let account = account_of("Default_2").settle(change.intended(), 9, &account_seed(7)).unwrap();
        change.put_account(account.clone()).unwrap();
        change.put_account(Account { enabled: false, ..account }).unwrap();
        change.remove_account("peer_1").unwrap();
        change.remove_account("peer_2").unwrap();
        change.remove_server("Default_2").unwrap();
        let server = change.intended().server("Default_1").unwrap().server.as_ref().clone();
        change.put_server(Server { mtu: 1300, ..server });
        assert_ne!(shown(&change), before);

        change.back_to(mark);
        assert_eq!(shown(&change), before);
        assert_eq!(change.steps().len(), mark);
    }

    #[test]
    fn takes_forwards_away_with_their_account_alone() {
        let mut change = change();
        let other = account_of("Default_1").settle(change.intended(), 9, &account_seed(7)).unwrap();
        let other = change.put_account(other).unwrap().name.to_string();
        for (port, to_peer) in [(80, "peer_1"), (81, other.as_str()), (82, "peer_1")] {
            change.put_forward("Default_1", forward(port, to_peer)).unwrap();
        }
        assert_eq!(change.put_forward("Default_2", forward(83, "peer_1")), Err(Refusal::ForwardPeerUnknown));

        change.remove_account("peer_1").unwrap();

        let left: Vec<String> =
            change.intended().server("Default_1").unwrap().forwards.keys().map(OuterPort::to_string).collect();
        assert_eq!(left, ["81_tcp"]);
        assert_eq!(change.remove_forward("Default_1", forward(80, "x").outer), Err(Refusal::ForwardNotFound));
        assert_eq!(change.remove_forward("nobody", forward(80, "x").outer), Err(Refusal::ServerNotFound));
    }

    #[test]
    fn takes_links_away_with_their_account_alone() {
        let mut change = change();
        for (number, account) in [(1, "peer_1"), (2, "peer_2"), (3, "peer_1")] {
            change.put_link(link(number, account));
        }

        change.remove_account("peer_1").unwrap();

        let left: Vec<_> = change.links().links.values().map(|link| link.account.as_str()).collect();
        assert_eq!(left, ["peer_2"]);
    }

    #[test]
    fn removes_no_server_that_has_accounts() {
        let mut change = change();
        assert_eq!(change.remove_server("Default_1"), Err(Refusal::ServerHasPeers));
        assert_eq!(change.remove_server("Default_9"), Err(Refusal::ServerNotFound));
    }
}
