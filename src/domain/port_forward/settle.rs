//! From what is asked of a port forward to one: refuses what cannot be.

use std::net::IpAddr;

use super::{OuterPort, PortForward, Transport};
use crate::domain::field::{self, given};
use crate::domain::intended::{Intended, IntendedServer};
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// What somebody asks of a new port forward: the contract's form as it came, nothing judged yet. It needs every field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortForwardDraft {
    /// 1 to 65535.
    pub dst_port: Option<String>,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// An account of the server.
    pub to_peer: Option<String>,
    /// 1 to 65535.
    pub to_port: Option<String>,
}

impl PortForwardDraft {
    /// A new port forward of `server` among all that exist.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be. A port is taken where another server with the same
    /// external address forwards it, and where it is the API's; a server listens on its port at every address.
    pub fn settle(&self, server: &IntendedServer, among: &Intended) -> Result<PortForward, Refusal> {
        let protocol = given(self.protocol.as_ref()).and_then(Transport::parse);
        let protocol = protocol.ok_or(Refusal::ForwardProtocolMalformed)?;
        let port = given(self.dst_port.as_ref()).and_then(port).ok_or(Refusal::ForwardPortMalformed)?;
        let outer = OuterPort { port, protocol };
        if among.servers.values().any(|other| other.server.listen_port == port) {
            return Err(Refusal::ForwardIsListenPort);
        }
        let is_apis = protocol == Transport::Tcp && among.firewall.api_port() == Some(port);
        if is_apis || is_forwarded_at(among.servers.values(), server.server.external_ip, outer) {
            return Err(Refusal::ForwardTaken);
        }
        let to_port = given(self.to_port.as_ref()).and_then(self::port).ok_or(Refusal::ForwardToPortMalformed)?;
        let to_peer = given(self.to_peer.as_ref()).and_then(|name| server.accounts.get(name));
        let to_peer = to_peer.ok_or(Refusal::ForwardPeerUnknown)?.name.clone();
        if server.forwards.len() >= limits::PORT_FORWARDS_MAX {
            return Err(Refusal::ForwardsExceeded);
        }
        Ok(PortForward { outer, to_peer, to_port })
    }
}

/// Reads a port, which is never 0.
pub(super) fn port(text: &str) -> Option<u16> {
    field::number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// Whether one of `servers` forwards this port of this external address.
pub(in crate::domain) fn is_forwarded_at<'a>(
    mut servers: impl Iterator<Item = &'a IntendedServer>,
    external_ip: IpAddr,
    outer: OuterPort,
) -> bool {
    servers.any(|server| server.server.external_ip == external_ip && server.forwards.contains_key(&outer))
}

/// Whether any server forwards this UDP port, on which therefore none can listen.
pub(in crate::domain) fn is_udp_forwarded(among: &Intended, port: u16) -> bool {
    let outer = OuterPort { port, protocol: Transport::Udp };
    among.servers.values().any(|server| server.forwards.contains_key(&outer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::firewall::FilterRule;
    use crate::domain::fixture::{account_of, add_account, house};
    use crate::domain::server::{Server, ServerDraft};

    fn draft(dst_port: &str, protocol: &str, to_peer: &str, to_port: &str) -> PortForwardDraft {
        let [dst_port, protocol, to_peer, to_port] = [dst_port, protocol, to_peer, to_port].map(|t| Some(t.to_owned()));
        PortForwardDraft { dst_port, protocol, to_peer, to_port }
    }

    /// A house whose `Default_1` forwards TCP port 123, with the API at 8098.
    fn forwarding() -> Intended {
        let mut house = house();
        add_account(&mut house, &account_of("Default_2"));
        std::sync::Arc::make_mut(&mut house.firewall).rules.push(FilterRule::system(8098));
        let forward = settled(&house, "Default_1", &draft("123", "tcp", "peer_1", "444")).unwrap();
        let name = house.server("Default_1").unwrap().server.name.clone();
        assert_eq!(house.insert_forward(&name, forward), None);
        house
    }

    fn settled(house: &Intended, server: &str, draft: &PortForwardDraft) -> Result<PortForward, Refusal> {
        draft.settle(house.server(server).unwrap(), house)
    }

    #[test]
    fn refuses_what_cannot_be() {
        let house = forwarding();
        for ((dst_port, protocol, to_peer, to_port), refusal) in [
            (("80", "icmp", "peer_1", "80"), Refusal::ForwardProtocolMalformed),
            (("0", "tcp", "peer_1", "80"), Refusal::ForwardPortMalformed),
            (("65536", "tcp", "peer_1", "80"), Refusal::ForwardPortMalformed),
            (("", "tcp", "peer_1", "80"), Refusal::ForwardPortMalformed),
            (("51822", "tcp", "peer_1", "80"), Refusal::ForwardIsListenPort),
            (("51821", "udp", "peer_1", "80"), Refusal::ForwardIsListenPort),
            (("123", "TCP", "peer_1", "80"), Refusal::ForwardTaken),
            (("8098", "tcp", "peer_1", "80"), Refusal::ForwardTaken),
            (("80", "tcp", "peer_1", "0"), Refusal::ForwardToPortMalformed),
            (("80", "tcp", "peer_2", "80"), Refusal::ForwardPeerUnknown),
            (("80", "tcp", "", "80"), Refusal::ForwardPeerUnknown),
        ] {
            let draft = draft(dst_port, protocol, to_peer, to_port);
            assert_eq!(settled(&house, "Default_1", &draft).as_ref(), Err(&refusal), "{draft:?}");
        }
        for (port, protocol) in [("123", "udp"), ("8098", "udp"), ("1", "tcp")] {
            assert!(settled(&house, "Default_1", &draft(port, protocol, "peer_1", "65535")).is_ok());
        }
    }

    #[test]
    fn lets_servers_with_different_external_addresses_forward_the_same_port() {
        let mut house = forwarding();
        let same = draft("123", "tcp", "peer_2", "1");
        assert_eq!(settled(&house, "Default_2", &same), Err(Refusal::ForwardTaken));

        let other = house.server("Default_2").unwrap().server.as_ref().clone();
        house.insert_server(Server { external_ip: "203.0.113.9".parse().unwrap(), ..other }.into());
        let forward = settled(&house, "Default_2", &same).unwrap();
        let name = house.server("Default_2").unwrap().server.name.clone();
        house.insert_forward(&name, forward);

        // and then they cannot get the same address
        let draft = ServerDraft { external_ip: Some("77.87.125.200".into()), ..ServerDraft::default() };
        assert_eq!(draft.amend(house.server("Default_2").unwrap(), &house), Err(Refusal::PortTaken));
    }

    #[test]
    fn keeps_servers_from_listening_on_a_forwarded_port() {
        let mut house = forwarding();
        let forward = settled(&house, "Default_1", &draft("51823", "udp", "peer_1", "1")).unwrap();
        let name = house.server("Default_1").unwrap().server.name.clone();
        house.insert_forward(&name, forward);

        let draft = ServerDraft { listen_port: Some("51823".into()), ..ServerDraft::default() };
        assert_eq!(draft.amend(house.server("Default_1").unwrap(), &house), Err(Refusal::PortTaken));
        let added = crate::domain::fixture::add_server(&mut house, &ServerDraft::default());
        assert_eq!((added.name.as_str(), added.listen_port), ("Default_4", 51_824));
    }

    #[test]
    fn bounds_the_forwards_of_a_server() {
        let mut house = forwarding();
        let name = house.server("Default_1").unwrap().server.name.clone();
        for port in 1_000..999 + limits::PORT_FORWARDS_MAX {
            let forward = settled(&house, "Default_1", &draft(&port.to_string(), "tcp", "peer_1", "1")).unwrap();
            house.insert_forward(&name, forward);
        }
        assert_eq!(settled(&house, "Default_1", &draft("9", "tcp", "peer_1", "1")), Err(Refusal::ForwardsExceeded));
    }
}
