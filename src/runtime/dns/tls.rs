//! Forwarders that are asked over TLS (RFC 7858): one connection each, kept while it is used, with many questions on it.

use std::collections::{BTreeMap, VecDeque};
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
use crate::runtime::os::clock;

/// Questions that may wait for the connection.
const QUEUE: usize = 256;
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a connection is kept on which nothing happens.
const IDLE: Duration = Duration::from_secs(30);
/// How long nothing may come while something is waited for.
const SILENT: Duration = Duration::from_secs(4);
/// Questions that may wait for their answers.
const WAITING_MAX: usize = 1_024;
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
            let mut left = vec![first];
            // a connection that ends under a question is made anew, once (RFC 7766, section 6.2.4)
            for _ in 0..2 {
                let Ok(Ok(stream)) = timeout(CONNECT, connect(address, &name, &trust)).await else {
                    left.extend(std::iter::from_fn(|| errands.try_recv().ok()));
                    break;
                };
                left = converse(stream, left, &mut errands).await;
                if left.is_empty() {
                    break;
                }
            }
            left.iter().for_each(fail);
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

fn fail(errand: &Errand) {
    errand.back.tell(Reply::Failure(errand.ask.ticket));
}

/// Sends questions and passes replies back, until the connection ends or nobody has used it for long. What has no reply
/// then is given back.
async fn converse(
    stream: TlsStream<TcpStream>,
    first: Vec<Errand>,
    errands: &mut mpsc::Receiver<Errand>,
) -> Vec<Errand> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut waiting: BTreeMap<u16, Errand> = BTreeMap::new();
    let (mut inbound, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    let mut next = VecDeque::from(first);
    let mut quiet_since = clock::now();
    loop {
        while let Some(errand) = next.pop_front() {
            let bytes = framed(&errand.ask.message);
            let id = id_of(&errand.ask.message);
            if waiting.is_empty() {
                quiet_since = clock::now();
            }
            if waiting.len() >= WAITING_MAX {
                fail(&errand);
                continue;
            }
            if let Some(other) = waiting.insert(id, errand) {
                fail(&other);
            }
            if !matches!(timeout(CONNECT, writer.write_all(&bytes)).await, Ok(Ok(()))) {
                return waiting.into_values().chain(next).collect();
            }
        }
        // a dead connection is noticed however many more are asked
        let bound = if waiting.is_empty() { IDLE } else { SILENT };
        let left = (quiet_since + bound).saturating_duration_since(clock::now());
        let length = tokio::select! {
            errand = errands.recv() => match errand {
                Some(errand) => {
                    next.push_back(errand);
                    continue;
                }
                None => break,
            },
            read = timeout(left, reader.read(&mut chunk)) => match read {
                Ok(Ok(length @ 1..)) => length,
                Ok(Ok(0) | Err(_)) | Err(_) => break,
            },
        };
        quiet_since = clock::now();
        inbound.extend_from_slice(&chunk[..length]);
        while let Some(message) = take_message(&mut inbound) {
            if let Some(errand) = waiting.remove(&id_of(&message)) {
                errand.back.tell(Reply::Message(errand.ask.ticket, message));
            }
        }
    }
    waiting.into_values().collect()
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::domain::dns::Forwarder;
    use crate::engine::dns::{Ask, Transport};
    use crate::runtime::dns::Back;

    /// A forwarder with a certificate for this name, which repeats what it is asked as an answer, two at a time with the
    /// latest first, and hears five questions on a connection; and who believes it.
    async fn forwarder(name: &str) -> (SocketAddr, Arc<ClientConfig>) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await else { continue };
                let (mut answers, mut count) = (Vec::new(), 0);
                while let Ok(length) = stream.read_u16().await {
                    count += 1;
                    if count > 5 {
                        break;
                    }
                    let mut message = vec![0; length.into()];
                    stream.read_exact(&mut message).await.unwrap();
                    message[2] |= 0x80;
                    answers.insert(0, framed(&message));
                    if answers.len() == 2 {
                        stream.write_all(&std::mem::take(&mut answers).concat()).await.unwrap();
                    }
                }
            }
        });
        (address, trusting(roots))
    }

    fn errand(address: SocketAddr, name: &str, id: u16) -> (Errand, std::sync::mpsc::Receiver<Reply>) {
        let (replies, receiver) = sync_channel(4);
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut message = vec![0; 12];
        message[..2].copy_from_slice(&id.to_be_bytes());
        let forwarder = Forwarder { address, tls: Some(name.to_owned()) };
        let ticket = crate::engine::dns::Ticket::first();
        let ask = Ask { ticket, forwarder, transport: Transport::Tls, message: message.into() };
        (Errand { ask, back: Back { replies, waker } }, receiver)
    }

    #[tokio::test]
    async fn asks_again_on_a_new_connection_where_the_old_one_ends_under_a_question() {
        let (address, trust) = forwarder("dns.example").await;
        let (keeper, work) = keep(address, "dns.example".into(), trust);
        // the forwarder ends a connection after five messages
        let asked: Vec<_> = (1..=6).map(|id| errand(address, "dns.example", id)).collect();
        let (errands, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        for errand in errands {
            keeper.take(errand);
        }

        let heard = tokio::select! {
            () = work => panic!("it ended"),
            heard = async {
                let mut heard = Vec::new();
                for replies in &replies {
                    heard.push(next(replies).await.map(|message| id_of(&message)));
                }
                heard
            } => heard,
        };

        assert_eq!(heard, (1..=6).map(Some).collect::<Vec<_>>());
    }

    async fn next(replies: &std::sync::mpsc::Receiver<Reply>) -> Option<Vec<u8>> {
        loop {
            match replies.try_recv() {
                Ok(Reply::Message(_, message)) => return Some(message),
                Ok(Reply::Failure(_)) => return None,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn asks_several_at_a_time_on_one_connection_and_tells_the_answers_apart() {
        let (address, trust) = forwarder("dns.example").await;
        let (keeper, work) = keep(address, "dns.example".into(), trust);
        let (one, replies_one) = errand(address, "dns.example", 1);
        let (two, replies_two) = errand(address, "dns.example", 2);
        keeper.take(one);
        keeper.take(two);

        let heard = tokio::select! {
            () = work => panic!("it ended"),
            heard = async { (next(&replies_one).await, next(&replies_two).await) } => heard,
        };

        let (one, two) = (heard.0.unwrap(), heard.1.unwrap());
        assert_eq!((id_of(&one), id_of(&two)), (1, 2));
    }

    #[tokio::test]
    async fn asks_nobody_who_shows_a_certificate_for_another_name_or_of_a_stranger() {
        let (address, trust) = forwarder("dns.example").await;
        for (name, trust) in [("other.example", trust), ("dns.example", super::trust())] {
            let (keeper, work) = keep(address, name.into(), trust);
            let (asked, replies) = errand(address, name, 1);
            keeper.take(asked);

            let heard = tokio::select! {
                () = work => panic!("it ended"),
                heard = next(&replies) => heard,
            };

            assert_eq!(heard, None, "{name}");
        }
    }
}
