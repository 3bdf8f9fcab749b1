//! Who was wrong how often, and for how long he is not heard therefore.

use std::fmt;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::domain::limits;

/// Wrong passwords and codes, by the name that was given, in a table of one size: names that nobody has count as those
/// that somebody has, so that a lock tells nobody which ones those are.
///
/// A name has its place by a hash that nobody outside knows. Names that share a place share its lock, which gains
/// whoever wants to shut somebody out nothing: he would only need to be wrong with that one's own name.
pub struct Tries {
    places: Vec<Place>,
    key: [u8; 32],
}

impl fmt::Debug for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tries").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Default)]
struct Place {
    /// Wrong tries in a row, and those that are being looked at.
    wrong: u32,
    /// How often it was locked in a row.
    locked: u32,
    /// The end of the lock.
    until: Option<Instant>,
    /// The last try.
    last: Option<Instant>,
}

impl Tries {
    /// Nobody was wrong yet. `key` is what nobody outside knows.
    pub fn new(key: [u8; 32]) -> Self {
        Self { places: vec![Place::default(); limits::LOGIN_PLACES], key }
    }

    /// Counts a try as a wrong one, before it is looked at: however many come at once, no more are looked at than are
    /// allowed.
    ///
    /// # Errors
    /// For how long the name is locked. Such a try is not counted.
    pub fn begin(&mut self, name: &str, now: Instant) -> Result<(), Duration> {
        if let Some(left) = self.locked_for(name, now) {
            return Err(left);
        }
        let place = self.place(name);
        // what was long ago is forgotten
        if place.last.is_some_and(|last| now.saturating_duration_since(last) > limits::LOGIN_MEMORY) {
            *place = Place::default();
        }
        place.last = Some(now);
        place.wrong += 1;
        if place.wrong >= limits::LOGIN_TRIES {
            let lock = limits::LOGIN_LOCK.saturating_mul(1 << place.locked.min(16)).min(limits::LOGIN_LOCK_MAX);
            (place.wrong, place.locked, place.until) = (0, place.locked.saturating_add(1), Some(now + lock));
        }
        Ok(())
    }

    /// The last try was not wrong, and not yet right either: it counts as none.
    pub fn take_back(&mut self, name: &str) {
        let place = self.place(name);
        if place.until.is_some() && place.wrong == 0 {
            // it was the one that locked
            (place.wrong, place.locked, place.until) = (limits::LOGIN_TRIES, place.locked.saturating_sub(1), None);
        }
        place.wrong = place.wrong.saturating_sub(1);
    }

    /// Forgets every wrong try of a name: it was right, or somebody speaks for it.
    pub fn forgive(&mut self, name: &str) {
        *self.place(name) = Place::default();
    }

    /// For how long a name is still locked.
    pub fn locked_for(&self, name: &str, now: Instant) -> Option<Duration> {
        let until = self.places[self.index(name)].until?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    fn place(&mut self, name: &str) -> &mut Place {
        let index = self.index(name);
        &mut self.places[index]
    }

    fn index(&self, name: &str) -> usize {
        let [first, second, ..]: [u8; 32] = Sha256::new().chain_update(self.key).chain_update(name).finalize().into();
        usize::from(u16::from_le_bytes([first, second])) % limits::LOGIN_PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
        Instant::now()
    }

    /// Is wrong as often as it takes to be locked.
    fn lock(tries: &mut Tries, now: Instant) {
        for _ in 0..limits::LOGIN_TRIES {
            tries.begin("admin", now).unwrap();
        }
    }

    #[test]
    fn locks_a_name_after_five_wrong_tries_and_no_other() {
        let (mut tries, now) = (Tries::new([7; 32]), start());

        lock(&mut tries, now);

        assert_eq!(tries.begin("admin", now), Err(MINUTE));
        assert!((0..8).any(|other| tries.begin(&format!("other_{other}"), now).is_ok()));
        assert_eq!(tries.begin("admin", now + MINUTE), Ok(()));
    }

    #[test]
    fn locks_longer_each_time_up_to_a_quarter_of_an_hour() {
        let (mut tries, mut now) = (Tries::new([7; 32]), start());

        let mut locks = Vec::new();
        for _ in 0..6 {
            lock(&mut tries, now);
            let left = tries.locked_for("admin", now).unwrap();
            locks.push(left.as_secs() / 60);
            now += left;
        }

        assert_eq!(locks, [1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn forgets_after_a_right_one() {
        let (mut tries, now) = (Tries::new([7; 32]), start());
        lock(&mut tries, now);

        tries.forgive("admin");

        assert_eq!(tries.locked_for("admin", now), None);
        lock(&mut tries, now);
        assert_eq!(tries.locked_for("admin", now), Some(MINUTE));
    }

    #[test]
    fn counts_what_was_taken_back_as_none() {
        let (mut tries, now) = (Tries::new([7; 32]), start());
        for _ in 1..limits::LOGIN_TRIES {
            tries.begin("admin", now).unwrap();
        }

        for _ in 0..20 {
            tries.begin("admin", now).unwrap();
            tries.take_back("admin");
        }

        assert_eq!(tries.locked_for("admin", now), None);
        tries.begin("admin", now).unwrap();
        assert_eq!(tries.locked_for("admin", now), Some(MINUTE));
    }

    #[test]
    fn forgets_what_was_long_ago() {
        let (mut tries, now) = (Tries::new([7; 32]), start());
        lock(&mut tries, now);

        let later = now + limits::LOGIN_MEMORY + MINUTE;
        lock(&mut tries, later);

        assert_eq!(tries.locked_for("admin", later), Some(MINUTE));
    }
}
