//! WireGuard clients in process: boringtun on the other side of the server's port.

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use culvert::domain::key::PrivateKey;
use culvert::runtime::os::entropy;

/// One client.
pub(crate) struct Client {
    noise: Tunn,
    scratch: Vec<u8>,
}

/// A fresh private key.
pub(crate) fn fresh_key() -> PrivateKey {
    PrivateKey::from_entropy(entropy::bytes())
}

impl Client {
    /// A client of the server with this key.
    pub(crate) fn new(private: StaticSecret, server: PublicKey, index: u32) -> Self {
        Self { noise: Tunn::new(private, server, None, None, index, None), scratch: vec![0; 65_536] }
    }

    /// The first message of a handshake.
    pub(crate) fn initiation(&mut self) -> Vec<u8> {
        datagram(&self.noise.format_handshake_initiation(&mut self.scratch, true)).expect("an initiation is made")
    }

    /// Takes the server's answer; returns the keepalive that confirms it.
    pub(crate) fn confirm(&mut self, answer: &[u8]) -> Vec<u8> {
        datagram(&self.noise.decapsulate(None, answer, &mut self.scratch)).expect("the answer is good")
    }

    /// Seals a packet.
    pub(crate) fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        datagram(&self.noise.encapsulate(packet, &mut self.scratch)).expect("there is a session")
    }

    /// Opens a datagram; `None` for a keepalive.
    pub(crate) fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        match self.noise.decapsulate(None, datagram, &mut self.scratch) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => Some(packet.to_vec()),
            TunnResult::Done | TunnResult::Err(_) | TunnResult::WriteToNetwork(_) => None,
        }
    }
}

fn datagram(outcome: &TunnResult<'_>) -> Option<Vec<u8>> {
    if let TunnResult::WriteToNetwork(datagram) = outcome { Some(datagram.to_vec()) } else { None }
}
