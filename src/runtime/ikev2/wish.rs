//! What the store's settings, certificates and accounts mean for the responder.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::domain::account::Account;
use crate::domain::ikev2::settings::{Action, AuthBy, ConnectionType, Fragmentation, Ikev2Settings, UniqueIds};
use crate::domain::ikev2::{Ikev2, KeyKind, ServerCredential};
use crate::domain::server::Server;
use crate::engine::dataplane::seat::Seat;
use crate::engine::ike::eap::mschapv2::nt_hash;
use crate::engine::ike::proposal::text::offers;
use crate::engine::ike::settings::{self, Identity, Lifetimes, Member, Settings, Uniqueness};
use crate::observe::fields;
use crate::runtime::os::rsa;

/// The advanced settings. What none of them changes is in `engine/ike/README.md`.
pub(super) fn settings(settings: &Ikev2Settings) -> Settings {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let unless_none = |count: u32| (count > 0).then(|| seconds(count));
    Settings {
        ike: offers(&settings.ike),
        esp: offers(&settings.esp),
        lifetimes: settings.rekey.then(|| Lifetimes {
            ike: seconds(settings.ikelifetime),
            child: seconds(settings.lifetime),
            margin: seconds(settings.margintime),
            fuzz_percent: settings.rekeyfuzz,
            reauthenticate: settings.reauth,
        }),
        probe_after: unless_none(settings.dpddelay).filter(|_| settings.dpdaction != Action::None),
        give_up_after: unless_none(settings.dpdtimeout),
        idle: unless_none(settings.inactivity),
        uniqueness: match settings.uniqueids {
            UniqueIds::Yes | UniqueIds::Replace => Uniqueness::Replace,
            UniqueIds::No => Uniqueness::OnInitialContact,
            UniqueIds::Never => Uniqueness::Never,
            UniqueIds::Keep => Uniqueness::Keep,
        },
        fragmentation: match settings.fragmentation {
            Fragmentation::Yes | Fragmentation::Force => settings::Fragmentation::Yes,
            Fragmentation::Accept => settings::Fragmentation::Accept,
            Fragmentation::No => settings::Fragmentation::No,
        },
        mobike: settings.mobike,
        open: match settings.connection {
            ConnectionType::Tunnel | ConnectionType::Transport | ConnectionType::TransportProxy => true,
            ConnectionType::Passthrough | ConnectionType::Drop => false,
        },
    }
}

/// The server's certificate and key, where there is one and the settings allow its kind (`authby`).
pub(super) fn identity(ikev2: &Ikev2) -> Option<Identity> {
    let server = ikev2.server.as_ref()?;
    if !allows(ikev2.settings.authby, server) {
        warn!("IKEv2 lets nobody in: the server's key is not of the kind that `authby` asks for");
        return None;
    }
    let chain = vec![server.credential.certificate.der().to_vec()];
    match Identity::new(chain, server.credential.key.pkcs8(), &server.domain, rsa::sha1_signer) {
        Ok(identity) => Some(identity),
        Err(cause) => {
            warn!({ fields::CAUSE } = %cause, "IKEv2 lets nobody in: the server's key cannot be used: {cause}");
            None
        }
    }
}

fn allows(by: AuthBy, server: &ServerCredential) -> bool {
    let is_rsa = matches!(server.credential.key.kind(), Some(KeyKind::Rsa(_)) | None);
    match by {
        AuthBy::RsaSig => is_rsa,
        AuthBy::EcdsaSig => !is_rsa,
        AuthBy::PubKey | AuthBy::Psk | AuthBy::Secret | AuthBy::XauthRsaSig | AuthBy::XauthPsk | AuthBy::Never => true,
    }
}

/// Who may come in by an account; its packets are the matter of the worker at which its client lives.
pub(super) fn member(account: &Account, server: &Server, workers: u8) -> Arc<Member> {
    let v6 = |address: Option<std::net::Ipv6Addr>| address.filter(|_| server.ipv6);
    let resolvers = [Some(IpAddr::V4(server.dns_1)), Some(IpAddr::V4(server.dns_2))];
    let resolvers_v6 = [v6(server.dns_1_ipv6), v6(server.dns_2_ipv6)].map(|address| address.map(IpAddr::V6));
    Arc::new(Member {
        account: account.name.clone(),
        login: account.username.to_string(),
        hash: nt_hash(account.password.reveal()),
        ipv4: Some(account.address),
        ipv6: v6(account.address_ipv6),
        dns: resolvers.into_iter().chain(resolvers_v6).flatten().collect(),
        shard: home(account, workers),
    })
}

/// The worker at which an account's client lives.
pub(super) fn home(account: &Account, workers: u8) -> u8 {
    Seat { of: workers, ..Seat::ALONE }.home(&account.public_key)
}

/// Whether what the responder knows of an account has changed.
pub(super) fn differs(before: &(Arc<Account>, Arc<Server>), account: &Arc<Account>, server: &Arc<Server>) -> bool {
    let is_same = Arc::ptr_eq(&before.0, account) && Arc::ptr_eq(&before.1, server);
    !is_same && (*before.0 != **account || *before.1 != **server)
}
