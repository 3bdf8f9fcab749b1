//! Certificates (RFC 5280): what one says, and whether one may be the authority of this appliance.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::pem;
use super::signing_key::SigningKey;
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// A certificate that has been read once.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate(Arc<[u8]>);

/// Whom a certificate is for. What is absent is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN.
    pub common_name: String,
    /// O.
    pub organization: String,
    /// OU.
    pub organizational_unit: String,
    /// L.
    pub locality: String,
    /// ST.
    pub state_or_province_name: String,
    /// C.
    pub country_name: String,
}

/// A certificate with its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: SigningKey,
}

/// Why a certificate or a key cannot be taken; for the log, since the contract has one text for almost all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// There is no certificate in PEM.
    #[error("there is no certificate in PEM")]
    NoCertificate,
    /// There are several.
    #[error("there is more than one certificate")]
    SeveralCertificates,
    /// It is longer than any certificate of an authority needs to be.
    #[error("the certificate is too large")]
    CertificateSize,
    /// It is no X.509 certificate of version 3.
    #[error("the certificate cannot be read")]
    Malformed,
    /// It may not sign certificates.
    #[error("the certificate is not that of an authority")]
    NotAnAuthority,
    /// It is not valid yet, or no more.
    #[error("the certificate is not valid today")]
    NotValidNow,
    /// Somebody else has signed it.
    #[error("the certificate is not a root: it is not signed by itself")]
    NotARoot,
    /// There is no private key in PEM, or several.
    #[error("there is not one private key in PEM")]
    NoKey,
    /// It is no key of a kind that can be used.
    #[error("the private key is neither RSA nor ECDSA over P-256 or P-384")]
    KeyRejected,
    /// An RSA key out of bounds.
    #[error("the RSA key does not have 2048 to 4096 bits")]
    KeySize,
    /// It is the key of another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatched,
    /// Nothing that it signs would name it rightly.
    #[error("nothing can be signed in the name of the certificate")]
    CannotSign,
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        if flaw == Flaw::NoCertificate { Self::CertificateNotFound } else { Self::CertificateFailed }
    }
}

impl Certificate {
    /// A certificate of our own, or one that was checked before it was stored.
    pub fn trusted(der: Vec<u8>) -> Self {
        Self(der.into())
    }

    /// Reads the one certificate in a PEM text.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`], [`Flaw::SeveralCertificates`], [`Flaw::CertificateSize`], [`Flaw::Malformed`].
    pub fn read(text: &str) -> Result<Self, Flaw> {
        let blocks = pem::blocks(text);
        let mut certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
        let block = certificates.next().ok_or(Flaw::NoCertificate)?;
        if certificates.next().is_some() { Err(Flaw::SeveralCertificates) } else { Self::from_der(&block.der) }
    }

    fn from_der(der: &[u8]) -> Result<Self, Flaw> {
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(Flaw::CertificateSize);
        }
        parse(der).map(|_| Self(der.into())).ok_or(Flaw::Malformed)
    }

    /// Reads every certificate in a PEM text, in its order.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`], [`Flaw::CertificateSize`], [`Flaw::Malformed`].
    pub fn read_chain(text: &str) -> Result<Vec<Self>, Flaw> {
        let blocks = pem::blocks(text);
        let certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
        let chain: Vec<_> = certificates.map(|block| Self::from_der(&block.der)).collect::<Result<_, _>>()?;
        if chain.is_empty() { Err(Flaw::NoCertificate) } else { Ok(chain) }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The certificate in PEM.
    pub fn to_pem(&self) -> String {
        pem::write("CERTIFICATE", &self.0)
    }

    /// Whom it is for.
    pub fn subject(&self) -> Subject {
        parse(&self.0).map_or_else(Subject::default, |certificate| subject(certificate.subject()))
    }

    /// Whether its issuer is the subject of `other`, to the byte.
    pub fn is_named_by(&self, other: &Self) -> bool {
        let (Some(this), Some(other)) = (parse(&self.0), parse(&other.0)) else { return false };
        this.issuer().as_raw() == other.subject().as_raw()
    }

    /// Who has signed it.
    pub fn issuer(&self) -> Subject {
        parse(&self.0).map_or_else(Subject::default, |certificate| subject(certificate.issuer()))
    }

    /// The names and addresses that it is for (RFC 5280, section 4.2.1.6).
    pub fn names(&self) -> Vec<String> {
        let Some(read) = parse(&self.0) else { return Vec::new() };
        let Ok(Some(names)) = read.subject_alternative_name() else { return Vec::new() };
        let told = |name: &GeneralName<'_>| {
            if let GeneralName::DNSName(name) = name {
                return Some((*name).to_owned());
            }
            let GeneralName::IPAddress(bytes) = name else { return None };
            let old = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            old.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        };
        names.value.general_names.iter().filter_map(told).collect()
    }

    /// Its fingerprint: SHA-256 of the DER, as browsers show it.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.der());
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// Whether it is the certificate of this key.
    pub fn is_of(&self, key: &SigningKey) -> bool {
        parse(&self.0).is_some_and(|read| read.public_key().subject_public_key.data.as_ref() == key.public())
    }

    /// When it begins.
    pub fn begins(&self) -> Option<Timestamp> {
        parse(&self.0).and_then(|read| Timestamp::from_second(read.validity().not_before.timestamp()).ok())
    }

    /// When it ends.
    pub fn expires(&self) -> Option<Timestamp> {
        parse(&self.0).and_then(|read| Timestamp::from_second(read.validity().not_after.timestamp()).ok())
    }
}

impl Credential {
    /// Reads an authority that somebody brings, certificate and key each in PEM.
    ///
    /// # Errors
    /// [`Flaw`], but [`Flaw::CannotSign`].
    pub fn import(certificate: &str, key: &str, at: Timestamp) -> Result<Self, Flaw> {
        let certificate = Certificate::read(certificate)?;
        let key = SigningKey::read(key)?;
        check_authority(&parse(certificate.der()).ok_or(Flaw::Malformed)?, &key, at)?;
        Ok(Self { certificate, key })
    }
}

/// Whether a certificate can be the root that clients trust.
fn check_authority(certificate: &X509Certificate<'_>, key: &SigningKey, at: Timestamp) -> Result<(), Flaw> {
    let constraints = certificate.basic_constraints().map_err(|_| Flaw::Malformed)?;
    let usage = certificate.key_usage().map_err(|_| Flaw::Malformed)?;
    let validity = certificate.validity();
    let valid = validity.not_before.timestamp()..=validity.not_after.timestamp();
    match () {
        () if !constraints.is_some_and(|constraints| constraints.value.ca) => Err(Flaw::NotAnAuthority),
        () if usage.is_some_and(|usage| !usage.value.key_cert_sign()) => Err(Flaw::NotAnAuthority),
        () if !valid.contains(&at.as_second()) => Err(Flaw::NotValidNow),
        () if certificate.public_key().subject_public_key.data.as_ref() != key.public() => Err(Flaw::Mismatched),
        () if certificate.subject().as_raw() != certificate.issuer().as_raw() => Err(Flaw::NotARoot),
        () if certificate.verify_signature(None).is_err() => Err(Flaw::NotARoot),
        () => Ok(()),
    }
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let is_third = certificate.version() == x509_parser::x509::X509Version::V3;
    (rest.is_empty() && is_third).then_some(certificate)
}

fn subject(name: &X509Name<'_>) -> Subject {
    let text = |attribute: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        attribute.and_then(|attribute| attribute.as_str().ok()).unwrap_or_default().to_owned()
    };
    Subject {
        common_name: text(name.iter_common_name().next()),
        organization: text(name.iter_organization().next()),
        organizational_unit: text(name.iter_organizational_unit().next()),
        locality: text(name.iter_locality().next()),
        state_or_province_name: text(name.iter_state_or_province().next()),
        country_name: text(name.iter_country().next()),
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes of `{}`)", self.0.len(), self.subject().common_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::fixture;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn imported(certificate: &str, key: &str) -> Result<Credential, Flaw> {
        Credential::import(certificate, key, at("2026-11-24T12:00:00Z"))
    }

    #[test]
    fn takes_roots_of_both_kinds() {
        let rsa = imported(fixture::CA, fixture::RSA_KEY).unwrap();
        assert_eq!(rsa.certificate.to_pem(), fixture::CA);
        assert_eq!(rsa.certificate.subject().common_name, "Example Root");
        assert_eq!(rsa.certificate.subject().organization, "Example");
        assert!(imported(fixture::EC_CA, fixture::EC_KEY).is_ok());
    }

    #[test]
    fn refuses_what_can_be_no_authority() {
        for (certificate, key, flaw) in [
            ("nothing", fixture::RSA_KEY, Flaw::NoCertificate),
            (fixture::RSA_KEY, fixture::RSA_KEY, Flaw::NoCertificate),
            (&[fixture::CA, fixture::EC_CA].concat(), fixture::RSA_KEY, Flaw::SeveralCertificates),
            (&pem::write("CERTIFICATE", &pem::wrap(0x30, &[0; 9_000])), fixture::RSA_KEY, Flaw::CertificateSize),
            (&pem::write("CERTIFICATE", &pem::wrap(0x30, &[0; 90])), fixture::RSA_KEY, Flaw::Malformed),
            (fixture::CA, "nothing", Flaw::NoKey),
            (fixture::CA, fixture::EC_KEY, Flaw::Mismatched),
            (fixture::LEAF, fixture::RSA_KEY, Flaw::NotAnAuthority),
            (fixture::BETWEEN, fixture::RSA_KEY, Flaw::NotARoot),
        ] {
            assert_eq!(imported(certificate, key), Err(flaw), "{flaw}");
        }
    }

    #[test]
    fn refuses_a_root_whose_own_signature_is_wrong() {
        let mut der = Certificate::read(fixture::CA).unwrap().der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        assert_eq!(imported(&pem::write("CERTIFICATE", &der), fixture::RSA_KEY), Err(Flaw::NotARoot));
    }

    #[test]
    fn refuses_a_root_before_its_time_and_after() {
        for (day, valid) in [("2019-12-31", false), ("2020-01-01", true), ("2119-12-31", true), ("2120-01-02", false)] {
            let taken = Credential::import(fixture::CA, fixture::RSA_KEY, at(&format!("{day}T00:00:00Z")));
            assert_eq!(taken.is_ok(), valid, "{day}: {taken:?}");
        }
    }

    #[test]
    fn tells_only_that_a_certificate_failed_or_was_not_found() {
        assert_eq!(Refusal::from(Flaw::NoCertificate), Refusal::CertificateNotFound);
        assert_eq!(Refusal::from(Flaw::KeySize), Refusal::CertificateFailed);
    }
}
