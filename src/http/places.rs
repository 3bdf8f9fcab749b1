//! How many connections there may be: so many in all, and so many of one neighbourhood.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::access::Neighbourhood;
use crate::domain::limits;

/// The places that connections take. Nothing is remembered of a neighbourhood that holds none.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    of_all: usize,
    of_one: HashMap<Neighbourhood, usize>,
}

/// A place, given back when dropped.
pub(super) struct Place {
    places: Places,
    neighbourhood: Neighbourhood,
}

impl Places {
    /// Takes a place for a connection from `address`, unless there is none left for it.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let neighbourhood = Neighbourhood::from(address);
        let mut taken = self.lock();
        let of_one = taken.of_one.get(&neighbourhood).copied().unwrap_or(0);
        if taken.of_all >= limits::CONNECTIONS || of_one >= limits::CONNECTIONS_OF_ONE {
            return None;
        }
        taken.of_all += 1;
        taken.of_one.insert(neighbourhood, of_one + 1);
        Some(Place { places: self.clone(), neighbourhood })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // the two counts change together without anything in between that panics
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.of_all = taken.of_all.saturating_sub(1);
        match taken.of_one.get_mut(&self.neighbourhood) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.of_one.remove(&self.neighbourhood);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn gives_one_neighbourhood_so_many_and_no_more() {
        let places = Places::default();
        let mut held: Vec<_> = (0..limits::CONNECTIONS_OF_ONE).map(|_| places.take(address(1)).unwrap()).collect();
        assert!(places.take(address(1)).is_none());
        assert!(places.take(address(2)).is_some());

        held.pop();

        assert!(places.take(address(1)).is_some());
    }

    #[test]
    fn gives_all_together_so_many_and_no_more() {
        let places = Places::default();
        let held: Vec<_> = (0..).map_while(|number| places.take(address(number))).collect();
        assert_eq!(held.len(), limits::CONNECTIONS);

        drop(held);

        assert!(places.take(address(1)).is_some());
        assert!(places.lock().of_one.is_empty());
    }
}
