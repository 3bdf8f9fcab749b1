//! Whether a WireGuard port answers a handshake.

use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::PublicKey;

use crate::fill::Filled;

/// How long one try waits for the answer; the next follows at once.
const ANSWER: Duration = Duration::from_millis(20);

/// Sends one handshake and says whether its answer is good.
///
/// # Errors
/// What the socket refuses.
pub(crate) fn shake_hands(filled: &Filled) -> Result<bool, Box<dyn Error>> {
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.set_read_timeout(Some(ANSWER))?;
    let server = PublicKey::from(*filled.server.as_bytes());
    let mut noise = Tunn::new(filled.private.clone(), server, None, None, 1, None);
    let (mut message, mut answer, mut scratch) = ([0; 256], [0; 256], [0; 256]);
    if let TunnResult::WriteToNetwork(datagram) = noise.format_handshake_initiation(&mut message, true) {
        udp.send_to(datagram, filled.endpoint)?;
    }
    let (length, _) = udp.recv_from(&mut answer)?;
    Ok(matches!(noise.decapsulate(None, &answer[..length], &mut scratch), TunnResult::WriteToNetwork(_)))
}
