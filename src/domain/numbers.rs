//! The numbers that accounts have, in their names, usernames and marks: so that the next free one costs no look at every
//! account.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::account::Account;
use super::{limits, pool};

/// The numbers of all accounts. They are found when they are first asked for, and kept up from then on.
#[derive(Clone, Default)]
pub struct AccountNumbers(OnceLock<Arc<Lists>>);

/// Sorted; of accounts that were brought from elsewhere two may have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lists {
    names: Vec<u32>,
    usernames: Vec<u32>,
    marks: Vec<u32>,
}

/// The lowest number of each kind that no account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Free {
    /// For a name, from 1.
    pub(super) name: u32,
    /// For a username, from 1.
    pub(super) username: u32,
    /// From [`limits::MARK_FIRST`].
    pub(super) mark: u32,
}

impl AccountNumbers {
    /// What is free among `accounts`, which are all that there are.
    pub(super) fn free<'a>(&self, accounts: impl Iterator<Item = &'a Arc<Account>>) -> Free {
        let lists = self.0.get_or_init(|| Arc::new(Lists::of(accounts)));
        Free {
            name: lowest_free(&lists.names, 1),
            username: lowest_free(&lists.usernames, 1),
            mark: lowest_free(&lists.marks, limits::MARK_FIRST),
        }
    }

    /// Learns that one account has gone and another has come.
    pub(super) fn exchange(&mut self, gone: Option<&Account>, come: Option<&Account>) {
        let Some(lists) = self.0.get_mut() else { return };
        let [gone, come] = [gone, come].map(|account| account.map(of));
        if gone == come {
            return;
        }
        let lists = Arc::make_mut(lists);
        for (list, place) in [&mut lists.names, &mut lists.usernames, &mut lists.marks].into_iter().zip(0..) {
            if let Some(number) = gone.and_then(|numbers| numbers[place])
                && let Ok(at) = list.binary_search(&number)
            {
                list.remove(at);
            }
            if let Some(number) = come.and_then(|numbers| numbers[place]) {
                let at = list.binary_search(&number).unwrap_or_else(|at| at);
                list.insert(at, number);
            }
        }
    }
}

impl Lists {
    fn of<'a>(accounts: impl Iterator<Item = &'a Arc<Account>>) -> Self {
        let mut lists = Self::default();
        for [name, username, mark] in accounts.map(|account| of(account)) {
            lists.names.extend(name);
            lists.usernames.extend(username);
            lists.marks.extend(mark);
        }
        for list in [&mut lists.names, &mut lists.usernames, &mut lists.marks] {
            list.sort_unstable();
        }
        lists
    }
}

/// The numbers of an account: of its name, its username and its mark.
fn of(account: &Account) -> [Option<u32>; 3] {
    [
        pool::number_behind(limits::ACCOUNT_STEM, account.name.as_str()),
        pool::number_behind(limits::USERNAME_STEM, account.username.as_str()),
        Some(account.mark),
    ]
}

fn lowest_free(sorted: &[u32], first: u32) -> u32 {
    let mut free = first;
    for number in &sorted[sorted.partition_point(|number| *number < first)..] {
        if *number > free {
            break;
        }
        free = number.saturating_add(1);
    }
    free
}

/// It says nothing that the accounts do not say.
impl fmt::Debug for AccountNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountNumbers")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fixture::house;
    use crate::domain::intended::Intended;
    use crate::domain::name::{AccountName, Username};

    #[test]
    fn finds_the_lowest_free() {
        for (sorted, first, free) in [
            (&[][..], 1, 1),
            (&[1, 2, 4], 1, 3),
            (&[2, 3], 1, 1),
            (&[0, 1, 1, 2], 1, 3),
            (&[0, 1], 100, 100),
            (&[1, 100, 101], 100, 102),
            (&[u32::MAX], 1, 1),
        ] {
            assert_eq!(lowest_free(sorted, first), free, "{sorted:?} from {first}");
        }
    }

    proptest! {
        #[test]
        fn knows_after_any_changes_what_a_look_at_every_account_finds(
            changes in proptest::collection::vec((0..12_u32, 0..5_u32), 1..40),
        ) {
            let mut intended = house();
            let template = intended.account("peer_1").unwrap().as_ref().clone();
            let all = |intended: &Intended| Lists::of(intended.accounts());
            let _ = intended.numbers.free(intended.accounts());
            for (number, change) in changes {
                let name = AccountName::parse(&format!("peer_{number}")).unwrap();
                if let Some(reduced) = number.checked_div(change) {
                    // marks that two have, names without a number, and usernames that change
                    let username = Username::parse(&format!("{}{}", limits::USERNAME_STEM, reduced)).unwrap();
                    let mark = limits::MARK_FIRST + number % change;
                    intended.insert_account(Arc::new(Account { name, username, mark, ..template.clone() })).unwrap();
                } else {
                    intended.remove_account(name.as_str());
                }
                let kept = intended.numbers.0.get().unwrap().as_ref().clone();
                prop_assert_eq!(kept, all(&intended));
            }
        }
    }
}
