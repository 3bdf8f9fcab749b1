//! The memory of packets that wait.

use super::bucket::Ticks;
use super::slab::{NIL, Slab};

/// Sizes of pieces of memory: a small packet, a full one, and what stands for many.
const CLASSES: [usize; 4] = [256, 2_048, 16 * 1_024, 65_600];
/// The most memory that the packets of one shaper take, in bytes.
pub(super) const MEMORY: usize = 64 * 1024 * 1024;
/// How much memory is kept for the next packets while none need it, in bytes.
const SPARE: usize = 8 * 1024 * 1024;

/// What a packet is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes of all packets that it stands for, headers included.
    pub(super) bytes: u64,
    /// How many packets it stands for.
    pub(super) packets: u64,
}

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Waiting<M> {
    memory: Box<[u8]>,
    length: usize,
    pub(super) size: Size,
    /// Since when.
    pub(super) since: Ticks,
    pub(super) meta: M,
    /// The one behind it in its flow.
    pub(super) next: u32,
}

impl<M> Waiting<M> {
    /// Memory that it takes, in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.length]
    }
}

/// All packets that wait.
#[derive(Debug)]
pub(super) struct Store<M> {
    packets: Slab<Waiting<M>>,
    pools: [Vec<Box<[u8]>>; CLASSES.len()],
    used: usize,
    spare: usize,
}

impl<M: Copy> Store<M> {
    pub(super) const fn new() -> Self {
        Self { packets: Slab::new(), pools: [const { Vec::new() }; CLASSES.len()], used: 0, spare: 0 }
    }

    /// How many packets wait.
    pub(super) const fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that is left, in bytes.
    pub(super) const fn room(&self) -> usize {
        MEMORY - self.used
    }

    /// What a packet of so many bytes takes; `None` for one that is longer than any packet.
    pub(super) fn needed(length: usize) -> Option<usize> {
        CLASSES.into_iter().find(|class| length <= *class)
    }

    /// Copies a packet for which there is room.
    pub(super) fn put(&mut self, packet: &[u8], size: Size, meta: M, now: Ticks) -> u32 {
        let class = class_of(packet.len());
        let mut memory = if let Some(memory) = self.pools[class].pop() {
            self.spare -= memory.len();
            memory
        } else {
            vec![0; CLASSES[class]].into()
        };
        self.used += memory.len();
        memory[..packet.len()].copy_from_slice(packet);
        self.packets.put(Waiting { memory, length: packet.len(), size, since: now, meta, next: NIL })
    }

    /// Takes back the memory of a packet that waits no more.
    pub(super) fn free(&mut self, packet: u32) {
        let memory = std::mem::take(&mut self.packets[packet].memory);
        self.packets.free(packet);
        self.used -= memory.len();
        if self.spare + memory.len() <= SPARE {
            self.spare += memory.len();
            self.pools[class_of(memory.len())].push(memory);
        }
    }

    pub(super) fn get(&self, packet: u32) -> &Waiting<M> {
        &self.packets[packet]
    }

    pub(super) fn get_mut(&mut self, packet: u32) -> &mut Waiting<M> {
        &mut self.packets[packet]
    }
}

fn class_of(length: usize) -> usize {
    CLASSES.iter().position(|class| length <= *class).unwrap_or(CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { bytes: 1, packets: 1 };

    #[test]
    fn gives_back_what_was_put_and_keeps_little_memory() {
        let mut store = Store::new();
        let packets: Vec<u32> =
            (0..20_000_u16).map(|number| store.put(&vec![7; usize::from(number % 2_000)], SIZE, number, 0)).collect();
        for (number, packet) in (0..).zip(&packets) {
            let waiting = store.get_mut(*packet);
            assert_eq!((waiting.meta, waiting.bytes_mut().len()), (number, usize::from(number % 2_000)));
            store.free(*packet);
        }
        assert!(store.is_empty());
        assert_eq!(store.room(), MEMORY);
        assert!(store.spare <= SPARE && store.spare > SPARE / 2);
        assert_eq!(store.spare, store.pools.iter().flatten().map(|memory| memory.len()).sum::<usize>());
    }
}
