//! Figures as lines, in the manner of `iptables` and `tc`, for clients that show them to people or search them.
//!
//! The manner is theirs, the figures are ours. What has no counterpart here, as a queue's length in the kernel, is left
//! out.

use std::fmt::Display;

use crate::domain::account::Account;
use crate::domain::figures::{AccountTraffic, Counter, LaneFigures, ServerTraffic};
use crate::domain::rate::Mbps;
use crate::domain::server::Server;

/// What a server translates: a line for IPv4, and one for IPv6 where its clients have it. Nothing without NAT.
pub(super) fn nat_rules(server: &Server, traffic: &ServerTraffic) -> String {
    if server.disable_nat {
        return String::new();
    }
    let target = format!("SNAT to: {}", server.external_ip);
    let line = rule(server.address.trunc(), "0.0.0.0/0", &target, traffic.nat);
    if !server.ipv6 {
        return line;
    }
    // with whichever address of the host it leaves
    line + &rule(server.address_ipv6.trunc(), "::/0", "MASQUERADE", traffic.nat6)
}

/// What becomes of packets between a server's clients, of both versions together.
pub(super) fn filter_rules(server: &Server, accepts: bool, traffic: &ServerTraffic) -> String {
    let network = server.address.trunc();
    if accepts {
        rule(network, network, "ACCEPT", traffic.internal)
    } else {
        rule(network, network, "DROP", traffic.internal_dropped)
    }
}

/// What an account's mark has counted: to it, and from it.
pub(super) fn mark_rules(account: &Account, traffic: &AccountTraffic) -> String {
    let mark = format!("MARK {:#x}", account.mark);
    rule("0.0.0.0/0", account.address, &mark, traffic.down) + &rule(account.address, "0.0.0.0/0", &mark, traffic.up)
}

fn rule(source: impl Display, destination: impl Display, target: &str, counter: Counter) -> String {
    format!("{source} -> {destination} {target} Pkt: {} Bytes: {}\n", counter.packets, counter.bytes)
}

/// What a server's shaper does: where packets leave by the uplink, and where they leave into the tunnel.
pub(super) fn server_lanes(server: &Server, uplink: &str, traffic: &ServerTraffic) -> String {
    let [down, up] = &traffic.lanes;
    let lane = |device: &dyn Display, rate: Mbps, figures| {
        format!("qdisc htb 1: root dev {device} rate {rate}Mbit ceil {rate}Mbit\n{}", counts(figures))
    };
    lane(&uplink, server.limit_upload, up) + &lane(&server.interface, server.limit_download, down)
}

/// What an account's shaper does: where packets leave by the uplink, and where they leave into the tunnel. The class is
/// the account's mark.
pub(super) fn account_lanes(account: &Account, server: &Server, uplink: &str, traffic: &AccountTraffic) -> String {
    let [down, up] = &traffic.lanes;
    let lane = |device: &dyn Display, rate: Mbps, figures| {
        let class = format!("class htb 1:{} root rate {rate}Mbit ceil {rate}Mbit", account.mark);
        format!("{device} --> {class} \n{}\n", counts(figures))
    };
    lane(&uplink, account.b_upload, up) + &lane(&server.interface, account.b_download, down)
}

/// The two lines that `tc -s` has below everything. A packet that has left its queue never comes back to it.
fn counts(lane: &LaneFigures) -> String {
    let LaneFigures { sent_bytes, sent_packets, dropped, overlimits, backlog_bytes, backlog_packets, .. } = lane;
    format!(
        " Sent {sent_bytes} bytes {sent_packets} pkt (dropped {dropped}, overlimits {overlimits} requeues 0) \n \
         backlog {backlog_bytes}b {backlog_packets}p requeues 0\n"
    )
}

/// A protocol's name, or its number where it has none here.
pub(super) fn protocol(number: u8) -> String {
    let known = [(1, "icmp"), (6, "tcp"), (17, "udp"), (58, "icmpv6")];
    known.iter().find(|(known, _)| *known == number).map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    /// A house's server and account with other values.
    fn pair() -> (Server, Account) {
        let house = house();
        let server = house.server("Default_1").unwrap().server.as_ref().clone();
        (server, house.account("peer_1").unwrap().as_ref().clone())
    }

    fn counter(packets: u64) -> Counter {
        Counter { packets, bytes: packets * 100 }
    }

    fn lane(sent_packets: u64) -> LaneFigures {
        LaneFigures {
            sent_bytes: sent_packets * 100,
            sent_packets,
            dropped: 1,
            overlimits: 2,
            backlog_bytes: 300,
            backlog_packets: 3,
            ..LaneFigures::default()
        }
    }

    #[test]
    fn prints_translations_as_the_contract_does() {
        let (server, _) = pair();
        let traffic = ServerTraffic { nat: counter(1), nat6: counter(2), ..ServerTraffic::default() };
        let line = "10.0.0.0/24 -> 0.0.0.0/0 SNAT to: 77.87.125.200 Pkt: 1 Bytes: 100\n";
        assert_eq!(nat_rules(&server, &traffic), line);

        let address_ipv6 = "fd00::1/64".parse().unwrap();
        let both = nat_rules(&Server { ipv6: true, address_ipv6, ..server.clone() }, &traffic);
        assert_eq!(both, format!("{line}fd00::/64 -> ::/0 MASQUERADE Pkt: 2 Bytes: 200\n"));
        assert_eq!(nat_rules(&Server { disable_nat: true, ..server }, &traffic), "");
    }

    #[test]
    fn prints_internal_traffic_as_the_contract_does() {
        let (server, _) = pair();
        let traffic = ServerTraffic { internal: counter(1), internal_dropped: counter(2), ..ServerTraffic::default() };
        let line = |end: &str| format!("10.0.0.0/24 -> 10.0.0.0/24 {end}\n");
        assert_eq!(filter_rules(&server, true, &traffic), line("ACCEPT Pkt: 1 Bytes: 100"));
        assert_eq!(filter_rules(&server, false, &traffic), line("DROP Pkt: 2 Bytes: 200"));
    }

    #[test]
    fn prints_marks_as_the_contract_does() {
        let (_, account) = pair();
        let traffic = AccountTraffic { up: counter(1), down: counter(2), ..AccountTraffic::default() };
        assert_eq!(
            mark_rules(&Account { mark: 109, ..account }, &traffic),
            "0.0.0.0/0 -> 10.0.0.2 MARK 0x6d Pkt: 2 Bytes: 200\n10.0.0.2 -> 0.0.0.0/0 MARK 0x6d Pkt: 1 Bytes: 100\n"
        );
    }

    #[test]
    fn prints_shapers_in_the_manner_of_tc() {
        let (server, account) = pair();
        let server = Server { limit_download: Mbps::new(500).unwrap(), ..server };
        let lanes = [lane(7), lane(8)];
        let sent = |packets: u64| {
            format!(
                " Sent {packets}00 bytes {packets} pkt (dropped 1, overlimits 2 requeues 0) \n backlog 300b 3p requeues 0\n"
            )
        };

        let of_server = server_lanes(&server, "tun", &ServerTraffic { lanes, ..ServerTraffic::default() });
        assert_eq!(
            of_server,
            format!(
                "qdisc htb 1: root dev tun rate 0Mbit ceil 0Mbit\n{}qdisc htb 1: root dev wg1 rate 500Mbit ceil 500Mbit\n{}",
                sent(8),
                sent(7)
            )
        );

        let account = Account { mark: 109, b_upload: Mbps::new(20).unwrap(), ..account };
        let of_account =
            account_lanes(&account, &server, "tun", &AccountTraffic { lanes, ..AccountTraffic::default() });
        assert_eq!(
            of_account,
            format!(
                "tun --> class htb 1:109 root rate 20Mbit ceil 20Mbit \n{}\nwg1 --> class htb 1:109 root rate 0Mbit ceil 0Mbit \n{}\n",
                sent(8),
                sent(7)
            )
        );
    }

    #[test]
    fn names_the_protocols_that_have_flows() {
        assert_eq!([1, 6, 17, 58, 47].map(protocol), ["icmp", "tcp", "udp", "icmpv6", "47"]);
    }
}
