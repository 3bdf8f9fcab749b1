//! A home: a router that gives what leaves its own address and ports, and that may forget whom it gave which.

use std::fs;

use super::namespace::{Namespace, finish};
use super::world::{Place, World};

/// The home's own network.
const INSIDE: [&str; 2] = ["172.16.0.1", "172.16.0.2"];

/// The router of a home.
pub struct Router {
    host: Namespace,
    addresses: [String; 4],
}

impl Router {
    /// Makes a home with a client in it. Its router gives ports from 30000 to 30099 of the address 2 of the place.
    pub fn home(world: &World) -> (Place, Self) {
        let mut place = world.place();
        let addresses = [1, 2, 3, 4].map(|n| place.v4(n));
        let host = std::mem::replace(&mut place.host, Namespace::new("home"));
        Namespace::cable(&place.host, "eth0", &host, "inside");
        host.address("inside", &format!("{}/24", INSIDE[0]));
        place.host.address("eth0", &format!("{}/24", INSIDE[1]));
        place.host.ip(&format!("route add {}/32 via {}", super::world::SERVER, INSIDE[0]));
        host.sysctl("net/ipv4/ip_forward", "1");
        let router = Self { host, addresses };
        router.translate(2, 30_000);
        (place, router)
    }

    /// Forgets every mapping. From now on it gives a hundred ports from this one on of the n-th address of the place, of
    /// which it had the m-th until now.
    pub fn forget(&self, m: u8, n: u8, ports: u16) {
        // what is masqueraded is forgotten with the address that it left by
        self.host.ip(&format!("addr del {}/28 dev eth0", self.address(m)));
        self.translate(n, ports);
    }

    fn translate(&self, n: u8, ports: u16) {
        self.nft("add table ip home");
        self.nft("delete table ip home");
        self.nft(&format!(
            "table ip home {{ chain out {{ type nat hook postrouting priority srcnat; \
             oifname eth0 ip protocol udp masquerade to :{ports}-{}\n}}\n}}",
            ports + 99
        ));
        let mine = format!("{}/28", self.address(n));
        if !self.host.ip("addr show dev eth0").contains(&mine) {
            self.host.address("eth0", &mine);
        }
        self.host.ip(&format!("route replace {}/32 via {}", super::world::SERVER, self.address(1)));
    }

    fn address(&self, n: u8) -> &str {
        &self.addresses[usize::from(n) - 1]
    }

    /// Whether something travels from the n-th address, by one of a hundred ports from this one on, to the second port
    /// of IKEv2; and back, where it is so wished.
    pub fn carries(&self, n: u8, ports: u16, back: bool) -> bool {
        let table = self.host.enter(|| fs::read_to_string("/proc/thread-self/net/nf_conntrack")).unwrap();
        let answers =
            |line: &&str| line.contains(&format!("src={} dst={} sport=4500", super::world::SERVER, self.address(n)));
        table.lines().filter(answers).any(|line| {
            let port = line.rsplit("dport=").next().and_then(|rest| rest.split(' ').next()).unwrap();
            (ports..ports + 100).contains(&port.parse().unwrap()) && !(back && line.contains("UNREPLIED"))
        })
    }

    fn nft(&self, words: &str) {
        finish(self.host.command("nft").arg(words));
    }
}
