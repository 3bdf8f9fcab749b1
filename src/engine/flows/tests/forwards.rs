//! Forwarded TCP ports: listeners, calls to the peer, their bounds and ends, and the way round.

use std::net::SocketAddr;
use std::time::Duration;

use etherparse::PacketBuilder;
use smoltcp::socket::tcp::State;

use super::mappings::receives;
use crate::domain::port_forward::{OuterPort, Transport};
use crate::engine::flows::forwards::{Door, Forward, Forwarding, Listen};
use crate::engine::flows::reach::Reach;
use crate::engine::flows::reach::tests::Host;
use crate::engine::flows::settings::HALF_OPEN_OF_OWNER;
use crate::engine::flows::testing::{Dice, Far, OWN, PEER, World, ip, pattern, settings};
use crate::engine::flows::{FlowId, Limits, Request, Settings};
use crate::engine::packet::Owner;
use crate::engine::wire::icmp::Complaint;

const CALLER: &str = "198.51.100.7:4000";

/// A port that leads to another of the peer's.
pub(super) fn forward(protocol: Transport, port: u16, to_port: u16) -> Forward {
    let outer = OuterPort { port, protocol };
    Forward { outer, owner: PEER, to: "10.0.0.2".parse().unwrap(), to_v6: Some("fd00::2".parse().unwrap()), to_port }
}

/// These forwards, at the external address of [`OWN`].
pub(super) fn forwarding(forwards: &[Forward]) -> Forwarding {
    Forwarding { forwards: forwards.to_vec(), external: vec![ip(OWN), ip("2001:db8::9")], ..Forwarding::default() }
}

/// Lets these forwards exist and no others; all listeners that are asked for are opened.
pub(super) fn apply(world: &mut World, forwarding: &Forwarding) -> Vec<Listen> {
    assert_eq!(world.flows.apply_forwarding(forwarding, world.now), []);
    let asked: Vec<_> = std::iter::from_fn(|| world.flows.poll_listen()).collect();
    for listen in &asked {
        world.flows.handle_listening(listen.flow);
    }
    asked
}

fn listener(asked: &[Listen], at: &str) -> FlowId {
    let at = at.parse().unwrap();
    asked.iter().find(|listen| listen.at == at).expect("it was asked for").flow
}

/// A world in which TCP port 8080 leads to port 80 of the peer, who waits there.
fn forwarded() -> (World, FlowId) {
    let mut world = World::new();
    let asked = apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80)]));
    world.listen(80);
    (world, listener(&asked, "0.0.0.0:8080"))
}

/// Somebody connects to the listener.
fn call(world: &mut World, listener: FlowId, remote: &str) -> Option<FlowId> {
    let mut host = Host(vec![ip(OWN)]);
    let flow = world.flows.handle_accepted(listener, remote.parse().unwrap(), &mut host, world.now)?;
    world.outside.0.insert(flow, Far { takes: usize::MAX, ..Far::default() });
    Some(flow)
}

/// A call that the peer has answered.
fn answered() -> (World, FlowId) {
    let (mut world, listener) = forwarded();
    let flow = call(&mut world, listener, CALLER).unwrap();
    world.run_until(|world| world.client(80).state() == State::Established);
    world.run_for(Duration::from_millis(50));
    (world, flow)
}

#[test]
fn asks_for_a_listener_of_each_family_once() {
    let mut world = World::new();
    let forwards = forwarding(&[forward(Transport::Tcp, 8_080, 80), forward(Transport::Udp, 8_080, 80)]);

    let mut places: Vec<_> = apply(&mut world, &forwards).iter().map(|listen| (listen.protocol, listen.at)).collect();
    places.sort_unstable();

    let (v4, v6) = ("0.0.0.0:8080".parse().unwrap(), "[::]:8080".parse().unwrap());
    let (tcp, udp) = (Transport::Tcp, Transport::Udp);
    assert_eq!(places, [(tcp, v4), (tcp, v6), (udp, v4), (udp, v6)]);
    assert_eq!(apply(&mut world, &forwards), [], "what is open is not asked for again");
    assert_eq!(world.flows.len(), 0, "listeners are no flows of anybody's");
    assert_eq!(world.flows.len_of(PEER), 0);
}

#[test]
fn listens_at_one_address_and_its_family_alone() {
    let mut world = World::new();
    let mut forwards = forwarding(&[forward(Transport::Tcp, 8_080, 80)]);
    forwards.bind = Some(ip(OWN));

    let asked = apply(&mut world, &forwards);

    assert_eq!(asked.iter().map(|listen| listen.at.to_string()).collect::<Vec<_>>(), ["203.0.113.9:8080"]);
    let (shown, real) = ("203.0.113.9:8080".parse().unwrap(), "203.0.113.9:8080".parse().unwrap());
    assert_eq!(world.flows.doors(), [Door { protocol: Transport::Tcp, shown, real }]);
}

#[test]
fn asks_again_for_what_could_not_be_opened() {
    let mut world = World::new();
    let forwards = forwarding(&[forward(Transport::Tcp, 8_080, 80)]);
    assert_eq!(world.flows.apply_forwarding(&forwards, world.now), []);
    while let Some(listen) = world.flows.poll_listen() {
        world.flows.handle_deaf(listen.flow);
    }
    world.settle();
    assert_eq!(world.flows.doors(), []);

    assert_eq!(apply(&mut world, &forwards).len(), 2);

    assert_eq!(world.flows.doors().len(), 2);
}

#[test]
fn says_for_which_ports_there_is_no_room() {
    let mut world = World::with(Settings { limits: Limits { flows: 1, flows_of_owner: 1 }, ..settings() });
    let forwards = forwarding(&[forward(Transport::Tcp, 1_000, 80), forward(Transport::Tcp, 2_000, 80)]);

    let refused = world.flows.apply_forwarding(&forwards, world.now);

    assert_eq!(
        refused,
        [OuterPort { port: 1_000, protocol: Transport::Tcp }, OuterPort { port: 2_000, protocol: Transport::Tcp }]
    );
    assert_eq!(std::iter::from_fn(|| world.flows.poll_listen()).count(), 1, "for the first over IPv4 there is");
}

#[test]
fn calls_the_peer_in_the_callers_name_and_carries_bytes_both_ways() {
    for (at, caller) in [("0.0.0.0:8080", CALLER), ("[::]:8080", "[2001:db8::7]:4000")] {
        let mut world = World::new();
        let asked = apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80)]));
        world.listen(80);
        let flow = call(&mut world, listener(&asked, at), caller).unwrap();
        let (in_, out) = (pattern(300_000), pattern(200_000));
        world.far(flow).gives.extend(&in_);
        let (mut got, mut sent) = (Vec::new(), 0);
        world.run_until(|world| {
            let socket = world.client(80);
            if socket.may_send() {
                sent += socket.send_slice(&out[sent..]).unwrap();
            }
            while socket.can_recv() {
                got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
            }
            world.poll_client(80);
            got.len() == in_.len() && world.far(flow).got.len() == out.len()
        });

        assert!(got == in_ && world.far(flow).got == out);
        assert_eq!(world.client(80).remote_endpoint(), Some(caller.parse::<SocketAddr>().unwrap().into()));
        assert_eq!((world.flows.len(), world.flows.len_of(PEER)), (1, 1));
    }
}

#[test]
fn calls_over_a_bad_link() {
    let (mut world, listener) = forwarded();
    (world.loss, world.jitter) = (100, Duration::from_millis(3));
    let flow = call(&mut world, listener, CALLER).unwrap();
    let bytes = pattern(500_000);
    world.far(flow).gives.extend(&bytes);
    let mut got = Vec::new();
    world.run_until(|world| {
        let socket = world.client(80);
        while socket.can_recv() {
            got.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(80);
        got.len() == bytes.len()
    });
    assert!(got == bytes);
}

#[test]
fn passes_each_end_on_alone() {
    let (mut world, flow) = answered();
    world.far(flow).ends = true;
    world.run_until(|world| world.client(80).state() == State::CloseWait);

    world.client(80).send_slice(b"still here").unwrap();
    world.client(80).close();
    world.poll_client(80);
    world.run_until(|world| world.far(flow).finished);

    assert_eq!(world.far(flow).got, b"still here");
    world.run_until(|world| !world.closed.is_empty());
    assert_eq!(world.closed, [(flow, false)], "in order");
}

#[test]
fn holds_back_whoever_is_faster_than_the_other() {
    let (mut world, flow) = answered();
    world.far(flow).gives.extend(&pattern(6_000_000));
    world.far(flow).takes = 0;
    world.client(80).send_slice(&pattern(200_000)).unwrap();
    world.poll_client(80);
    world.run_for(Duration::from_secs(5));

    let left = world.far(flow).gives.len();
    assert!(left > 4_000_000, "the outside is not read ahead without end: {left}");
    assert_eq!(world.far(flow).got, b"");

    world.far(flow).takes = usize::MAX;
    world.flows.handle_ready(flow);
    world.run_until(|world| world.far(flow).got.len() == 200_000);
}

#[test]
fn refuses_the_caller_where_the_peer_refuses() {
    let (mut world, listener) = forwarded();
    world.client(80).close();
    let flow = call(&mut world, listener, CALLER).unwrap();

    world.run_until(|world| !world.closed.is_empty());

    assert_eq!(world.closed, [(flow, true)]);
    assert_eq!(world.flows.len(), 0);
}

#[test]
fn resets_pass_through_both_ways() {
    let (mut world, flow) = answered();
    world.far(flow).broken = true;
    world.flows.handle_broken(flow);
    world.run_until(|world| world.client(80).state() == State::Closed);
    world.run_until(|world| world.closed == [(flow, true)]);

    let (mut world, flow) = answered();
    world.client(80).abort();
    world.poll_client(80);
    world.run_until(|world| world.closed == [(flow, true)]);
}

#[test]
fn does_not_wait_for_the_peer_once_the_caller_has_gone() {
    let (mut world, listener) = forwarded();
    let flow = call(&mut world, listener, CALLER).unwrap();

    world.flows.handle_broken(flow);
    world.settle();

    assert_eq!(world.closed, [(flow, true)]);
}

#[test]
fn gives_up_a_peer_that_does_not_answer_after_four_minutes() {
    let (mut world, listener) = forwarded();
    world.loss = 1_000;
    let begin = world.now;
    let flow = call(&mut world, listener, CALLER).unwrap();
    world.run_for(Duration::from_secs(230));
    assert_eq!(world.closed, []);

    world.run_until(|world| !world.closed.is_empty());

    assert_eq!(world.closed, [(flow, true)]);
    assert!(world.now - begin <= Duration::from_secs(241), "{:?}", world.now - begin);
}

#[test]
fn keeps_a_quiet_call_for_two_hours() {
    let (mut world, flow) = answered();
    world.run_for(Duration::from_secs(7_200));
    assert_eq!(world.closed, []);

    world.loss = 1_000;
    world.run_until(|world| !world.closed.is_empty());

    assert_eq!(world.closed, [(flow, true)]);
}

#[test]
fn refuses_callers_that_the_peer_could_not_tell_apart() {
    let mut world = World::new();
    let asked =
        apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80), forward(Transport::Tcp, 8_081, 80)]));
    world.listen(80);
    let (one, two) = (listener(&asked, "0.0.0.0:8080"), listener(&asked, "0.0.0.0:8081"));
    assert!(call(&mut world, one, CALLER).is_some());

    assert_eq!(call(&mut world, two, CALLER), None);

    assert_eq!(world.flows.counters().unanswerable, 1);
    assert!(call(&mut world, two, "198.51.100.7:4001").is_some());
}

#[test]
fn refuses_a_caller_whose_name_means_something_elsewhere() {
    let mut world = World::new();
    let asked = apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80)]));

    assert_eq!(call(&mut world, listener(&asked, "[::]:8080"), "[fe80::1]:4000"), None);
    assert_eq!(call(&mut world, listener(&asked, "0.0.0.0:8080"), "169.254.1.1:4000"), None);

    assert_eq!(world.flows.counters().unanswerable, 2);
}

#[test]
fn lets_unanswered_calls_keep_nobody_from_speaking() {
    let (mut world, listener) = forwarded();
    world.loss = 1_000;
    let taken =
        (0..1_000_u16).filter(|port| call(&mut world, listener, &format!("198.51.100.7:{}", port + 1)).is_some());
    assert_eq!(taken.count(), HALF_OPEN_OF_OWNER);
    assert_eq!(world.flows.counters().exhausted, 1_000 - HALF_OPEN_OF_OWNER as u64);

    world.loss = 0;
    world.dial(1_000, "192.0.2.1:80");
    world.run_until(|world| !world.connecting.is_empty());
}

#[test]
fn leaves_half_of_what_a_peer_may_have_to_the_peer() {
    let limits = Limits { flows: 1_000, flows_of_owner: 40 };
    let mut world = World::with(Settings { limits, ..settings() });
    let asked = apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80)]));
    let listener = listener(&asked, "0.0.0.0:8080");
    let taken = (1..=100_u16).filter(|port| call(&mut world, listener, &format!("198.51.100.7:{port}")).is_some());
    assert_eq!(taken.count(), 20);

    world.dial(1_000, "192.0.2.1:80");
    world.run_until(|world| !world.connecting.is_empty());
}

#[test]
fn dropping_a_peer_ends_its_calls_and_keeps_its_ports() {
    let (mut world, listener) = forwarded();
    let flow = call(&mut world, listener, CALLER).unwrap();
    world.run_for(Duration::from_millis(50));

    world.flows.drop_owner(Owner(4));
    world.settle();
    assert_eq!(world.closed, []);
    world.flows.drop_owner(PEER);
    world.settle();

    assert_eq!(world.closed, [(flow, true)]);
    assert_eq!((world.flows.len(), world.flows.len_of(PEER)), (0, 0));
    assert!(call(&mut world, listener, CALLER).is_some());
}

#[test]
fn a_changed_list_ends_only_what_is_gone() {
    let (mut world, listener) = forwarded();
    let flow = call(&mut world, listener, CALLER).unwrap();
    world.run_for(Duration::from_millis(50));

    let both = [forward(Transport::Tcp, 9_000, 90), forward(Transport::Tcp, 8_080, 80)];
    let asked = apply(&mut world, &forwarding(&both));
    world.settle();
    assert_eq!(asked.len(), 2, "only the new one");
    assert_eq!(world.closed, []);

    let moved = forward(Transport::Tcp, 8_080, 81);
    let asked = apply(&mut world, &forwarding(&[both[0], moved]));
    world.settle();
    assert_eq!(asked.len(), 2, "it leads elsewhere");
    assert!(world.closed.contains(&(flow, true)) && world.closed.contains(&(listener, true)));
    assert_eq!(call(&mut world, listener, CALLER), None, "its old listener takes nobody");

    apply(&mut world, &Forwarding::default());
    world.settle();
    assert_eq!(world.flows.doors(), []);
    assert!(world.flows.is_empty());
}

#[test]
fn another_address_to_listen_on_keeps_the_calls() {
    let (mut world, listener) = forwarded();
    call(&mut world, listener, CALLER).unwrap();
    world.run_for(Duration::from_millis(50));
    let mut forwards = forwarding(&[forward(Transport::Tcp, 8_080, 80)]);
    forwards.bind = Some(ip(OWN));

    assert_eq!(apply(&mut world, &forwards).len(), 1);
    world.settle();

    assert_eq!(world.flows.len(), 1);
    assert_eq!(world.client(80).state(), State::Established);
}

#[test]
fn leads_a_peer_round_to_forwarded_ports_and_no_others() {
    let mut world = World::new();
    world.flows.apply(settings(), &mut Host(vec![ip(OWN)]), world.now);
    apply(&mut world, &forwarding(&[forward(Transport::Tcp, 8_080, 80), forward(Transport::Udp, 8_081, 80)]));

    world.dial(1_000, &format!("{OWN}:8080"));
    world.dial(1_001, "[2001:db8::9]:8080");
    world.run_until(|world| world.connecting.len() == 2);

    let real: Vec<_> = world.connecting.iter().map(|(_, to)| to.to_string()).collect();
    assert_eq!(real, ["127.0.0.1:8080", "[::1]:8080"]);
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 2], [203, 0, 113, 9], 64).tcp(1_002, 8_081, 1, 1_000).syn();
    builder.write(&mut packet, &[]).unwrap();
    assert_eq!(world.send(&packet), Request::Nothing, "UDP's door is none for TCP");
    assert_eq!(world.flows.counters().denied, 1);
}

#[test]
fn shows_the_external_address_of_who_comes_round() {
    let (mut world, listener) = forwarded();
    call(&mut world, listener, "127.0.0.1:40000").unwrap();
    world.run_until(|world| world.client(80).state() == State::Established);
    assert_eq!(world.client(80).remote_endpoint().unwrap().to_string(), format!("{OWN}:40000"));

    let mut world = World::new();
    let unknown = Forwarding { external: Vec::new(), ..forwarding(&[forward(Transport::Tcp, 8_080, 80)]) };
    let asked = apply(&mut world, &unknown);
    world.listen(80);
    call(&mut world, self::listener(&asked, "0.0.0.0:8080"), &format!("{OWN}:40000")).unwrap();
    world.run_until(|world| world.client(80).state() == State::Established);
    assert_eq!(world.client(80).remote_endpoint().unwrap().to_string(), "10.0.0.1:40000", "the appliance's own inside");
}

#[test]
fn leads_round_to_the_ports_of_other_servers_but_does_not_call_them_its_own() {
    let mut world = World::new();
    let (shown, real) = (format!("{OWN}:8080").parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
    let door = Door { protocol: Transport::Tcp, shown, real };
    apply(&mut world, &Forwarding { others: vec![door], ..forwarding(&[]) });

    world.dial(1_000, &format!("{OWN}:8080"));
    world.run_until(|world| !world.connecting.is_empty());

    assert_eq!(world.connecting[0].1, real);
    assert_eq!(world.flows.doors(), []);
}

#[test]
fn a_judgement_of_new_settings_spares_calls_and_ways_round() {
    let (mut world, listener) = forwarded();
    call(&mut world, listener, "192.168.1.5:4000").unwrap();
    world.dial(1_000, &format!("{OWN}:8080"));
    world.run_until(|world| !world.connecting.is_empty());
    let reach = Reach::new(vec!["10.9.0.0/16".parse().unwrap()]);

    world.flows.apply(Settings { reach, ..settings() }, &mut Host(vec![ip(OWN)]), world.now);
    world.settle();

    assert_eq!(world.closed, []);
    assert_eq!(world.flows.len(), 2);
}

#[test]
fn counts_right_whatever_happens_in_whatever_order() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let limits = Limits { flows: 60, flows_of_owner: 30 };
        let mut world = World::with(Settings { limits, ..settings() });
        world.listen(80);
        let (mut listeners, mut flows) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            match dice.roll(9) {
                0 => {
                    let ports = 8_080..8_080 + u16::try_from(dice.roll(4)).unwrap();
                    let of = |port| {
                        let protocol = [Transport::Tcp, Transport::Udp][usize::from(port % 2)];
                        forward(protocol, port, [80, 81][usize::from(port / 2 % 2)])
                    };
                    let forwards: Vec<_> = ports.map(of).collect();
                    world.flows.apply_forwarding(&forwarding(&forwards), world.now);
                    while let Some(listen) = world.flows.poll_listen() {
                        if dice.roll(4) == 0 {
                            world.flows.handle_deaf(listen.flow);
                        } else {
                            world.flows.handle_listening(listen.flow);
                            listeners.push(listen.flow);
                        }
                    }
                }
                1..=4 if !listeners.is_empty() => {
                    let listener = listeners[dice.pick(u32::try_from(listeners.len()).unwrap())];
                    let remote = format!("198.51.100.7:{}", 1 + dice.roll(50));
                    flows.extend(call(&mut world, listener, &remote));
                    receives(&mut world, listener, &remote, b"x");
                }
                5 if !flows.is_empty() => {
                    let flow = flows[dice.pick(u32::try_from(flows.len()).unwrap())];
                    match dice.roll(4) {
                        0 => world.flows.handle_broken(flow),
                        1 => world.flows.handle_unreachable(flow, Complaint::Prohibited, world.now),
                        2 => world.far(flow).broken = true,
                        _ => world.far(flow).ends = true,
                    }
                    world.flows.handle_ready(flow);
                }
                6 if dice.roll(8) == 0 => world.flows.drop_owner(PEER),
                7 => world.run_for(Duration::from_millis(u64::from(dice.roll(300)))),
                _ => world.settle(),
            }
            assert!(world.flows.len() <= 60 && world.flows.len_of(PEER) <= 30);
        }
        world.flows.drop_owner(PEER);
        world.settle();
        assert_eq!((world.flows.len(), world.flows.len_of(PEER)), (0, 0));
        apply(&mut world, &forwarding(&[]));
        world.settle();
        assert_eq!((world.flows.len(), world.flows.doors().len()), (0, 0));
    }
}
