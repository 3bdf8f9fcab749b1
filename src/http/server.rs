//! The listeners: TLS for the world, a Unix socket for the operator; both end together.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::connection::{Desk, stopped};
use super::doorkeeper::Doorkeeper;
use super::local_socket::{self, LocalSocket};
use super::places::Places;
use super::tls::{self, CertificateFiles, Shown};
use super::{certificate, local_router, router};
use crate::domain::access::Way;
use crate::domain::limits;
use crate::services::{Firewall, Services};

/// How long to wait where the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections may wait for us to take them.
const BACKLOG: i32 = 1_024;

/// Where to listen, and as whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder: the certificate that we make and the local socket lie there.
    pub data: PathBuf,
    /// The operator's own certificate, if there is one.
    pub certificate: Option<CertificateFiles>,
    /// Host names and addresses by which clients call; the certificate that we make holds them.
    pub names: Vec<String>,
    /// The proxies whose `X-Forwarded-For` counts.
    pub proxies: Vec<IpNet>,
    /// Where an authority looks for the proof of a name by HTTP.
    pub challenge_port: u16,
}

/// Why nothing listens.
#[derive(Debug, Error)]
pub enum Error {
    /// The API's address cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Address {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        cause: io::Error,
    },
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] tls::Error),
    /// There is no local socket.
    #[error(transparent)]
    Local(#[from] local_socket::Error),
}

/// The API's address, taken; nobody is answered yet.
#[derive(Debug)]
pub struct Claim {
    listener: TcpListener,
    address: SocketAddr,
}

impl Claim {
    /// Takes the address, and touches nothing else. Where none is named: every address of the host, IPv6 too if it has
    /// it, at [`limits::API_PORT`].
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn take(listen: Option<SocketAddr>) -> Result<Self, Error> {
        let Some(address) = listen else { return Self::take_every() };
        let occupied = |cause| Error::Address { address, cause };
        let listener = listen_on(address).map_err(occupied)?;
        let address = listener.local_addr().map_err(occupied)?;
        Ok(Self { listener, address })
    }

    fn take_every() -> Result<Self, Error> {
        let [both, old] = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)]
            .map(|address| SocketAddr::new(address, limits::API_PORT));
        match Self::take(Some(both)) {
            // only where the system has no IPv6: a taken port is taken in both families
            Err(Error::Address { cause, .. }) if cause.kind() != io::ErrorKind::AddrInUse => Self::take(Some(old)),
            other => other,
        }
    }

    /// The address, with the port that the system chose where none was named.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Listens; on the unspecified IPv6 address for IPv4 too, whatever the system's own default is.
pub(super) fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // a connection of the process before us that lingers does not keep us from starting
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What listens already and answers nobody yet.
#[derive(Debug)]
pub struct Server {
    claim: Claim,
    tls: Arc<ServerConfig>,
    shown: Arc<Shown>,
    files: CertificateFiles,
    names: Vec<String>,
    challenge_port: u16,
    local: LocalSocket,
    proxies: Vec<IpNet>,
}

impl Server {
    /// Takes the certificate (made now where there is none) and the local socket.
    ///
    /// # Errors
    /// [`enum@Error`], one sentence for people.
    pub fn bind(claim: Claim, settings: Settings, at: Timestamp) -> Result<Self, Error> {
        let files = if let Some(own) = settings.certificate {
            own
        } else {
            let made = CertificateFiles::in_folder(&settings.data);
            made.make_if_absent(&settings.names, at)?;
            made
        };
        let shown = Shown::new(files.load()?);
        let tls = shown.config()?;
        let local = LocalSocket::bind(&settings.data)?;
        let Settings { names, proxies, challenge_port, .. } = settings;
        Ok(Self { claim, tls, shown, files, names, challenge_port, local, proxies })
    }

    /// Answers until `stop` is ready; open requests get [`limits::STOP_TIME`] from then on.
    pub async fn run(self, services: Services, stop: impl Future<Output = ()>) {
        let Self { claim: Claim { listener, .. }, tls, shown, files, names, challenge_port, local, proxies } = self;
        let (end, stopping) = watch::channel(false);
        let world = Desk { router: router(services.clone(), proxies), stop: stopping.clone() };
        let firewall = services.firewall.clone();
        let operator = Desk { router: local_router(services.clone()), stop: stopping.clone() };
        let ended = async {
            stop.await;
            end.send_replace(true);
        };
        tokio::join!(
            ended,
            serve_world(listener, tls, firewall, world),
            serve_operator(local, operator),
            certificate::follow(&services, &shown, (&files, &names), stopping.clone()),
            certificate::prove(&services, &shown, challenge_port, stopping),
        );
    }
}

async fn serve_world(listener: TcpListener, tls: Arc<ServerConfig>, firewall: Firewall, desk: Desk) {
    let mut stop = desk.stop.clone();
    let mut doorkeeper = Doorkeeper::default();
    let places = Places::default();
    let mut connections = JoinSet::new();
    while let Some(accepted) = next(listener.accept(), &mut connections, &mut stop).await {
        let Some((stream, from)) = accepted else { continue };
        // one that is gone already has no end here
        let Ok(to) = stream.local_addr() else { continue };
        let way = Way::new(from, to);
        if !doorkeeper.admits(&firewall.current(), &way) {
            debug!("The firewall takes no connection from `{}`", way.from.ip());
            continue;
        }
        let Some(place) = places.take(way.from.ip()) else {
            debug!("No place left for a connection from `{}`", way.from.ip());
            continue;
        };
        let (desk, tls) = (desk.clone(), tls.clone());
        connections.spawn(async move {
            let _place = place;
            send_at_once(&stream);
            desk.serve_tls(stream, way, tls).await;
        });
    }
    drop(listener);
    finish(connections).await;
}

async fn serve_operator(local: LocalSocket, desk: Desk) {
    let mut stop = desk.stop.clone();
    let mut connections = JoinSet::new();
    while let Some(accepted) = next(local.accept(), &mut connections, &mut stop).await {
        let Some(stream) = accepted else { continue };
        if connections.len() < limits::CONNECTIONS_OF_ONE {
            connections.spawn(desk.clone().serve_local(stream));
        }
    }
    drop(local);
    finish(connections).await;
}

/// The next connection; `Some(None)` where there was something else to do, `None` when it is time to stop.
async fn next<T>(
    accept: impl Future<Output = io::Result<T>>,
    connections: &mut JoinSet<()>,
    stop: &mut watch::Receiver<bool>,
) -> Option<Option<T>> {
    tokio::select! {
        () = stopped(stop) => None,
        // takes the ended ones out of memory; a panic in one has been reported by the panic hook
        Some(_) = connections.join_next() => Some(None),
        accepted = accept => match accepted {
            Ok(connection) => Some(Some(connection)),
            Err(cause) => {
                debug!("No connection could be accepted: {cause}");
                sleep(PAUSE).await;
                Some(None)
            }
        },
    }
}

/// An answer is one small write; waiting for more to send with it only makes it late.
fn send_at_once(stream: &TcpStream) {
    if let Err(cause) = stream.set_nodelay(true) {
        debug!("A connection keeps its delay: {cause}");
    }
}

/// Gives open requests their time, then ends what is left.
async fn finish(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits::STOP_TIME, all).await.is_err() {
        connections.shutdown().await;
    }
}
