//! What a host without services answers: a ping with its echo, a segment with a reset, anything else with an error.

use super::icmp::{self, Complaint, Echo, Icmp, Kind};
use super::tcp::{self, Tcp};
use super::{Ip, protocol};

/// Writes what the addressed host itself answers to a packet for it.
///
/// Returns the answer's length, or `None` where nothing is to be said (and where the buffer is too small). Fragments
/// are not put together, so only whole pings are answered.
pub fn write<T: AsRef<[u8]>>(answer: &mut [u8], question: &Ip<T>) -> Option<usize> {
    let transport = question.transport();
    let (source, destination) = (question.source(), question.destination());
    match transport.protocol {
        _ if transport.fragment => None,
        protocol::ICMP | protocol::ICMPV6 => echo(answer, question),
        protocol::TCP => {
            let segment = Tcp::new(question.payload()).ok()?;
            tcp::write_reset(answer, &segment, source, destination)
        }
        _ => icmp::write_error(answer, Complaint::PortUnreachable, destination, question),
    }
}

fn echo<T: AsRef<[u8]>>(answer: &mut [u8], question: &Ip<T>) -> Option<usize> {
    let (source, destination) = (question.source(), question.destination());
    let ping = Icmp::new(question.transport().protocol, question.payload()).ok()?;
    if ping.kind() != Kind::Echo || !ping.is_checksum_right(source, destination) {
        return None;
    }
    let load = ping.payload();
    let at = icmp::headers_len(destination);
    answer.get_mut(at..at + load.len())?.copy_from_slice(load);
    let names = (ping.identifier(), ping.sequence());
    icmp::seal_echo(answer, Echo::Reply, (destination, source), names, load.len())
}
