//! Accounts: what the API and the command line may do with them.

use std::sync::Arc;

use super::{Caller, Error, missing};
use crate::domain::account::{Account, AccountDraft};
use crate::domain::figures::AccountDump;

/// The use cases of accounts.
#[derive(Debug, Clone)]
pub struct Accounts {}

impl Accounts {
    /// Every account.
    pub fn list(&self) -> Vec<Arc<Account>> {
        Vec::new()
    }

    /// One account.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn detail(&self, _name: &str) -> Result<Arc<Account>, Error> {
        Err(missing())
    }

    /// Adds an account and returns once its tunnel accepts the peer.
    ///
    /// # Errors
    /// The refusals of [`AccountDraft`].
    pub async fn add(&self, _by: &Caller, _draft: AccountDraft) -> Result<Arc<Account>, Error> {
        Err(missing())
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// `AccountNotFound` and the refusals of [`AccountDraft`].
    pub async fn edit(&self, _by: &Caller, _name: &str, _draft: AccountDraft) -> Result<Arc<Account>, Error> {
        Err(missing())
    }

    /// Deletes an account; its tunnel ends at once.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn delete(&self, _by: &Caller, _name: &str) -> Result<(), Error> {
        Err(missing())
    }

    /// The file that the account's client imports. The caller is about to show a secret.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn config_text(&self, _name: &str) -> Result<String, Error> {
        Err(missing())
    }

    /// That file as a QR code: a PNG of 500 by 500 pixels, one bit each (base64 is the API's business).
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn config_qr(&self, _name: &str) -> Result<Vec<u8>, Error> {
        Err(missing())
    }

    /// That file as a QR code for a terminal, two modules a character.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn config_qr_text(&self, _name: &str) -> Result<String, Error> {
        Err(missing())
    }

    /// An account's tunnel.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub async fn dump(&self, _name: &str) -> Result<AccountDump, Error> {
        Err(missing())
    }
}
