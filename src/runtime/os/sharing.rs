//! Which of several sockets of one port gets a datagram: a few instructions that the kernel runs for each.

use std::io;
use std::net::UdpSocket;

use nix::sys::socket::{setsockopt, sockopt};

/// Where a message carries the index of its receiver's session, second byte first: messages of type 4 (data) and 3 (cookie).
const RECEIVER: u32 = 5;
/// The same of type 2, the answer to a handshake, whose own sender comes first.
const RECEIVER_OF_RESPONSE: u32 = 9;
/// The type of such an answer.
const RESPONSE: u32 = 2;

/// Has the kernel choose by the session's index: the second byte of it, divided by the number of sockets, leaves the
/// number of the socket, in the order in which they were bound. Of a handshake's first message that byte is the
/// sender's and random: any socket will do.
///
/// # Errors
/// The operating system's.
pub(super) fn by_session(first: &UdpSocket, sockets: usize) -> io::Result<()> {
    let sockets = u32::try_from(sockets).map_err(io::Error::other)?;
    let load = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    let mut instructions = [
        instruction(load, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 2, 0, RESPONSE),
        instruction(load, 0, 0, RECEIVER),
        instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1),
        instruction(load, 0, 0, RECEIVER_OF_RESPONSE),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, sockets),
        instruction(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(io::Error::other)?,
        filter: instructions.as_mut_ptr(),
    };
    Ok(setsockopt(first, sockopt::AttachReusePortCbpf, &program)?)
}

fn instruction(code: u32, if_true: u8, if_false: u8, operand: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: if_true, jf: if_false, k: operand }
}
