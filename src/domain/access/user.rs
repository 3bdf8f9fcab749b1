//! A user of the panel: what it is, and how far it reaches.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::second_factor::SecondFactor;
use crate::domain::account::{Account, AccountDraft};
use crate::domain::field::given;
use crate::domain::name::UserName;
use crate::domain::rate::Mbps;
use crate::domain::refusal::Refusal;
use crate::domain::words::words;

/// What a user, or an access hash, is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Does everything.
    Admin,
    /// Runs the tunnels.
    Operator,
    /// Watches.
    ReadOnly,
    /// Sells accounts of its own.
    Reseller,
}

words!(Role { Admin = "admin", Operator = "operator", ReadOnly = "read_only", Reseller = "reseller" });

/// How far a reseller reaches; 0 is no bound. Nobody else has any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Caps {
    /// How many accounts it may have.
    pub accounts: u32,
    /// The highest upload bandwidth of each of them, in Mbit/s.
    pub b_upload: Mbps,
    /// The highest download bandwidth of each of them, in Mbit/s.
    pub b_download: Mbps,
    /// What all of them together may move in a calendar month, in bytes, both directions counted.
    pub traffic: u64,
}

impl Caps {
    /// Lets a reseller who has so many accounts have one more.
    ///
    /// # Errors
    /// `AccountLimitExceeded`.
    pub fn admit(&self, own: usize) -> Result<(), Refusal> {
        let is_full = self.accounts > 0 && own >= self.accounts as usize;
        if is_full { Err(Refusal::AccountLimitExceeded) } else { Ok(()) }
    }

    /// Holds a new account within the caps: bandwidth that is asked for must be, bandwidth that is not is made so.
    ///
    /// # Errors
    /// `AboveCap`.
    pub fn fit(&self, draft: &AccountDraft, account: &mut Account) -> Result<(), Refusal> {
        self.fit_edit(draft, account)?;
        account.b_upload = within(self.b_upload, account.b_upload);
        account.b_download = within(self.b_download, account.b_download);
        Ok(())
    }

    /// Refuses an edit that asks for more than the caps; what it does not name stays as it is.
    ///
    /// # Errors
    /// `AboveCap`.
    pub fn fit_edit(&self, draft: &AccountDraft, account: &Account) -> Result<(), Refusal> {
        for (field, asked, rate, cap) in [
            ("b_upload", &draft.b_upload, account.b_upload, self.b_upload),
            ("b_download", &draft.b_download, account.b_download, self.b_download),
        ] {
            if given(asked.as_ref()).is_some() && within(cap, rate) != rate {
                return Err(Refusal::AboveCap { field, cap });
            }
        }
        Ok(())
    }
}

/// The bandwidth that is left of `rate` under a cap; 0 is no bound in both.
fn within(cap: Mbps, rate: Mbps) -> Mbps {
    match (cap, rate) {
        (Mbps::UNLIMITED, rate) => rate,
        (cap, Mbps::UNLIMITED) => cap,
        (cap, rate) => rate.min(cap),
    }
}

/// What accounts of a reseller have moved that are gone: whoever deletes one and makes it anew gains nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// In which month, by its first day.
    pub month: Date,
    /// Both directions together.
    pub bytes: u64,
}

/// A login of the panel.
#[derive(Clone, PartialEq, Eq)]
pub struct PanelUser {
    /// The name to log in with.
    pub name: UserName,
    /// The password's argon2id hash, in PHC form.
    pub password_hash: String,
    /// Whether the password is still the one that the first start chose.
    pub password_is_first: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it may.
    pub role: Role,
    /// How far it reaches as a reseller.
    pub caps: Caps,
    /// What accounts of it have moved that are gone.
    pub spent: Option<Spent>,
    /// What it shows besides its password, if anything.
    pub second_factor: Option<SecondFactor>,
    /// The language in which it wants to read the panel; absent for the browser's.
    pub language: Option<String>,
    /// The panel's colours; absent for the browser's.
    pub theme: Option<String>,
}

impl PanelUser {
    /// This user after an account of it is gone that has moved so much in this month.
    #[must_use]
    pub fn without(self, month: Date, bytes: u64) -> Self {
        let before = self.spent.filter(|spent| spent.month == month).map_or(0, |spent| spent.bytes);
        Self { spent: Some(Spent { month, bytes: before.saturating_add(bytes) }), ..self }
    }
}

impl fmt::Debug for PanelUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanelUser").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, account_seed, house};

    fn rate(megabits: u16) -> Mbps {
        Mbps::new(megabits).unwrap()
    }

    /// An account of these rates, as a form asks for them.
    fn asked(b_upload: Option<&str>) -> (AccountDraft, Account) {
        let draft = AccountDraft { b_upload: b_upload.map(Into::into), ..account_of("Default_1") };
        let account = draft.settle(&house(), 10, &account_seed(5)).unwrap();
        (draft, account)
    }

    #[test]
    fn admits_as_many_accounts_as_there_may_be() {
        let caps = Caps { accounts: 2, ..Caps::default() };

        assert_eq!(caps.admit(1), Ok(()));
        assert_eq!(caps.admit(2), Err(Refusal::AccountLimitExceeded));
        assert_eq!(Caps::default().admit(usize::MAX), Ok(()));
    }

    #[test]
    fn holds_bandwidth_that_nobody_asked_for_within_the_cap() {
        let (draft, mut account) = asked(None);
        assert_eq!(account.b_upload, Mbps::UNLIMITED);

        Caps { b_upload: rate(5), ..Caps::default() }.fit(&draft, &mut account).unwrap();

        assert_eq!((account.b_upload, account.b_download), (rate(5), Mbps::UNLIMITED));
    }

    #[test]
    fn refuses_bandwidth_above_the_cap() {
        let caps = Caps { b_upload: rate(5), ..Caps::default() };
        for (text, fits) in [("0", false), ("6", false), ("5", true), ("1", true)] {
            let (draft, mut account) = asked(Some(text));

            assert_eq!(caps.fit(&draft, &mut account).is_ok(), fits, "{text}");
        }
    }
}
