//! Randomness that a seed repeats, and what stories ask of it.

#[path = "../support/dice.rs"]
mod seeded;

pub(crate) use self::seeded::Dice;

impl Dice {
    /// Whether something of so many parts in a hundred happens.
    pub(crate) fn percent(&mut self, parts: u8) -> bool {
        self.below(100) < usize::from(parts)
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}
