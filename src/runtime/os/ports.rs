//! Ports of the host: which are in use, and sets of them as the kernel writes them.

use std::fmt;
use std::fs;
use std::ops::RangeInclusive;

/// A set of ports. Its text is the kernel's: `22,8000-8080`.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64; WORDS]>);

const WORDS: usize = 65_536 / 64;

/// The ports that programs of the host use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// Of TCP, whether listening or connected.
    pub tcp: PortSet,
    /// Of UDP.
    pub udp: PortSet,
}

/// Looks at the host's sockets, of both families. Those that are bound to loopback alone are left out: nothing from
/// outside can meet them. What cannot be read is taken for empty.
pub fn in_use() -> InUse {
    InUse { tcp: of_tables("tcp"), udp: of_tables("udp") }
}

fn of_tables(protocol: &str) -> PortSet {
    let mut set = PortSet::default();
    for v6 in [false, true] {
        let six = if v6 { "6" } else { "" };
        // of this thread's network namespace, not of the process's first
        let table = fs::read_to_string(format!("/proc/thread-self/net/{protocol}{six}")).unwrap_or_default();
        table.lines().filter_map(|line| used_port(line, v6)).for_each(|port| set.insert(port));
    }
    set
}

/// The local port of one line of the kernel's table, unless nothing from outside can meet it.
fn used_port(line: &str, v6: bool) -> Option<u16> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let state = words.nth(1)?;
    // each word of an address is written as a number of the machine's
    let loopback = if v6 {
        let last = u32::from_str_radix(address.get(24..)?, 16).ok()?.to_ne_bytes();
        let mapped = address.get(16..24)? == format!("{:08X}", u32::from_ne_bytes([0, 0, 0xff, 0xff]));
        address.get(..24)?.bytes().all(|digit| digit == b'0') && last == [0, 0, 0, 1] || mapped && last[0] == 127
    } else {
        u32::from_str_radix(address, 16).ok()?.to_ne_bytes()[0] == 127
    };
    // a connection that has ended on both sides (TIME_WAIT) needs no port
    if loopback || state == "06" {
        return None;
    }
    u16::from_str_radix(port, 16).ok().filter(|port| *port != 0)
}

impl PortSet {
    /// Reads the kernel's text; what is no port or range of them is passed over.
    pub fn parse(text: &str) -> Self {
        let mut set = Self::default();
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse()) {
                set.insert_all(first..=last);
            }
        }
        set
    }

    /// Whether `port` is in it.
    pub const fn contains(&self, port: u16) -> bool {
        self.0[port as usize / 64] & 1 << (port % 64) != 0
    }

    /// Puts `port` in.
    pub const fn insert(&mut self, port: u16) {
        self.0[port as usize / 64] |= 1 << (port % 64);
    }

    /// Puts a range in.
    pub fn insert_all(&mut self, ports: RangeInclusive<u16>) {
        ports.for_each(|port| self.insert(port));
    }

    /// Takes a range out.
    pub fn remove_all(&mut self, ports: RangeInclusive<u16>) {
        ports.for_each(|port| self.0[usize::from(port) / 64] &= !(1 << (port % 64)));
    }

    /// Each port, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ports = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = ports.next() {
            let mut last = first;
            while let Some(next) = ports.next_if(|next| *next - 1 == last) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn reads_and_writes_ports_as_the_kernel_does() {
        for text in ["", "22", "22,8000-8080", "0-65535", "1,3,65535"] {
            assert_eq!(PortSet::parse(&format!("{text}\n")).to_string(), text);
        }
        assert_eq!(PortSet::parse("5,1-3,4").to_string(), "1-5");
    }

    #[test]
    fn takes_ranges_in_and_out() {
        let mut set = PortSet::parse("10,20000");
        set.insert_all(16_384..=51_819);
        assert_eq!(set.to_string(), "10,16384-51819");
        set.remove_all(16_384..=51_819);
        assert_eq!(set.to_string(), "10");
    }

    #[test]
    fn finds_what_listens_and_what_is_bound() {
        let (tcp, udp) = (TcpListener::bind("0.0.0.0:0").unwrap(), UdpSocket::bind("0.0.0.0:0").unwrap());
        let inner = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = |address: std::net::SocketAddr| address.port();

        let used = in_use();

        assert!(used.tcp.contains(port(tcp.local_addr().unwrap())));
        assert!(used.udp.contains(port(udp.local_addr().unwrap())));
        assert!(!used.udp.contains(port(inner.local_addr().unwrap())));
    }

    #[test]
    fn leaves_out_what_nothing_from_outside_can_meet() {
        let line =
            |address: &str, state: &str| format!("   0: {address}:4E20 00000000:0000 {state} 00000000:00000000 00:0");
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let v6 = |words: [[u8; 4]; 4]| words.map(word).concat();
        let (zero, one, mapped) = ([0; 4], [0, 0, 0, 1], [0, 0, 0xff, 0xff]);
        for (address, is_v6, state, port) in [
            (word([192, 0, 2, 1]), false, "0A", Some(20_000)),
            (word([0; 4]), false, "01", Some(20_000)),
            (word([127, 0, 0, 53]), false, "0A", None),
            (word([192, 0, 2, 1]), false, "06", None),
            (v6([zero; 4]), true, "0A", Some(20_000)),
            (v6([zero, zero, zero, one]), true, "0A", None),
            (v6([zero, zero, mapped, [127, 0, 0, 1]]), true, "0A", None),
            (v6([zero, zero, mapped, [192, 0, 2, 1]]), true, "0A", Some(20_000)),
        ] {
            assert_eq!(used_port(&line(&address, state), is_v6), port, "{address}");
        }
        assert_eq!(used_port("  sl  local_address rem_address   st tx_queue", false), None);
    }
}
