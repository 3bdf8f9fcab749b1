//! How syslog messages travel: a datagram each (RFC 5426), or counted on a stream (RFC 6587, section 3.4.1), which may be
//! encrypted (RFC 5425).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::domain::traffic_log::Transport;
use crate::observe::trust;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// How long messages may take to be taken.
const WRITE: Duration = Duration::from_secs(10);

/// A way to a syslog server.
pub(super) struct Connection {
    to: SocketAddr,
    way: Way,
}

enum Way {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection {
    /// Makes a way.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(super) async fn open(to: SocketAddr, transport: &Transport) -> Result<Self, String> {
        let way = match transport {
            Transport::Udp => {
                let any: IpAddr =
                    if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                Way::Datagrams(UdpSocket::bind((any, 0)).await.map_err(|error| error.to_string())?)
            }
            Transport::Tcp => Way::Stream(Box::new(within(CONNECT, TcpStream::connect(to)).await?)),
            Transport::Tls { name } => {
                let name = match name {
                    Some(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
                    None => ServerName::from(to.ip()),
                };
                let connector = TlsConnector::from(trust::tls()?);
                let secure = async { connector.connect(name, TcpStream::connect(to).await?).await };
                Way::Stream(Box::new(within(CONNECT, secure).await?))
            }
        };
        Ok(Self { to, way })
    }

    /// Whether it leads there, and the other side has not ended it.
    pub(super) async fn leads_to(&mut self, to: SocketAddr) -> bool {
        if self.to != to {
            return false;
        }
        match &mut self.way {
            Way::Datagrams(_) => true,
            // a syslog server says nothing: what can be read is the end
            Way::Stream(stream) => timeout(Duration::ZERO, stream.read(&mut [0])).await.is_err(),
        }
    }

    /// Sends messages.
    ///
    /// # Errors
    /// One sentence for the operator; how many were taken nobody knows.
    pub(super) async fn send(&mut self, messages: &[String]) -> Result<(), String> {
        match &mut self.way {
            Way::Datagrams(socket) => {
                for message in messages {
                    let sent = within(WRITE, socket.send_to(message.as_bytes(), self.to)).await;
                    sent.map_err(|error| format!("{}: {error}", self.to))?;
                }
                Ok(())
            }
            Way::Stream(stream) => {
                let frames =
                    messages.iter().flat_map(|message| [message.len().to_string(), " ".into(), message.clone()]);
                let frames: String = frames.collect();
                let written = async {
                    stream.write_all(frames.as_bytes()).await?;
                    stream.flush().await
                };
                within(WRITE, written).await
            }
        }
    }
}

async fn within<T>(bound: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(bound, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).to_string()),
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! What tests of the writers need.

    use super::*;
    use crate::observe::traffic_log::Surroundings;

    pub(in crate::observe::traffic_log) fn surroundings() -> Surroundings {
        Surroundings {
            hostname: "vpn.example".into(),
            uplink: "culvert0",
            transport: Transport::Udp,
            folder: "unused".into(),
        }
    }
}
