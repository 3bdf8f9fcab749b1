//! NAT detection: RFC 7296, section 2.23.

use std::net::{IpAddr, SocketAddr};

use super::crypto::prf::sha1;
use super::message::header::Spis;

/// The hash of SPIs as they stand in the message, an address and a port.
pub fn hash(spis: Spis, address: SocketAddr) -> [u8; 20] {
    let (initiator, responder) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(address) => sha1(&[&initiator, &responder, &address.octets(), &port]),
        IpAddr::V6(address) => sha1(&[&initiator, &responder, &address.octets(), &port]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ike::message::contents::Contents;
    use crate::engine::ike::message::header::{HEADER, Header};
    use crate::engine::ike::message::notify::number;
    use crate::engine::ike::vectors::sessions;

    #[test]
    fn agrees_with_recorded_sessions() {
        for session in sessions() {
            let message = &session.datagrams()[0].bytes;
            let header = Header::parse(message).unwrap();
            let contents = Contents::parse(header.next, &message[HEADER..]).unwrap();
            let server = SocketAddr::new(session.text("server_address").parse().unwrap(), 500);

            let said = contents.notify(number::NAT_DETECTION_DESTINATION_IP).unwrap().content;

            assert_eq!(said, hash(header.spis, server));
        }
    }
}
