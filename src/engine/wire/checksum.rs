//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::net::IpAddr;

/// Lanes that are summed side by side.
const LANES: usize = 4;
/// Bytes of a block: a 64-bit word a lane.
const BLOCK: usize = 8 * LANES;

/// A running one's complement sum.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last byte counts as the upper half of a word, so only the last part may be odd.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        if !blocks.is_empty() {
            self.0 += u64::from(u16::from_be(fold(native(blocks))));
        }
        let (words, rest) = rest.as_chunks::<4>();
        for word in words {
            // four bytes at a time: 2^16 = 1 in this arithmetic, so wider words sum to the same residue
            self.0 += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        self.0 += u64::from(u32::from_be_bytes(last));
        self
    }

    /// Adds one word.
    #[must_use]
    pub fn word(mut self, word: u16) -> Self {
        self.0 += u64::from(word);
        self
    }

    /// Adds the pseudo header of UDP, TCP and `ICMPv6` (RFC 9293, section 3.1; RFC 8200, section 8.1).
    #[must_use]
    pub fn pseudo(self, source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        let mut sum = self.address(source).address(destination).word(u16::from(protocol));
        sum.0 += length as u64;
        sum
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    /// The checksum: the complement of the folded sum.
    pub fn finish(self) -> u16 {
        !fold(self.0)
    }

    /// The folded sum itself: what stands in the place of a checksum that is to be completed later.
    pub fn partial(self) -> u16 {
        fold(self.0)
    }
}

/// The sum of whole blocks in the machine's own byte order; its folded halves, swapped, are the sum in network order
/// (RFC 1071, section 2(B)). Independent lanes of 32-bit halves are what a compiler turns into vectors.
fn native(blocks: &[[u8; BLOCK]]) -> u64 {
    let (mut lower, mut upper) = ([0_u64; LANES], [0_u64; LANES]);
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for lane in 0..LANES {
            let word = u64::from_ne_bytes(words[lane]);
            lower[lane] += word & 0xffff_ffff;
            upper[lane] += word >> 32;
        }
    }
    lower.iter().sum::<u64>() + upper.iter().sum::<u64>()
}

/// The checksum of bytes alone.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::default().bytes(bytes).finish()
}

/// What a checksum becomes when `old` in the covered bytes turns into `new` (RFC 1624, equation 3).
///
/// Both slices have the same even length and lie at an even offset of what is covered.
#[must_use]
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let removed = fold(Sum::default().bytes(old).0);
    let added = fold(Sum::default().bytes(new).0);
    !fold(u64::from(!checksum) + u64::from(!removed) + u64::from(added))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // folded above
    (sum & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of(&bytes), !0xddf2);
    }

    proptest! {
        #[test]
        fn sums_every_length_as_words_one_by_one(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let words = bytes.chunks(2).map(|word| (word[0], word.get(1).copied().unwrap_or_default()));
            let sum = words.map(|(upper, lower)| u64::from(u16::from_be_bytes([upper, lower]))).sum();

            prop_assert_eq!(of(&bytes), !fold(sum));
            prop_assert_eq!(Sum::default().bytes(&bytes).partial(), fold(sum));
        }

        #[test]
        fn an_update_equals_a_sum_from_scratch(
            mut bytes in proptest::collection::vec(any::<u8>(), 20..200),
            new in any::<[u8; 4]>(),
            at in 0_usize..8,
        ) {
            // an all-zero message is the one case in which the two zeros of this arithmetic differ
            bytes[0] |= 1;
            let at = 2 + at * 2;
            let before = of(&bytes);
            let old: [u8; 4] = bytes[at..at + 4].try_into().expect("4 bytes");
            bytes[at..at + 4].copy_from_slice(&new);

            prop_assert_eq!(update(before, &old, &new), of(&bytes));
        }
    }
}
