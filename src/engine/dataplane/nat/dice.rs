//! Numbers that nobody outside can guess from those that were drawn before.

use sha2::{Digest as _, Sha256};

/// A stream of numbers: the hashes of a secret and a counter.
pub(super) struct Dice {
    secret: [u8; 32],
    drawn: u64,
    block: [u8; 32],
}

/// Numbers in one hash.
const IN_BLOCK: u64 = 8;

impl Dice {
    pub(super) const fn new(secret: [u8; 32]) -> Self {
        Self { secret, drawn: 0, block: [0; 32] }
    }

    /// A number below this one, each as likely as the others to within 2^-16.
    pub(super) fn below(&mut self, bound: u16) -> u16 {
        let place = usize::try_from(self.drawn % IN_BLOCK).unwrap_or(0);
        if place == 0 {
            let hash = Sha256::new().chain_update(self.secret).chain_update(self.drawn.to_be_bytes());
            self.block = hash.finalize().into();
        }
        self.drawn += 1;
        let (words, _) = self.block.as_chunks::<4>();
        let number = (u64::from(u32::from_be_bytes(words[place])) * u64::from(bound)) >> 32;
        u16::try_from(number).unwrap_or(0)
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dice").finish_non_exhaustive()
    }
}
