//! Whom TLS believes when something leaves, and the one HTTP client.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Whom TLS believes: the certificates of the host (`SSL_CERT_FILE` names others). Where it has none, those that browsers
/// believe take their place.
fn trusted() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What a client of TLS needs.
///
/// # Errors
/// One sentence for the operator.
pub(super) fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted());
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// [`agent_that_trusts`] nobody else than the host does.
pub(super) fn agent(connect: Duration, answer: Duration, overall: Duration) -> Agent {
    agent_that_trusts(&[], connect, answer, overall)
}

/// A client of HTTP that believes these certificates in DER too, and waits so long for a connection, for the beginning of an
/// answer once everything is sent, and for everything together; it follows no redirect. An answer that is no success is an
/// answer.
pub(super) fn agent_that_trusts(others: &[&[u8]], connect: Duration, answer: Duration, overall: Duration) -> Agent {
    let certificates = trusted();
    let ders = certificates.iter().map(|der| &**der).chain(others.iter().copied());
    let roots: Vec<_> = ders.map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect();
    // a host without any believes whom browsers do, unless it is told whom to
    let roots = if roots.is_empty() { RootCerts::WebPki } else { roots.into() };
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider()).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(connect))
        .timeout_recv_response(Some(answer))
        .timeout_global(Some(overall))
        .http_status_as_error(false)
        .max_redirects(0)
        .build();
    config.into()
}
