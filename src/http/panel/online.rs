//! Who is connected now, by either protocol.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use askama::Template;
use axum::extract::{Path, State};

use super::live::Told;
use super::page::{self, Answer};
use super::visit::Visit;
use crate::domain::access::Right;
use crate::services::Services;

/// Somebody who is connected.
pub(super) struct Peer {
    /// The account.
    pub(super) account: String,
    /// Its server.
    server: String,
    /// `WireGuard` or `IKEv2`.
    protocol: &'static str,
    /// Where the client is.
    endpoint: String,
    /// Since when: of `WireGuard` the last handshake, of IKEv2 how long it has been connected.
    since: String,
    /// What came from it and went to it, where that is counted for this protocol alone.
    moved: Option<(u64, u64)>,
}

impl Peer {
    /// Its protocol's name.
    pub(super) const fn protocol(&self) -> &'static str {
        self.protocol
    }
}

#[derive(Template)]
#[template(path = "online.html", config = "src/http/panel/askama.toml")]
struct Online<'a> {
    visit: &'a Visit,
    peers: Vec<Peer>,
    /// What the list shows, in short.
    mark: String,
    may_write: bool,
}

/// Everybody who is connected, as far as the reader may see them.
pub(super) async fn everybody(visit: &Visit, services: &Services) -> Vec<Peer> {
    let by_wireguard = services.servers.online(visit.caller()).await.into_iter().map(|peer| Peer {
        account: peer.account.name.to_string(),
        server: peer.account.server.to_string(),
        protocol: "WireGuard",
        endpoint: peer.endpoint,
        since: peer.latest_handshake,
        moved: Some((peer.transfer_rx.parse().unwrap_or(0), peer.transfer_tx.parse().unwrap_or(0))),
    });
    let by_ikev2 = services.ikev2.online(visit.caller()).into_iter().map(|client| Peer {
        account: client.account.name.to_string(),
        server: client.account.server.to_string(),
        protocol: "IKEv2",
        endpoint: client.session.endpoint.to_string(),
        since: visit.language.span(client.session.age.as_secs()),
        moved: None,
    });
    let mut peers: Vec<_> = by_wireguard.chain(by_ikev2).collect();
    peers.sort_by(|a, b| (&a.account, a.protocol).cmp(&(&b.account, b.protocol)));
    peers
}

/// Lists them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    let peers = everybody(&visit, &services).await;
    page::page(&Online { visit: &visit, mark: mark(&peers), peers, may_write: visit.has(Right::HandleAccounts) })
}

/// Who is on the list and from where, in so few letters that they can be told every second: another list, another mark.
fn mark(peers: &[Peer]) -> String {
    let mut hasher = DefaultHasher::new();
    for peer in peers {
        (&peer.account, peer.protocol, &peer.endpoint).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// What moves on the list: who comes and goes.
pub(super) async fn tell(visit: &Visit, services: &Services) -> Told {
    let peers = everybody(visit, services).await;
    Told { fresh: [("peers".to_owned(), mark(&peers))].into(), ..Told::default() }
}

/// Ends an account's IKEv2 sessions; it may come back.
pub(super) async fn drop_ikev2(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.ikev2.disconnect(visit.caller(), &name).await?;
    Ok(page::done("/panel/online", "said.ended"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(account: &str, endpoint: &str) -> Peer {
        let (server, since) = ("s".to_owned(), "1".to_owned());
        let (account, endpoint) = (account.to_owned(), endpoint.to_owned());
        Peer { account, server, protocol: "IKEv2", endpoint, since, moved: None }
    }

    #[test]
    fn marks_another_list_by_another_mark_and_the_same_by_the_same() {
        let mark_of = |pairs: &[(&str, &str)]| mark(&pairs.iter().map(|(who, at)| peer(who, at)).collect::<Vec<_>>());

        assert_eq!(mark_of(&[("a", "x"), ("b", "y")]), mark_of(&[("a", "x"), ("b", "y")]));
        for other in [&[][..], &[("a", "x")], &[("a", "x"), ("b", "z")], &[("a", "x"), ("c", "y")]] {
            assert_ne!(mark_of(&[("a", "x"), ("b", "y")]), mark_of(other), "{other:?}");
        }
    }
}
