//! The responder against recorded sessions and against a client of its own kind.

mod recorded;
