//! What an empty store needs before anybody can use it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::{Caller, Error, Services, access, accounts, users};
use crate::domain::access::{PanelUser, Role, UserDraft};
use crate::domain::account::AccountDraft;
use crate::domain::audit::{Deed, Kind};
use crate::domain::limits;
use crate::domain::name::{AccountName, ServerName};
use crate::domain::server::{ServerDraft, ServerSeed};
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// What the first start has made, to be shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// The panel's user.
    pub admin: String,
    /// Its password.
    pub admin_password: String,
    /// An access hash that works from 127.0.0.1.
    pub access_hash: String,
    /// The first server.
    pub server: ServerName,
    /// The first account.
    pub account: AccountName,
}

impl fmt::Debug for FirstStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstStart")
            .field("server", &self.server)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Services {
    /// Makes what an empty store needs, in one commit: the panel's user `admin`, an access hash for 127.0.0.1, the server
    /// `Default_1` and the account `peer_1`. Does nothing, and returns `None`, where there is a panel user already.
    ///
    /// # Errors
    /// [`Error::Fault`] if it cannot be stored.
    pub async fn first_start(&self) -> Result<Option<FirstStart>, Error> {
        let ground = &self.servers.ground;
        if !ground.store.access().users.is_empty() {
            return Ok(None);
        }
        let at = clock::timestamp();
        let password = users::chosen_password();
        let password_hash = self.users.desk.passwords.hash(password.clone()).await?;
        let (name, word) = (limits::PANEL_USER_FIRST.into(), Role::Admin.word().into());
        let draft = UserDraft { name: Some(name), role: Some(word), ..UserDraft::default() };
        let user = PanelUser { password_is_first: true, ..draft.settle(password_hash, at)? };
        let (access_hash, entry) =
            access::make(limits::ACCESS_LABEL_FIRST.into(), IpAddr::V4(Ipv4Addr::LOCALHOST).into(), at);
        let (host, cap, account_seed) = (ground.host_facts(), ground.accounts_cap(), accounts::seed());
        let server_seed = ServerSeed { private_key: entropy::bytes(), network: entropy::bytes() };
        let deed = Deed::of(Kind::System, "Made a first server and a first account");
        let rule = move |change: &mut Change| {
            if !change.access().users.is_empty() {
                return Ok((None, deed));
            }
            change.put_panel_user(user);
            change.put_access(entry);
            let draft = ServerDraft { ipv6: Some("1".into()), ..ServerDraft::default() };
            let server = change.put_server(draft.settle(change.intended(), &host, &server_seed)?);
            let draft = AccountDraft { wg_name: Some(server.name.to_string()), ..AccountDraft::default() };
            let account = change.put_account(draft.settle(change.intended(), cap, &account_seed)?)?;
            Ok((Some((server.name.clone(), account.name.clone())), deed))
        };
        let by = Caller::first_start();
        let Some((server, account)) = ground.write(&by, rule).await? else { return Ok(None) };
        let (admin, admin_password) = (limits::PANEL_USER_FIRST.into(), password.reveal().into());
        Ok(Some(FirstStart { admin, admin_password, access_hash, server, account }))
    }
}
