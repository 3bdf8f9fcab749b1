//! Which certificate the listener shows, followed while it listens; and what an authority looks for, shown to it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

use super::connection::stopped;
use super::server::listen_on;
use super::tls::{self, CertificateFiles, Shown};
use crate::domain::ikev2::Certificate;
use crate::domain::web_certificate::{Proof, WebCertificate};
use crate::services::Services;
use crate::services::web_certificate::Errand;

/// Shows what is stored, and the listener's own where there is nothing, until `stop`. Makes another one of its own, for
/// `names`, whenever that is asked for.
pub(super) async fn follow(
    services: &Services,
    shown: &Shown,
    (files, names): (&CertificateFiles, &[String]),
    mut stop: watch::Receiver<bool>,
) {
    let mut stored = services.web_certificate.follow();
    let mut wishes = services.web_certificate.follow_renewal();
    let is_configured = services.web_certificate.look().is_configured;
    let mut wish: Option<Arc<Errand<Timestamp>>> = None;
    loop {
        let made = wish.take().map(|wish| (files.make(names, wish.about), wish));
        if !is_configured {
            let wanted = stored.borrow_and_update().clone();
            match read(&wanted, files) {
                Ok(certificate) => shown.show(certificate),
                Err(cause) => warn!("The certificate stays as it is: {cause}"),
            }
        }
        services.web_certificate.show(shown.leaf().map(Certificate::trusted));
        if let Some((made, wish)) = made {
            wish.tell(made.map_err(|error| error.to_string()));
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            changed = stored.changed() => if changed.is_err() { return },
            changed = wishes.changed() => {
                if changed.is_err() {
                    return;
                }
                wish.clone_from(&wishes.borrow_and_update());
            }
        }
    }
}

fn read(stored: &WebCertificate, files: &CertificateFiles) -> Result<Arc<rustls::sign::CertifiedKey>, tls::Error> {
    let Some(credential) = &stored.credential else { return files.load() };
    let der = |certificate: &Certificate| CertificateDer::from(certificate.der().to_vec());
    tls::certified(credential.chain.iter().map(der).collect(), credential.key.pkcs8().to_vec())
}

/// Shows each proof that an authority looks for as long as it looks, until `stop`: a file at `port`, which is open for no
/// longer than that, or a certificate at the port of the API.
pub(super) async fn prove(services: &Services, shown: &Shown, port: u16, stop: watch::Receiver<bool>) {
    let mut wanted = services.web_certificate.follow_proof();
    let mut stop_here = stop.clone();
    loop {
        let showing = wanted.borrow_and_update().clone();
        let over = async {
            tokio::select! {
                () = stopped(&mut stop_here) => false,
                changed = wanted.changed() => changed.is_ok(),
            }
        };
        let goes_on = match showing {
            Some(showing) => show(&showing, shown, port, over).await,
            None => over.await,
        };
        shown.prove(None);
        if !goes_on {
            return;
        }
    }
}

/// Shows a proof until `over`, and returns what that says.
async fn show(showing: &Errand<Proof>, shown: &Shown, port: u16, over: impl Future<Output = bool>) -> bool {
    match &showing.about {
        Proof::Certificate { name, digest } => {
            let made = tls::proof(name, digest).map(|proof| shown.prove(Some((name.clone(), proof))));
            showing.tell(made.map_err(|error| error.to_string()));
            over.await
        }
        Proof::File { token, text } => match open(port) {
            Err(cause) => {
                showing.tell(Err(format!("port {port}, where it is looked for, cannot be opened: {cause}")));
                over.await
            }
            Ok(listener) => {
                let server = axum::serve(listener, files(token.clone(), text.clone()));
                showing.tell(Ok(()));
                tokio::select! {
                    _ = server.into_future() => false,
                    goes_on = over => goes_on,
                }
            }
        },
    }
}

/// The port at every address of the host.
fn open(port: u16) -> io::Result<TcpListener> {
    let [both, old] = [(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()];
    let both: SocketAddr = both;
    // only where the system has no IPv6: a taken port is taken in both families
    let is_final = |kind| matches!(kind, io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
    listen_on(both).or_else(|cause| if is_final(cause.kind()) { Err(cause) } else { listen_on(old) })
}

/// One file, and nothing else.
fn files(token: String, text: String) -> Router {
    let answer =
        async move |Path(asked): Path<String>| if asked == token { Ok(text) } else { Err(StatusCode::NOT_FOUND) };
    Router::new().route("/.well-known/acme-challenge/{token}", get(answer))
}
