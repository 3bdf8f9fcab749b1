//! A responder with accounts and a certificate, and a clock that the test turns.

use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::domain::name::AccountName;
use crate::engine::esp::association::{Inbound, OVERHEAD_MAX, Outbound};
use crate::engine::esp::suite::{Encryption, Integrity, Suite};
use crate::engine::ike::crypto::group::Group;
use crate::engine::ike::crypto::prf::Prf;
use crate::engine::ike::crypto::signer::SignSha1;
use crate::engine::ike::eap::mschapv2::nt_hash;
use crate::engine::ike::event::{Datagram, Event, Path, SessionId, Tunnel, Why};
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::{Exchange, Header};
use crate::engine::ike::message::kind;
use crate::engine::ike::message::writer::Writer;
use crate::engine::ike::proposal::{EspSuite, IkeSuite, text};
use crate::engine::ike::responder::{Change, Responder};
use crate::engine::ike::sealed::Opened;
use crate::engine::ike::settings::{Fragmentation, Identity, Member, Settings, Uniqueness};

use super::client::{Client, Habits, dice};

pub(super) const CONTRACT_IKE: &str = "aes256-sha1-modp1024,aes128-sha1-modp1024,chacha20poly1305-sha512-curve25519-\
    prfsha512,aes256gcm16-sha384-prfsha384-ecp384,3des-sha1-modp1024!";
pub(super) const CONTRACT_ESP: &str = "aes256-sha256,chacha20poly1305-sha512,aes256-sha1,aes256gcm16-ecp384,3des-sha1!";

pub(super) struct Rig {
    pub(super) responder: Responder,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
}

/// The contract's defaults; without lives, probes or idleness.
pub(super) fn settings() -> Settings {
    Settings {
        ike: text::ike(CONTRACT_IKE).unwrap(),
        esp: text::esp(CONTRACT_ESP).unwrap(),
        lifetimes: None,
        probe_after: None,
        give_up_after: None,
        idle: None,
        uniqueness: Uniqueness::OnInitialContact,
        fragmentation: Fragmentation::Yes,
        mobike: true,
        open: true,
    }
}

pub(super) fn habits() -> Habits {
    Habits {
        ike: IkeSuite { protection: Suite::aead(Encryption::Aes256Gcm), prf: Prf::Sha384, group: Group::Ecp384 },
        esp: EspSuite {
            protection: Suite::pair(Encryption::Aes256Cbc, Integrity::Sha256),
            group: None,
            extended: false,
        },
        name: "alice",
        password: "secret",
        fragments: true,
        hashes: &[2, 3, 4],
        mobike: false,
        initial_contact: false,
        configuration: true,
    }
}

/// A self-signed certificate for `vpn.example.test`, in DER, and its key: made once, for RSA takes its time.
pub(super) fn certificate(rsa: bool) -> &'static (Vec<u8>, Vec<u8>) {
    static MADE: [OnceLock<(Vec<u8>, Vec<u8>)>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[usize::from(rsa)].get_or_init(|| {
        let algorithm = if rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let parameters =
            rcgen::CertificateParams::new(vec!["vpn.example.test".into(), "198.51.100.10".into()]).unwrap();
        (parameters.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
    })
}

/// What signs with SHA-1 in a test, by a library of its own.
pub(in crate::engine::ike) fn sha1_signer(pkcs8: &[u8]) -> Option<SignSha1> {
    use rsa::pkcs8::DecodePrivateKey as _;
    use sha1::Digest as _;

    let key = rsa::PrivateKey::from_pkcs8_der(pkcs8).ok()?;
    Some(Box::new(move |octets| key.sign(rsa::Pkcs1v15Sign::new::<sha1::Sha1>(), &sha1::Sha1::digest(octets)).ok()))
}

pub(super) fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

pub(super) fn member(name: &str, password: &str, last: u8) -> Arc<Member> {
    Arc::new(Member {
        account: account(name),
        login: name.to_owned(),
        hash: nt_hash(password),
        ipv4: Some(Ipv4Addr::new(10, 99, 0, last)),
        ipv6: Some(format!("fd00::{last:x}").parse().unwrap()),
        dns: vec!["10.99.0.254".parse().unwrap(), "fd00::53".parse().unwrap()],
        shard: last,
    })
}

impl Rig {
    pub(super) fn new(settings: Settings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "nothing else makes an instant")]
        let now = Instant::now();
        let mut responder = Responder::new(Arc::new(settings), 5, dice(99), now);
        let (der, key) = certificate(true);
        let identity =
            Identity::new(vec![der.clone(), vec![0x30; 1_500]], key, "vpn.example.test", sha1_signer).unwrap();
        responder.apply(Change::Identity(Arc::new(identity)), now);
        responder.apply(Change::Member(member("alice", "secret", 2)), now);
        responder.apply(Change::Member(member("bob", "other", 3)), now);
        Self { responder, now, events: Vec::new() }
    }

    /// Hands datagrams in and takes everything that comes out.
    pub(super) fn say(&mut self, path: Path, messages: &[Vec<u8>]) -> Vec<Datagram> {
        for message in messages {
            let bytes = if path.marked { [&[0; 4], &message[..]].concat() } else { message.clone() };
            self.responder.handle_datagram(path, &bytes, self.now);
        }
        self.taken()
    }

    pub(super) fn taken(&mut self) -> Vec<Datagram> {
        while let Some(event) = self.responder.poll_event() {
            self.events.push(event);
        }
        std::iter::from_fn(|| self.responder.poll_datagram()).collect()
    }

    /// Turns the clock, stopping at every deadline; what is sent meanwhile.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<Datagram> {
        let end = self.now + span;
        let mut sent = Vec::new();
        while let Some(at) = self.responder.poll_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.responder.handle_deadline(self.now);
            sent.extend(self.taken());
            assert!(self.responder.poll_deadline().is_none_or(|next| next > self.now), "a deadline that is never done");
        }
        self.now = end;
        sent
    }

    /// What the client makes of an answer.
    pub(super) fn opened(&self, client: &mut Client, datagrams: &[Datagram]) -> Option<(Header, Opened)> {
        datagrams.iter().filter_map(|datagram| client.open(datagram, self.now)).last()
    }

    /// A request and what came back, opened.
    pub(super) fn ask(
        &mut self,
        client: &mut Client,
        exchange: Exchange,
        content: &Writer,
    ) -> Option<(Header, Opened)> {
        let messages = client.request(exchange, content);
        let datagrams = self.say(client.path, &messages);
        self.opened(client, &datagrams)
    }

    /// Algorithms and keys.
    pub(super) fn init(&mut self, client: &mut Client) -> Result<(), u16> {
        for _ in 0..3 {
            let message = client.init();
            let answers = self.say(client.path, &[message]);
            let [answer] = &answers[..] else { panic!("{answers:?}") };
            if client.take_init(answer)? {
                return Ok(());
            }
        }
        panic!("no end of cookies")
    }

    /// Everything up to the child; the inner address, or the error's notification.
    pub(super) fn connect(&mut self, client: &mut Client) -> Result<Ipv4Addr, u16> {
        self.init(client)?;
        let content = client.auth_begin();
        let mut answer = self.ask(client, Exchange::IkeAuth, &content).unwrap();
        let contents = Contents::parse(answer.1.first, &answer.1.chain).unwrap();
        if contents.auth.is_none() {
            return Err(contents.error().unwrap());
        }
        client.take_auth_begin(&contents);
        loop {
            let contents = Contents::parse(answer.1.first, &answer.1.chain).unwrap();
            let message = contents.eap.ok_or_else(|| contents.error().unwrap())?;
            let Some(reply) = client.eap(message).map_err(|()| 24_u16)? else { break };
            let mut content = Writer::default();
            content.push(kind::EAP, reply);
            answer = self.ask(client, Exchange::IkeAuth, &content).unwrap_or_else(|| {
                let late = self.wait(Duration::from_secs(2));
                self.opened(client, &late).unwrap()
            });
        }
        let content = client.auth_end();
        let (_, last) = self.ask(client, Exchange::IkeAuth, &content).unwrap();
        client.take_auth_end(&Contents::parse(last.first, &last.chain).unwrap())
    }

    /// A client that is connected.
    pub(super) fn connected(&mut self, habits: Habits, seed: u64) -> Client {
        let mut client = Client::new(habits, seed);
        self.connect(&mut client).unwrap();
        client
    }

    /// The keys of the last child that came to be.
    pub(super) fn tunnel(&self) -> Tunnel {
        let opened = |event: &Event| {
            let Event::Opened { tunnel, .. } = event else { return None };
            Some((**tunnel).clone())
        };
        self.events.iter().rev().find_map(opened).unwrap()
    }

    pub(super) fn closed(&self) -> Vec<(SessionId, Why)> {
        let closed = |event: &Event| {
            let Event::Closed { session, why, .. } = event else { return None };
            Some((*session, *why))
        };
        self.events.iter().filter_map(closed).collect()
    }

    /// Whether packets pass both ways between a client and the last child's keys.
    pub(super) fn passes(&self, client: &mut Client) -> bool {
        let tunnel = self.tunnel();
        let mut theirs = Inbound::new(&tunnel.inbound).unwrap();
        let mut ours = Outbound::new(&tunnel.outbound, tunnel.seed).unwrap();
        let (client_out, client_in) = (client.outbound.as_mut().unwrap(), client.inbound.as_mut().unwrap());
        one_way(client_out, &mut theirs) && one_way(&mut ours, client_in)
    }
}

fn one_way(from: &mut Outbound, to: &mut Inbound) -> bool {
    let mut packet = vec![0; 60];
    let (source, target) = ("10.0.0.2:1000".parse().unwrap(), "10.0.0.3:2000".parse().unwrap());
    let length = crate::engine::wire::udp::write_packet(&mut packet, source, target, 64, b"hello").unwrap();
    let mut memory = vec![0; length + OVERHEAD_MAX];
    let sealed = from.seal(&packet[..length], &mut memory).unwrap();
    to.open(&mut memory[..sealed]).is_ok_and(|opened| memory[opened.packet] == packet[..length])
}
