//! Unpredictable bytes, from outside.

use std::fmt;

use zeroize::Zeroizing;

/// Fills bytes.
type Fill = Box<dyn FnMut(&mut [u8]) + Send>;

/// Where the machine's random bytes come from: the same bytes make the same messages.
pub struct Dice(Fill);

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dice")
    }
}

impl Dice {
    /// Dice that are thrown by this function, which fills the bytes that it is given.
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self(Box::new(fill))
    }

    /// Fills these bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }

    /// So many bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// So many bytes of a secret.
    pub fn secret(&mut self, length: usize) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.fill(&mut bytes);
        bytes
    }

    /// A number from 0 to `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        let number = u64::from_be_bytes(self.array());
        most.checked_add(1).map_or(number, |bound| number % bound)
    }
}
