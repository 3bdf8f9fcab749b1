//! A record, for tests of those who write one.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Direction, Event, Interface, Record, Totals, Tracked};
use crate::domain::figures::Counter;
use crate::domain::fixture::house;

/// The first packet of a client's connection to a web server.
pub(crate) fn record() -> Record {
    let house = house();
    Record {
        server: house.server("Default_1").unwrap().server.clone(),
        account: house.account("peer_1").cloned(),
        event: Event::Begin,
        state: Tracked::New,
        direction: Direction::Outgoing,
        protocol: 6,
        source: (Ipv4Addr::new(10, 0, 0, 2), 40_000).into(),
        destination: (Ipv4Addr::new(203, 0, 113, 9), 443).into(),
        translated: Some((Ipv4Addr::new(192, 0, 2, 1), 20_000).into()),
        interfaces: (Interface::Server, Interface::Uplink),
        len: 60,
        tos: 8,
    }
}

/// The end of a connection of seven packets in seven seconds.
pub(crate) fn ended() -> Event {
    Event::End(Totals {
        up: Counter { packets: 3, bytes: 300 },
        down: Counter { packets: 4, bytes: 4_000 },
        lasted: Duration::from_secs(7),
    })
}
