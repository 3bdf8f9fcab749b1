//! An initiator in memory: what a road warrior's client says, with every step in the test's hands. The bench logs in with
//! it too (`tests/bench/client/login.rs`).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use crate::engine::esp::association::{Inbound, Keys, Outbound};
use crate::engine::ike::crypto::dice::Dice;
use crate::engine::ike::crypto::group::Half;
use crate::engine::ike::eap::mschapv2::{self, nt_hash};
use crate::engine::ike::event::{Datagram, Path};
use crate::engine::ike::keys::{self, IkeKeys, Secret};
use crate::engine::ike::message::contents::Contents;
use crate::engine::ike::message::header::{Exchange, HEADER, Header, Spis, VERSION};
use crate::engine::ike::message::kind;
use crate::engine::ike::message::notify::number;
use crate::engine::ike::message::selector::Selector;
use crate::engine::ike::message::writer::Writer;
use crate::engine::ike::proposal::{EspSuite, IkeSuite, choice, names};
use crate::engine::ike::sealed::{NotOpened, Opened, Opener, Sealer};

/// What a client is like.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) ike: IkeSuite,
    pub(super) esp: EspSuite,
    pub(super) name: &'static str,
    pub(super) password: &'static str,
    pub(super) fragments: bool,
    pub(super) hashes: &'static [u16],
    pub(super) mobike: bool,
    pub(super) initial_contact: bool,
    pub(super) configuration: bool,
}

/// A connected, or half connected, client.
pub(super) struct Client {
    pub(super) habits: Habits,
    pub(super) path: Path,
    pub(super) spis: Spis,
    pub(super) dice: Dice,
    half: Half,
    nonces: [Vec<u8>; 2],
    /// The first request as it was last sent, and its answer.
    first: [Vec<u8>; 2],
    pub(super) keys: Option<IkeKeys>,
    sealer: Option<Sealer>,
    opener: Option<Opener>,
    /// The ID of the next request.
    pub(super) next: u32,
    /// Whether it began the association that is in use.
    pub(super) began: bool,
    octets: [Vec<u8>; 2],
    msk: Secret,
    pub(super) esp_spi: u32,
    pub(super) inbound: Option<Inbound>,
    pub(super) outbound: Option<Outbound>,
    pub(super) server_esp_spi: u32,
    cookie: Option<Vec<u8>>,
}

pub(super) fn path(port: u16, marked: bool) -> Path {
    Path {
        remote: SocketAddr::from(([192, 0, 2, 7], port)),
        local: SocketAddr::from(([198, 51, 100, 10], if marked { 4_500 } else { 500 })),
        marked,
    }
}

/// Bytes that look random and are the same each time.
pub(super) fn dice(seed: u64) -> Dice {
    let mut state = seed;
    Dice::new(move |bytes| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = u8::try_from(state >> 56).unwrap();
        }
    })
}

impl Client {
    pub(super) fn new(habits: Habits, seed: u64) -> Self {
        let mut dice = dice(seed);
        let half = Half::draw(habits.ike.group, &mut dice).unwrap();
        let spis = Spis { initiator: u64::from_be_bytes(dice.array()), responder: 0 };
        let nonces = [dice.array::<32>().to_vec(), Vec::new()];
        Self {
            habits,
            path: path(500, false),
            spis,
            half,
            nonces,
            first: [Vec::new(), Vec::new()],
            keys: None,
            sealer: None,
            opener: None,
            next: 1,
            began: true,
            octets: [Vec::new(), Vec::new()],
            msk: Secret::default(),
            esp_spi: u32::from_be_bytes(dice.array()) | 0x8000_0000,
            inbound: None,
            outbound: None,
            server_esp_spi: 0,
            cookie: None,
            dice,
        }
    }

    fn header(&self, exchange: Exchange, response: bool, id: u32) -> Header {
        let (spis, initiator) = (self.spis, self.began);
        Header { spis, next: 0, version: VERSION, exchange: exchange.number(), initiator, response, id, length: 0 }
    }

    /// The first request.
    pub(super) fn init(&mut self) -> Vec<u8> {
        let mut content = Writer::default();
        if let Some(cookie) = &self.cookie {
            content.notify(number::COOKIE, cookie);
        }
        content.sa(&[choice::ike_proposal(self.habits.ike, 1, &[])]);
        content.ke(names::group_number(self.habits.ike.group), self.half.public()).nonce(&self.nonces[0]);
        content
            .notify(number::NAT_DETECTION_SOURCE_IP, &[1; 20])
            .notify(number::NAT_DETECTION_DESTINATION_IP, &[1; 20]);
        if self.habits.fragments {
            content.notify(number::IKEV2_FRAGMENTATION_SUPPORTED, &[]);
        }
        if !self.habits.hashes.is_empty() {
            let hashes: Vec<u8> = self.habits.hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
            content.notify(number::SIGNATURE_HASH_ALGORITHMS, &hashes);
        }
        let (next, chain) = content.chain();
        let mut message = Vec::new();
        let length = u32::try_from(HEADER + chain.len()).unwrap();
        Header { next, length, ..self.header(Exchange::IkeSaInit, false, 0) }.write(&mut message);
        message.extend_from_slice(&chain);
        self.first[0].clone_from(&message);
        message
    }

    /// Takes the answer to the first request; false where it must be sent again, with a cookie or another group.
    pub(super) fn take_init(&mut self, datagram: &Datagram) -> Result<bool, u16> {
        let header = Header::parse(&datagram.bytes).unwrap();
        let contents = Contents::parse(header.next, &datagram.bytes[HEADER..]).unwrap();
        if let Some(cookie) = contents.notify(number::COOKIE) {
            self.cookie = Some(cookie.content.to_vec());
            return Ok(false);
        }
        if let Some(error) = contents.error() {
            return Err(error);
        }
        self.spis = header.spis;
        self.nonces[1] = contents.nonce.unwrap().to_vec();
        self.first[1].clone_from(&datagram.bytes);
        let shared = self.half.agree(contents.ke.unwrap().1).unwrap();
        let nonces = [&self.nonces[0][..], &self.nonces[1][..]];
        let seed = keys::skeyseed(self.habits.ike.prf, nonces, &shared);
        self.take_keys(IkeKeys::derive(&self.habits.ike, &seed, nonces, self.spis));
        self.path = path(4_500, true);
        Ok(true)
    }

    fn take_keys(&mut self, keys: IkeKeys) {
        let [initiator, responder] = keys.protections(self.habits.ike.protection).unwrap();
        let (ours, theirs) = if self.began { (initiator, responder) } else { (responder, initiator) };
        (self.sealer, self.opener) = (Some(Sealer::new(ours)), Some(Opener::new(theirs)));
        self.keys = Some(keys);
    }

    /// A request, cut into fragments where it is long and the client does that.
    pub(super) fn request(&mut self, exchange: Exchange, content: &Writer) -> Vec<Vec<u8>> {
        let header = self.header(exchange, false, self.next);
        self.next += 1;
        self.seal(header, content)
    }

    /// An answer to a request of the server's.
    pub(super) fn answer(&mut self, exchange: Exchange, id: u32, content: &Writer) -> Vec<Vec<u8>> {
        let header = self.header(exchange, true, id);
        self.seal(header, content)
    }

    fn seal(&mut self, header: Header, content: &Writer) -> Vec<Vec<u8>> {
        let (first, chain) = content.chain();
        let most = self.habits.fragments.then_some(200);
        self.sealer.as_mut().unwrap().seal(header, (first, &chain), most, &mut self.dice).unwrap()
    }

    /// Opens what the server sent; `None` while pieces are missing, and for what is not protected.
    pub(super) fn open(&mut self, datagram: &Datagram, now: Instant) -> Option<(Header, Opened)> {
        let message = datagram.bytes.strip_prefix(&[0; 4]).unwrap();
        let header = Header::parse(message).unwrap();
        if header.next == kind::NOTIFY {
            return None;
        }
        match self.opener.as_mut().unwrap().open(header, message, now) {
            Ok(opened) => Some((header, opened)),
            Err(NotOpened::Waiting) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The first request of `IKE_AUTH`.
    pub(super) fn auth_begin(&mut self) -> Writer {
        let mut content = Writer::default();
        content.push(kind::IDI, [&[2, 0, 0, 0], &b"road warrior"[..]].concat());
        content.push(kind::IDR, [&[2, 0, 0, 0], &b"VPN.example.test"[..]].concat());
        if self.habits.configuration {
            content.configuration(
                1,
                &[(1, vec![]), (2, vec![]), (3, vec![]), (8, vec![]), (10, vec![]), (23_456, vec![])],
            );
        }
        content.sa(&[choice::esp_proposal(EspSuite { group: None, ..self.habits.esp }, 1, self.esp_spi)]);
        let all = [Selector::all_ipv4(), Selector::all_ipv6()];
        content.selectors(kind::TSI, &all).selectors(kind::TSR, &all);
        if self.habits.initial_contact {
            content.notify(number::INITIAL_CONTACT, &[]);
        }
        if self.habits.mobike {
            content.notify(number::MOBIKE_SUPPORTED, &[]);
        }
        content
    }

    /// Checks who the server is; returns the body of its `IDr`, its method and its proof's octets for whoever verifies it.
    pub(super) fn take_auth_begin(&mut self, contents: &Contents<'_>) -> (u8, Vec<u8>, Vec<u8>) {
        let (prf, keys) = (self.habits.ike.prf, self.keys.as_ref().unwrap());
        let idr = contents.idr.unwrap();
        let idi = [&[2, 0, 0, 0], &b"road warrior"[..]].concat();
        self.octets = [
            keys::auth_octets(prf, &self.first[0], &self.nonces[1], &keys.pi, &idi),
            keys::auth_octets(prf, &self.first[1], &self.nonces[0], &keys.pr, idr.body),
        ];
        let (method, proof) = contents.auth.unwrap();
        (method, proof.to_vec(), self.octets[1].clone())
    }

    /// The client's part of EAP: what is to be answered, `None` once it is over, `Err` where it failed.
    pub(super) fn eap(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, ()> {
        let reply = |kind: u8, body: &[u8]| {
            let length = u16::try_from(5 + body.len()).unwrap().to_be_bytes();
            Ok(Some([&[2, message[1]], &length[..], &[kind], body].concat()))
        };
        match (message[0], message.get(4), message.get(5)) {
            (3, ..) => Ok(None),
            (1, Some(1), _) => reply(1, self.habits.name.as_bytes()),
            (1, Some(26), Some(1)) => {
                let body = self.response(message[6], message[10..26].try_into().unwrap());
                reply(26, &body)
            }
            (1, Some(26), Some(3)) => reply(26, &[3]),
            (1, Some(26), Some(4)) => {
                let text = String::from_utf8_lossy(message);
                let challenge = &text.split_once("C=").unwrap().1[..32];
                let challenge = u128::from_str_radix(challenge, 16).unwrap().to_be_bytes();
                let body = self.response(message[6].wrapping_add(1), challenge);
                reply(26, &body)
            }
            _ => Err(()),
        }
    }

    fn response(&mut self, id: u8, challenge: [u8; 16]) -> Vec<u8> {
        let (name, peer) = (self.habits.name, self.dice.array());
        let hash = nt_hash(self.habits.password);
        let plain = name.rsplit('\\').next().unwrap();
        let response = mschapv2::nt_response(mschapv2::challenge_hash(&peer, &challenge, plain), &hash);
        self.msk = mschapv2::msk(&hash, &response);
        let length = u16::try_from(54 + name.len()).unwrap().to_be_bytes();
        [&[2, id], &length[..], &[49], &peer, &[0; 8], &response, &[0], name.as_bytes()].concat()
    }

    /// The last request of `IKE_AUTH`.
    pub(super) fn auth_end(&self) -> Writer {
        let mut content = Writer::default();
        content.auth(2, &keys::auth_of_shared_key(self.habits.ike.prf, &self.msk, &self.octets[0]));
        content
    }

    /// Takes the answer to it: the server's proof, the inner address and the child.
    pub(super) fn take_auth_end(&mut self, contents: &Contents<'_>) -> Result<Ipv4Addr, u16> {
        let (method, proof) = contents.auth.ok_or_else(|| contents.error().unwrap())?;
        let expected = keys::auth_of_shared_key(self.habits.ike.prf, &self.msk, &self.octets[1]);
        assert_eq!((method, proof), (2, &expected[..]));
        if let Some(error) = contents.error() {
            return Err(error);
        }
        let attributes = &contents.configuration.as_ref().unwrap().attributes;
        let address: [u8; 4] = attributes.iter().find(|attribute| attribute.0 == 1).unwrap().1.try_into().unwrap();
        let nonces = [self.nonces[0].clone(), self.nonces[1].clone()];
        self.take_child(contents, &[], [&nonces[0], &nonces[1]], true);
        Ok(address.into())
    }

    /// Takes a child's keys; `began` says who began the exchange.
    pub(super) fn take_child(&mut self, contents: &Contents<'_>, shared: &[u8], nonces: [&[u8]; 2], began: bool) {
        let proposal = &contents.sa.as_ref().unwrap()[0];
        self.server_esp_spi = u32::from_be_bytes(proposal.spi[..].try_into().unwrap());
        let suite = self.habits.esp.protection;
        let [first, second] = keys::child(self.habits.ike.prf, &self.keys.as_ref().unwrap().d, shared, nonces, suite);
        let (ours, theirs) = if began { (first, second) } else { (second, first) };
        let keys = |spi, keys: keys::ChildKeys| Keys {
            spi,
            suite,
            extended: self.habits.esp.extended,
            encryption: keys.encryption,
            integrity: keys.integrity,
        };
        self.outbound = Some(Outbound::new(&keys(self.server_esp_spi, ours), [3; 16]).unwrap());
        self.inbound = Some(Inbound::new(&keys(self.esp_spi, theirs)).unwrap());
    }

    /// Goes on with an association's successor: who began it sends with the initiator's keys.
    pub(super) fn take_successor(&mut self, spis: Spis, nonces: [&[u8]; 2], shared: &[u8], began: bool) {
        let (prf, old) = (self.habits.ike.prf, self.keys.as_ref().unwrap());
        let seed = keys::skeyseed_of_successor(prf, &old.d, nonces, shared);
        (self.spis, self.began, self.next) = (spis, began, 0);
        self.take_keys(IkeKeys::derive(&self.habits.ike, &seed, nonces, spis));
    }

    pub(super) fn half(&mut self) -> Half {
        Half::draw(self.habits.ike.group, &mut self.dice).unwrap()
    }
}
