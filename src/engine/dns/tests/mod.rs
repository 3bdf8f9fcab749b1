//! The resolver as its clients and its forwarders see it.

mod answers;
mod forwarders;
mod memory;
