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
    attach(first, &mut instructions)
}

/// Has the kernel choose among the doors to the port of ESP in UDP: a message of IKE, which begins with four zero bytes
/// (RFC 3948, section 2.2), is for the last of them; of an ESP packet the lowest byte of the SPI says which worker it is for.
///
/// # Errors
/// The operating system's.
pub(super) fn by_spi(first: &UdpSocket, workers: usize) -> io::Result<()> {
    let workers = u32::try_from(workers).map_err(io::Error::other)?;
    let load = |size| libc::BPF_LD | size | libc::BPF_ABS;
    // what is too short for a load goes to the first
    attach(
        first,
        &mut [
            instruction(load(libc::BPF_W), 0, 0, 0),
            instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 3, 0, 0),
            instruction(load(libc::BPF_B), 0, 0, 3),
            instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, workers),
            instruction(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
            instruction(libc::BPF_RET | libc::BPF_K, 0, 0, workers),
        ],
    )
}

fn attach(first: &UdpSocket, instructions: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(io::Error::other)?,
        filter: instructions.as_mut_ptr(),
    };
    Ok(setsockopt(first, sockopt::AttachReusePortCbpf, &program)?)
}

fn instruction(code: u32, if_true: u8, if_false: u8, operand: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: if_true, jf: if_false, k: operand }
}
