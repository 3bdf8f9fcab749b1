//! What all accounts of a reseller have moved this month, and whether that is all that they may. A part of the meter, and
//! as pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::access::Spent;
use crate::domain::account::{Account, AccountId};
use crate::domain::intended::{Intended, Revision};
use crate::domain::name::UserName;
use crate::domain::traffic::Bytes;

/// What the accounts of each reseller who has a bound may move in a month, and what those have moved that are gone.
pub(super) type Bounds = BTreeMap<UserName, (u64, Option<Spent>)>;

/// The machine.
#[derive(Debug, Default)]
pub(super) struct Pools {
    bounds: Bounds,
    revision: Option<Revision>,
    /// The accounts of resellers with a bound.
    accounts: Vec<Arc<Account>>,
    /// The month for which `moved` holds, by its first day.
    month: Option<Date>,
    moved: BTreeMap<AccountId, u64>,
    /// Whose accounts have moved all that they may.
    over: BTreeSet<UserName>,
}

impl Pools {
    /// Learns who shares a bound.
    pub(super) fn follow(&mut self, intended: &Intended, bounds: Bounds) {
        if self.revision == Some(intended.revision) && self.bounds == bounds {
            return;
        }
        let is_bound = |account: &&Arc<Account>| account.owner.as_ref().is_some_and(|owner| bounds.contains_key(owner));
        // most appliances have no such reseller, and many accounts
        self.accounts =
            if bounds.is_empty() { Vec::new() } else { intended.accounts().filter(is_bound).cloned().collect() };
        let ids: BTreeSet<AccountId> = self.accounts.iter().map(|account| account.id).collect();
        self.moved.retain(|account, _| ids.contains(account));
        (self.revision, self.bounds) = (Some(intended.revision), bounds);
    }

    /// Enters what an account has moved.
    pub(super) fn enter(&mut self, account: AccountId, bytes: u64) {
        if let Some(moved) = self.moved.get_mut(&account) {
            *moved = moved.saturating_add(bytes);
        }
    }

    /// The accounts of which it is not known here what they have moved since this month began.
    pub(super) fn unknown(&self, month: Date) -> BTreeMap<AccountId, Option<Date>> {
        let is_known = |account: &AccountId| self.month == Some(month) && self.moved.contains_key(account);
        let ids = self.accounts.iter().map(|account| account.id);
        ids.filter(|account| !is_known(account)).map(|account| (account, Some(month))).collect()
    }

    /// Learns what accounts have moved since this month began.
    pub(super) fn learn(&mut self, month: Date, moved: BTreeMap<AccountId, Bytes>) {
        if self.month != Some(month) {
            self.moved.clear();
            self.month = Some(month);
        }
        self.moved.extend(moved.into_iter().map(|(account, bytes)| (account, bytes.sum())));
    }

    /// Forgets what accounts have moved.
    pub(super) fn forget(&mut self) {
        self.moved.clear();
    }

    /// Compares what was moved in this month with what may be.
    pub(super) fn settle(&mut self, month: Date) {
        let mut moved: BTreeMap<&UserName, u64> = BTreeMap::new();
        for (name, (_, spent)) in &self.bounds {
            let of_gone = spent.filter(|spent| spent.month == month).map_or(0, |spent| spent.bytes);
            moved.insert(name, of_gone);
        }
        for account in self.accounts.iter().filter(|_| self.month == Some(month)) {
            let bytes = self.moved.get(&account.id).copied().unwrap_or_default();
            if let Some(sum) = account.owner.as_ref().and_then(|owner| moved.get_mut(owner)) {
                *sum = sum.saturating_add(bytes);
            }
        }
        let over =
            moved.into_iter().filter(|(name, sum)| self.bounds.get(*name).is_some_and(|(bound, _)| sum >= bound));
        self.over = over.map(|(name, _)| name.clone()).collect();
    }

    /// Whether the reseller whose account this is has moved all that it may.
    pub(super) fn is_over(&self, account: &Account) -> bool {
        account.owner.as_ref().is_some_and(|owner| self.is_reseller_over(owner))
    }

    /// Whether this reseller has moved all that it may.
    pub(super) fn is_reseller_over(&self, reseller: &UserName) -> bool {
        self.over.contains(reseller)
    }

    /// The accounts that are held back for it.
    pub(super) fn held(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.iter().filter(|account| self.is_over(account))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::fixture::{account_of, add_account, house};

    const MONTH: Date = date(2026, 3, 1);

    fn shop() -> UserName {
        UserName::parse("shop").unwrap()
    }

    /// Two accounts of a reseller who may move 100 bytes, and `peer_1`, which is nobody's.
    fn pools(spent: Option<Spent>) -> (Pools, [Arc<Account>; 3]) {
        let mut intended = house();
        let mut own = || {
            let account = add_account(&mut intended, &account_of("Default_1"));
            let account = Arc::new(Account { owner: Some(shop()), ..account.as_ref().clone() });
            intended.insert_account(account.clone()).unwrap();
            account
        };
        let (first, second) = (own(), own());
        let nobodys = intended.account("peer_1").unwrap().clone();
        let mut pools = Pools::default();
        pools.follow(&intended, [(shop(), (100, spent))].into());
        (pools, [first, second, nobodys])
    }

    fn learn(pools: &mut Pools, month: Date, bytes: u64) {
        let asked = pools.unknown(month);
        pools.learn(month, asked.into_keys().map(|account| (account, Bytes { down: bytes, up: 0 })).collect());
        pools.settle(month);
    }

    #[test]
    fn holds_all_accounts_of_a_reseller_back_once_they_have_moved_all_together() {
        let (mut pools, [first, second, nobodys]) = pools(None);
        learn(&mut pools, MONTH, 49);
        assert_eq!(pools.held().count(), 0);

        pools.enter(first.id, 2);
        pools.enter(nobodys.id, 1_000);
        pools.settle(MONTH);

        assert!(pools.is_over(&first) && pools.is_over(&second) && !pools.is_over(&nobodys));
        assert_eq!(pools.held().count(), 2);
    }

    #[test]
    fn begins_anew_with_the_month() {
        let (mut pools, [first, ..]) = pools(None);
        learn(&mut pools, MONTH, 50);
        assert!(pools.is_over(&first) && pools.unknown(MONTH).is_empty());

        let next = date(2026, 4, 1);
        assert_eq!(pools.unknown(next).len(), 2);
        learn(&mut pools, next, 1);

        assert!(!pools.is_over(&first));
    }

    #[test]
    fn counts_what_accounts_have_moved_that_are_gone() {
        let spent = Spent { month: MONTH, bytes: 99 };
        let (mut pools, [first, ..]) = pools(Some(spent));

        learn(&mut pools, MONTH, 0);
        assert!(!pools.is_over(&first));
        pools.enter(first.id, 1);
        pools.settle(MONTH);
        assert!(pools.is_over(&first));

        learn(&mut pools, date(2026, 4, 1), 0);
        assert!(!pools.is_over(&first), "in that month alone");
    }

    #[test]
    fn asks_again_after_other_figures_were_put_on_disk() {
        let (mut pools, _) = pools(None);
        learn(&mut pools, MONTH, 50);

        pools.forget();

        assert_eq!(pools.unknown(MONTH).len(), 2);
    }
}
