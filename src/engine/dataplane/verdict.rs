//! Why a packet went no further. Every one is delivered, held or dropped for one of these, and counted.

/// A reason to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum DropReason {
    /// A datagram that is no message of `WireGuard`'s.
    NotWireGuard,
    /// A handshake whose first MAC is wrong: its sender does not know the server's public key.
    WrongMac,
    /// A handshake without a valid cookie while under load; a cookie went back.
    UnderLoad,
    /// A handshake beyond what its address may try while under load.
    AddressLimited,
    /// A handshake too soon after the same peer's last one.
    PeerLimited,
    /// A handshake of a key that no enabled account has.
    UnknownPeer,
    /// A handshake of another peer than the one that it was tried for.
    OtherPeer,
    /// A message for a session that does not exist.
    UnknownIndex,
    /// A message that fails authentication.
    Unauthentic,
    /// A message that was seen before, or is too far behind.
    Replayed,
    /// A counter at which the session's key may no longer be used.
    CounterExhausted,
    /// A message of a session that is too old.
    SessionOld,
    /// A handshake message that nothing asked for.
    Unexpected,
    /// Bytes inside the tunnel that are no IP packet.
    Malformed,
    /// A source that is not the account's own.
    SourceForged,
    /// A destination that is not one host.
    NotUnicast,
    /// Another client, while clients may not reach one another.
    InternalOff,
    /// An address of the tunnel's network that nobody has.
    NobodyThere,
    /// It has travelled too far.
    TimeExceeded,
    /// Larger than the tunnel's MTU.
    TooBig,
    /// For the server's own address, and not to be answered.
    Unanswered,
    /// For a peer that is gone or disabled.
    PeerGone,
    /// For a peer of which nobody knows where it is.
    NoEndpoint,
    /// For a peer whose handshake is under way, with enough waiting for it.
    QueueFull,
    /// For a peer that has answered no handshake for as long as one tries.
    HandshakeUnanswered,
    /// No room for the datagram on its way out.
    OutboxFull,
    /// No room on the way to the worker at which its client lives.
    HandOverFull,
    /// Waited too long for its account's rate, so that its sender slows down.
    ShaperDelay,
    /// More waits for the account's rate than may.
    ShaperFull,
    /// A flow that its owner opens too fast after its others.
    FlowRate,
    /// A flow beyond those that its owner may have.
    FlowsOfOwnerFull,
    /// A TCP connection of an owner with too many that nobody has answered.
    HalfOpenFull,
    /// A flow beyond those that the table holds.
    FlowTableFull,
    /// A flow that wants a port of an owner who has enough of them.
    MappingsOfOwnerFull,
    /// A flow that wants a port where none is free.
    PortsExhausted,
    /// A flow whose packets or answers could not be told from another's.
    FlowCollides,
    /// From outside, to a port behind which there is nobody.
    NotMapped,
    /// From outside, to a port whose holder has not spoken to that address.
    Unsolicited,
    /// An ICMP error about no flow, or about what has no ports.
    ErrorUnfounded,
    /// An ICMP error whose checksum, or the one of the header that it quotes, is wrong.
    WrongChecksum,
    /// A packet that asks for a way of its own, which cannot be translated.
    SourceRouted,
    /// A fragment that does not fit its packet, or whose rest did not come.
    FragmentUnfit,
    /// Refused by the firewall.
    Filtered,
    /// To be forwarded, while nothing is.
    ForwardingOff,
    /// To where clients may not go.
    OutOfReach,
    /// To the host's own address, which no rule opens.
    HostClosed,
    /// To an address of a version in which there is no way out.
    NoWay,
    /// Of no flow, and none that could begin one.
    Stray,
    /// A protocol without ports, which cannot be translated.
    Portless,
    /// A datagram that is no ESP packet.
    NotEsp,
    /// An ESP packet that hides how much is said (RFC 4303, section 2.6), and says nothing.
    Dummy,
    /// Addresses for which no ESP association was agreed upon.
    NotAgreed,
    /// An ESP association that is to carry nothing (`installpolicy`).
    NoPolicy,
}

impl DropReason {
    /// Every reason, in the order in which they are counted.
    pub const ALL: [Self; 53] = [
        Self::NotWireGuard,
        Self::WrongMac,
        Self::UnderLoad,
        Self::AddressLimited,
        Self::PeerLimited,
        Self::UnknownPeer,
        Self::OtherPeer,
        Self::UnknownIndex,
        Self::Unauthentic,
        Self::Replayed,
        Self::CounterExhausted,
        Self::SessionOld,
        Self::Unexpected,
        Self::Malformed,
        Self::SourceForged,
        Self::NotUnicast,
        Self::InternalOff,
        Self::NobodyThere,
        Self::TimeExceeded,
        Self::TooBig,
        Self::Unanswered,
        Self::PeerGone,
        Self::NoEndpoint,
        Self::QueueFull,
        Self::HandshakeUnanswered,
        Self::OutboxFull,
        Self::HandOverFull,
        Self::ShaperDelay,
        Self::ShaperFull,
        Self::FlowRate,
        Self::FlowsOfOwnerFull,
        Self::HalfOpenFull,
        Self::FlowTableFull,
        Self::MappingsOfOwnerFull,
        Self::PortsExhausted,
        Self::FlowCollides,
        Self::NotMapped,
        Self::Unsolicited,
        Self::ErrorUnfounded,
        Self::WrongChecksum,
        Self::SourceRouted,
        Self::FragmentUnfit,
        Self::Filtered,
        Self::ForwardingOff,
        Self::OutOfReach,
        Self::HostClosed,
        Self::NoWay,
        Self::Stray,
        Self::Portless,
        Self::NotEsp,
        Self::Dummy,
        Self::NotAgreed,
        Self::NoPolicy,
    ];

    /// Its name, as metrics have it: `not_mapped`.
    pub fn label(self) -> String {
        let mut label = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !label.is_empty() {
                label.push('_');
            }
            label.push(letter.to_ascii_lowercase());
        }
        label
    }
}

/// How often each reason was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Self([0; DropReason::ALL.len()])
    }

    /// Counts one.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// How often this reason was given.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How often any reason was given.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_labelled_as_metrics_are() {
        assert_eq!(DropReason::NotMapped.label(), "not_mapped");
        assert_eq!(DropReason::Stray.label(), "stray");
    }

    #[test]
    fn counts_every_reason_in_a_place_of_its_own() {
        let mut drops = Drops::new();
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            drops.count(reason);
            assert_eq!((drops.of(reason), drops.total()), (1, place as u64 + 1));
        }
    }
}
