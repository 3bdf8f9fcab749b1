//! External ports: who gets which.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::super::ports::Ports;
use super::*;

const SLICE: RangeInclusive<u16> = 16_384..=51_819;

struct Rig {
    ports: Ports,
    now: Instant,
}

fn rig(range: RangeInclusive<u16>) -> Rig {
    #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
    let now = Instant::now();
    Rig { ports: Ports::new(range, [42; 32], now), now }
}

fn external() -> IpAddr {
    [198, 51, 100, 7].into()
}

impl Rig {
    fn take(&mut self, protocol: u8, wish: u16) -> Option<u16> {
        self.ports.take(external(), protocol, wish, true, 0, self.now)
    }

    fn release(&mut self, protocol: u8, port: u16) {
        self.ports.release(SocketAddr::new(external(), port), protocol, self.now);
    }
}

#[test]
fn a_wish_is_granted_where_it_is_free_for_each_address_and_protocol() {
    let mut rig = rig(SLICE);
    for protocol in ALL {
        assert_eq!(rig.take(protocol, 20_000), Some(20_000));
        assert_ne!(rig.take(protocol, 20_000), Some(20_000));
    }
    assert_eq!(rig.ports.take([198, 51, 100, 8].into(), protocol::TCP, 20_000, true, 9, rig.now), Some(20_000));
    let holder = |last| rig.ports.holder(protocol::TCP, SocketAddr::new([198, 51, 100, last].into(), 20_000));
    assert_eq!((holder(7), holder(8), holder(9)), (Some(0), Some(9), None));
    rig.ports.forget([198, 51, 100, 8].into());
    assert_eq!(rig.ports.held(protocol::TCP, [198, 51, 100, 8].into()), 0);
}

/// RFC 4787, REQ-3 (a): no port below 1024.
#[test]
fn no_privileged_port_is_given() {
    let mut rig = rig(1..=1_100);
    let given: BTreeSet<u16> = (0..200).filter_map(|wish| rig.take(protocol::UDP, wish * 6)).collect();
    assert_eq!(given.into_iter().collect::<Vec<_>>(), (1_024..=1_100).collect::<Vec<_>>());
}

/// RFC 4787, REQ-4: even for even and odd for odd, which RFC 7857, section 9 lets be off for TCP.
#[test]
fn a_datagrams_port_keeps_its_parity() {
    let mut rig = rig(SLICE);
    for wish in 0..10_000 {
        let port = rig.take(protocol::UDP, wish).expect("room");
        assert_eq!(port % 2, wish % 2);
    }
}

/// RFC 6888, REQ-15. RFC 7857, section 9.
#[test]
fn nobody_can_guess_the_next_port() {
    const BINS: usize = 64;
    for protocol in [protocol::TCP, protocol::UDP] {
        let mut rig = rig(16_384..=51_711);
        let given: Vec<u16> = (0..10_000).map(|wish| rig.take(protocol, wish).expect("room")).collect();
        let mut bins = [0_u32; BINS];
        let size = (51_711 - 16_384 + 1) / BINS;
        for port in &given {
            bins[usize::from(port - 16_384) / size] += 1;
        }
        let expected = 10_000.0 / 64.0;
        let chi: f64 = bins.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // no port comes twice, so a sample of this size varies less, by as much as it takes of the whole
        let chi = chi / (1.0 - 10_000.0 / f64::from(51_711 - 16_384 + 1));
        // 63 degrees of freedom: p = 0.01 and, for too even a spread, p = 0.99
        assert!((39.9..92.0).contains(&chi), "chi-square {chi}");
        let runs = given.windows(5).filter(|five| five.windows(2).all(|two| two[1] == two[0] + 1));
        assert_eq!(runs.count(), 0);
    }
}

/// RFC 6888, REQ-8: a port rests for 120 seconds, unless there is no other.
#[test]
fn a_port_rests_while_there_are_others() {
    let mut rig = rig(20_000..=20_003);
    for port in 20_000..=20_003 {
        assert_eq!(rig.take(protocol::TCP, port), Some(port));
    }
    assert_eq!(rig.take(protocol::TCP, 20_000), None);
    rig.release(protocol::TCP, 20_001);
    rig.now += Duration::from_secs(100);
    rig.release(protocol::TCP, 20_002);
    rig.now += Duration::from_secs(21);
    // one has rested, one has not
    assert_eq!(rig.take(protocol::TCP, 20_002), Some(20_001));
    assert_eq!(rig.take(protocol::TCP, 20_001), Some(20_002));
    assert_eq!(rig.take(protocol::TCP, 20_001), None);
}

/// RFC 4787, REQ-3: given once, until it is released; twice released is once.
#[test]
fn ports_are_counted() {
    let mut rig = rig(20_000..=20_099);
    let given: BTreeSet<u16> = std::iter::from_fn(|| rig.take(protocol::UDP, 7)).collect();
    assert_eq!((given.len(), rig.ports.held(protocol::UDP, external())), (100, 100));
    for port in [20_000, 20_000, 19_999, 20_100] {
        rig.release(protocol::UDP, port);
    }
    assert_eq!(rig.ports.held(protocol::UDP, external()), 99);
}

/// RFC 6888, REQ-11: whoever has many leaves the last quarter to others.
#[test]
fn the_last_quarter_is_for_the_modest() {
    let mut rig = rig(20_000..=20_099);
    let greedy = |rig: &mut Rig| rig.ports.take(external(), protocol::UDP, 7, false, 0, rig.now);
    assert_eq!(std::iter::from_fn(|| greedy(&mut rig)).count(), 75);
    assert!(rig.take(protocol::UDP, 7).is_some());
    assert_eq!(greedy(&mut rig), None);
}

/// Not in an RFC: the port shadow. Nobody is given a port that somebody listens on.
#[test]
fn no_port_with_a_listener_is_ever_given() {
    let mut rig = rig(SLICE);
    for listens in [16_384, 30_000, 51_819] {
        rig.ports.reserve(None, protocol::UDP, listens);
        rig.ports.reserve(Some(external()), protocol::TCP, listens);
        for _ in 0..1_000 {
            for protocol in [protocol::UDP, protocol::TCP] {
                assert_ne!(rig.take(protocol, listens), Some(listens));
            }
        }
        // another protocol, another address
        assert_eq!(rig.take(protocol::ICMP, listens), Some(listens));
        let elsewhere = rig.ports.take([198, 51, 100, 8].into(), protocol::TCP, listens, true, 0, rig.now);
        assert_eq!(elsewhere, Some(listens));
    }
}

/// Not in an RFC: not by chance either, and as long as the last of its listeners is there.
#[test]
fn a_listeners_port_is_left_out_when_all_others_are_given() {
    let mut rig = rig(20_000..=20_009);
    for address in [None, Some(external()), None] {
        rig.ports.reserve(address, protocol::UDP, 20_005);
    }
    assert_eq!(std::iter::from_fn(|| rig.take(protocol::UDP, 1)).count(), 9);
    for (address, is_free) in [(None, false), (None, false), (Some(external()), true)] {
        rig.ports.unreserve(address, protocol::UDP, 20_005);
        assert_eq!(rig.take(protocol::UDP, 1).is_some(), is_free);
    }
}
