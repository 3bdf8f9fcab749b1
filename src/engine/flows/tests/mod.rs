//! The machine as a whole, in virtual time.

mod forwards;
mod forwards_udp;
mod loss;
mod mappings;
mod tcp;
mod tcp_ends;
