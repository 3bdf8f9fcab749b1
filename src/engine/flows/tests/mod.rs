//! The machine as a whole, in virtual time.

mod mappings;
mod tcp;
mod tcp_ends;
