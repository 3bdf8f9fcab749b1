//! A message's payloads by what they are for.

use super::notify::{Delete, Notify};
use super::proposal::{self, Proposal};
use super::selector::{self, Selector};
use super::{Fault, be16, kind, payloads};

/// An identity: RFC 7296, section 3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The payload's content, which is what AUTH covers.
    pub body: &'a [u8],
    /// Its type.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// Identity types: RFC 7296, section 3.5.
pub mod identity {
    /// An IPv4 address.
    pub const IPV4: u8 = 1;
    /// A name of the DNS.
    pub const FQDN: u8 = 2;
    /// A mail address.
    pub const RFC822: u8 = 3;
    /// An IPv6 address.
    pub const IPV6: u8 = 5;
    /// A distinguished name in DER.
    pub const DER_DN: u8 = 9;
}

/// Configuration attributes: RFC 7296, section 3.15.1.
pub mod attribute {
    /// An inner IPv4 address.
    pub const INTERNAL_IP4_ADDRESS: u16 = 1;
    /// Its netmask.
    pub const INTERNAL_IP4_NETMASK: u16 = 2;
    /// A DNS server by IPv4.
    pub const INTERNAL_IP4_DNS: u16 = 3;
    /// An inner IPv6 address with a prefix length.
    pub const INTERNAL_IP6_ADDRESS: u16 = 8;
    /// A DNS server by IPv6.
    pub const INTERNAL_IP6_DNS: u16 = 10;
}

/// A configuration payload: RFC 7296, section 3.15.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// 1 for a request, 2 for a reply.
    pub kind: u8,
    /// Its attributes, in order.
    pub attributes: Vec<(u16, &'a [u8])>,
}

/// Everything that a message says, once each save notifications and deletes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents<'a> {
    /// Proposals.
    pub sa: Option<Vec<Proposal>>,
    /// The group's number and the public value.
    pub ke: Option<(u16, &'a [u8])>,
    /// The nonce.
    pub nonce: Option<&'a [u8]>,
    /// The initiator's identity.
    pub idi: Option<Identity<'a>>,
    /// The responder's identity.
    pub idr: Option<Identity<'a>>,
    /// Certificates in DER.
    pub certificates: Vec<&'a [u8]>,
    /// The method's number and the proof.
    pub auth: Option<(u8, &'a [u8])>,
    /// Notifications.
    pub notifies: Vec<Notify<'a>>,
    /// Deletes.
    pub deletes: Vec<Delete>,
    /// The initiator's selectors.
    pub tsi: Option<Vec<Selector>>,
    /// The responder's selectors.
    pub tsr: Option<Vec<Selector>>,
    /// Configuration.
    pub configuration: Option<Configuration<'a>>,
    /// An EAP message.
    pub eap: Option<&'a [u8]>,
}

impl<'a> Contents<'a> {
    /// Reads a chain of payloads.
    ///
    /// # Errors
    /// [`Fault`], also for a payload that stands twice and may stand once.
    pub fn parse(first: u8, bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut contents = Self::default();
        for payload in payloads(first, bytes)? {
            let body = payload.body;
            match payload.kind {
                kind::SA => once(&mut contents.sa, proposal::parse(body)?)?,
                kind::KE => {
                    let public = body.get(4..).ok_or(Fault::Syntax)?;
                    once(&mut contents.ke, (be16(body, 0).ok_or(Fault::Syntax)?, public))?;
                }
                kind::NONCE => once(&mut contents.nonce, nonce(body)?)?,
                kind::IDI => once(&mut contents.idi, read_identity(body)?)?,
                kind::IDR => once(&mut contents.idr, read_identity(body)?)?,
                kind::CERT => contents.certificates.push(body.get(1..).ok_or(Fault::Syntax)?),
                kind::AUTH => {
                    let (&[method, ..], proof) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
                    once(&mut contents.auth, (method, proof))?;
                }
                kind::NOTIFY => contents.notifies.push(Notify::parse(body)?),
                kind::DELETE => contents.deletes.extend(Delete::parse(body)?),
                kind::TSI => once(&mut contents.tsi, selector::parse(body)?)?,
                kind::TSR => once(&mut contents.tsr, selector::parse(body)?)?,
                kind::CP => once(&mut contents.configuration, configuration(body)?)?,
                kind::EAP => once(&mut contents.eap, body)?,
                // inside an encrypted payload there is no other, and outside nobody asks for its contents here
                kind::SK | kind::SKF => return Err(Fault::Syntax),
                _ => {}
            }
        }
        Ok(contents)
    }

    /// The first notification of a type.
    pub fn notify(&self, number: u16) -> Option<&Notify<'a>> {
        self.notifies.iter().find(|notify| notify.kind == number)
    }

    /// Whether there is a notification of a type.
    pub fn says(&self, number: u16) -> bool {
        self.notify(number).is_some()
    }

    /// The first notification that is an error.
    pub fn error(&self) -> Option<u16> {
        self.notifies.iter().map(|notify| notify.kind).find(|kind| *kind < super::notify::number::FIRST_STATUS)
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Syntax),
    }
}

/// RFC 7296, section 3.9: 16 to 256 bytes.
fn nonce(body: &[u8]) -> Result<&[u8], Fault> {
    if (16..=256).contains(&body.len()) { Ok(body) } else { Err(Fault::Syntax) }
}

fn read_identity(body: &[u8]) -> Result<Identity<'_>, Fault> {
    let (&[kind, ..], value) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
    Ok(Identity { body, kind, value })
}

fn configuration(body: &[u8]) -> Result<Configuration<'_>, Fault> {
    let (&[kind, ..], mut rest) = body.split_first_chunk::<4>().ok_or(Fault::Syntax)?;
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let number = be16(rest, 0).ok_or(Fault::Syntax)? & 0x7fff;
        let end = 4 + usize::from(be16(rest, 2).ok_or(Fault::Syntax)?);
        attributes.push((number, rest.get(4..end).ok_or(Fault::Syntax)?));
        rest = &rest[end..];
    }
    Ok(Configuration { kind, attributes })
}
