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

impl From<&WebCertificate> for WebCertificateV1 {
    fn from(certificate: &WebCertificate) -> Self {
        let credential = certificate.credential.as_ref().map(|credential| WebCredentialV1 {
            chain: credential.chain.iter().map(|certificate| certificate.der().to_vec()).collect(),
            key: credential.key.pkcs8().to_vec(),
        });
        let authority = certificate.authority.clone().map(|authority| AuthorityV1 {
            directory: authority.directory,
            name: authority.name,
            email: authority.email,
            by_tls: authority.challenge == Challenge::TlsAlpn,
            account: authority.account,
        });
        Self { credential, authority }
    }
}

impl From<WebCertificateV1> for WebCertificate {
    fn from(record: WebCertificateV1) -> Self {
        let credential = record.credential.map(|mut credential| WebCredential {
            chain: std::mem::take(&mut credential.chain).into_iter().map(Certificate::trusted).collect(),
            key: SigningKey::trusted(std::mem::take(&mut credential.key)),
        });
        let authority = record.authority.map(|authority| Authority {
            directory: authority.directory,
            name: authority.name,
            email: authority.email,
            challenge: if authority.by_tls { Challenge::TlsAlpn } else { Challenge::Http },
            account: authority.account,
        });
        Self { credential, authority }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{decode, encode};
    use super::*;
    use crate::domain::ikev2::fixture;

    #[test]
    fn comes_back_as_it_was() {
        let at = "2026-11-26T00:00:00Z".parse().unwrap();
        let credential = WebCredential::read(fixture::EC_CA, fixture::EC_KEY, at).unwrap();
        let authority = Authority {
            directory: "https://ca.example/d".into(),
            name: "vpn.example".into(),
            email: String::new(),
            challenge: Challenge::TlsAlpn,
            account: Password::new("key".into()),
        };
        let certificate = WebCertificate { credential: Some(credential), authority: Some(authority) };

        let bytes = encode(&WebCertificateV1::from(&certificate)).unwrap();

        assert_eq!(WebCertificate::from(decode::<WebCertificateV1>(&bytes).unwrap()), certificate);
    }
}
