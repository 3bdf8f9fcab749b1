//! Places that are used again: an allocation only where there were never so many at once.

use std::ops::{Index, IndexMut};

/// No place.
pub(super) const NIL: u32 = u32::MAX;

/// Values at places that stay theirs until they are freed.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts a value somewhere.
    pub(super) fn put(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = value;
            return place;
        }
        // bounded by the bytes that a shaper may hold, far below 2^32 places
        let place = u32::try_from(self.places.len()).unwrap_or(NIL);
        self.places.push(value);
        place
    }

    /// Lets go of a place; its value stays until the place is used again.
    pub(super) fn free(&mut self, place: u32) {
        self.free.push(place);
    }

    /// How many places are in use.
    pub(super) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        &self.places[place as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.places[place as usize]
    }
}
