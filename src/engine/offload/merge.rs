//! Puts packets together that come one after another out of decryption, without copying what they carry.

use super::run::{BYTES_MAX, HEADERS_MAX, Part, Run};
use crate::engine::packet::Offload;

/// Bytes that [`Merge::room`] offers at the least: the largest datagram and what a call into `noise` wants above it.
pub const ROOM: usize = 65_535 + 148;

/// Flows that are put together at the same time. Their packets mix where a client sends on several connections, or
/// where several clients send; with more than these the eldest goes out as it is.
const SLOTS: usize = 8;

/// A run and the memory that it lies in.
#[derive(Debug)]
struct Slot<M> {
    memory: Box<[u8]>,
    run: Option<Run<M>>,
    /// When it last grew, in packets taken.
    used: u64,
}

impl<M: Copy + PartialEq> Slot<M> {
    /// Where the next packet belongs, if it continues what is here: its payload right behind the present one.
    fn place(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.end - run.headers())
    }
}

/// Packets that become super-packets: where they are decrypted, and what is known of them.
///
/// A packet is decrypted into [`Self::room`] and then taken by [`Self::accept`]. TCP segments and UDP datagrams that
/// continue one another are held until they are as long as may be, one of them ends a burst, or [`Self::flush`] at the
/// end of a batch; everything else goes out at once, but never before an earlier packet of its own flow. `M` says
/// whose a packet is; packets of different ones are never put together.
#[derive(Debug)]
pub struct Merge<M> {
    slots: Box<[Slot<M>]>,
    /// The slot where the next packet is expected: the one that took the last.
    recent: usize,
    /// What lay under the first bytes of the room: the end of the payload of `recent`.
    covered: [u8; HEADERS_MAX],
    /// Whether the room is given out, and `covered` is to be put back.
    is_lent: bool,
    datagrams: bool,
    taken: u64,
}

impl<M: Copy + PartialEq> Merge<M> {
    /// Nothing begun. `datagrams` is whether UDP is put together too, which the kernel's side must be able to cut.
    pub fn new(datagrams: bool) -> Self {
        let slot = |_| Slot { memory: vec![0; BYTES_MAX + ROOM].into(), run: None, used: 0 };
        Self {
            slots: (0..SLOTS).map(slot).collect(),
            recent: 0,
            covered: [0; HEADERS_MAX],
            is_lent: false,
            datagrams,
            taken: 0,
        }
    }

    /// Memory for the next packet, at least [`ROOM`] bytes, all of which may be written. It is followed by
    /// [`Self::accept`] or [`Self::abandon`].
    pub fn room(&mut self) -> &mut [u8] {
        self.abandon();
        let slot = &mut self.slots[self.recent];
        let at = slot.place();
        if let Some(run) = &slot.run {
            self.covered[..run.headers()].copy_from_slice(&slot.memory[at..run.end]);
        }
        self.is_lent = true;
        &mut slot.memory[at..]
    }

    /// Takes back the room: nothing has come of it.
    pub fn abandon(&mut self) {
        if !std::mem::take(&mut self.is_lent) {
            return;
        }
        let slot = &mut self.slots[self.recent];
        let at = slot.place();
        if let Some(run) = &slot.run {
            slot.memory[at..run.end].copy_from_slice(&self.covered[..run.headers()]);
        }
    }

    /// Takes the packet that has been written into the first bytes of the room; `out` gets what goes out now.
    pub fn accept(&mut self, length: usize, meta: M, mut out: impl FnMut(&mut [u8], Offload, M)) {
        let at = self.slots[self.recent].place();
        let Some(packet) = self.slots[self.recent].memory.get(at..at + length).filter(|_| self.is_lent) else {
            return self.abandon();
        };
        if packet.is_empty() {
            return self.abandon();
        }
        self.taken += 1;
        let part = Part::read(packet).filter(|part| self.datagrams || part.is_segment());
        if let Some(part) = &part
            && let Some(at) = self.continued(part, packet, meta)
        {
            return self.join(at, part, &mut out);
        }
        for index in 0..SLOTS {
            let packet = &self.slots[self.recent].memory[at..at + length];
            if self.slots[index].run.as_ref().is_some_and(|run| run.holds_back(meta, packet)) {
                self.hand_out(index, at, &mut out);
            }
        }
        match part.map(|part| (part, Run::new(&part, &self.slots[self.recent].memory[at..], meta))) {
            Some((part, run)) if !run.is_over() => self.begin(run, (at, part.len()), &mut out),
            _ => {
                out(&mut self.slots[self.recent].memory[at..at + length], Offload::NONE, meta);
                self.abandon();
            }
        }
    }

    /// Hands out everything that is held.
    pub fn flush(&mut self, mut out: impl FnMut(&mut [u8], Offload, M)) {
        self.abandon();
        for index in 0..SLOTS {
            self.hand_out(index, 0, &mut out);
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.run.is_none())
    }

    /// The slot whose run the packet continues; the expected one is asked first.
    fn continued(&self, part: &Part, packet: &[u8], meta: M) -> Option<usize> {
        let continues = |index: &usize| {
            let run = self.slots[*index].run.as_ref();
            run.is_some_and(|run| run.meta == meta && run.is_continued_by(part, packet))
        };
        Some(self.recent).filter(continues).or_else(|| (0..SLOTS).find(continues))
    }

    /// Adds the packet in the room to this slot's run.
    fn join(&mut self, index: usize, part: &Part, out: &mut impl FnMut(&mut [u8], Offload, M)) {
        if index != self.recent {
            // the guess was wrong: it lies behind another run's payload
            let (from, end) =
                (self.slots[self.recent].place(), self.slots[index].run.as_ref().map_or(0, |run| run.end));
            if let Ok([guessed, right]) = self.slots.get_disjoint_mut([self.recent, index]) {
                let payload = &guessed.memory[from + part.headers()..from + part.len()];
                right.memory[end..end + payload.len()].copy_from_slice(payload);
            }
        }
        self.abandon();
        self.recent = index;
        let slot = &mut self.slots[index];
        slot.used = self.taken;
        if let Some(run) = &mut slot.run {
            run.add(part);
            if run.is_over() {
                self.hand_out(index, 0, out);
            }
        }
    }

    /// Begins a run with the packet that lies in the room, at so many bytes into the expected slot, of such a length.
    fn begin(&mut self, run: Run<M>, (at, length): (usize, usize), out: &mut impl FnMut(&mut [u8], Offload, M)) {
        let index = self.vacate(at, out);
        if index == self.recent {
            self.slots[index].memory.copy_within(at..at + length, 0);
            self.is_lent = false;
        } else {
            if let Ok([guessed, free]) = self.slots.get_disjoint_mut([self.recent, index]) {
                free.memory[..length].copy_from_slice(&guessed.memory[at..at + length]);
            }
            self.abandon();
            self.recent = index;
        }
        self.slots[index].run = Some(run);
        self.slots[index].used = self.taken;
    }

    /// A slot without a run: the expected one, where nothing need be moved far, any other, or the one that has waited
    /// longest, whose run goes out.
    fn vacate(&mut self, at: usize, out: &mut impl FnMut(&mut [u8], Offload, M)) -> usize {
        let is_free = |index: &usize| self.slots[*index].run.is_none();
        if let Some(free) = Some(self.recent).filter(is_free).or_else(|| (0..SLOTS).find(is_free)) {
            return free;
        }
        let eldest = (0..SLOTS).min_by_key(|index| self.slots[*index].used).unwrap_or_default();
        self.hand_out(eldest, at, out);
        eldest
    }

    /// Hands out a slot's run, if it has one. Where that is the expected slot and the room is given out, the packet in
    /// it, at so many bytes, is whole again afterwards.
    fn hand_out(&mut self, index: usize, at: usize, out: &mut impl FnMut(&mut [u8], Offload, M)) {
        let is_covered = self.is_lent && index == self.recent;
        let slot = &mut self.slots[index];
        let Some(run) = slot.run.take() else { return };
        let covered = &mut self.covered[..run.headers()];
        if is_covered {
            covered.swap_with_slice(&mut slot.memory[at..run.end]);
        }
        let packet = &mut slot.memory[..run.end];
        let offload = run.seal(packet);
        out(packet, offload, run.meta);
        if is_covered {
            covered.swap_with_slice(&mut slot.memory[at..run.end]);
        }
    }
}
