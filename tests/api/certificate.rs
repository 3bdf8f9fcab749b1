//! The certificate of the API and the panel: brought, withdrawn, and given by an authority, over real sockets on this machine
//! alone. The authority looks for the proof as a real one does, and signs what it is asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use culvert::domain::ikev2::Certificate;
use culvert::domain::password::Password;
use culvert::domain::web_certificate::{AuthorityDraft, OwnCertificateDraft};
use culvert::http::server::{Claim, Server, Settings};
use culvert::services::Caller;
use http_body_util::BodyExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::reader::Reader;
use crate::support::World;

const NAME: &str = "vpn.example.com";

/// A world whose listener runs.
struct Running {
    world: World,
    address: SocketAddr,
    challenge_port: u16,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn running() -> Running {
    over(World::new().await).await
}

/// The listener of this world.
async fn over(world: World) -> Running {
    let claim = Claim::take(Some("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = claim.address();
    let challenge_port = TcpListener::bind("[::]:0").await.unwrap().local_addr().unwrap().port();
    let settings = Settings {
        data: world.folder.path().to_owned(),
        certificate: None,
        names: vec!["own.example".into()],
        proxies: Vec::new(),
        challenge_port,
    };
    let server = Server::bind(claim, settings, "2026-11-26T00:00:00Z".parse().unwrap()).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.run(world.services.clone(), async {
        let _ = stopped.await;
    });
    Running { world, address, challenge_port, stop, ended: tokio::spawn(serving) }
}

impl Running {
    /// The names in the certificate that somebody is shown who comes now.
    async fn shown(&self) -> Vec<String> {
        Certificate::trusted(leaf(self.address, "any.example", b"http/1.1").await.unwrap()).names()
    }

    /// The fingerprint of the certificate that somebody is shown who comes now.
    async fn fingerprint(&self) -> String {
        Certificate::trusted(leaf(self.address, "any.example", b"http/1.1").await.unwrap()).fingerprint()
    }

    /// The same appliance after an end and a new start.
    async fn started_again(self) -> Self {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
        over(self.world.reopened().await).await
    }

    /// Waits until a certificate with this name is shown.
    async fn shows(&self, name: &str) {
        while !self.shown().await.iter().any(|shown| shown == name) {
            tokio::task::yield_now().await;
        }
    }
}

/// The certificate that is shown to who asks for this name by this protocol.
async fn leaf(at: SocketAddr, name: &str, protocol: &[u8]) -> std::io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

/// Believes anybody: the tests look at what is shown.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// An authority: where it looks for proofs, and what it has seen so far.
#[derive(Clone)]
struct Authority {
    url: String,
    /// Whose signature it shows; nobody else knows it.
    root: String,
    files: u16,
    tls: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    accounts: usize,
    is_proven: bool,
    refused: bool,
    chain: Option<String>,
}

const TOKEN: &str = "tokenOfTheTest";

impl Authority {
    async fn start(running: &Running) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (root, tls) = house();
        let authority =
            Self { url, root, files: running.challenge_port, tls: running.address, seen: Arc::new(Mutex::default()) };
        let router = Router::new().fallback(answer).with_state(authority.clone());
        tokio::spawn(async { axum::serve(Secured { listener, tls }, router).await });
        authority
    }

    fn draft(&self, challenge: &str) -> AuthorityDraft {
        AuthorityDraft {
            name: Some(NAME.into()),
            directory: Some(format!("{}/directory", self.url)),
            challenge: Some(challenge.into()),
            email: None,
            root: Some(self.root.clone()),
        }
    }

    fn order(&self) -> Value {
        let seen = self.seen.lock().unwrap();
        let status = match (&seen.chain, seen.is_proven, seen.refused) {
            (Some(_), ..) => "valid",
            (None, true, _) => "ready",
            (None, false, true) => "invalid",
            (None, false, false) => "pending",
        };
        json!({
            "status": status, "identifiers": [{"type": "dns", "value": NAME}],
            "authorizations": [format!("{}/authorization", self.url)], "finalize": format!("{}/finalize", self.url),
            "certificate": format!("{}/certificate", self.url),
        })
    }

    fn challenges(&self) -> Value {
        let refused = self.seen.lock().unwrap().refused;
        let error = json!({"type": "urn:ietf:params:acme:error:unauthorized", "detail": "the proof was not there"});
        let challenge = |kind: &str| {
            let mut challenge =
                json!({"type": kind, "url": format!("{}/look/{kind}", self.url), "token": TOKEN, "status": "pending"});
            if refused {
                challenge["error"] = error.clone();
            }
            challenge
        };
        json!([challenge("http-01"), challenge("tls-alpn-01")])
    }

    /// Looks for the proof.
    async fn look(&self, kind: &str) -> bool {
        if kind == "http-01" {
            let path = format!("/.well-known/acme-challenge/{TOKEN}");
            let Ok(stream) = TcpStream::connect(("127.0.0.1", self.files)).await else { return false };
            let io = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            let request = axum::http::Request::get(path).header("host", NAME).body(String::new()).unwrap();
            let file = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
            // the token, and the thumbprint of the account's key: 32 bytes in base64
            let text = String::from_utf8(file.to_vec()).unwrap();
            return text.strip_prefix(TOKEN).and_then(|rest| rest.strip_prefix('.')).is_some_and(|key| key.len() == 43);
        }
        let shown = leaf(self.tls, NAME, b"acme-tls/1").await;
        // id-pe-acmeIdentifier, critical, with 32 bytes in it (RFC 8737, section 3)
        let identifier = [0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 34, 4, 32];
        shown.is_ok_and(|der| der.windows(identifier.len()).any(|window| window == identifier))
            && leaf(self.tls, "other.example.com", b"acme-tls/1").await.is_err()
    }
}

/// A root of the house's own in PEM, and a door that shows a certificate of it for this machine.
fn house() -> (String, TlsAcceptor) {
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let leaf = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    (root.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// A listener behind TLS. Who does not like its certificate is not served.
struct Secured {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a signed request says (RFC 7515, section 7.2.2). Whether the signature is right is the library's business.
fn payload(body: &[u8]) -> Value {
    let whole: Value = serde_json::from_slice(body).unwrap();
    let text = URL_SAFE_NO_PAD.decode(whole["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

async fn answer(State(authority): State<Authority>, uri: Uri, body: Bytes) -> Response {
    let url = &authority.url;
    let at =
        |place: &str| HeaderMap::from_iter([("location".parse().unwrap(), format!("{url}/{place}").parse().unwrap())]);
    let nonce = [("replay-nonce", "bm9uY2U")];
    let path = uri.path();
    let (headers, body) = match path {
        "/directory" => {
            let directory = json!({
                "newNonce": format!("{url}/nonce"), "newAccount": format!("{url}/account"),
                "newOrder": format!("{url}/orders"), "revokeCert": format!("{url}/revoke"), "keyChange": format!("{url}/key"),
            });
            (HeaderMap::new(), directory.to_string())
        }
        "/account" => {
            authority.seen.lock().unwrap().accounts += 1;
            (at("account/1"), json!({"status": "valid"}).to_string())
        }
        "/orders" => {
            let mut seen = authority.seen.lock().unwrap();
            *seen = Seen { accounts: seen.accounts, ..Seen::default() };
            drop(seen);
            (at("order"), authority.order().to_string())
        }
        "/order" => (HeaderMap::new(), authority.order().to_string()),
        "/authorization" => {
            let challenges = authority.challenges();
            let all =
                json!({"identifier": {"type": "dns", "value": NAME}, "status": "pending", "challenges": challenges});
            (HeaderMap::new(), all.to_string())
        }
        "/finalize" => {
            let csr = URL_SAFE_NO_PAD.decode(payload(&body)["csr"].as_str().unwrap()).unwrap();
            authority.seen.lock().unwrap().chain = Some(sign(&csr));
            (HeaderMap::new(), authority.order().to_string())
        }
        "/certificate" => (HeaderMap::new(), authority.seen.lock().unwrap().chain.clone().unwrap_or_default()),
        _ => match path.strip_prefix("/look/") {
            Some(kind) => {
                let is_proven = authority.look(kind).await;
                let mut seen = authority.seen.lock().unwrap();
                (seen.is_proven, seen.refused) = (is_proven, !is_proven);
                (
                    HeaderMap::new(),
                    json!({"type": kind, "url": url, "token": TOKEN, "status": "processing"}).to_string(),
                )
            }
            None => (HeaderMap::new(), String::new()),
        },
    };
    (nonce, headers, body).into_response()
}

/// Signs what is asked for, and adds the authority's own certificate.
fn sign(csr: &[u8]) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let csr = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
    format!("{}{}", csr.signed_by(&issuer).unwrap().pem(), root.pem())
}

fn own() -> OwnCertificateDraft {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["brought.example".into()]).unwrap().self_signed(&key).unwrap();
    OwnCertificateDraft { certificate: Some(certificate.pem()), key: Some(Password::new(key.serialize_pem())) }
}

#[tokio::test]
async fn shows_a_certificate_that_is_brought_at_once_and_its_own_when_that_is_withdrawn() {
    let running = running().await;
    running.shows("own.example").await;

    running.world.services.web_certificate.bring(&Caller::local(), own()).await.unwrap();
    running.shows("brought.example").await;
    let look = running.world.services.web_certificate.look();
    running.world.services.web_certificate.withdraw(&Caller::local()).await.unwrap();
    running.shows("own.example").await;

    assert!(look.is_brought && look.authority.is_none());
}

#[tokio::test]
async fn makes_another_certificate_of_its_own_which_stays() {
    let running = running().await;
    running.shows("own.example").await;
    let first = running.fingerprint().await;
    let admin = Reader::enter(&running.world, "admin").await;

    let made = admin.post(&running.world, "/panel/certificate/make", "").await;
    let second = running.fingerprint().await;
    let page = admin.look(&running.world, "/panel/certificate").await.body;
    let audit = running.world.get("/api/v1/audit?limit=1").await.body;
    let running = running.started_again().await;

    assert_eq!(made.code, StatusCode::SEE_OTHER, "{made:?}");
    assert_ne!(second, first);
    assert!(page.contains(&second) && page.contains("own.example"), "{page}");
    assert!(audit.contains("Made another certificate"), "{audit}");
    assert_eq!(running.fingerprint().await, second);
    running.shows("own.example").await;
}

#[tokio::test]
async fn says_that_nothing_listens_for_which_a_certificate_could_be_made() {
    let world = World::new().await;
    let admin = Reader::enter(&world, "admin").await;

    let made = admin.post(&world, "/panel/certificate/make", "").await;

    assert!(made.body.contains("role=\"alert\""), "{made:?}");
}

#[tokio::test]
async fn gets_a_certificate_of_an_authority_by_either_proof_and_keeps_its_account() {
    let running = running().await;
    let authority = Authority::start(&running).await;

    for challenge in ["http-01", "tls-alpn-01"] {
        let asked = running.world.services.web_certificate.ask(&Caller::local(), authority.draft(challenge)).await;
        assert!(asked.is_ok(), "{challenge}: {asked:?}");
        running.shows(NAME).await;
    }

    assert_eq!(authority.seen.lock().unwrap().accounts, 1);
    assert!(TcpStream::connect(("127.0.0.1", running.challenge_port)).await.is_err(), "the port is closed again");
    assert!(leaf(running.address, NAME, b"acme-tls/1").await.is_err(), "the proof is gone");
}

#[tokio::test]
async fn believes_an_authority_of_the_house_by_its_root_alone() {
    let running = running().await;
    let authority = Authority::start(&running).await;
    let service = &running.world.services.web_certificate;

    let strange = AuthorityDraft { root: None, ..authority.draft("http-01") };
    let strange = service.ask(&Caller::local(), strange).await.unwrap_err();
    let other = AuthorityDraft { root: Some(house().0), ..authority.draft("http-01") };
    let other = service.ask(&Caller::local(), other).await.unwrap_err();
    let known = service.ask(&Caller::local(), authority.draft("http-01")).await;
    let admin = Reader::enter(&running.world, "admin").await;
    let page = admin.look(&running.world, "/panel/certificate").await.body;

    for refused in [strange, other] {
        assert!(refused.to_string().starts_with("Certificate error: "), "{refused}");
    }
    assert!(known.is_ok(), "{known:?}");
    let first_line = authority.root.lines().nth(1).unwrap();
    assert!(page.contains(first_line.trim_end_matches('=')), "it is kept for the next time: {page}");
    assert_eq!(authority.seen.lock().unwrap().accounts, 1);
}

#[tokio::test]
async fn says_why_there_is_no_certificate_and_goes_on_with_the_present_one() {
    let running = running().await;
    let taken = TcpListener::bind(("0.0.0.0", running.challenge_port)).await.unwrap();
    let authority = Authority::start(&running).await;
    let service = &running.world.services.web_certificate;

    let asked = service.ask(&Caller::local(), authority.draft("http-01")).await.unwrap_err();
    let elsewhere = Authority { url: format!("http://127.0.0.1:{}", running.challenge_port), ..authority.clone() };
    drop(taken);
    let unreachable = service.ask(&Caller::local(), elsewhere.draft("http-01")).await.unwrap_err();

    assert!(asked.to_string().contains("cannot be opened"), "{asked}");
    assert!(unreachable.to_string().starts_with("Certificate error: "), "{unreachable}");
    assert!(service.look().fault.is_some() && service.look().authority.is_none());
    running.shows("own.example").await;
}

#[tokio::test]
async fn is_the_business_of_administrators_alone() {
    let world = World::new().await;
    let mut operator = Caller::local();
    operator.authority = culvert::domain::access::Authority::Operator;

    let brought = world.services.web_certificate.bring(&operator, own()).await;

    assert!(brought.is_err());
}
