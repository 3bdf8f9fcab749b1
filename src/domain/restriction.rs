//! Accounts that are held back for the moment, by an end that has come or a quota that is used up, whatever the operator
//! has set of them otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::{Account, AccountId};
use super::intended::Intended;
use super::name::AccountName;
use super::rate::Mbps;

/// How an account is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriction {
    /// Its end has come: it may not connect.
    Expired,
    /// Its quota is used up: it may not connect.
    OverQuota,
    /// Its quota is used up: it is as slow as this.
    Throttled(Mbps),
}

impl Restriction {
    /// The account as it is to run.
    fn applied(self, account: &Account) -> Account {
        let slower = |rate: Mbps, limit: Mbps| if rate == Mbps::UNLIMITED { limit } else { rate.min(limit) };
        match self {
            Self::Expired | Self::OverQuota => Account { enabled: false, ..account.clone() },
            Self::Throttled(limit) => Account {
                b_download: slower(account.b_download, limit),
                b_upload: slower(account.b_upload, limit),
                ..account.clone()
            },
        }
    }
}

/// Everybody who is held back.
pub type Restrictions = BTreeMap<AccountName, (AccountId, Restriction)>;

impl Intended {
    /// What is to run while these are held back. An account that was made anew under the name of one of them is not.
    #[must_use]
    pub fn under(&self, restrictions: &Restrictions) -> Self {
        let mut held = self.clone();
        for (name, (id, restriction)) in restrictions {
            let Some(account) = self.account(name.as_str()).filter(|account| account.id == *id) else { continue };
            // its server is there, for it was found by that
            let _ = held.insert_account(Arc::new(restriction.applied(account)));
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    fn held(restriction: Restriction, id: impl Fn(AccountId) -> AccountId) -> (Account, Account) {
        let house = house();
        let account = house.account("peer_1").unwrap();
        let restrictions = [(account.name.clone(), (id(account.id), restriction))].into_iter().collect();
        let after = house.under(&restrictions).account("peer_1").unwrap().as_ref().clone();
        (account.as_ref().clone(), after)
    }

    #[test]
    fn runs_an_account_that_is_cut_off_as_a_disabled_one() {
        for restriction in [Restriction::Expired, Restriction::OverQuota] {
            let (before, after) = held(restriction, |id| id);

            assert_eq!(after, Account { enabled: false, ..before });
        }
    }

    #[test]
    fn slows_an_account_down_and_never_speeds_it_up() {
        let rate = |megabits| Mbps::new(megabits).unwrap();

        let (before, after) = held(Restriction::Throttled(rate(2)), |id| id);
        let slow = Restriction::Throttled(rate(2)).applied(&Account { b_upload: rate(1), ..before.clone() });

        assert_eq!(after, Account { b_download: rate(2), b_upload: rate(2), ..before });
        assert_eq!((slow.b_download, slow.b_upload), (rate(2), rate(1)));
    }

    #[test]
    fn leaves_an_account_alone_that_was_made_anew_under_the_same_name() {
        let (before, after) = held(Restriction::Expired, |id| AccountId(id.0 + 1));

        assert_eq!(after, before);
    }
}
