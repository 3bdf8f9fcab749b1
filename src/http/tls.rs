//! The certificate: made on first start, read ever after; or the operator's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// How long a certificate that we make is valid, in years.
const YEARS: i16 = 10;

/// Where a certificate chain and its private key lie, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the host's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// The files that we make in the data folder.
    pub fn in_folder(data: &Path) -> Self {
        Self { certificate: data.join("tls.crt"), key: data.join("tls.key") }
    }

    /// Makes both files with a new key, unless the certificate is there: it is written last, so it is never without
    /// its key.
    ///
    /// `names` are the host names and addresses that it is for, beside those of this machine to itself.
    ///
    /// # Errors
    /// [`enum@Error`] where a file cannot be written; the next start then begins again.
    pub fn make_if_absent(&self, names: &[String], at: Timestamp) -> Result<(), Error> {
        if self.certificate.exists() { Ok(()) } else { self.make(names, at) }
    }

    /// [`Self::make_if_absent`], whatever is there. Where that ends in between, the next start makes both: an old
    /// certificate goes before its key does.
    ///
    /// # Errors
    /// As there; where there is no room for both, what was there stays.
    pub(super) fn make(&self, names: &[String], at: Timestamp) -> Result<(), Error> {
        let (certificate, key) = make(names, at)?;
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            |cause| Error::Unwritable { path, cause }
        };
        for (path, text) in [(&self.key, key), (&self.certificate, certificate)] {
            write_unfinished(path, text.as_bytes()).map_err(unwritable(path))?;
        }
        remove(&self.certificate)
            .and_then(|()| sync_folder(&self.certificate))
            .map_err(unwritable(&self.certificate))?;
        for path in [&self.key, &self.certificate] {
            finish(path).map_err(unwritable(path))?;
        }
        Ok(())
    }

    /// Reads both files into what the listener needs.
    ///
    /// # Errors
    /// [`enum@Error`] where one cannot be read, holds no PEM of its kind, or the two do not belong together.
    pub fn load(&self) -> Result<Arc<CertifiedKey>, Error> {
        let malformed = |path: &Path| Error::Malformed { path: path.to_owned() };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(&self.certificate))?;
        if chain.is_empty() {
            return Err(malformed(&self.certificate));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|_| malformed(&self.key))?;
        let whole = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        whole.map(Arc::new).map_err(|cause| Error::Mismatched { files: self.clone(), cause })
    }
}

/// What the listener shows, which may change while it listens.
#[derive(Debug)]
pub(super) struct Shown {
    certificate: RwLock<Arc<CertifiedKey>>,
    /// What an authority asks for at the moment: the name, and the certificate that proves it (RFC 8737).
    proof: RwLock<Option<(String, Arc<CertifiedKey>)>>,
}

impl Shown {
    /// Shows `certificate`.
    pub(super) fn new(certificate: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self { certificate: RwLock::new(certificate), proof: RwLock::default() })
    }

    /// Shows this one to whoever comes from now on.
    pub(super) fn show(&self, certificate: Arc<CertifiedKey>) {
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Shows the proof of a name to an authority that asks for it, or no proof any more.
    pub(super) fn prove(&self, proof: Option<(String, Arc<CertifiedKey>)>) {
        *self.proof.write().unwrap_or_else(PoisonError::into_inner) = proof;
    }

    /// The host's own certificate of those that are shown.
    pub(super) fn leaf(&self) -> Option<Vec<u8>> {
        let shown = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        shown.cert.first().map(|der| der.to_vec())
    }

    /// The listener's settings.
    ///
    /// # Errors
    /// The library's.
    pub(super) fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions();
        let mut config = config.map_err(Error::Unusable)?.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME.to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ACME)) {
            let proof = self.proof.read().unwrap_or_else(PoisonError::into_inner);
            let (name, certificate) = proof.as_ref()?;
            return (hello.server_name() == Some(name)).then(|| certificate.clone());
        }
        Some(self.certificate.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The protocol by which an authority asks for the proof of a name (RFC 8737, section 6.2).
const ACME: &[u8] = b"acme-tls/1";

/// The certificate that proves `name` (RFC 8737, section 3).
///
/// # Errors
/// [`Error::Unmakable`], [`Error::Unusable`].
pub(super) fn proof(name: &str, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let chain = vec![params.self_signed(&key)?.der().clone()];
    // the check of both together does not know the critical extension
    let key = aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into()));
    Ok(Arc::new(CertifiedKey::new(chain, key.map_err(Error::Unusable)?)))
}

/// What is shown, of certificates in DER and a key in PKCS #8.
///
/// # Errors
/// [`Error::Unusable`].
pub(super) fn certified(chain: Vec<CertificateDer<'static>>, key: Vec<u8>) -> Result<Arc<CertifiedKey>, Error> {
    let key = PrivateKeyDer::Pkcs8(key.into());
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new).map_err(Error::Unusable)
}

/// Why there is no certificate to listen with.
#[derive(Debug, Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// A file that holds something else.
    #[error("`{}` holds no certificate or no private key in PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A key that is not the certificate's.
    #[error("`{}` and `{}` cannot be used together: {cause}", files.certificate.display(), files.key.display())]
    Mismatched {
        /// Both files.
        files: CertificateFiles,
        /// The reason.
        cause: rustls::Error,
    },
    /// A certificate and key that cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Unusable(rustls::Error),
    /// A certificate that could not be made.
    #[error("cannot make a certificate: {0}")]
    Unmakable(#[from] rcgen::Error),
}

/// Makes a self-signed certificate and its key, both in PEM. It is valid since yesterday, so that a client whose clock
/// is a little slow takes it.
fn make(names: &[String], at: Timestamp) -> Result<(String, String), Error> {
    let own = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let asked = names.iter().filter(|name| name.is_ascii() && !name.is_empty() && !own.contains(name)).cloned();
    let mut params = CertificateParams::new(own.iter().cloned().chain(asked).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Culvert");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let midnight =
        |day: Date| rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    let today = TimeZone::UTC.to_datetime(at).date();
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(YEARS.years()));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })
}

/// Where a file lies until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Writes a file that only its owner may read, under another name.
fn write_unfinished(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path);
    remove(&unfinished)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives it its own name, so that it is there whole or not at all, also after a power cut.
fn finish(path: &Path) -> io::Result<()> {
    fs::rename(unfinished(path), path)?;
    sync_folder(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn made() -> (tempfile::TempDir, CertificateFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles::in_folder(folder.path());
        files.make_if_absent(&["vpn.example".into(), "192.0.2.1".into()], at()).unwrap();
        (folder, files)
    }

    #[test]
    fn makes_files_that_only_the_owner_reads() {
        let (_folder, files) = made();

        for path in [&files.certificate, &files.key] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(files.load().is_ok());
    }

    #[test]
    fn keeps_the_certificate_that_is_there() {
        let (_folder, files) = made();
        let before = fs::read(&files.certificate).unwrap();

        files.make_if_absent(&[], at()).unwrap();

        assert_eq!(fs::read(&files.certificate).unwrap(), before);
    }

    #[test]
    fn makes_others_in_the_place_of_those_that_are_there() {
        let (folder, files) = made();
        let before = fs::read(&files.certificate).unwrap();

        files.make(&["vpn.example".into()], at()).unwrap();

        assert_ne!(fs::read(&files.certificate).unwrap(), before);
        assert!(files.load().is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn begins_again_where_it_was_cut_off() {
        let (_folder, files) = made();
        fs::remove_file(&files.certificate).unwrap();
        fs::write(unfinished(&files.certificate), "half").unwrap();

        files.make_if_absent(&[], at()).unwrap();

        assert!(files.load().is_ok());
    }

    #[test]
    fn dates_it_from_yesterday_for_ten_years() {
        let (_folder, files) = made();

        let der = CertificateDer::from_pem_file(&files.certificate).unwrap();

        let text = String::from_utf8_lossy(&der);
        assert!(text.contains("261123000000Z") && text.contains("361124000000Z"));
    }

    #[test]
    fn names_the_file_that_is_wrong() {
        let (_folder, files) = made();
        let (_other_folder, other) = made();

        let mismatched = CertificateFiles { key: other.key, ..files.clone() };
        assert!(matches!(mismatched.load(), Err(Error::Mismatched { .. })));
        let absent = CertificateFiles { certificate: "/nonexistent/tls.crt".into(), ..files.clone() };
        assert!(absent.load().unwrap_err().to_string().starts_with("cannot read `/nonexistent/tls.crt`"));
        fs::write(&files.key, "nothing").unwrap();
        assert!(files.load().unwrap_err().to_string().contains("tls.key"));
    }
}
