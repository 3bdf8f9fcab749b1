//! Copies of backups that leave the host. They hold private keys: none leaves unencrypted (age, <https://age-encryption.org/v1>).
//!
//! Everything here waits for disks and networks, so it runs where waiting is allowed.

mod ftp;
mod s3;
mod seal;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

pub use self::ftp::send as to_ftp;
pub use self::s3::send as to_s3;
pub use self::seal::{KeyFile, open, seal};

/// What ends the name of an encrypted copy.
pub const SEALED: &str = ".age";

/// Whom TLS believes: the certificates of the host (`SSL_CERT_FILE` names others). Where it has none, those that browsers
/// believe take their place.
fn trusted() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted());
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
