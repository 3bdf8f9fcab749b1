//! What an empty store needs before anybody can use it.

use std::fmt;

use super::{Error, Services, missing};
use crate::domain::name::{AccountName, ServerName};

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
        Err(missing())
    }
}
