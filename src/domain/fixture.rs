//! Values that tests of several rooms start from.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::account::{Account, AccountDraft, AccountSeed};
use super::intended::Intended;
use super::server::{HostFacts, Server, ServerDraft, ServerSeed};

/// What servers of tests take from their host.
pub(crate) fn host() -> HostFacts {
    HostFacts { external_ip: IpAddr::V4(Ipv4Addr::new(77, 87, 125, 200)), endpoint: None }
}

/// Settles `draft` among `intended`, and puts the server in.
pub(crate) fn add_server(intended: &mut Intended, draft: &ServerDraft) -> Arc<Server> {
    let number = u8::try_from(intended.servers.len()).unwrap();
    let seed = ServerSeed { private_key: [number + 1; 32], network: [number; 5] };
    let server = Arc::new(draft.settle(intended, &host(), &seed).unwrap());
    assert_eq!(intended.insert_server(server.clone()), None);
    server
}

/// A seed like no other of the same test.
pub(crate) fn account_seed(number: usize) -> AccountSeed {
    let mut private_key = [0x40; 32];
    private_key[8..16].copy_from_slice(&number.to_le_bytes());
    AccountSeed { private_key, id: number as u64, password: [7; 40] }
}

/// Settles `draft` among `intended`, and puts the account in.
pub(crate) fn add_account(intended: &mut Intended, draft: &AccountDraft) -> Arc<Account> {
    let seed = account_seed(intended.count_accounts());
    let account = Arc::new(draft.settle(intended, u32::MAX, &seed).unwrap());
    assert_eq!(intended.insert_account(account.clone()), Ok(None));
    account
}

/// A draft of an account of `server` that leaves everything to be chosen.
pub(crate) fn account_of(server: &str) -> AccountDraft {
    AccountDraft { wg_name: Some(server.into()), ..AccountDraft::default() }
}

/// The servers `Default_1` and `Default_2`, and `peer_1` of the first.
pub(crate) fn house() -> Intended {
    let mut intended = Intended::default();
    add_server(&mut intended, &ServerDraft::default());
    add_server(&mut intended, &ServerDraft::default());
    add_account(&mut intended, &account_of("Default_1"));
    intended
}
