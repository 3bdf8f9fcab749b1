//! Who may come in, by the name that it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::crypto::dice::Dice;
use super::eap::Lookup;
use super::eap::mschapv2::NtHash;
use super::settings::Member;
use crate::domain::name::AccountName;

/// Who may come in.
#[derive(Debug)]
pub struct Members {
    by_login: BTreeMap<String, Arc<Member>>,
    logins: BTreeMap<AccountName, String>,
    /// The hash of whoever is nobody.
    nobody: NtHash,
}

impl Members {
    /// Nobody.
    pub fn new(dice: &mut Dice) -> Self {
        Self { by_login: BTreeMap::new(), logins: BTreeMap::new(), nobody: Zeroizing::new(dice.array()) }
    }

    /// A member, new or edited.
    pub fn put(&mut self, member: Arc<Member>) {
        if let Some(login) = self.logins.insert(member.account.clone(), member.login.clone()) {
            // another may have taken it over meanwhile
            if self.by_login.get(&login).is_some_and(|holder| holder.account == member.account) {
                self.by_login.remove(&login);
            }
        }
        self.by_login.insert(member.login.clone(), member);
    }

    /// A member is gone.
    pub fn remove(&mut self, account: &AccountName) {
        if let Some(login) = self.logins.remove(account)
            && self.by_login.get(&login).is_some_and(|holder| holder.account == *account)
        {
            self.by_login.remove(&login);
        }
    }

    /// The member with a name.
    pub fn get(&self, login: &str) -> Option<&Arc<Member>> {
        self.by_login.get(login)
    }

    /// The member of an account.
    pub fn of(&self, account: &AccountName) -> Option<&Arc<Member>> {
        self.by_login.get(self.logins.get(account)?)
    }
}

impl Lookup for Members {
    fn hash(&self, name: &str) -> (bool, NtHash) {
        self.get(name).map_or_else(|| (false, self.nobody.clone()), |member| (true, member.hash.clone()))
    }
}
