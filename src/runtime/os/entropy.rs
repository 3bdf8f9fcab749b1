//! Randomness from the operating system.

use rand_core::{OsRng, RngCore as _};

/// So many unpredictable bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills these with unpredictable bytes.
pub fn fill(bytes: &mut [u8]) {
    OsRng.fill_bytes(bytes);
}
