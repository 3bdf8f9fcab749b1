//! What the responder is to be like from now on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use x509_parser::extensions::GeneralName;

use super::crypto::signer::{BadKey, SignSha1, Signer};
use super::eap::mschapv2::NtHash;
use super::message::contents::identity;
use super::proposal::Offer;
use crate::domain::name::AccountName;

/// Who may come in.
#[derive(Clone)]
pub struct Member {
    /// Its account.
    pub account: AccountName,
    /// The name that it says, without a domain.
    pub login: String,
    /// The MD4 of its password.
    pub hash: NtHash,
    /// Its inner IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its inner IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// DNS servers that it is told.
    pub dns: Vec<IpAddr>,
    /// The lowest byte of the inbound SPIs of its children: to whom its packets are to be taken.
    pub shard: u8,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("account", &self.account).field("login", &self.login).finish_non_exhaustive()
    }
}

impl Member {
    /// Its inner addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

/// What happens to other associations of an account that comes again (`uniqueids`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uniqueness {
    /// They stay, unless the client says that it has no other (`no`).
    #[default]
    OnInitialContact,
    /// They stay, whatever the client says (`never`).
    Never,
    /// They go (`yes`, `replace`).
    Replace,
    /// They stay, and the new one is refused unless it comes from the same host (`keep`).
    Keep,
}

/// What is done with fragments of IKE messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fragmentation {
    /// Announced, taken and sent (`yes`, `force`).
    #[default]
    Yes,
    /// Announced and taken, never sent (`accept`).
    Accept,
    /// Neither (`no`).
    No,
}

/// How long associations live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An IKE association (`ikelifetime`).
    pub ike: Duration,
    /// A child (`lifetime`).
    pub child: Duration,
    /// How long before the end a successor is begun (`margintime`).
    pub margin: Duration,
    /// By how much of the margin, in percent, that is earlier at random (`rekeyfuzz`).
    pub fuzz_percent: u32,
    /// Whether an IKE association ends instead of having a successor (`reauth`).
    pub reauthenticate: bool,
}

/// Settings of the whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is taken for IKE.
    pub ike: Vec<Offer>,
    /// What is taken for children.
    pub esp: Vec<Offer>,
    /// Only with `rekey`: without it nothing that we do ends an association.
    pub lifetimes: Option<Lifetimes>,
    /// How long a client may be silent before it is asked whether it is there (`dpddelay`); absent: never asked.
    pub probe_after: Option<Duration>,
    /// The longest that we try to reach a client; absent: as long as five tries take (`dpdtimeout`).
    pub give_up_after: Option<Duration>,
    /// How long a child may be idle (`inactivity`); absent: for ever.
    pub idle: Option<Duration>,
    /// Whether one account may be connected more than once.
    pub uniqueness: Uniqueness,
    /// Fragments of IKE messages.
    pub fragmentation: Fragmentation,
    /// Whether clients may change their addresses (`mobike`).
    pub mobike: bool,
    /// Whether anybody new is let in: `type` may be one that no road warrior can use.
    pub open: bool,
}

/// The server's certificate and key.
#[derive(Clone)]
pub struct Identity {
    /// Certificates in DER: its own, then those that lead to an authority.
    chain: Vec<Vec<u8>>,
    signer: Arc<Signer>,
    /// The body of the `IDr` that we give when the client asks for none that we are.
    body: Vec<u8>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    subject: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.names)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Takes a chain of certificates in DER and the first one's private key in PKCS#8; `name` is what we call ourselves.
    /// `sha1` is as in [`Signer::from_pkcs8`].
    ///
    /// # Errors
    /// [`BadKey`] where they do not belong together, or the certificate is none.
    pub fn new(
        chain: Vec<Vec<u8>>,
        key: &[u8],
        name: &str,
        sha1: impl FnOnce(&[u8]) -> Option<SignSha1>,
    ) -> Result<Self, BadKey> {
        let signer = Signer::from_pkcs8(key, sha1)?;
        let der = chain.first().ok_or(BadKey::OtherKey)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| BadKey::OtherKey)?;
        if *certificate.public_key().subject_public_key.data != *signer.public() {
            return Err(BadKey::OtherKey);
        }
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        let extension = certificate.subject_alternative_name().map_err(|_| BadKey::OtherKey)?;
        for general in extension.iter().flat_map(|extension| &extension.value.general_names) {
            if let GeneralName::DNSName(name) = general {
                names.push(name.to_ascii_lowercase());
            }
            if let GeneralName::IPAddress(octets) = general {
                addresses.extend(address_of(octets));
            }
        }
        let subject = certificate.subject().as_raw().to_vec();
        Ok(Self { body: body_of(name), chain, signer: Arc::new(signer), names, addresses, subject })
    }

    /// The certificates.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// What signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The body of our `IDr`: what the client asked for, in its own form, if the certificate says that we are that.
    pub fn body(&self, asked: Option<&super::message::contents::Identity<'_>>) -> Vec<u8> {
        match asked {
            Some(asked) if self.is(asked.kind, asked.value) => [&[asked.kind, 0, 0, 0], asked.value].concat(),
            _ => self.body.clone(),
        }
    }

    fn is(&self, kind: u8, value: &[u8]) -> bool {
        match kind {
            identity::FQDN => {
                let Ok(text) = std::str::from_utf8(value) else { return false };
                let dotted = text.parse().is_ok_and(|address: IpAddr| self.addresses.contains(&address));
                dotted || self.names.contains(&text.to_ascii_lowercase())
            }
            identity::IPV4 | identity::IPV6 => {
                address_of(value).is_some_and(|address| self.addresses.contains(&address))
            }
            identity::DER_DN => value == self.subject,
            _ => false,
        }
    }
}

fn address_of(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// A name as an identity: an address is one, anything else is a name of the DNS.
fn body_of(name: &str) -> Vec<u8> {
    match name.parse() {
        Ok(IpAddr::V4(address)) => [&[identity::IPV4, 0, 0, 0], &address.octets()[..]].concat(),
        Ok(IpAddr::V6(address)) => [&[identity::IPV6, 0, 0, 0], &address.octets()[..]].concat(),
        Err(_) => [&[identity::FQDN, 0, 0, 0], name.as_bytes()].concat(),
    }
}
