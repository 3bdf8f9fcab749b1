//! A store with many accounts, made in process: 10,000 requests over TLS would measure TLS.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use culvert::domain::access::Caller;
use culvert::domain::account::{Account, AccountDraft};
use culvert::domain::key::PublicKey;
use culvert::domain::server::{Server, ServerDraft};
use culvert::runtime::Runtime;
use culvert::services::{Services, Settings};
use culvert::store::Store;
use tokio::task::JoinSet;

/// The first server's name, and what the names of the others begin with.
const SERVER: &str = "bench";
const PORT: u16 = 51_900;
/// Every account's password for IKEv2.
pub(crate) const PASSWORD: &str = "bench-password";
/// Requests at once: they are committed together.
const AT_ONCE: usize = 1_000;

/// What a client must know.
pub(crate) struct Filled {
    /// Works from 127.0.0.1.
    pub(crate) access_hash: String,
    /// One account's name.
    pub(crate) account: String,
    /// That account's private key.
    pub(crate) private: boringtun::x25519::StaticSecret,
    /// Its server's key.
    pub(crate) server: PublicKey,
    /// Where that listens.
    pub(crate) endpoint: SocketAddr,
}

/// The name of a server, counted from 0.
pub(crate) fn server(number: usize) -> String {
    if number == 0 { SERVER.into() } else { format!("{SERVER}_{number}") }
}

/// An account's name for IKEv2, counted from 1.
pub(crate) fn username(number: usize) -> String {
    format!("visitor_{number}")
}

/// Makes what the first start makes, then so many servers (100 at most), accounts that they share, and one account of the
/// first to shake hands with.
///
/// # Errors
/// What the store and the services say.
pub(crate) fn fill(dir: &Path, servers: usize, accounts: usize) -> Result<Filled, Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let store = Store::open(dir)?;
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let settings = Settings {
            accounts_cap: None,
            time_zone: Some(jiff::tz::TimeZone::UTC),
            external_ip: Some(loopback),
            endpoint: None,
            data: dir.to_owned(),
            api_port: crate::api::PORT,
            public_url: None,
            listen_url: None,
            version: "bench".into(),
            has_certificate: false,
        };
        let services = Services::new(store.clone(), Runtime::detached(), settings);
        let first = services.first_start().await?.ok_or("the store is not empty")?;
        for number in 1..servers {
            add_server(&services, number).await?;
        }
        let first_server = add_server(&services, 0).await?;
        let mut left = accounts;
        while left > 0 {
            let count = left.min(AT_ONCE);
            left -= count;
            let mut tasks = JoinSet::new();
            for number in 0..count {
                tasks.spawn(add(services.clone(), server(number % servers), left + number + 1));
            }
            for added in tasks.join_all().await {
                added?;
            }
        }
        let last = add(services.clone(), server(0), accounts + 1).await?;
        store.close().await?;
        let private = last.private_key.as_ref().ok_or("the account has no private key")?.secret();
        Ok(Filled {
            access_hash: first.access_hash,
            account: last.name.to_string(),
            private,
            server: first_server.public_key,
            endpoint: SocketAddr::new(loopback, PORT),
        })
    })
}

async fn add_server(services: &Services, number: usize) -> Result<std::sync::Arc<Server>, Box<dyn Error>> {
    let draft = ServerDraft {
        name: Some(server(number)),
        address: Some(format!("10.{}.0.1/16", 64 + number)),
        listen_port: Some((usize::from(PORT) + number).to_string()),
        ..ServerDraft::default()
    };
    Ok(services.servers.add(&Caller::local(), draft).await?)
}

async fn add(
    services: Services,
    server: String,
    number: usize,
) -> Result<std::sync::Arc<Account>, culvert::services::Error> {
    let draft = AccountDraft {
        wg_name: Some(server),
        username: Some(username(number)),
        password: Some(PASSWORD.into()),
        ..AccountDraft::default()
    };
    services.accounts.add(&Caller::local(), draft).await
}
