//! The file that a WireGuard client imports, in the contract's layout (`account_config_text`).

use std::fmt::Write as _;
use std::net::IpAddr;

use super::account::Account;
use super::limits;
use super::server::Server;

/// Writes the file of `account`, a client of `server`. It holds the account's private key, if that is known here.
///
/// `wg-quick` and the official clients import it. Where the client keeps its private key to itself, a comment stands in the
/// key's place.
pub fn wireguard(account: &Account, server: &Server) -> String {
    let mut text = String::from("[Interface]\n");
    line(&mut text, "Address", &addresses(account, server));
    line(&mut text, "DNS", &resolvers(server));
    if server.mtu != limits::MTU_DEFAULT {
        line(&mut text, "MTU", &server.mtu.to_string());
    }
    match &account.private_key {
        Some(key) => line(&mut text, "PrivateKey", &key.to_base64()),
        None => text.push_str("\t# PrivateKey = (put here the private key that only you have)\n"),
    }
    text.push_str("\t\n[Peer]\n");
    line(&mut text, "AllowedIPs", &allowed(server));
    line(&mut text, "Endpoint", &endpoint(server));
    let _ = write!(text, "\tPublicKey = {}", server.public_key);
    if server.keep_alive > 0 {
        let seconds = server.keep_alive.min(limits::KEEP_ALIVE_CLIENT_MAX);
        let _ = write!(text, "\n\tPersistentKeepalive = {seconds}");
    }
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "\t{key} = {value}");
}

fn addresses(account: &Account, server: &Server) -> String {
    let v4 = format!("{}/{}", account.address, server.address.prefix_len());
    match account.address_ipv6 {
        Some(v6) if server.ipv6 => format!("{v4},{v6}/{}", server.address_ipv6.prefix_len()),
        _ => v4,
    }
}

fn resolvers(server: &Server) -> String {
    let mut text = format!("{},{}", server.dns_1, server.dns_2);
    for resolver in [server.dns_1_ipv6, server.dns_2_ipv6].into_iter().flatten().filter(|_| server.ipv6) {
        let _ = write!(text, ",{resolver}");
    }
    text
}

fn allowed(server: &Server) -> String {
    if server.allowed_ips.is_empty() {
        return if server.ipv6 { "0.0.0.0/0,::/0" } else { "0.0.0.0/0" }.into();
    }
    server.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn endpoint(server: &Server) -> String {
    let host = server.endpoint.clone().unwrap_or_else(|| server.external_ip.to_string());
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{}", server.listen_port),
        _ => format!("{host}:{}", server.listen_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{account_of, add_account, add_server};
    use crate::domain::intended::Intended;
    use crate::domain::server::ServerDraft;

    fn written(change: impl FnOnce(&mut Server, &mut Account)) -> String {
        let mut intended = Intended::default();
        let draft = ServerDraft {
            address: Some("10.0.105.1/24".into()),
            listen_port: Some("51926".into()),
            dns_1: Some("8.8.8.8".into()),
            dns_2: Some("1.1.1.1".into()),
            keep_alive: Some("0".into()),
            ..ServerDraft::default()
        };
        let mut server = add_server(&mut intended, &draft).as_ref().clone();
        let mut account = add_account(&mut intended, &account_of("Default_1")).as_ref().clone();
        change(&mut server, &mut account);
        wireguard(&account, &server)
    }

    #[test]
    fn writes_the_layout_of_the_contract() {
        let mut keys = (String::new(), String::new());
        let text = written(|server, account| {
            keys = (account.private_key.as_ref().unwrap().to_base64(), server.public_key.to_string());
        });
        let (private, public) = keys;
        assert_eq!(
            text,
            format!(
                "[Interface]\n\tAddress = 10.0.105.2/24\n\tDNS = 8.8.8.8,1.1.1.1\n\tPrivateKey = {private}\n\t\n[Peer]\n\t\
                 AllowedIPs = 0.0.0.0/0\n\tEndpoint = 77.87.125.200:51926\n\tPublicKey = {public}"
            )
        );
    }

    #[test]
    fn adds_both_families_where_the_server_has_ipv6() {
        let text = written(|server, _| {
            server.ipv6 = true;
            server.dns_1_ipv6 = Some("2606:4700:4700::1111".parse().unwrap());
        });
        for line in [
            "\tAddress = 10.0.105.2/24,fd00::2/64\n",
            "\tAllowedIPs = 0.0.0.0/0,::/0\n",
            "\tDNS = 8.8.8.8,1.1.1.1,2606:4700:4700::1111\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text:?}");
        }
    }

    #[test]
    fn names_no_private_key_that_only_the_client_has() {
        let text = written(|_, account| account.private_key = None);
        assert!(text.contains("\n\t# PrivateKey = ("), "{text}");
        assert!(!text.contains("\n\tPrivateKey"), "{text}");
    }

    #[test]
    fn writes_an_endpoint_as_each_kind_is_written() {
        for (endpoint, line) in [
            (Some("vpn.example.com"), "\tEndpoint = vpn.example.com:51926\n"),
            (Some("2001:db8::1"), "\tEndpoint = [2001:db8::1]:51926\n"),
            (None, "\tEndpoint = 77.87.125.200:51926\n"),
        ] {
            let text = written(|server, _| server.endpoint = endpoint.map(Into::into));
            assert!(text.contains(line), "{line:?} is not in {text:?}");
        }
    }

    #[test]
    fn writes_mtu_and_keepalive_only_where_they_say_something() {
        let text = written(|server, _| {
            server.mtu = 1300;
            server.keep_alive = 100_000;
        });
        assert!(text.contains("\tMTU = 1300\n"), "{text}");
        assert!(text.ends_with("\n\tPersistentKeepalive = 65535"), "{text}");
        assert!(!written(|_, _| ()).contains("MTU"));
    }

    #[test]
    fn routes_what_the_server_says() {
        let text = written(|server, _| server.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(text.contains("\tAllowedIPs = 10.0.0.0/8\n"), "{text}");
    }
}
