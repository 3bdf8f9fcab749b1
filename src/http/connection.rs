//! One connection, from the handshake to its end, each step within its bound.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;
use tracing::debug;

use super::address::Remote;
use super::stall::Unstalled;
use crate::domain::access::Way;
use crate::domain::limits;

/// What every connection of a listener is served with.
#[derive(Clone)]
pub(super) struct Desk {
    /// Who answers.
    pub(super) router: Router,
    /// Becomes true when everything is to end.
    pub(super) stop: watch::Receiver<bool>,
}

impl Desk {
    /// Serves a connection that speaks TLS.
    pub(super) async fn serve_tls<S>(mut self, stream: S, way: Way, tls: Arc<ServerConfig>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = Unstalled::new(stream, limits::STALL_TIME);
        let handshake = timeout(limits::HANDSHAKE_TIME, TlsAcceptor::from(tls).accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = stopped(&mut self.stop) => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve(stream, Some(way)).await,
            Ok(Err(cause)) => debug!("No TLS with `{}`: {cause}", way.from.ip()),
            Err(_) => debug!("No TLS with `{}` in time", way.from.ip()),
        }
    }

    /// Serves a local connection, which needs no TLS.
    pub(super) async fn serve_local<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        self.serve(Unstalled::new(stream, limits::STALL_TIME), None).await;
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S, way: Option<Way>) {
        let router = self.router;
        let answer = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            if let Some(way) = way {
                request.extensions_mut().insert(Remote::new(way.from.ip()));
                request.extensions_mut().insert(way);
            }
            // a router is ready at all times
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEAD_TIME)
            .max_buf_size(limits::HEAD_BYTES)
            .max_headers(limits::HEADERS)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut self.stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(cause) = ended {
            debug!("A connection ended early: {cause}");
        }
    }
}

/// Waits for the word to stop; whoever would give it being gone is that word.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test measures the paused clock")]
mod tests {
    use std::time::Duration;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::Instant;

    use super::super::form::Fields;
    use super::super::tls::CertificateFiles;
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";

    fn desk() -> (watch::Sender<bool>, Desk) {
        let (end, stop) = watch::channel(false);
        let router = Router::new()
            .route("/", get(|| async { vec![b'a'; 100_000] }).post(|_: Fields| async { "done" }))
            .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(1)).await }));
        (end, Desk { router, stop })
    }

    /// Serves a client that does what it is told, and says how long that took.
    async fn span<F: Future<Output = DuplexStream>>(client: impl FnOnce(DuplexStream) -> F) -> Duration {
        let (_end, desk) = desk();
        let (theirs, ours) = tokio::io::duplex(4096);
        let begun = Instant::now();
        let _kept = tokio::join!(client(theirs), desk.serve_local(ours)).0;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_says_nothing() {
        assert_eq!(span(|client| async { client }).await, limits::HEAD_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_never_ends_its_head() {
        let trickle = |mut client: DuplexStream| async {
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            while client.write_all(b"x: 1\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            client
        };

        assert!(span(trickle).await <= limits::HEAD_TIME + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_never_ends_its_body() {
        let stall = |mut client: DuplexStream| async {
            client.write_all(HEAD).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert!(String::from_utf8_lossy(&answer).contains("Malformed request body"));
            client
        };

        assert_eq!(span(stall).await, limits::BODY_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_does_not_take_its_answer() {
        let deaf = |mut client: DuplexStream| async {
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            client
        };

        assert_eq!(span(deaf).await, limits::STALL_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_keeps_an_idle_connection() {
        let idle = |mut client: DuplexStream| async {
            client.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            client
        };

        assert_eq!(span(idle).await, Duration::from_secs(1) + limits::HEAD_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_on_a_client_that_never_shakes_hands() {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles::in_folder(folder.path());
        files.make_if_absent(&[], "2026-11-24T12:00:00Z".parse().unwrap()).unwrap();
        let (_end, desk) = desk();
        let (_client, ours) = tokio::io::duplex(4096);
        let begun = Instant::now();

        let end = std::net::SocketAddr::from(([127, 0, 0, 1], 8098));
        desk.serve_tls(
            ours,
            Way::new(end, end),
            super::super::tls::Shown::new(files.load().unwrap()).config().unwrap(),
        )
        .await;

        assert_eq!(begun.elapsed(), limits::HANDSHAKE_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_what_was_asked_before_it_stops() {
        let (end, desk) = desk();
        let (mut client, ours) = tokio::io::duplex(4096);
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let stop = async {
            tokio::task::yield_now().await;
            end.send_replace(true);
        };
        let begun = Instant::now();

        tokio::join!(stop, desk.serve_local(ours));

        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn closes_an_idle_connection_at_once_when_it_stops() {
        let (end, desk) = desk();
        let (_client, ours) = tokio::io::duplex(4096);
        end.send_replace(true);
        let begun = Instant::now();

        desk.serve_local(ours).await;

        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
