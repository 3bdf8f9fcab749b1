//! WireGuard servers: what the API and the command line may do with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::accounts::{is_seen, shown};
use super::{Caller, Error, Ground};
use crate::domain::account::{Account, rate_or};
use crate::domain::audit::{Deed, Kind, differences};
use crate::domain::figures::{AccountFigures, OnlinePeer, ServerDump, ServerTraffic};
use crate::domain::intended::IntendedServer;
use crate::domain::pool;
use crate::domain::refusal::Refusal;
use crate::domain::server::{Server, ServerDraft, ServerSeed};
use crate::runtime::os::{clock, entropy};
use crate::store::Change;

/// The use cases of servers.
#[derive(Debug, Clone)]
pub struct Servers {
    pub(super) ground: Ground,
}

/// What a server's clients have done, with what is needed to print it.
#[derive(Debug, Clone)]
pub struct ServerReport {
    /// The server.
    pub server: Arc<Server>,
    /// Whether its clients reach one another: by its own switch and by the firewall's.
    pub lets_internal_traffic: bool,
    /// The uplink's name.
    pub uplink: &'static str,
    /// The figures.
    pub traffic: ServerTraffic,
}

impl Servers {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// Every server, by name.
    pub fn list(&self) -> Vec<Arc<Server>> {
        self.ground.store.intended().servers.values().map(|server| server.server.clone()).collect()
    }

    /// One server.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn detail(&self, name: &str) -> Result<Arc<Server>, Error> {
        self.find(name).map(|server| server.server)
    }

    /// What a new server would be by itself. Nothing of it is kept; its keys are none that a server will have.
    ///
    /// # Errors
    /// The refusals of [`ServerDraft`], where there is no room for another.
    pub fn proposal(&self) -> Result<Server, Error> {
        let seed = ServerSeed { private_key: entropy::bytes(), network: entropy::bytes() };
        let draft = ServerDraft { ipv6: Some("1".into()), ..ServerDraft::default() };
        Ok(draft.settle(&self.ground.store.intended(), &self.ground.host_facts(), &seed)?)
    }

    /// Adds a server and returns once it listens.
    ///
    /// # Errors
    /// The refusals of [`ServerDraft`].
    pub async fn add(&self, by: &Caller, draft: ServerDraft) -> Result<Arc<Server>, Error> {
        let host = self.ground.host_facts();
        let seed = ServerSeed { private_key: entropy::bytes(), network: entropy::bytes() };
        let rule = move |change: &mut Change| {
            let server = draft.settle(change.intended(), &host, &seed)?;
            let server = change.put_server(server);
            let text = format!("Added server `{}` at port {}", server.name, server.listen_port);
            let deed = Deed::to(Kind::Server, &server.name, text);
            Ok((server, deed))
        };
        self.ground.write(by, rule).await
    }

    /// Edits what the draft names; name, keys and interface stay.
    ///
    /// # Errors
    /// `ServerNotFound` and the refusals of [`ServerDraft`].
    pub async fn edit(&self, by: &Caller, name: &str, draft: ServerDraft) -> Result<Arc<Server>, Error> {
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            let current = change.intended().server(&name).ok_or(Refusal::ServerNotFound)?;
            let server = draft.amend(current, change.intended())?;
            let text = format!("Edited server `{}`{}", server.name, differences(current.server.as_ref(), &server));
            let deed = Deed::to(Kind::Server, &server.name, text);
            let unchanged = Some(current.server.clone()).filter(|current| **current == server);
            Ok((unchanged.unwrap_or_else(|| change.put_server(server)), deed))
        };
        self.ground.write(by, rule).await
    }

    /// Deletes a server that has no accounts.
    ///
    /// # Errors
    /// `ServerNotFound`, `ServerHasPeers`.
    pub async fn delete(&self, by: &Caller, name: &str) -> Result<(), Error> {
        let removed = name.to_owned();
        let rule = move |change: &mut Change| {
            change.remove_server(&removed)?;
            let text = format!("Deleted server `{removed}`");
            Ok(((), Deed::to(Kind::Server, &removed, text)))
        };
        self.ground.write(by, rule).await
    }

    /// A server's accounts that `by` sees, by name.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn peers(&self, by: &Caller, name: &str) -> Result<Vec<Arc<Account>>, Error> {
        let server = self.find(name)?;
        let seen = server.accounts.values().filter(|account| is_seen(by, account));
        Ok(seen.map(|account| shown(by, account)).collect())
    }

    /// The addresses that a server still has to give, lowest first, at most 65,536 of them.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn available_ips(&self, name: &str) -> Result<Vec<Ipv4Addr>, Error> {
        self.find(name).map(|server| pool::available(&server))
    }

    /// A server's tunnel.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub fn dump(&self, name: &str) -> Result<ServerDump, Error> {
        let server = self.detail(name)?;
        Ok(ServerDump { port: server.listen_port.to_string(), public_key: server.public_key.to_string() })
    }

    /// Sets the bandwidth of every account of a server; where a direction is absent, to the server's own.
    ///
    /// # Errors
    /// `ServerNotFound`, `FieldMalformed`.
    pub async fn set_bandwidth(
        &self,
        by: &Caller,
        name: &str,
        download: Option<String>,
        upload: Option<String>,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        let rule = move |change: &mut Change| {
            let IntendedServer { server, accounts, .. } =
                change.intended().server(&name).ok_or(Refusal::ServerNotFound)?.clone();
            let b_download = rate_or("b_download", download.as_ref(), server.b_download)?;
            let b_upload = rate_or("b_upload", upload.as_ref(), server.b_upload)?;
            let differs = |account: &&Arc<Account>| (account.b_download, account.b_upload) != (b_download, b_upload);
            for account in accounts.values().filter(differs) {
                change.put_account(Account { b_download, b_upload, ..account.as_ref().clone() })?;
            }
            let rates = format!("{b_download} down, {b_upload} up");
            let text = format!("Set bandwidth of all accounts of server `{name}` to {rates}");
            Ok(((), Deed::to(Kind::Server, &name, text)))
        };
        self.ground.write(by, rule).await
    }

    /// The accounts that `by` sees and that are connected now, over all servers, by server and name.
    pub async fn online(&self, by: &Caller) -> Vec<OnlinePeer> {
        let mut figures = self.ground.runtime.figures().await;
        figures.sort_unstable_by(|a, b| (&a.server, &a.account).cmp(&(&b.server, &b.account)));
        let (intended, at) = (self.ground.store.intended(), clock::timestamp());
        let (zone, within) = (self.ground.time_zone(), intended.system.wireguard_handshake_uptime);
        let peer = |figures: AccountFigures| {
            let account = intended.server(figures.server.as_str())?.accounts.get(&figures.account)?;
            let account = Some(account).filter(|account| is_seen(by, account)).map(|account| shown(by, account))?;
            online_peer(account, &figures, within, at, &zone)
        };
        figures.into_iter().filter_map(peer).collect()
    }

    /// What a server's clients have done.
    ///
    /// # Errors
    /// `ServerNotFound`.
    pub async fn traffic(&self, name: &str) -> Result<ServerReport, Error> {
        let server = self.detail(name)?;
        let firewall = self.ground.store.intended().firewall.clone();
        Ok(ServerReport {
            traffic: self.ground.runtime.server_traffic(&server.name).await,
            lets_internal_traffic: server.internal_traffic && firewall.settings.internal_traffic,
            uplink: self.ground.runtime.uplink().name,
            server,
        })
    }

    fn find(&self, name: &str) -> Result<IntendedServer, Error> {
        self.ground.store.intended().server(name).cloned().ok_or(Error::Refused(Refusal::ServerNotFound))
    }
}

/// An account as `wireguard_online` prints it, unless its last handshake is more than `within` seconds ago.
fn online_peer(
    account: Arc<Account>,
    figures: &AccountFigures,
    within: u32,
    at: Timestamp,
    zone: &TimeZone,
) -> Option<OnlinePeer> {
    let age = figures.handshake_age.filter(|_| figures.is_online(within))?;
    let handshake = at.checked_sub(age).unwrap_or(at).to_zoned_datetime(zone.clone());
    Some(OnlinePeer {
        account,
        endpoint: endpoint_shown(figures.endpoint),
        latest_handshake: handshake.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        transfer_rx: figures.received.to_string(),
        transfer_tx: figures.sent.to_string(),
    })
}

/// An endpoint as `wg show` prints it.
pub(super) fn endpoint_shown(endpoint: Option<SocketAddr>) -> String {
    let plain = |endpoint: SocketAddr| SocketAddr::new(endpoint.ip().to_canonical(), endpoint.port()).to_string();
    endpoint.map_or_else(|| "(none)".into(), plain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::fixture::house;

    fn figures(age: Option<u64>) -> AccountFigures {
        let account = house().account("peer_1").unwrap().clone();
        AccountFigures {
            account: account.name.clone(),
            server: account.server.clone(),
            endpoint: "[::ffff:79.184.218.180]:47471".parse().ok(),
            handshake_age: age.map(Duration::from_secs),
            received: 3892,
            received_packets: 1,
            sent: 2972,
            sent_packets: 1,
        }
    }

    fn shown(age: Option<u64>) -> Option<OnlinePeer> {
        let at = "2022-12-12T12:05:01Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        online_peer(house().account("peer_1").unwrap().clone(), &figures(age), 180, at, &zone)
    }

    #[test]
    fn prints_an_online_peer_as_the_contract_does() {
        let peer = shown(Some(120)).unwrap();
        assert_eq!(peer.latest_handshake, "2022-12-12 13:03:01");
        assert_eq!(peer.endpoint, "79.184.218.180:47471");
        assert_eq!((peer.transfer_rx.as_str(), peer.transfer_tx.as_str()), ("3892", "2972"));
    }

    #[test]
    fn takes_a_peer_for_online_while_its_handshake_is_fresh() {
        assert!(shown(Some(180)).is_some());
        assert!(shown(Some(181)).is_none());
        assert!(shown(None).is_none());
    }
}
