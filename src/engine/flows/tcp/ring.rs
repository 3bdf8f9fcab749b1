//! Bytes in the order in which they came, dropped in the same order.

/// The first memory of a ring that is used at all, in bytes: what a request or a short answer takes.
const FIRST: usize = 4_096;
/// Beyond this a ring takes all the memory that it may have, which the kernel lets be there only as far as it is used.
const SMALL: usize = 16 << 10;

/// A ring of bytes that grows with what lies in it, so that a connection which says little takes little.
#[derive(Debug)]
pub(super) struct Ring {
    memory: Box<[u8]>,
    capacity: usize,
    start: usize,
    length: usize,
}

impl Ring {
    /// Room for at most so many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self { memory: Box::default(), capacity, start: 0, length: 0 }
    }

    /// How many bytes it holds.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends bytes; what does not fit is left out.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.capacity - self.length)];
        if bytes.is_empty() {
            return;
        }
        if self.length + bytes.len() > self.memory.len() {
            self.grow(self.length + bytes.len());
        }
        let end = (self.start + self.length) % self.memory.len();
        let first = bytes.len().min(self.memory.len() - end);
        self.memory[end..end + first].copy_from_slice(&bytes[..first]);
        self.memory[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        self.length += bytes.len();
    }

    /// Takes memory for so many bytes; at most three times, so that growing costs a connection little in all.
    fn grow(&mut self, needed: usize) {
        let wanted = if needed <= SMALL { needed.next_power_of_two().max(FIRST) } else { self.capacity };
        let mut memory = vec![0; wanted.min(self.capacity)].into_boxed_slice();
        self.copy(0, &mut memory[..self.length]);
        self.memory = memory;
        self.start = 0;
    }

    /// Drops so many of the oldest bytes, or all.
    pub(super) fn discard(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        // an empty ring begins anew, so that a quiet connection touches few pages
        self.start = if self.length == 0 { 0 } else { (self.start + count) % self.memory.len() };
    }

    /// Copies bytes out, from so many behind the oldest; there must be enough.
    pub(super) fn copy(&self, offset: usize, out: &mut [u8]) {
        let length = out.len().min(self.length.saturating_sub(offset));
        if length == 0 {
            return;
        }
        let from = (self.start + offset) % self.memory.len();
        let first = length.min(self.memory.len() - from);
        out[..first].copy_from_slice(&self.memory[from..from + first]);
        out[first..length].copy_from_slice(&self.memory[..length - first]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_queue_of_bytes(
            steps in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..9_000), 0_usize..9_000), 1..40),
        ) {
            let mut ring = Ring::new(40_000);
            let mut model = VecDeque::new();
            for (bytes, discard) in steps {
                ring.push(&bytes);
                model.extend(bytes.iter().copied().take(40_000 - model.len()));
                let (offset, mut out) = (model.len() / 3, vec![0; model.len() - model.len() / 3]);
                ring.copy(offset, &mut out);
                prop_assert!(out.iter().eq(model.iter().skip(offset)));
                ring.discard(discard);
                model.drain(..discard.min(model.len()));
                prop_assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
