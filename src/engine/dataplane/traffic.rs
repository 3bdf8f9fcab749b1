//! What one server's packets amount to, for the API's read-outs.

use super::waybill::Tally;
use crate::engine::packet::Offload;
use crate::engine::wire::{FlowKey, Ip};

/// Packets and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Packets.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, tally: Tally) {
        self.packets += u64::from(tally.packets);
        self.bytes += tally.bytes as u64;
    }
}

/// Sums since the machine began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Translated, over IPv4.
    pub translated: Sum,
    /// Translated, over IPv6.
    pub translated_v6: Sum,
    /// From client to client.
    pub internal: Sum,
    /// Refused from client to client.
    pub internal_refused: Sum,
}

impl Traffic {
    pub(super) fn count_translated(&mut self, key: &FlowKey, packet: &[u8], offload: Offload) {
        let Ok(ip) = Ip::new(packet) else { return };
        let sum = if key.source.is_ipv4() { &mut self.translated } else { &mut self.translated_v6 };
        sum.add(Tally::of(&ip, offload));
    }
}
