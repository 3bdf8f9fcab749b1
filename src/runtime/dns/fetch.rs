//! Fetches a file from elsewhere: one request, one answer, no redirects.
//!
//! The request is of the protocol's version 1.0 (RFC 1945), whose answers end where the connection ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest answer, in bytes.
const SIZE_MAX: u64 = 128 << 20;

/// Fetches what a URL names; its body.
///
/// # Errors
/// Whatever stood in the way, for people.
pub(super) async fn fetch(url: &str, trust: Arc<ClientConfig>) -> io::Result<Vec<u8>> {
    let answer = timeout(PATIENCE, ask(url, trust)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    body(answer)
}

async fn ask(url: &str, trust: Arc<ClientConfig>) -> io::Result<Vec<u8>> {
    let secure = url.strip_prefix("https://");
    let (is_tls, rest) = (secure.is_some(), secure.unwrap_or_else(|| url.trim_start_matches("http://")));
    let rest = rest.split('#').next().unwrap_or_default();
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let request =
        format!("GET {slash}{path} HTTP/1.0\r\nHost: {authority}\r\nUser-Agent: culvert\r\nAccept: */*\r\n\r\n");
    let (host, port) = split_port(authority, if is_tls { 443 } else { 80 })?;
    let stream = TcpStream::connect((host, port)).await?;
    if !is_tls {
        return converse(stream, &request).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    converse(TlsConnector::from(trust).connect(name, stream).await?, &request).await
}

fn split_port(authority: &str, usual: u16) -> io::Result<(&str, u16)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(io::Error::other)?),
        _ => (authority, usual),
    };
    let edge = usize::from(host.starts_with('[') && host.ends_with(']'));
    Ok((&host[edge..host.len() - edge], port))
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let ended = (&mut stream).take(SIZE_MAX + 1).read_to_end(&mut answer).await;
    match ended {
        Ok(_) if answer.len() as u64 > SIZE_MAX => Err(io::Error::other("it is too large")),
        // many servers end TLS without saying so; a body that was cut off is told by its length
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(_) | Err(_) => Ok(answer),
    }
}

/// The body of an answer that is a success and whole.
fn body(mut answer: Vec<u8>) -> io::Result<Vec<u8>> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("the answer is cut off"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("the answer is `{status}`")));
    }
    answer.drain(..end + 4);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let is = |other: &str| name.trim().eq_ignore_ascii_case(other);
        if is("transfer-encoding") || (is("content-encoding") && value.trim() != "identity") {
            return Err(io::Error::other(format!("the answer comes as `{}`", value.trim())));
        }
        if is("content-length") && value.trim().parse() != Ok(answer.len()) {
            return Err(io::Error::other("the answer is cut off"));
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_body_of_a_whole_success_alone() {
        let of = |answer: &str| body(answer.as_bytes().to_vec()).map_err(|error| error.to_string());

        assert_eq!(of("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\na.b").unwrap(), b"a.b");
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\na.b").unwrap(), b"a.b");
        for answer in [
            "HTTP/1.0 404 Not Found\r\n\r\nno",
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\na.b",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n",
            "",
        ] {
            assert!(of(answer).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn finds_host_and_port() {
        let of = |authority| split_port(authority, 80).ok();

        assert_eq!(of("lists.example"), Some(("lists.example", 80)));
        assert_eq!(of("lists.example:8080"), Some(("lists.example", 8_080)));
        assert_eq!(of("[2001:db8::1]"), Some(("2001:db8::1", 80)));
        assert_eq!(of("[2001:db8::1]:81"), Some(("2001:db8::1", 81)));
        assert_eq!(of("lists.example:x"), None);
    }

    #[tokio::test]
    async fn fetches_what_a_server_has() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/lists/ads?all#top", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1_024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nads.example\n").await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };

        let (fetched, request) = tokio::join!(fetch(&url, tls_trust()), serve);

        assert_eq!(fetched.unwrap(), b"ads.example\n");
        assert!(request.starts_with("GET /lists/ads?all HTTP/1.0\r\nHost: 127.0.0.1:"), "{request}");
    }

    fn tls_trust() -> Arc<ClientConfig> {
        super::super::tls::trust()
    }
}
