//! Which sequence numbers were seen: the anti-replay window of RFC 4303, section 3.4.3, as the ring of RFC 6479.

/// Words of the ring.
const WORDS: usize = 32;
/// How far behind the newest a sequence number may lie; one word of the ring is always being emptied.
pub const WIDTH: u64 = (WORDS as u64 - 1) * 64;

/// The sequence numbers of one inbound association that were seen.
#[derive(Debug, Clone, Default)]
pub struct Window {
    newest: u64,
    seen: [u64; WORDS],
}

impl Window {
    /// The newest sequence number, 0 before there is one.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether this number is neither seen nor too old. 0 is never fresh: senders begin at 1.
    pub fn is_fresh(&self, sequence: u64) -> bool {
        if sequence > self.newest {
            return true;
        }
        let (word, bit) = place(sequence);
        sequence != 0 && self.newest - sequence < WIDTH && self.seen[word] & bit == 0
    }

    /// Remembers a number that [`Self::is_fresh`] and authentic; says whether it is the newest.
    pub fn mark(&mut self, sequence: u64) -> bool {
        let is_newest = sequence > self.newest;
        if is_newest {
            let (from, to) = (self.newest / 64, sequence / 64);
            for number in from + 1..=to.min(from + WORDS as u64) {
                self.seen[index(number)] = 0;
            }
            self.newest = sequence;
        }
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
        is_newest
    }

    /// The whole number whose lower half this is, where the upper half is not sent: RFC 4303, appendix A2.2.
    pub fn extend(&self, low: u32) -> u64 {
        let (high, newest) = (self.newest >> 32, self.newest & u64::from(u32::MAX));
        let low = u64::from(low);
        let bottom = newest.wrapping_sub(WIDTH - 1) & u64::from(u32::MAX);
        let high = match (newest >= WIDTH - 1, low >= bottom) {
            (true, true) | (false, false) => high,
            (true, false) => high.wrapping_add(1) & u64::from(u32::MAX),
            // before the first turn there is no earlier one: such a number is far ahead, and not authentic
            (false, true) => high.saturating_sub(1),
        };
        high << 32 | low
    }
}

fn index(word: u64) -> usize {
    usize::try_from(word % WORDS as u64).unwrap_or_default()
}

fn place(sequence: u64) -> (usize, u64) {
    (index(sequence / 64), 1 << (sequence % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_each_number_once_in_any_order_within_its_width() {
        let mut window = Window::default();
        for number in [1, 3, 2, 1_984, 1_000] {
            assert!(window.is_fresh(number), "{number}");
            window.mark(number);
            assert!(!window.is_fresh(number), "{number}");
        }
    }

    #[test]
    fn refuses_zero_and_what_is_too_old() {
        let mut window = Window::default();
        window.mark(10_000);
        assert!(!window.is_fresh(0) && !window.is_fresh(10_000 - WIDTH) && window.is_fresh(10_001 - WIDTH));
    }

    #[test]
    fn finds_the_upper_half_on_both_sides_of_a_turn() {
        let mut window = Window::default();
        window.mark(0xffff_fff0);
        assert_eq!(window.extend(0xffff_fff8), 0xffff_fff8);
        assert_eq!(window.extend(5), 0x1_0000_0005);
        window.mark(0x1_0000_0005);
        assert_eq!(window.extend(0xffff_fff8), 0xffff_fff8);
        assert_eq!(window.extend(6), 0x1_0000_0006);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0_u64..5_000), 1..400)) {
            let (mut window, mut seen, mut base) = (Window::default(), BTreeSet::new(), 1_u64);
            for (forward, distance) in steps {
                let number = if forward { base + distance } else { base.saturating_sub(distance) };
                let newest: u64 = seen.last().copied().unwrap_or(0);
                let fresh = number > newest || number != 0 && newest - number < WIDTH && !seen.contains(&number);
                prop_assert_eq!(window.is_fresh(number), fresh);
                if fresh {
                    window.mark(number);
                    seen.insert(number);
                }
                base = base.max(number);
            }
        }
    }
}
