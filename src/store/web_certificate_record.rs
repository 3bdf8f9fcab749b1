//! The certificate of the API and the panel, as it lies in the file. It is no part of a backup: it is this host's.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::ikev2::{Certificate, SigningKey};
use crate::domain::password::Password;
use crate::domain::web_certificate::{Authority, Challenge, WebCertificate, WebCredential};

first_version!(WebCertificateV1);

/// The certificate, and who renews it.
#[derive(Serialize, Deserialize)]
pub(super) struct WebCertificateV1 {
    credential: Option<WebCredentialV1>,
    authority: Option<AuthorityV1>,
}

/// [`WebCertificateV1`], with whom to believe that the authority is the authority: certificates in DER.
#[derive(Serialize, Deserialize)]
pub(super) struct WebCertificateV2 {
    first: WebCertificateV1,
    root: Vec<Vec<u8>>,
}

impl Record for WebCertificateV2 {
    const VERSION: u8 = 2;
    type Previous = WebCertificateV1;
}

impl From<WebCertificateV1> for WebCertificateV2 {
    fn from(first: WebCertificateV1) -> Self {
        Self { first, root: Vec::new() }
    }
}

/// Certificates in DER, the key in PKCS #8.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct WebCredentialV1 {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct AuthorityV1 {
    directory: String,
    name: String,
    email: String,
    /// Whether the name is proven by TLS, not by HTTP.
    by_tls: bool,
    account: Password,
}

fn ders(certificates: &[Certificate]) -> Vec<Vec<u8>> {
    certificates.iter().map(|certificate| certificate.der().to_vec()).collect()
}

impl From<&WebCertificate> for WebCertificateV2 {
    fn from(certificate: &WebCertificate) -> Self {
        let credential = certificate
            .credential
            .as_ref()
            .map(|credential| WebCredentialV1 { chain: ders(&credential.chain), key: credential.key.pkcs8().to_vec() });
        let root = certificate.authority.as_ref().map(|authority| ders(&authority.root)).unwrap_or_default();
        let authority = certificate.authority.clone().map(|authority| AuthorityV1 {
            directory: authority.directory,
            name: authority.name,
            email: authority.email,
            by_tls: authority.challenge == Challenge::TlsAlpn,
            account: authority.account,
        });
        Self { first: WebCertificateV1 { credential, authority }, root }
    }
}

impl From<WebCertificateV2> for WebCertificate {
    fn from(record: WebCertificateV2) -> Self {
        let WebCertificateV2 { first, root } = record;
        let credential = first.credential.map(|mut credential| WebCredential {
            chain: std::mem::take(&mut credential.chain).into_iter().map(Certificate::trusted).collect(),
            key: SigningKey::trusted(std::mem::take(&mut credential.key)),
        });
        let authority = first.authority.map(|authority| Authority {
            directory: authority.directory,
            name: authority.name,
            email: authority.email,
            challenge: if authority.by_tls { Challenge::TlsAlpn } else { Challenge::Http },
            account: authority.account,
            root: root.into_iter().map(Certificate::trusted).collect(),
        });
        Self { credential, authority }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;
    use crate::domain::ikev2::fixture;

    fn authority() -> Authority {
        Authority {
            directory: "https://ca.example/d".into(),
            name: "vpn.example".into(),
            email: String::new(),
            challenge: Challenge::TlsAlpn,
            account: Password::new("key".into()),
            root: Vec::new(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let at = "2026-11-26T00:00:00Z".parse().unwrap();
        let credential = WebCredential::read(fixture::EC_CA, fixture::EC_KEY, at).unwrap();
        let authority = Authority { root: vec![Certificate::read(fixture::EC_CA).unwrap()], ..authority() };
        let certificate = WebCertificate { credential: Some(credential), authority: Some(authority) };

        let bytes = encode(&WebCertificateV2::from(&certificate)).unwrap();

        assert_eq!(WebCertificate::from(decode::<WebCertificateV2>(&bytes).unwrap()), certificate);
    }

    /// What version 1 looks like on disk: a release has written it, so this text never changes.
    #[test]
    fn reads_what_knew_no_root() {
        let old = b"\x01\x00\x01\x14https://ca.example/d\x0bvpn.example\x00\x01\x03key";

        let read = WebCertificate::from(decode::<WebCertificateV2>(old).unwrap());

        assert_eq!(read, WebCertificate { credential: None, authority: Some(authority()) });
    }
}
