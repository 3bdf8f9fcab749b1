//! Makes certificates. It takes up to seconds (an RSA key is searched for, not written down), so it is done on a thread
//! that may wait.

use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA384, RsaKeySize, SanType,
    SerialNumber,
};

use crate::domain::ikev2::{
    AuthorityOrder, Certificate, Credential, Flaw, KeyChoice, KeyKind, ServerCredential, ServerOrder, SigningKey,
    Subject,
};
use crate::domain::limits;
use crate::runtime::os::entropy;

/// The usage `id-kp-ipsecIKE`'s predecessor `iKEIntermediate`, which older clients of Apple want to see.
const IKE_INTERMEDIATE: [u64; 9] = [1, 3, 6, 1, 5, 5, 8, 2, 2];

/// Makes a root.
pub(super) fn authority(order: &AuthorityOrder, at: Timestamp) -> anyhow::Result<Credential> {
    let key = make_key(order.key)?;
    let mut params = described(&order.subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    date(&mut params, at, day_of(at).saturating_add(limits::AUTHORITY_YEARS.years()));
    let certificate = params.self_signed(&key)?;
    credential(certificate.der(), &key)
}

/// Makes a server's certificate, signed by `authority`.
pub(super) fn server(order: &ServerOrder, authority: &Credential, at: Timestamp) -> anyhow::Result<ServerCredential> {
    let key = make_key(order.key)?;
    let mut params = described(&order.subject);
    params.subject_alt_names = names(order)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if matches!(order.key, KeyChoice::Rsa2048 | KeyChoice::Rsa3072 | KeyChoice::Rsa4096) {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Other(IKE_INTERMEDIATE.to_vec())];
    params.use_authority_key_identifier_extension = true;
    let end = day_of(at).saturating_add((limits::SERVER_CERTIFICATE_DAYS - 1).days());
    // no client takes a certificate for longer than its root
    date(&mut params, at, end.min(authority.certificate.expires().map_or(end, day_of)));
    let certificate = params.signed_by(&key, &issuer(authority)?)?;
    Ok(ServerCredential {
        credential: credential(certificate.der(), &key)?,
        domain: order.domain.clone(),
        ip: order.ip,
        ipv6: order.ipv6,
    })
}

/// Whether what an imported authority signs names it rightly. A name in which a kind of part stands twice would not be
/// repeated to the byte, and clients compare bytes.
///
/// # Errors
/// [`Flaw::CannotSign`].
pub(super) fn try_signing(authority: &Credential) -> Result<(), Flaw> {
    let signed = || -> anyhow::Result<Certificate> {
        let issuer = issuer(authority)?;
        let params = described(&authority.certificate.subject());
        // its own key is as good as any, and costs no search
        let certificate = params.signed_by(issuer.key(), &issuer)?;
        Ok(Certificate::trusted(certificate.der().to_vec()))
    };
    let named = signed().is_ok_and(|certificate| certificate.is_named_by(&authority.certificate));
    if named { Ok(()) } else { Err(Flaw::CannotSign) }
}

fn make_key(choice: KeyChoice) -> Result<KeyPair, rcgen::Error> {
    match choice {
        KeyChoice::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA384, RsaKeySize::_2048),
        KeyChoice::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA384, RsaKeySize::_3072),
        KeyChoice::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA384, RsaKeySize::_4096),
        KeyChoice::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyChoice::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
    }
}

fn credential(certificate: &[u8], key: &KeyPair) -> anyhow::Result<Credential> {
    let key = SigningKey::from_pkcs8(key.serialized_der().to_vec())?;
    Ok(Credential { certificate: Certificate::trusted(certificate.to_vec()), key })
}

fn issuer(authority: &Credential) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let algorithm = match authority.key.kind() {
        Some(KeyKind::EcdsaP256) => &PKCS_ECDSA_P256_SHA256,
        Some(KeyKind::EcdsaP384) => &PKCS_ECDSA_P384_SHA384,
        Some(KeyKind::Rsa(_)) | None => &PKCS_RSA_SHA384,
    };
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&authority.key.pkcs8().into(), algorithm)?;
    Ok(Issuer::from_ca_cert_der(&authority.certificate.der().into(), key)?)
}

/// A certificate for somebody, with a serial number that nobody guesses (RFC 5280, section 4.1.2.2: at most 20 bytes,
/// positive).
fn described(subject: &Subject) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut serial: [u8; 16] = entropy::bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    for (kind, text) in [
        (DnType::CountryName, &subject.country_name),
        (DnType::StateOrProvinceName, &subject.state_or_province_name),
        (DnType::LocalityName, &subject.locality),
        (DnType::OrganizationName, &subject.organization),
        (DnType::OrganizationalUnitName, &subject.organizational_unit),
        (DnType::CommonName, &subject.common_name),
    ] {
        if !text.is_empty() {
            // a country is a PrintableString by definition (RFC 5280, appendix A.1), where it can be one
            let printable = PrintableString::try_from(text.as_str()).ok().filter(|_| kind == DnType::CountryName);
            let value = printable.map_or_else(|| DnValue::Utf8String(text.clone()), DnValue::PrintableString);
            params.distinguished_name.push(kind, value);
        }
    }
    params
}

/// Everything by which clients may call the server, once each.
fn names(order: &ServerOrder) -> Result<Vec<SanType>, rcgen::Error> {
    let address: Option<IpAddr> = order.domain.parse().ok();
    let mut names = Vec::new();
    if address.is_none() {
        names.push(SanType::DnsName(order.domain.as_str().try_into()?));
    }
    let mut addresses: Vec<IpAddr> = address.into_iter().chain([order.ip]).chain(order.ipv6).collect();
    addresses.dedup();
    names.extend(addresses.into_iter().map(SanType::IpAddress));
    Ok(names)
}

/// Valid from the beginning of yesterday, so that a client whose clock is a little slow takes it, to that of `end`.
fn date(params: &mut CertificateParams, at: Timestamp, end: Date) {
    let midnight =
        |day: Date| rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    params.not_before = midnight(day_of(at).saturating_sub(1.day()));
    params.not_after = midnight(end);
}

fn day_of(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ikev2::fixture;

    fn at() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn subject(common_name: &str) -> Subject {
        let [common_name, organization, country] = [common_name, "Ö & Co", "DE"].map(String::from);
        Subject { common_name, organization, country_name: country, ..Subject::default() }
    }

    fn order(domain: &str, key: KeyChoice) -> ServerOrder {
        let (ip, ipv6) = ([192, 0, 2, 1].into(), "2001:db8::1".parse().ok());
        ServerOrder { subject: subject("server"), key, domain: domain.into(), ip, ipv6 }
    }

    /// What a client does: trusts the root alone, and calls the server by this name.
    fn is_taken(server: &ServerCredential, root: &Credential, name: &str, at: Timestamp) -> bool {
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls::pki_types::{CertificateDer, UnixTime};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(root.certificate.der())).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.as_second().unsigned_abs()));
        let shown = CertificateDer::from(server.credential.certificate.der());
        verifier.unwrap().verify_server_cert(&shown, &[], &name.to_owned().try_into().unwrap(), &[], at).is_ok()
    }

    #[test]
    fn makes_certificates_that_a_client_takes() {
        let own = |key| authority(&AuthorityOrder { subject: subject("root"), key }, at()).unwrap();
        let imported = |certificate, key| Credential::import(certificate, key, at()).unwrap();
        for root in [
            own(KeyChoice::EcdsaP384),
            own(KeyChoice::Rsa2048),
            imported(fixture::CA, fixture::RSA_KEY),
            imported(fixture::EC_CA, fixture::EC_KEY),
        ] {
            let made = server(&order("vpn.example", KeyChoice::EcdsaP256), &root, at()).unwrap();

            for name in ["vpn.example", "192.0.2.1", "2001:db8::1"] {
                assert!(is_taken(&made, &root, name, at()), "{name} of {root:?}");
            }
            assert!(!is_taken(&made, &root, "other.example", at()));
            assert!(made.credential.certificate.is_named_by(&root.certificate));
            assert_eq!(made.credential.certificate.subject(), subject("server"));
        }
    }

    #[test]
    fn makes_a_root_that_could_be_imported() {
        let made = authority(&AuthorityOrder { subject: subject("root"), key: KeyChoice::Rsa3072 }, at()).unwrap();

        let (certificate, key) = (made.certificate.to_pem(), made.key.to_pem());

        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(Credential::import(&certificate, &key, at()).unwrap(), made);
        assert_eq!(try_signing(&made), Ok(()));
    }

    #[test]
    fn dates_certificates_for_ten_years_and_for_825_days() {
        let root = authority(&AuthorityOrder { subject: subject("root"), key: KeyChoice::EcdsaP256 }, at()).unwrap();
        let made = server(&order("vpn.example", KeyChoice::EcdsaP256), &root, at()).unwrap();

        let ends = |certificate: &Certificate| certificate.expires().unwrap().to_string();
        assert_eq!(ends(&root.certificate), "2036-11-24T00:00:00Z");
        assert_eq!(ends(&made.credential.certificate), "2029-02-24T00:00:00Z");
        let days = |text: &str| text.parse::<Timestamp>().unwrap();
        for (day, taken) in
            [("2026-11-22T23:59:59Z", false), ("2026-11-23T00:00:00Z", true), ("2029-02-24T00:00:01Z", false)]
        {
            assert_eq!(is_taken(&made, &root, "vpn.example", days(day)), taken, "{day}");
        }
        let late = server(&order("vpn.example", KeyChoice::EcdsaP256), &root, days("2036-01-01T00:00:00Z")).unwrap();
        assert_eq!(ends(&late.credential.certificate), "2036-11-24T00:00:00Z");
    }

    #[test]
    fn names_a_server_that_is_called_by_its_address_once() {
        let order = order("192.0.2.1", KeyChoice::EcdsaP256);
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|text| SanType::IpAddress(text.parse().unwrap()));
        assert_eq!(names(&order).unwrap(), [v4, v6]);
    }

    #[test]
    fn says_that_both_usages_are_meant() {
        let root = Credential::import(fixture::EC_CA, fixture::EC_KEY, at()).unwrap();
        let made = server(&order("vpn.example", KeyChoice::EcdsaP256), &root, at()).unwrap();

        let der = made.credential.certificate.der();
        // serverAuth, then iKEIntermediate
        let usages = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1, 0x06, 8, 0x2b, 6, 1, 5, 5, 8, 2, 2];

        assert!(der.windows(usages.len()).any(|window| window == usages), "{der:02x?}");
    }

    #[test]
    fn does_not_sign_in_a_name_that_it_cannot_repeat() {
        let root = Credential::import(fixture::COMPONENTS, fixture::EC_KEY, at()).unwrap();
        assert_eq!(try_signing(&root), Err(Flaw::CannotSign));
    }
}
