//! To a store that speaks Amazon S3: one signed PUT.

use std::fs::File;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::{provider, trusted};
use crate::domain::backup::S3;

/// How long the signature is good, and the whole upload may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the store may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// Sends a file to this bucket.
///
/// # Errors
/// One sentence for the operator.
pub fn send(to: &S3, name: &str, file: File) -> Result<(), String> {
    let endpoint = to.endpoint.parse().map_err(|_| "the endpoint is no URL".to_owned())?;
    let bucket = Bucket::new(endpoint, UrlStyle::Path, to.bucket.clone(), to.region.clone());
    let bucket = bucket.map_err(|error| error.to_string())?;
    let credentials = Credentials::new(to.access_key.clone(), to.secret_key.reveal());
    let path = to.path.trim_matches('/');
    let key = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let url = bucket.put_object(Some(&credentials), &key).sign(PATIENCE);
    let response = agent().put(url.as_str()).send(file).map_err(|error| without(&error.to_string(), url.as_str()))?;
    if response.status().is_success() { Ok(()) } else { Err(format!("the store answered {}", response.status())) }
}

fn agent() -> Agent {
    let certificates = trusted();
    let roots = if certificates.is_empty() {
        RootCerts::WebPki
    } else {
        certificates.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
    };
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider()).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    config.into()
}

/// The signed URL is as good as the credentials for a while: no message shows it.
fn without(message: &str, url: &str) -> String {
    message.replace(url, "the store")
}
