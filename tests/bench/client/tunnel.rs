//! One session between a TUN with offload and a UDP socket with GSO and GRO.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tun_rs::{DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::link::{Link, Opened};

/// The largest datagram batch that one GSO send may carry: IPv4's length field less its and UDP's header.
const GSO_BYTES: usize = 65_507;
/// The most datagrams in one GSO send that every kernel takes.
const GSO_SEGMENTS: usize = 64;
/// Receives that one system call may bring in; each may be 64 KiB of datagrams.
const RECEIVES: usize = 8;
/// The load shares the core with this process, so the socket must hold what arrives while it does not run.
const SOCKET_BUFFER: usize = 16 << 20;

/// The whole client.
pub(crate) struct Tunnel {
    link: Link,
    server: SocketAddr,
    udp: UdpSocket,
    state: UdpSocketState,
    tun: SyncDevice,
    gro: GROTable,
    super_packet: Vec<u8>,
    segments: Vec<Vec<u8>>,
    sizes: Vec<usize>,
    received: Vec<Vec<u8>>,
    opened: Vec<Vec<u8>>,
    batch: Batch,
}

/// Sealed datagrams side by side: equal in size but for the last, which may be shorter.
struct Batch {
    bytes: Vec<u8>,
    used: usize,
    segment: usize,
    count: usize,
    closed: bool,
}

impl Tunnel {
    /// Makes the TUN, and takes a socket whose packets go to the server.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub(crate) fn open(interface: &str, udp: UdpSocket, server: SocketAddr, link: Link) -> io::Result<Self> {
        let tun = DeviceBuilder::new().name(interface).offload(true).build_sync()?;
        tun.set_nonblocking(true)?;
        setsockopt(&udp, sockopt::RcvBufForce, &SOCKET_BUFFER)?;
        setsockopt(&udp, sockopt::SndBufForce, &SOCKET_BUFFER)?;
        let state = UdpSocketState::new((&udp).into())?;
        let packet = || Vec::with_capacity(VIRTIO_NET_HDR_LEN + 65_535);
        Ok(Self {
            link,
            server,
            udp,
            state,
            tun,
            gro: GROTable::default(),
            super_packet: vec![0; VIRTIO_NET_HDR_LEN + 65_535],
            segments: vec![vec![0; 2_048]; IDEAL_BATCH_SIZE],
            sizes: vec![0; IDEAL_BATCH_SIZE],
            received: vec![vec![0; 65_535]; RECEIVES],
            opened: (0..RECEIVES * GSO_SEGMENTS).map(|_| packet()).collect(),
            batch: Batch { bytes: vec![0; 2 * GSO_BYTES], used: 0, segment: 0, count: 0, closed: false },
        })
    }

    /// The socket's descriptor.
    pub(crate) fn udp_fd(&self) -> RawFd {
        self.udp.as_raw_fd()
    }

    /// The TUN's descriptor.
    pub(crate) fn tun_fd(&self) -> RawFd {
        self.tun.as_raw_fd()
    }

    /// Begins a session where the link has none.
    ///
    /// # Errors
    /// What the socket refuses.
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        let mut message = [0; 256];
        let Some(datagram) = self.link.begin(&mut message) else { return Ok(()) };
        send(&self.state, &self.udp, self.server, datagram, None)
    }

    /// Lets the link's timers act.
    ///
    /// # Errors
    /// What the socket refuses.
    pub(crate) fn tick(&mut self) -> io::Result<()> {
        let mut message = [0; 256];
        let Some(datagram) = self.link.tick(&mut message) else { return Ok(()) };
        send(&self.state, &self.udp, self.server, datagram, None)
    }

    /// Carries what waits at the TUN to the server; says whether there was anything.
    ///
    /// # Errors
    /// What a device refuses.
    pub(crate) fn carry_up(&mut self) -> io::Result<bool> {
        let mut any = false;
        for _ in 0..GSO_SEGMENTS {
            let read = self.tun.recv_multiple(&mut self.super_packet, &mut self.segments, &mut self.sizes, 0);
            let count = match read {
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            };
            any = true;
            for at in 0..count {
                self.seal(at)?;
            }
        }
        self.flush()?;
        Ok(any)
    }

    fn seal(&mut self, at: usize) -> io::Result<()> {
        let packet = &self.segments[at][..self.sizes[at]];
        if !self.batch.takes(self.link.sealed_len(packet.len())) {
            self.batch.send(&self.state, &self.udp, self.server)?;
        }
        if let Some(length) = self.link.seal(packet, self.batch.room()) {
            self.batch.push(length);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batch.send(&self.state, &self.udp, self.server)
    }

    /// Carries what waits at the socket to the TUN; says whether there was anything.
    ///
    /// # Errors
    /// What a device refuses.
    pub(crate) fn carry_down(&mut self) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); RECEIVES];
        let mut slices: Vec<IoSliceMut<'_>> = self.received.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let count = match self.state.recv((&self.udp).into(), &mut slices, &mut metas) {
            Ok(count) => count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => return Ok(false),
            Err(e) => return Err(e),
        };
        drop(slices);
        let mut filled = 0;
        for (buffer, meta) in self.received.iter_mut().zip(&metas[..count]) {
            for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                let packet = &mut self.opened[filled];
                packet.resize(VIRTIO_NET_HDR_LEN + datagram.len().max(256), 0);
                let length = match self.link.open(datagram, &mut packet[VIRTIO_NET_HDR_LEN..]) {
                    Opened::Packet(length) => length,
                    Opened::Answer(answer) => {
                        send(&self.state, &self.udp, self.server, answer, None)?;
                        continue;
                    }
                    Opened::Nothing => continue,
                };
                packet.truncate(VIRTIO_NET_HDR_LEN + length);
                filled += 1;
            }
        }
        if filled > 0 {
            self.tun.send_multiple(&mut self.gro, &mut self.opened[..filled], VIRTIO_NET_HDR_LEN)?;
        }
        Ok(true)
    }
}

impl Batch {
    fn takes(&self, length: usize) -> bool {
        self.count == 0
            || (!self.closed && length <= self.segment && self.count < GSO_SEGMENTS && self.used + length <= GSO_BYTES)
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.used..]
    }

    fn push(&mut self, length: usize) {
        if self.count == 0 {
            self.segment = length;
        }
        self.closed = length < self.segment;
        self.used += length;
        self.count += 1;
    }

    fn send(&mut self, state: &UdpSocketState, udp: &UdpSocket, to: SocketAddr) -> io::Result<()> {
        if self.count > 0 {
            let segment = (self.count > 1).then_some(self.segment);
            send(state, udp, to, &self.bytes[..self.used], segment)?;
        }
        (self.used, self.count, self.closed) = (0, 0, false);
        Ok(())
    }
}

fn send(
    state: &UdpSocketState,
    udp: &UdpSocket,
    destination: SocketAddr,
    contents: &[u8],
    segment_size: Option<usize>,
) -> io::Result<()> {
    let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
    loop {
        match state.try_send(udp.into(), &transmit) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            // a server that has gone is the script's to notice
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Ok(()),
            done => return done,
        }
    }
}
