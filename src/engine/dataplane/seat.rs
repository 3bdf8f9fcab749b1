//! Several workers share a server: which of them this one is, and who lives at the others.
//!
//! A client lives at one worker, with its tunnel, its flows and its queue. Which one follows from its public key, so every
//! worker knows without asking. The index of a tunnel's sessions says it too: the kernel reads it there and hands a
//! client's datagrams to the right worker's socket. What arrives at the wrong door (the first message of a handshake, a
//! packet for a client of another worker) is handed over once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::account;
use super::plan::Plan;
use crate::domain::account::Account;
use crate::domain::key::PublicKey;
use crate::domain::name::AccountName;

/// Bits of a tunnel's index.
const INDEX_BITS: u32 = 24;

/// A worker among those that share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// The server's slot, the same at every worker.
    pub server: u16,
    /// The worker's number, from 0.
    pub worker: u8,
    /// How many there are, at least 1.
    pub of: u8,
}

impl Seat {
    /// The only worker.
    pub const ALONE: Self = Self { server: 0, worker: 0, of: 1 };

    /// At which worker the client with this key lives.
    pub fn home(self, key: &PublicKey) -> u8 {
        // keys are evenly spread
        key.as_bytes()[0] % self.of.max(1)
    }

    /// A tunnel's index of 24 bits that leads here: the remainder of its lowest byte is the worker's number.
    pub(super) fn index(self, random: u32) -> u32 {
        let index = random >> (u32::BITS - INDEX_BITS);
        let (of, byte) = (u32::from(self.of.max(1)), index & 0xff);
        let block = byte / of * of + u32::from(self.worker);
        // the last block of a byte may be short
        let block = if block > 0xff { u32::from(self.worker) } else { block };
        index & !0xff | block
    }
}

/// The clients of the same server at the other workers, the enabled ones.
#[derive(Debug)]
pub(super) struct Away {
    names: HashMap<AccountName, Arc<Account>, FixedState>,
    keys: HashMap<PublicKey, Arc<Account>, FixedState>,
    addresses: HashMap<IpAddr, Arc<Account>, FixedState>,
}

impl Away {
    pub(super) fn new(seed: u64) -> Self {
        let hasher = || FixedState::with_seed(seed);
        Self {
            names: HashMap::with_hasher(hasher()),
            keys: HashMap::with_hasher(hasher()),
            addresses: HashMap::with_hasher(hasher()),
        }
    }

    /// Notes an account that lives elsewhere.
    pub(super) fn put(&mut self, account: &Arc<Account>) {
        self.remove(&account.name);
        if !account.enabled {
            return;
        }
        self.names.insert(account.name.clone(), Arc::clone(account));
        self.keys.insert(account.public_key, Arc::clone(account));
        for address in addresses(account) {
            self.addresses.insert(address, Arc::clone(account));
        }
    }

    /// Forgets an account. What another has taken over meanwhile stays.
    pub(super) fn remove(&mut self, name: &AccountName) {
        let Some(account) = self.names.remove(name) else { return };
        let is_same = |other: Option<&Arc<Account>>| other.is_some_and(|other| Arc::ptr_eq(other, &account));
        if is_same(self.keys.get(&account.public_key)) {
            self.keys.remove(&account.public_key);
        }
        for address in addresses(&account) {
            if is_same(self.addresses.get(&address)) {
                self.addresses.remove(&address);
            }
        }
    }

    /// The key of whoever has this address.
    pub(super) fn at_address(&self, plan: &Plan, address: IpAddr) -> Option<&PublicKey> {
        let account = self.addresses.get(&address)?;
        account::owns(plan, account, address).then_some(&account.public_key)
    }

    /// The key of an account.
    pub(super) fn named(&self, name: &AccountName) -> Option<&PublicKey> {
        self.names.get(name).map(|account| &account.public_key)
    }

    /// Whether somebody has this key.
    pub(super) fn has_key(&self, key: &PublicKey) -> bool {
        self.keys.contains_key(key)
    }
}

fn addresses(account: &Account) -> impl Iterator<Item = IpAddr> {
    [Some(IpAddr::from(account.address)), account.address_ipv6.map(IpAddr::from)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::dataplane::tests::account;

    #[test]
    fn makes_indices_that_lead_to_their_worker() {
        for of in 1..=64_u8 {
            for worker in 0..of {
                let seat = Seat { server: 0, worker, of };
                for random in (0..64_u32).map(|step| step.wrapping_mul(0x0765_4321).rotate_left(step)) {
                    let index = seat.index(random);
                    assert!(index < 1 << INDEX_BITS);
                    assert_eq!((index & 0xff) % u32::from(of), u32::from(worker));
                }
            }
        }
    }

    #[test]
    fn keeps_what_another_account_has_taken_over() {
        let mut away = Away::new(1);
        let (one, other) = (account(1), Account { address: account(1).address, ..account(2) });
        away.put(&Arc::new(one.clone()));
        away.put(&Arc::new(other.clone()));
        away.put(&Arc::new(Account { enabled: false, ..one.clone() }));
        assert!(!away.has_key(&one.public_key) && away.has_key(&other.public_key));
        assert!(away.addresses.contains_key(&IpAddr::from(other.address)));
        away.remove(&other.name);
        assert!(away.names.is_empty() && away.keys.is_empty() && away.addresses.is_empty());
    }
}
