//! What one server's packets amount to, for the API's read-outs.

use super::waybill::Tally;

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
    /// Between clients and the outside in another's name, over IPv4: translated, or carried by the host's own sockets.
    pub translated: Sum,
    /// The same over IPv6.
    pub translated_v6: Sum,
    /// From client to client.
    pub internal: Sum,
    /// Refused from client to client.
    pub internal_refused: Sum,
    /// Handshakes that were completed.
    pub handshakes: u64,
}

impl Traffic {
    pub(super) fn count_translated(&mut self, is_v4: bool, tally: Tally) {
        let sum = if is_v4 { &mut self.translated } else { &mut self.translated_v6 };
        sum.add(tally);
    }
}
