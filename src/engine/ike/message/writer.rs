//! A chain of payloads, written from the first to the last.

use super::kind;
use super::proposal::{self, Proposal};
use super::selector::{self, Selector};

/// Payloads that are to become a message's content.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    payloads: Vec<(u8, Vec<u8>)>,
}

impl Writer {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Any payload.
    pub fn push(&mut self, kind: u8, body: Vec<u8>) -> &mut Self {
        self.payloads.push((kind, body));
        self
    }

    /// Proposals.
    pub fn sa(&mut self, proposals: &[Proposal]) -> &mut Self {
        self.push(kind::SA, proposal::write(proposals))
    }

    /// A public value of the group with this number.
    pub fn ke(&mut self, group: u16, public: &[u8]) -> &mut Self {
        self.push(kind::KE, [&group.to_be_bytes(), &[0, 0][..], public].concat())
    }

    /// A nonce.
    pub fn nonce(&mut self, nonce: &[u8]) -> &mut Self {
        self.push(kind::NONCE, nonce.to_vec())
    }

    /// A certificate: RFC 7296, section 3.6, encoding 4.
    pub fn certificate(&mut self, der: &[u8]) -> &mut Self {
        self.push(kind::CERT, [&[4], der].concat())
    }

    /// A proof.
    pub fn auth(&mut self, method: u8, proof: &[u8]) -> &mut Self {
        self.push(kind::AUTH, [&[method, 0, 0, 0], proof].concat())
    }

    /// A notification without an SPI.
    pub fn notify(&mut self, number: u16, content: &[u8]) -> &mut Self {
        self.notify_of(0, &[], number, content)
    }

    /// A notification of an association.
    pub fn notify_of(&mut self, protocol: u8, spi: &[u8], number: u16, content: &[u8]) -> &mut Self {
        let size = u8::try_from(spi.len()).unwrap_or_default();
        self.push(kind::NOTIFY, [&[protocol, size], &number.to_be_bytes()[..], spi, content].concat())
    }

    /// The end of this association.
    pub fn delete_ike(&mut self) -> &mut Self {
        self.push(kind::DELETE, vec![1, 0, 0, 0])
    }

    /// The end of children, by our inbound SPIs.
    pub fn delete_esp(&mut self, spis: &[u32]) -> &mut Self {
        let count = u16::try_from(spis.len()).unwrap_or(u16::MAX).to_be_bytes();
        let spis: Vec<u8> = spis.iter().flat_map(|spi| spi.to_be_bytes()).collect();
        self.push(kind::DELETE, [&[3, 4], &count[..], &spis].concat())
    }

    /// Selectors, as [`kind::TSI`] or [`kind::TSR`].
    pub fn selectors(&mut self, kind: u8, selectors: &[Selector]) -> &mut Self {
        self.push(kind, selector::write(selectors))
    }

    /// A configuration: 1 asks, 2 answers.
    pub fn configuration(&mut self, kind: u8, attributes: &[(u16, Vec<u8>)]) -> &mut Self {
        let mut body = vec![kind, 0, 0, 0];
        for (number, value) in attributes {
            body.extend_from_slice(&number.to_be_bytes());
            body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            body.extend_from_slice(value);
        }
        self.push(kind::CP, body)
    }

    /// The first payload's type and the chain.
    pub fn chain(&self) -> (u8, Vec<u8>) {
        let mut bytes = Vec::new();
        let following = self.payloads.iter().skip(1).map(|(kind, _)| *kind).chain([kind::NONE]);
        for ((_, body), next) in self.payloads.iter().zip(following) {
            bytes.extend_from_slice(&[next, 0]);
            bytes.extend_from_slice(&u16::try_from(body.len() + 4).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        (self.payloads.first().map_or(kind::NONE, |(kind, _)| *kind), bytes)
    }
}
