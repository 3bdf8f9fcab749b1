//! One kept-alive connection to the API, over TLS, as a client has it.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Where the bench's process listens.
pub(crate) const PORT: u16 = 18_198;
/// Long enough for two RSA keys to be made.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The connection.
pub(crate) struct Api {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    access_hash: String,
}

impl Api {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens yet.
    pub(crate) fn connect(access_hash: &str) -> Result<Self, Box<dyn Error>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, socket);
        Ok(Self { stream: BufReader::new(stream), access_hash: access_hash.into() })
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// Unless the envelope says success.
    pub(crate) fn get(&mut self, path: &str) -> Result<(), Box<dyn Error>> {
        self.send("GET", path, "")
    }

    /// Sends a form.
    ///
    /// # Errors
    /// Unless the envelope says success.
    pub(crate) fn send(&mut self, method: &str, path: &str, form: &str) -> Result<(), Box<dyn Error>> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: access_hash={}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.access_hash,
            form.len(),
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let answer = self.answer()?;
        if answer.contains("\"success\"") { Ok(()) } else { Err(format!("{method} {path}: {answer}").into()) }
    }

    fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the connection ended".into());
            }
            if line.trim_end().is_empty() {
                break;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
                Some(_) | None => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }
}

/// The certificate is self-signed, and who made it is not what is measured.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
