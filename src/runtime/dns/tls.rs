//! Forwarders that are asked over TLS (RFC 7858): one connection each, kept while it is used, with many questions on it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::errand::framed;
use super::{Errand, Reply};

/// Questions that may wait for the connection.
const QUEUE: usize = 256;
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a connection is kept on which nothing happens.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes that are read at a time.
const CHUNK: usize = 16 << 10;

/// The way to a forwarder's connection.
#[derive(Debug)]
pub(super) struct Keeper(mpsc::Sender<Errand>);

impl Keeper {
    /// Takes a question. One more than may wait is as good as lost on the way.
    pub(super) fn take(&self, errand: Errand) {
        let _ = self.0.try_send(errand);
    }
}

/// Whose certificates are believed: those of the host's authorities, or where it has none those of Mozilla's.
pub(super) fn trust() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let (_added, _unreadable) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    match versions {
        Ok(builder) => Arc::new(builder.with_root_certificates(roots).with_no_client_auth()),
        Err(_) => unreachable!("the provider has every version"),
    }
}

/// The connection to a forwarder, and the work that keeps it; it ends with the keeper.
pub(super) fn keep(
    address: SocketAddr,
    name: String,
    trust: Arc<ClientConfig>,
) -> (Keeper, impl Future<Output = ()> + Send) {
    let (sender, mut errands) = mpsc::channel(QUEUE);
    let work = async move {
        while let Some(first) = errands.recv().await {
            match timeout(CONNECT, connect(address, &name, &trust)).await {
                Ok(Ok(stream)) => converse(stream, first, &mut errands).await,
                Ok(Err(_)) | Err(_) => {
                    fail(first);
                    while let Ok(errand) = errands.try_recv() {
                        fail(errand);
                    }
                }
            }
        }
    };
    (Keeper(sender), work)
}

async fn connect(address: SocketAddr, name: &str, trust: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::clone(trust)).connect(name, stream).await
}

fn fail(errand: Errand) {
    errand.back.tell(Reply::Failure(errand.ask.ticket));
}

/// Sends questions and passes replies back, until the connection ends or nobody has used it for long.
async fn converse(stream: TlsStream<TcpStream>, first: Errand, errands: &mut mpsc::Receiver<Errand>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut waiting: HashMap<u16, Errand> = HashMap::new();
    let (mut inbound, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    let mut next = Some(first);
    loop {
        if let Some(errand) = next.take() {
            let bytes = framed(&errand.ask.message);
            let id = id_of(&errand.ask.message);
            if let Some(other) = waiting.insert(id, errand) {
                fail(other);
            }
            if !matches!(timeout(CONNECT, writer.write_all(&bytes)).await, Ok(Ok(()))) {
                break;
            }
        }
        let length = tokio::select! {
            errand = errands.recv() => match errand {
                Some(errand) => {
                    next = Some(errand);
                    continue;
                }
                None => break,
            },
            read = timeout(IDLE, reader.read(&mut chunk)) => match read {
                Ok(Ok(length @ 1..)) => length,
                Ok(Ok(0) | Err(_)) | Err(_) => break,
            },
        };
        inbound.extend_from_slice(&chunk[..length]);
        while let Some(message) = take_message(&mut inbound) {
            if let Some(errand) = waiting.remove(&id_of(&message)) {
                errand.back.tell(Reply::Message(errand.ask.ticket, message));
            }
        }
    }
    let ids: Vec<u16> = waiting.keys().copied().collect();
    for id in ids {
        waiting.remove(&id).into_iter().for_each(fail);
    }
}

fn id_of(message: &[u8]) -> u16 {
    message.first_chunk().map_or(0, |id: &[u8; 2]| u16::from_be_bytes(*id))
}

/// A whole message behind its length.
fn take_message(inbound: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes(*inbound.first_chunk()?));
    let message = inbound.get(2..2 + length)?.to_vec();
    inbound.drain(..2 + length);
    Some(message)
}
