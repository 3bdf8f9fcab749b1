//! The machine as a whole, in virtual time.

mod loss;
mod mappings;
mod tcp;
mod tcp_ends;
