//! The listeners, over real sockets on this machine alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Version, header};
use culvert::domain::limits;
use culvert::http::LOCAL_SOCKET;
use culvert::http::server::{self, Claim, Server, Settings};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::support::{World, hash_from};

/// A world whose listeners run.
struct Running {
    world: World,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

fn settings(world: &World) -> Settings {
    Settings {
        data: world.folder.path().to_owned(),
        certificate: None,
        names: vec!["vpn.example".into()],
        proxies: Vec::new(),
        challenge_port: 0,
    }
}

async fn running() -> Running {
    running_at("127.0.0.1:0").await
}

async fn running_at(listen: &str) -> Running {
    let world = World::furnished().await;
    let claim = Claim::take(Some(listen.parse().unwrap())).unwrap();
    let address = claim.address();
    let server = Server::bind(claim, settings(&world), at()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.run(world.services.clone(), async {
        let _ = stopped.await;
    });
    Running { world, address, stop, ended: tokio::spawn(serving) }
}

impl Running {
    /// A client that trusts the certificate in the data folder and nothing else.
    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.world.folder.path().join("tls.crt")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    async fn tls(&self, name: &str) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        self.connector().connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
    }

    async fn local(&self) -> UnixStream {
        UnixStream::connect(self.world.folder.path().join(LOCAL_SOCKET)).await.unwrap()
    }

    fn get(&self, path: &str) -> Request<Body> {
        let request = Request::get(path).header(header::HOST, "localhost");
        request.header(header::COOKIE, format!("access_hash={}", self.world.hash)).body(Body::empty()).unwrap()
    }
}

/// Sends one request over a stream and reads the envelope.
async fn ask<S>(stream: S, request: Request<Body>) -> Value
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn answers_over_tls_under_each_name_of_its_certificate() {
    let running = running().await;
    for name in ["localhost", "127.0.0.1", "::1", "vpn.example"] {
        let stream = running.tls(name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

        let envelope = ask(stream, running.get("/api/v1/wireguard/Default_1")).await;

        assert_eq!(envelope["msg"]["name"], "Default_1", "{name}");
    }
    assert!(running.tls("other.example").await.is_err());
}

#[tokio::test]
async fn knows_the_caller_by_the_sockets_address() {
    let running = running().await;
    let mut request = running.get("/api/v1/system/status");
    request.headers_mut().insert("x-forwarded-for", "198.51.100.1".parse().unwrap());

    assert_eq!(ask(running.tls("localhost").await.unwrap(), request).await["status"], "success");

    let made = running
        .world
        .services
        .access
        .add(&culvert::services::Caller::local(), hash_from("far", "198.51.100.1"))
        .await
        .unwrap();
    let mut request = running.get("/api/v1/system/status");
    request.headers_mut().insert(header::COOKIE, format!("access_hash={made}").parse().unwrap());
    assert_eq!(ask(running.tls("localhost").await.unwrap(), request).await["error"], "Not authorized");
}

#[tokio::test]
async fn takes_an_ipv4_client_of_an_ipv6_listener_for_what_it_is() {
    let mut running = running_at("[::]:0").await;
    running.address.set_ip(crate::support::HOME);

    let stream = running.tls("localhost").await.unwrap();

    assert_eq!(ask(stream, running.get("/api/v1/system/status")).await["status"], "success");
}

#[tokio::test]
async fn answers_the_operator_over_the_local_socket() {
    let running = running().await;

    let envelope = ask(running.local().await, Request::get("/local/v1/status").body(Body::empty()).unwrap()).await;

    assert_eq!(envelope["msg"]["servers"], 2);
}

#[tokio::test]
async fn hears_out_a_body_that_is_too_large_before_it_says_so() {
    let running = running().await;
    let form = "a".repeat(8 * limits::FORM_BYTES);
    let request = Request::post("/api/v1/wireguard").body(Body::from(form)).unwrap();

    assert_eq!(ask(running.local().await, request).await["error"], "Request body too large");
}

#[tokio::test]
async fn speaks_no_http_without_tls() {
    let running = running().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();

    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;

    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
}

#[tokio::test]
async fn gives_one_address_so_many_connections_and_no_more() {
    let running = running().await;
    let mut held = Vec::new();
    for _ in 0..limits::CONNECTIONS_OF_ONE {
        held.push(TcpStream::connect(running.address).await.unwrap());
    }

    let mut one_more = TcpStream::connect(running.address).await.unwrap();

    // closed at once, without a byte
    assert!(matches!(one_more.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    held.clear();
    let stream = loop {
        // the places are free again as soon as the ends have been noticed
        match running.tls("localhost").await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(ask(stream, running.get("/api/v1/system/status")).await["status"], "success");
}

#[tokio::test]
async fn stops_in_time_though_clients_stay() {
    let running = running().await;
    let idle = running.tls("localhost").await.unwrap();
    let silent = TcpStream::connect(running.address).await.unwrap();
    let mut halfway = running.local().await;
    let head = b"POST /api/v1/wireguard HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    halfway.write_all(head).await.unwrap();
    halfway.read_exact(&mut [0; 4]).await.unwrap();

    running.stop.send(()).unwrap();

    tokio::time::timeout(Duration::from_secs(2), running.ended).await.unwrap().unwrap();
    drop((idle, silent));
    assert!(TcpStream::connect(running.address).await.is_err());
    assert!(!running.world.folder.path().join(LOCAL_SOCKET).exists());
}

#[tokio::test]
async fn says_which_address_is_taken() {
    let running = running().await;

    let refused = Claim::take(Some(running.address)).unwrap_err();

    assert!(refused.to_string().starts_with(&format!("cannot listen on {}: ", running.address)), "{refused}");
}

#[tokio::test]
async fn leaves_a_data_folder_alone_in_which_another_process_answers() {
    let running = running().await;
    let claim = Claim::take(Some("127.0.0.1:0".parse().unwrap())).unwrap();

    let refused = Server::bind(claim, settings(&running.world), at()).unwrap_err();

    assert!(matches!(refused, server::Error::Local(_)), "{refused}");
    let request = Request::get("/local/v1/status").body(Body::empty()).unwrap();
    assert_eq!(ask(running.local().await, request).await["status"], "success");
}

fn at() -> jiff::Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}
