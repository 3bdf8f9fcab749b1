//! Texts of people: the configuration's file, and the drafts of servers and accounts.

use std::path::Path;
use std::sync::Arc;

use culvert::config::raw::Raw;
use culvert::domain::account::{AccountDraft, AccountSeed};
use culvert::domain::client_config;
use culvert::domain::intended::Intended;
use culvert::domain::limits;
use culvert::domain::server::{HostFacts, ServerDraft, ServerSeed};

use crate::campaign::Campaign;
use crate::dice::Dice;

const TEXTS: [&str; 18] = [
    "",
    "0",
    "65535",
    "wg1",
    "true",
    "enable",
    "10.0.0.1",
    "10.0.0.77",
    "10.9.0.1/24",
    "10.9.0.129/30",
    "255.255.255.254/8",
    "fd00::1/64",
    "fd00::ffff:ffff",
    "ffff::1/126",
    "::ffff:1.1.1.1/128",
    "0.0.0.0/0, ::/0",
    "vpn.example.com",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
];

const FILE: &str = "listen = \"0.0.0.0:8098\"\ndata = \"/var/lib/culvert\"\n[limits]\naccounts = 12\n";

#[test]
fn settles_only_what_can_be() {
    let mut campaign = Campaign::new("texts");
    while let Some(mut dice) = campaign.next() {
        let mut house = Intended::default();
        for _ in 0..24 {
            add_server(&mut dice, &mut house);
            add_account(&mut dice, &mut house);
        }
        let mut file = FILE.as_bytes().to_vec();
        dice.mutate(&mut file, FILE.as_bytes());
        let _ = Raw::from_file(Path::new("culvert.toml"), &String::from_utf8_lossy(&file));
    }
}

fn text(dice: &mut Dice) -> Option<String> {
    if !dice.once_in(6) {
        return None;
    }
    let mut bytes = dice.pick(&TEXTS).as_bytes().to_vec();
    if dice.once_in(2) {
        let other = dice.pick(&TEXTS).as_bytes();
        dice.mutate(&mut bytes, other);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn server_draft(dice: &mut Dice) -> ServerDraft {
    ServerDraft {
        name: text(dice),
        private_key: text(dice),
        interface_name: text(dice),
        listen_port: text(dice),
        mtu: text(dice),
        keep_alive: text(dice),
        allowed_ips: text(dice),
        endpoint: text(dice),
        address: text(dice),
        external_ip: text(dice),
        dns_1: text(dice),
        ipv6: text(dice),
        address_ipv6: text(dice),
        dns_1_ipv6: text(dice),
        b_download: text(dice),
        ..ServerDraft::default()
    }
}

fn add_server(dice: &mut Dice, house: &mut Intended) {
    let host = HostFacts { external_ip: [192, 0, 2, 1].into(), endpoint: None };
    let seed = ServerSeed { private_key: [dice.byte(); 32], network: dice.bytes(5).try_into().unwrap() };
    if let Ok(server) = server_draft(dice).settle(house, &host, &seed) {
        house.insert_server(Arc::new(server));
    }
    let present: Vec<_> = house.servers.values().cloned().collect();
    if present.is_empty() {
        return;
    }
    if let Ok(server) = server_draft(dice).amend(dice.pick(&present), house) {
        house.insert_server(Arc::new(server));
    }
    check(house);
}

fn add_account(dice: &mut Dice, house: &mut Intended) {
    let names: Vec<String> = house.servers.keys().map(|name| name.as_str().to_owned()).collect();
    if names.is_empty() {
        return;
    }
    let mut draft = AccountDraft {
        wg_name: Some(dice.pick(&names).clone()),
        name: text(dice),
        status: text(dice),
        username: text(dice),
        password: text(dice),
        allowed_ips: text(dice),
        allowed_ips_ipv6: text(dice),
        private_key: text(dice),
        public_key: text(dice),
        b_download: text(dice),
        b_upload: text(dice),
        expires: text(dice),
        quota: text(dice),
        quota_period: text(dice),
        quota_action: text(dice),
        quota_rate: text(dice),
        owner: text(dice),
        zone: None,
    };
    let seed = AccountSeed {
        private_key: dice.bytes(32).try_into().unwrap(),
        id: 0,
        password: dice.bytes(4 * limits::PASSWORD_LENGTH).try_into().unwrap(),
    };
    if let Ok(account) = draft.settle(house, 1_000, &seed) {
        house.insert_account(Arc::new(account)).unwrap();
    }
    draft.wg_name = None;
    let present: Vec<_> = house.accounts().cloned().collect();
    if !present.is_empty()
        && let Ok(account) = draft.amend(&present[dice.below(present.len())], house)
    {
        house.insert_account(Arc::new(account)).unwrap();
    }
    check(house);
}

/// What holds in every house: an account's addresses lie in its server's networks and are its own, and its client's file
/// has one line for each thing.
fn check(house: &Intended) {
    for server in house.servers.values() {
        let own = &server.server;
        let mut seen = vec![own.address.addr()];
        for account in server.accounts.values() {
            assert!(own.address.contains(&account.address), "{account:?} of {own:?}");
            assert!(!seen.contains(&account.address), "{account:?} is one of two");
            seen.push(account.address);
            assert!(account.address_ipv6.is_none_or(|address| own.address_ipv6.contains(&address)));
            let file = client_config::wireguard(account, own);
            for key in ["Address = ", "AllowedIPs = ", "Endpoint = ", "PublicKey = "] {
                assert_eq!(file.matches(&format!("\t{key}")).count(), 1, "{key}: {file}");
            }
        }
    }
}
