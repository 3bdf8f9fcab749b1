//! Randomness that a seed repeats, and what it does to bytes.

#[path = "../support/dice.rs"]
mod seeded;

pub(crate) use self::seeded::Dice;

/// Numbers at which parsers have their edges.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x0f,
    0x14,
    0x28,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xfff8,
    0xffff,
    0x7fff_ffff,
    u64::MAX,
];

impl Dice {
    /// A byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.bits().to_be_bytes()[0]
    }

    /// 16 bits.
    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// 32 bits, often near zero or an edge.
    pub(crate) fn word(&mut self) -> u32 {
        let [.., a, b, c, d] = if self.once_in(2) { *self.pick(&EDGES) } else { self.bits() }.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    /// Changes bytes once or a few times; `other` is what a splice takes its end from.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            self.mutate_once(bytes, other);
        }
    }

    fn mutate_once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        match self.below(7) {
            0 => bytes.truncate(at),
            1 => {
                let length = self.below(64);
                bytes.extend(self.bytes(length));
            }
            2 => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            3 => {
                let length = self.below(16);
                let more = self.bytes(length);
                bytes.splice(at..at, more);
            }
            4 => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => self.edge(bytes, at),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }

    /// Writes an edge as an integer of 1, 2, 4 or 8 bytes in either order.
    fn edge(&mut self, bytes: &mut [u8], at: usize) {
        let width = 1 << self.below(4);
        let value = self.pick(&EDGES).to_be_bytes();
        let Some(place) = bytes.get_mut(at..at + width) else { return };
        place.copy_from_slice(&value[8 - width..]);
        if self.once_in(2) {
            place.reverse();
        }
    }
}
