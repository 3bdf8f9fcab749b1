//! The peers of one server: a slot each, and the ways to find it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;

use super::account;
use super::link::connections::Connections;
use super::link::wireguard::Tunnel;
use super::plan::Plan;
use crate::domain::account::Account;
use crate::domain::key::PublicKey;
use crate::domain::name::AccountName;
use crate::domain::traffic::{Bytes, Passed};
use crate::engine::outbox::Endpoint;
use crate::engine::packet::Owner;

/// How many endpoints are remembered as hints; a power of two.
const HINTS: usize = 1 << 14;

/// One account's side of the tunnel. Small while it has no [`Tunnel`], which is made when it first speaks.
#[derive(Debug)]
pub struct Peer {
    /// Who it is.
    pub account: Arc<Account>,
    /// Where its last authenticated datagram came from.
    pub endpoint: Option<Endpoint>,
    /// Its keys and timers, while there are any.
    pub tunnel: Option<Box<Tunnel>>,
    /// Its connections by IKEv2, once there was one.
    pub esp: Option<Box<Connections>>,
    /// Whether the last packet from it came by ESP.
    pub spoke_esp: bool,
    /// When the last handshake was completed.
    pub last_handshake: Option<Instant>,
    /// Bytes of inner packets from it.
    pub received: u64,
    /// How many packets those are.
    pub received_packets: u64,
    /// Bytes of inner packets to it.
    pub sent: u64,
    /// How many packets those are.
    pub sent_packets: u64,
    /// What of that was told already, to the client and from it.
    told: Bytes,
    /// Whether it was connected when it was disabled, so that it is called back when it is enabled.
    pub interrupted: bool,
}

/// The peers of one server.
#[derive(Debug)]
pub struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<Owner>,
    by_name: HashMap<AccountName, Owner, FixedState>,
    by_key: HashMap<PublicKey, Owner, FixedState>,
    by_address: HashMap<IpAddr, Owner, FixedState>,
    by_index: HashMap<u32, Owner, FixedState>,
    /// By our SPIs of ESP.
    by_spi: HashMap<u32, Owner, FixedState>,
    /// Slot + 1 of who last spoke from an endpoint with this hash; may be wrong, and is never trusted.
    hints: Box<[u32]>,
    hasher: FixedState,
    /// What those who are gone have moved and nobody was told.
    left: Vec<Passed>,
}

impl Peer {
    /// Whether it was ever heard of, by either link.
    pub fn has_spoken(&self) -> bool {
        self.endpoint.is_some() || self.received > 0 || self.esp.is_some()
    }

    /// What it has moved since it was last told.
    fn take_passed(&mut self) -> Option<Passed> {
        let bytes = Bytes { down: self.sent - self.told.down, up: self.received - self.told.up };
        self.told = Bytes { down: self.sent, up: self.received };
        (bytes != Bytes::default()).then_some(Passed { account: self.account.id, bytes })
    }
}

impl Peers {
    /// No peers. The seed is secret and random, so that nobody can choose what collides.
    pub fn new(seed: u64) -> Self {
        let hasher = || FixedState::with_seed(seed);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::with_hasher(hasher()),
            by_key: HashMap::with_hasher(hasher()),
            by_address: HashMap::with_hasher(hasher()),
            by_index: HashMap::with_hasher(hasher()),
            by_spi: HashMap::with_hasher(hasher()),
            hints: vec![0; HINTS].into(),
            hasher: hasher(),
            left: Vec::new(),
        }
    }

    /// The peer in a slot.
    pub fn get(&self, owner: Owner) -> Option<&Peer> {
        self.slots.get(owner.index())?.as_ref()
    }

    /// The peer in a slot, to be changed.
    pub fn get_mut(&mut self, owner: Owner) -> Option<&mut Peer> {
        self.slots.get_mut(owner.index())?.as_mut()
    }

    /// The tunnel of the peer in a slot.
    pub fn tunnel_mut(&mut self, owner: Owner) -> Option<&mut Tunnel> {
        self.get_mut(owner)?.tunnel.as_deref_mut()
    }

    /// Every peer with its slot.
    pub fn iter(&self) -> impl Iterator<Item = (Owner, &Peer)> {
        (0..).map(Owner).zip(&self.slots).filter_map(|(owner, slot)| Some((owner, slot.as_ref()?)))
    }

    /// The slot of an account, enabled or not.
    pub fn named(&self, name: &AccountName) -> Option<Owner> {
        self.by_name.get(name).copied()
    }

    /// Whose key it is, among enabled accounts.
    pub fn with_key(&self, key: &PublicKey) -> Option<Owner> {
        self.by_key.get(key).copied()
    }

    /// Whose address it is, among enabled accounts.
    pub fn at_address(&self, plan: &Plan, address: IpAddr) -> Option<Owner> {
        let owner = *self.by_address.get(&address)?;
        account::owns(plan, &self.get(owner)?.account, address).then_some(owner)
    }

    /// Whose session it is; the low 8 bits of the index count sessions of one tunnel.
    pub fn with_session(&self, index: u32) -> Option<Owner> {
        self.by_index.get(&(index >> 8)).copied()
    }

    /// Whose ESP association it is.
    pub fn with_spi(&self, inbound: u32) -> Option<Owner> {
        self.by_spi.get(&inbound).copied()
    }

    /// An ESP association is this peer's.
    pub fn put_spi(&mut self, inbound: u32, owner: Owner) {
        self.by_spi.insert(inbound, owner);
    }

    /// An ESP association is nobody's.
    pub fn remove_spi(&mut self, inbound: u32) {
        self.by_spi.remove(&inbound);
    }

    /// Forgets a peer's connections by IKEv2.
    pub fn close_esp(&mut self, owner: Owner) {
        let Some(link) = self.get_mut(owner).and_then(|peer| peer.esp.take()) else { return };
        for inbound in link.spis() {
            self.by_spi.remove(&inbound);
        }
    }

    /// Who may be speaking from this endpoint.
    pub fn hinted(&self, remote: SocketAddr) -> Option<Owner> {
        self.hints[self.hint_at(remote)].checked_sub(1).map(Owner)
    }

    /// Notes where a peer's authenticated datagram came from.
    pub fn roam(&mut self, owner: Owner, from: Endpoint) {
        let Some(peer) = self.get_mut(owner) else { return };
        if peer.endpoint != Some(from) {
            peer.endpoint = Some(from);
            self.note_hint(owner, from.remote);
        }
    }

    /// Remembers who speaks from this endpoint.
    pub fn note_hint(&mut self, owner: Owner, remote: SocketAddr) {
        let at = self.hint_at(remote);
        self.hints[at] = owner.0 + 1;
    }

    fn hint_at(&self, remote: SocketAddr) -> usize {
        use std::hash::BuildHasher as _;
        // the lower bits index the table
        usize::try_from(self.hasher.hash_one(remote) % HINTS as u64).unwrap_or(0)
    }

    /// Puts an account into a slot, new or its own; returns the slot.
    pub fn put(&mut self, account: Arc<Account>) -> Owner {
        let owner = match self.named(&account.name) {
            Some(owner) => {
                self.unlist(owner);
                owner
            }
            None => self.take_slot(&account),
        };
        if account.enabled {
            self.by_key.insert(account.public_key, owner);
            self.by_address.insert(account.address.into(), owner);
            if let Some(address) = account.address_ipv6 {
                self.by_address.insert(address.into(), owner);
            }
        }
        if let Some(peer) = self.slots[owner.index()].as_mut() {
            if peer.account.id != account.id {
                // it was made anew under the same name: what the one before has moved is not its own
                self.left.extend(peer.take_passed());
            }
            peer.account = account;
        }
        owner
    }

    /// What everybody has moved since this was last asked; those who moved nothing are left out.
    pub fn take_passed(&mut self) -> Vec<Passed> {
        let mut passed = std::mem::take(&mut self.left);
        passed.extend(self.slots.iter_mut().flatten().filter_map(Peer::take_passed));
        passed
    }

    fn take_slot(&mut self, account: &Arc<Account>) -> Owner {
        let peer = Peer {
            account: Arc::clone(account),
            endpoint: None,
            tunnel: None,
            esp: None,
            spoke_esp: false,
            last_handshake: None,
            received: 0,
            received_packets: 0,
            sent: 0,
            sent_packets: 0,
            told: Bytes::default(),
            interrupted: false,
        };
        let owner = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Owner(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.slots[owner.index()] = Some(peer);
        self.by_name.insert(account.name.clone(), owner);
        owner
    }

    /// Takes a peer out of the ways to find it, but for its name. What another has taken over meanwhile stays.
    fn unlist(&mut self, owner: Owner) {
        let Some(peer) = self.slots.get(owner.index()).and_then(Option::as_ref) else { return };
        let account = &peer.account;
        if self.by_key.get(&account.public_key) == Some(&owner) {
            self.by_key.remove(&account.public_key);
        }
        let addresses = [Some(IpAddr::from(account.address)), account.address_ipv6.map(IpAddr::from)];
        for address in addresses.into_iter().flatten() {
            if self.by_address.get(&address) == Some(&owner) {
                self.by_address.remove(&address);
            }
        }
    }

    /// Removes an account; returns the slot that it had.
    pub fn remove(&mut self, name: &AccountName) -> Option<Owner> {
        let owner = self.named(name)?;
        self.unlist(owner);
        self.close(owner);
        self.close_esp(owner);
        self.by_name.remove(name);
        let gone = self.slots[owner.index()].take();
        self.left.extend(gone.and_then(|mut peer| peer.take_passed()));
        self.free.push(owner);
        Some(owner)
    }

    /// Whether no tunnel has this 24-bit index.
    pub fn is_index_free(&self, index: u32) -> bool {
        !self.by_index.contains_key(&index)
    }

    /// Gives a peer its tunnel.
    pub fn open(&mut self, owner: Owner, tunnel: Box<Tunnel>) {
        self.close(owner);
        let index = tunnel.index();
        if let Some(peer) = self.get_mut(owner) {
            peer.tunnel = Some(tunnel);
            self.by_index.insert(index, owner);
        }
    }

    /// Forgets a peer's keys and timers; returns whether there were any.
    pub fn close(&mut self, owner: Owner) -> bool {
        let Some(tunnel) = self.get_mut(owner).and_then(|peer| peer.tunnel.take()) else { return false };
        self.by_index.remove(&tunnel.index());
        true
    }
}
