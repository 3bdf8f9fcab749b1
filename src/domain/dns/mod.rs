//! The resolver: whether it answers, whom it asks, how long it remembers, and whose questions it takes.

mod figures;
mod forwarder;
mod settle;
mod source;

use std::net::IpAddr;

use ipnet::IpNet;

pub use self::figures::{DnsCounters, DnsFigures};
pub use self::forwarder::Forwarder;
pub use self::settle::DnsDraft;
pub use self::source::BlocklistSource;
use super::limits;
use super::server::Server;

/// The resolver's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsSettings {
    /// Whether it answers at all.
    pub enabled: bool,
    /// Whom it asks first and second; where one is absent, whom the operator's configuration names there.
    pub forwarders: [Option<IpAddr>; 2],
    /// How long an answer may be remembered, in seconds.
    pub max_cache_ttl: u16,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self { enabled: true, forwarders: [None; 2], max_cache_ttl: limits::DNS_CACHE_TTL_DEFAULT }
    }
}

impl DnsSettings {
    /// Whom the resolver asks, in this order. `configured` is whom the operator's configuration names; where it names
    /// nobody, [`limits::DNS_FORWARDERS`] stand there.
    pub fn forwarders_in_force(&self, configured: &[Forwarder]) -> Vec<Forwarder> {
        let builtin = limits::DNS_FORWARDERS.map(|address| Forwarder::plain(address.into()));
        let fallback = if configured.is_empty() { &builtin[..] } else { configured };
        let choice = |at: usize| self.forwarders[at].map(Forwarder::plain).or_else(|| fallback.get(at).cloned());
        let mut chosen: Vec<Forwarder> = Vec::new();
        for forwarder in [choice(0), choice(1)].into_iter().flatten() {
            if !chosen.contains(&forwarder) {
                chosen.push(forwarder);
            }
        }
        chosen
    }
}

/// Whose questions the resolver takes at this server's own address: those of the networks of its clients.
pub fn askers(server: &Server) -> Vec<IpNet> {
    let v6 = server.ipv6.then(|| IpNet::V6(server.address_ipv6.trunc()));
    std::iter::once(IpNet::V4(server.address.trunc())).chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::house;

    fn shown(settings: &DnsSettings, configured: &[Forwarder]) -> Vec<String> {
        settings.forwarders_in_force(configured).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn asks_whom_the_api_names_else_whom_the_configuration_names_else_the_built_in_ones() {
        let settings = DnsSettings::default();
        let of_file = [Forwarder::parse("tls://192.0.2.53#dns.example").unwrap()];
        let named = DnsSettings { forwarders: [None, Some("198.51.100.53".parse().unwrap())], ..settings };

        assert_eq!(shown(&settings, &[]), ["1.1.1.1", "9.9.9.9"]);
        assert_eq!(shown(&settings, &of_file), ["tls://192.0.2.53#dns.example"]);
        assert_eq!(shown(&named, &of_file), ["tls://192.0.2.53#dns.example", "198.51.100.53"]);
    }

    #[test]
    fn asks_one_that_is_named_twice_only_once() {
        let settings = DnsSettings { forwarders: [Some([192, 0, 2, 53].into()); 2], ..DnsSettings::default() };

        assert_eq!(shown(&settings, &[]), ["192.0.2.53"]);
    }

    #[test]
    fn takes_questions_of_a_servers_own_clients() {
        let house = house();
        let server = house.server("Default_1").unwrap().server.as_ref();
        let both = Server { ipv6: true, ..server.clone() };

        assert_eq!(askers(server), ["10.0.0.0/24".parse().unwrap()]);
        assert_eq!(askers(&both).len(), 2);
    }
}
