//! Pure machines: bytes, commands and time in; bytes and events out. No tokio, no sockets, no clock.
//!
//! Each machine takes what happened (`handle_*`), what to do from now on (`apply`) and the time as its last argument,
//! and says what is to be done (`poll_*`). The same input gives the same output, to the byte.

pub mod dataplane;
pub mod dns;
pub mod esp;
pub mod flows;
pub mod fragments;
pub mod ike;
pub mod offload;
pub mod outbox;
pub mod packet;
pub mod wire;
