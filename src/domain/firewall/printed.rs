//! What the contract lists as NAT and MARK rules: there are none, they follow from servers and accounts.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use crate::domain::account::Account;
use crate::domain::server::Server;

/// A server's source address translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatRow {
    /// The server's name and its interface's.
    pub name: String,
    /// The network of the server's clients.
    pub source: Ipv4Net,
    /// What their packets leave with.
    pub to_source: IpAddr,
}

/// A direction of an account, which its mark tells from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRow {
    /// `src_` or `dst_`, the account's name and its username.
    pub name: String,
    /// The client's address, where packets come from it.
    pub source: Option<Ipv4Addr>,
    /// The client's address, where packets go to it.
    pub destination: Option<Ipv4Addr>,
    /// The account's mark.
    pub mark: u32,
}

/// The translation of a server that has it.
pub fn nat_row(server: &Server) -> Option<NatRow> {
    let row = || NatRow {
        name: format!("{}_{}", server.name, server.interface),
        source: server.address.trunc(),
        to_source: server.external_ip,
    };
    (!server.disable_nat).then(row)
}

/// The two marks of an account: of what it sends, and of what it gets.
pub fn mark_rows(account: &Account) -> [MarkRow; 2] {
    let row = |prefix: &str, source, destination| MarkRow {
        name: format!("{prefix}_{}_{}", account.name, account.username),
        source,
        destination,
        mark: account.mark,
    };
    [row("src", Some(account.address), None), row("dst", None, Some(account.address))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    #[test]
    fn follow_from_servers_and_accounts() {
        let house = house();
        let server = house.server("Default_1").unwrap().server.as_ref();
        let row = nat_row(server).unwrap();
        assert_eq!((row.name.as_str(), row.source.to_string()), ("Default_1_wg1", "10.0.0.0/24".to_owned()));
        assert_eq!(row.to_source, server.external_ip);
        assert_eq!(nat_row(&Server { disable_nat: true, ..server.clone() }), None);

        let [src, dst] = mark_rows(house.account("peer_1").unwrap());
        assert_eq!((src.name.as_str(), dst.name.as_str()), ("src_peer_1_user_1", "dst_peer_1_user_1"));
        assert_eq!((src.source, src.destination, src.mark), (Some(Ipv4Addr::new(10, 0, 0, 2)), None, 100));
    }
}
