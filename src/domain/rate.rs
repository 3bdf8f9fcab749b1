//! Bandwidth as clients write it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits;

/// Megabits a second; 0 is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mbps(u16);

impl Mbps {
    /// No limit.
    pub const UNLIMITED: Self = Self(0);

    /// Takes 0 to [`limits::RATE_MAX`].
    pub const fn new(megabits: u16) -> Option<Self> {
        if megabits <= limits::RATE_MAX { Some(Self(megabits)) } else { None }
    }

    /// Reads a decimal number of 0 to [`limits::RATE_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::new)
    }

    /// The bare number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mbps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
