//! Datagrams: many with one system call, at a rate.

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use culvert::runtime::os::clock;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use crate::{PATIENCE, Side, wait_until};

/// The most datagrams in one GSO send that every kernel takes.
const GSO_SEGMENTS: usize = 64;
/// The largest payload that one GSO send may carry.
const GSO_BYTES: usize = 65_000;
/// Receives that one system call may bring in.
const RECEIVES: usize = 32;
/// The sink shares its core with the load, so its socket must hold what arrives while it does not run.
const SOCKET_BUFFER: usize = 32 << 20;
/// A sink that has heard nothing for so long has heard all.
const SILENCE: Duration = Duration::from_millis(500);

fn socket(side: Side, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match side {
        Side::Bind => UdpSocket::bind(address)?,
        Side::Connect => {
            let any: SocketAddr =
                if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" }.parse().map_err(io::Error::other)?;
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            socket
        }
    };
    setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER)?;
    setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER)?;
    Ok(socket)
}

/// Sends datagrams of `length` bytes at `rate` a second for `span`, and prints how many there were and the seconds. The
/// end that binds waits for one datagram and answers to where that came from.
pub(crate) fn source(
    side: Side,
    address: SocketAddr,
    length: usize,
    rate: f64,
    span: Duration,
) -> Result<(), Box<dyn Error>> {
    let socket = socket(side, address)?;
    let destination = match side {
        Side::Connect => address,
        Side::Bind => {
            socket.set_read_timeout(Some(PATIENCE))?;
            let (_, from) = socket.recv_from(&mut [0; 64])?;
            from
        }
    };
    socket.set_nonblocking(false)?;
    let state = UdpSocketState::new((&socket).into())?;
    // at low rates small bursts, so that the pace stays even
    let most = (rate / 500.0).ceil().clamp(1.0, 64.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 64")]
    let burst = (most as usize).min(GSO_SEGMENTS).min(GSO_BYTES / length);
    let contents = vec![0x5a; burst * length];
    let transmit = Transmit {
        destination,
        ecn: None,
        contents: &contents,
        segment_size: (burst > 1).then_some(length),
        src_ip: None,
    };
    let begun = clock::now();
    let mut sent = 0_u32;
    loop {
        let due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
        if due >= begun + span {
            break;
        }
        // a load that cannot keep up shows in the seconds, and must not go on for ever
        if clock::now() > begun + span * 2 {
            break;
        }
        wait_until(due);
        match state.try_send((&socket).into(), &transmit) {
            Ok(()) => sent += u32::try_from(burst)?,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                std::thread::yield_now();
            }
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => std::thread::yield_now(),
            Err(e) => return Err(e.into()),
        }
    }
    let took = clock::now() - begun;
    writeln!(io::stdout(), "{sent} {:.3}", took.as_secs_f64())?;
    Ok(())
}

/// Counts datagrams until none come any more, and prints how many came.
pub(crate) fn sink(side: Side, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let socket = socket(side, address)?;
    if side == Side::Connect {
        socket.send(b"begin")?;
    }
    let state = UdpSocketState::new((&socket).into())?;
    // quinn-udp made it non-blocking; here a thread waits
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffers = vec![vec![0; 65_535]; RECEIVES];
    let mut count = 0_usize;
    loop {
        let mut metas = [RecvMeta::default(); RECEIVES];
        let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        match state.recv((&socket).into(), &mut slices, &mut metas) {
            Ok(received) => {
                if count == 0 {
                    socket.set_read_timeout(Some(SILENCE))?;
                }
                count += metas[..received].iter().map(|meta| meta.len.div_ceil(meta.stride.max(1))).sum::<usize>();
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
            Err(e) => return Err(e.into()),
        }
    }
    writeln!(io::stdout(), "{count}")?;
    Ok(())
}
