//! A road warrior who logs in by IKEv2 over a socket: the initiator of the engine's own tests, which keeps no clock and
//! repeats nothing by itself.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use culvert::engine::esp::association::{Inbound, Outbound};
use culvert::engine::esp::suite::{Encryption, Integrity, Suite};
use culvert::engine::ike::crypto::group::Group;
use culvert::engine::ike::crypto::prf::Prf;
use culvert::engine::ike::event::Datagram;
use culvert::engine::ike::message::contents::Contents;
use culvert::engine::ike::message::header::Exchange;
use culvert::engine::ike::message::kind;
use culvert::engine::ike::message::writer::Writer;
use culvert::engine::ike::proposal::{EspSuite, IkeSuite, text};
use culvert::engine::ike::sealed::Opened;
use culvert::runtime::os::clock;

use client::{Client, Habits};

#[path = "../../../src/engine/ike/tests/client.rs"]
#[expect(dead_code, clippy::unwrap_used, clippy::panic, reason = "the tests ask more of it; what fails ends the bench")]
mod client;

/// How long an answer is waited for before the request is repeated.
const ANSWER: Duration = Duration::from_secs(1);
/// How often a request is sent at most.
const TRIES: usize = 5;
/// The ports of IKE: the first exchange's, and that of everything after it.
const PORTS: [u16; 2] = [500, 4_500];

/// What a client knows of cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// AES-GCM, P-384 and signatures that name their hash (RFC 7427).
    Modern,
    /// What Windows asks for by itself: AES-CBC, SHA-1 and 1024 bits; an RSA signature is made over SHA-1 then.
    Old,
}

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The server.
    pub(crate) server: IpAddr,
    /// The address that it comes from.
    pub(crate) from: IpAddr,
    /// The name that it says.
    pub(crate) name: &'static str,
    /// Its password.
    pub(crate) password: &'static str,
    /// What protects its packets.
    pub(crate) esp: Suite,
    /// What it knows.
    pub(crate) age: Age,
    /// Different for each.
    pub(crate) seed: u64,
}

/// A login that succeeded.
pub(crate) struct Login {
    /// The socket whose packets go to [`Self::server`].
    pub(crate) socket: UdpSocket,
    /// Where ESP goes.
    pub(crate) server: SocketAddr,
    /// The inner address.
    pub(crate) address: Ipv4Addr,
    /// What opens the server's packets.
    pub(crate) inbound: Inbound,
    /// What seals its own.
    pub(crate) outbound: Outbound,
}

/// Logs in.
///
/// # Errors
/// A server that does not answer or refuses, with the number of its notification.
pub(crate) fn login(visitor: &Visitor) -> Result<Login, Box<dyn Error>> {
    let socket = UdpSocket::bind((visitor.from, 0))?;
    socket.set_read_timeout(Some(ANSWER))?;
    let mut road = Road { socket, server: visitor.server };
    let mut client = Client::new(habits(visitor), visitor.seed);
    loop {
        let message = client.init();
        let answer = road.ask(&[message], PORTS[0], Some)?;
        if client.take_init(&answer).map_err(refused)? {
            break;
        }
    }
    let content = client.auth_begin();
    let mut answer = road.talk(&mut client, &content)?;
    client.take_auth_begin(&Contents::parse(answer.first, &answer.chain)?);
    loop {
        let contents = Contents::parse(answer.first, &answer.chain)?;
        let message = contents.eap.ok_or_else(|| refused(contents.error().unwrap_or_default()))?;
        let Some(reply) = client.eap(message).map_err(|()| "EAP failed")? else { break };
        let mut content = Writer::default();
        content.push(kind::EAP, reply);
        answer = road.talk(&mut client, &content)?;
    }
    let content = client.auth_end();
    let last = road.talk(&mut client, &content)?;
    let address = client.take_auth_end(&Contents::parse(last.first, &last.chain)?).map_err(refused)?;
    let (Some(inbound), Some(outbound)) = (client.inbound.take(), client.outbound.take()) else {
        return Err("no child".into());
    };
    Ok(Login { socket: road.socket, server: SocketAddr::new(visitor.server, PORTS[1]), address, inbound, outbound })
}

/// A proposal's suite, as in `aes256gcm16` or `aes256-sha256`.
///
/// # Errors
/// No proposal of ESP's.
pub(crate) fn suite(proposal: &str) -> Result<Suite, Box<dyn Error>> {
    let offers = text::esp(proposal)?;
    let offer = offers.first().ok_or("no proposal")?;
    let encryption = *offer.encryptions.first().ok_or("no cipher")?;
    Ok(Suite { encryption, integrity: offer.integrities.first().copied() })
}

fn refused(notification: u16) -> Box<dyn Error> {
    format!("refused with {notification}").into()
}

fn habits(visitor: &Visitor) -> Habits {
    let (protection, prf, group) = match visitor.age {
        Age::Modern => (Suite::aead(Encryption::Aes256Gcm), Prf::Sha384, Group::Ecp384),
        Age::Old => (Suite::pair(Encryption::Aes256Cbc, Integrity::Sha1), Prf::Sha1, Group::Modp1024),
    };
    Habits {
        ike: IkeSuite { protection, prf, group },
        esp: EspSuite { protection: visitor.esp, group: None, extended: false },
        name: visitor.name,
        password: visitor.password,
        fragments: true,
        hashes: if visitor.age == Age::Modern { &[2, 3, 4] } else { &[] },
        mobike: false,
        initial_contact: false,
        configuration: true,
    }
}

/// The way to the server.
struct Road {
    socket: UdpSocket,
    server: IpAddr,
}

impl Road {
    /// A protected request and its answer.
    fn talk(&mut self, client: &mut Client, content: &Writer) -> Result<Opened, Box<dyn Error>> {
        let messages = client.request(Exchange::IkeAuth, content);
        let marked: Vec<Vec<u8>> = messages.iter().map(|message| [&[0; 4], &message[..]].concat()).collect();
        self.ask(&marked, PORTS[1], |datagram| Some(client.open(&datagram, clock::now())?.1))
    }

    /// Sends messages until something is made of what comes back.
    fn ask<T>(
        &mut self,
        messages: &[Vec<u8>],
        port: u16,
        mut take: impl FnMut(Datagram) -> Option<T>,
    ) -> Result<T, Box<dyn Error>> {
        let mut memory = [0; 4_096];
        for _ in 0..TRIES {
            for message in messages {
                self.socket.send_to(message, (self.server, port))?;
            }
            loop {
                match self.socket.recv_from(&mut memory) {
                    Ok((length, from)) if from.port() == port => {
                        let path = client::path(port, port == PORTS[1]);
                        let taken = take(Datagram { path, bytes: memory[..length].to_vec() });
                        if let Some(taken) = taken {
                            return Ok(taken);
                        }
                    }
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err("no answer".into())
    }
}
