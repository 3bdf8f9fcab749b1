//! The network between clients, the box and hosts: what becomes of each packet that is sent into it.

use std::time::Duration;

use crate::dice::Dice;

/// What the shortest way takes.
const LATENCY: Duration = Duration::from_millis(10);

/// How good the network is. What overtakes, does so because it had less jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How many packets of a hundred are lost.
    pub(crate) loss: u8,
    /// How many of a hundred come twice.
    pub(crate) doubled: u8,
    /// How much later than others a packet may come, in milliseconds.
    pub(crate) jitter: u8,
}

impl Weather {
    /// Nothing is lost, and nothing overtakes.
    pub(crate) const CLEAR: Self = Self { loss: 0, doubled: 0, jitter: 0 };

    /// When a packet arrives: never, once or twice.
    pub(crate) fn arrivals(self, dice: &mut Dice) -> Vec<Duration> {
        if dice.percent(self.loss) {
            return Vec::new();
        }
        let count = if dice.percent(self.doubled) { 2 } else { 1 };
        (0..count).map(|_| self.latency(dice)).collect()
    }

    fn latency(self, dice: &mut Dice) -> Duration {
        let jitter = dice.below(usize::from(self.jitter) + 1);
        LATENCY + Duration::from_millis(u64::try_from(jitter).unwrap())
    }
}
