//! How the process's file descriptors are shared out: every running server gets an equal part for its flows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::flows::Limits;

/// What there is to share, and among how many. Clones share the count.
#[derive(Debug, Clone)]
pub(super) struct Descriptors {
    all: usize,
    sharers: Arc<AtomicUsize>,
}

impl Descriptors {
    /// So many, shared by nobody yet.
    pub(super) fn new(all: usize) -> Self {
        Self { all, sharers: Arc::default() }
    }

    /// One more sharer, until the share is dropped.
    pub(super) fn join(&self) -> Share {
        self.sharers.fetch_add(1, Ordering::Relaxed);
        Share { descriptors: self.clone(), among: 0 }
    }
}

/// One server's part.
#[derive(Debug)]
pub(super) struct Share {
    descriptors: Descriptors,
    among: usize,
}

impl Share {
    /// The limits that hold now.
    pub(super) fn limits(&mut self) -> Limits {
        self.among = self.descriptors.sharers.load(Ordering::Relaxed);
        Limits::of_descriptors(self.descriptors.all / self.among.max(1))
    }

    /// Whether others have come or gone since the limits were asked for.
    pub(super) fn has_changed(&self) -> bool {
        self.among != self.descriptors.sharers.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.descriptors.sharers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_with_the_number_of_sharers() {
        let descriptors = Descriptors::new(30_000);
        let mut one = descriptors.join();
        assert_eq!(one.limits(), Limits::of_descriptors(30_000));
        let mut two = descriptors.join();
        assert!(one.has_changed());
        assert_eq!((one.limits(), two.limits()), (Limits::of_descriptors(15_000), Limits::of_descriptors(15_000)));
        drop(two);
        assert!(one.has_changed());
        assert_eq!(one.limits(), Limits::of_descriptors(30_000));
    }
}
