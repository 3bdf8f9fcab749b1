//! IKEv2: the authority and the server's certificate, the settings of the responder, and what clients import.

mod certificate;
mod client;
#[cfg(test)]
pub(crate) mod fixture;
mod order;
mod pem;
mod profile;
pub mod proposal;
pub mod settings;
mod settle;
mod signing_key;
pub mod transform;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use self::certificate::{Certificate, Credential, Flaw, Subject};
pub use self::order::{AuthorityDraft, AuthorityOrder, KeyChoice, ServerOrder, ServerOrderDraft};
pub use self::profile::{Profile, mobileconfig, powershell, sswan};
pub use self::settings::Ikev2Settings;
pub use self::settle::Ikev2Draft;
pub use self::signing_key::{KeyKind, SigningKey};
use super::name::AccountName;
use super::refusal::Refusal;

/// What ought to run of IKEv2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ikev2 {
    /// Whether clients may connect at all. It is never on without both certificates.
    pub enabled: bool,
    /// The root that clients trust.
    pub authority: Option<Arc<Credential>>,
    /// What the server shows, signed by the authority.
    pub server: Option<Arc<ServerCredential>>,
    /// The responder's settings.
    pub settings: Arc<Ikev2Settings>,
}

/// The server's certificate, and where clients find the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCredential {
    /// Certificate and key.
    pub credential: Credential,
    /// The name or address to which clients connect, which is in the certificate.
    pub domain: String,
    /// An address of the server, which is in the certificate.
    pub ip: IpAddr,
    /// Another, over IPv6.
    pub ipv6: Option<IpAddr>,
}

/// An account that is connected by IKEv2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ikev2Session {
    /// Whose it is.
    pub account: AccountName,
    /// Where its last authenticated message came from.
    pub endpoint: IpAddr,
    /// How long it has been connected.
    pub age: Duration,
}

impl Ikev2 {
    /// The authority.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`].
    pub fn authority(&self) -> Result<&Arc<Credential>, Refusal> {
        self.authority.as_ref().ok_or(Refusal::RootMissing)
    }

    /// What the server shows, with the authority that signed it.
    ///
    /// # Errors
    /// [`Refusal::RootMissing`], [`Refusal::ServerCertificateMissing`].
    pub fn server(&self) -> Result<(&Arc<Credential>, &Arc<ServerCredential>), Refusal> {
        let authority = self.authority()?;
        Ok((authority, self.server.as_ref().ok_or(Refusal::ServerCertificateMissing)?))
    }
}

/// Reads whether IKEv2 is to be on.
///
/// # Errors
/// [`Refusal::FieldMalformed`] where it is absent or no flag.
pub fn enabled(field: Option<&String>) -> Result<bool, Refusal> {
    let text = super::field::given(field).ok_or(Refusal::FieldMalformed { field: "enabled", rule: "1|0" })?;
    super::field::flag("enabled", text)
}
