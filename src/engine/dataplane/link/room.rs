//! Memory that is large enough for what `noise` writes into it.

/// What sealing adds to a packet: header, counter and tag.
pub const OVERHEAD: usize = 32;
/// The longest handshake message.
pub const HANDSHAKE: usize = 148;

/// Memory for the outcome of one call into `noise`, which panics where it is too small: at least [`OVERHEAD`] more than
/// the input, and never less than [`HANDSHAKE`].
#[derive(Debug)]
pub struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    /// How much an input of so many bytes needs.
    pub const fn needed(input: usize) -> usize {
        if input + OVERHEAD > HANDSHAKE { input + OVERHEAD } else { HANDSHAKE }
    }

    /// Takes memory that suffices for an input of so many bytes.
    pub fn new(memory: &'a mut [u8], input: usize) -> Option<Self> {
        if memory.len() < Self::needed(input) { None } else { Some(Self(memory)) }
    }

    /// The memory.
    pub fn memory(self) -> &'a mut [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_memory_in_which_noise_would_panic() {
        let mut memory = [0; 200];
        assert!(Room::new(&mut memory[..147], 0).is_none());
        assert!(Room::new(&mut memory[..148], 0).is_some());
        assert!(Room::new(&mut memory, 168).is_some());
        assert!(Room::new(&mut memory, 169).is_none());
    }
}
