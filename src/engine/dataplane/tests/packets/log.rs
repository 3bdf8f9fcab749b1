//! What is logged: which connections and packets, when, and with what.

use proptest::prelude::*;

use super::*;
use crate::domain::figures::Counter;
use crate::domain::firewall::{Action, Firewall, FirewallSettings};
use crate::domain::traffic_log::{
    Direction, Event, Interface, LoggedStates, Record, Totals, Tracked, TrafficLogSettings,
};

const NONE: LoggedStates =
    LoggedStates { new: false, established: false, related: false, invalid: false, untracked: false };
const BOTH_ENDS: LoggedStates = LoggedStates { new: true, established: true, ..NONE };

fn settings(states: LoggedStates, incoming: bool) -> Change {
    Change::Log(Arc::new(TrafficLogSettings { enabled: true, states, incoming, ..TrafficLogSettings::default() }))
}

/// A rig that logs this.
fn logging(clients: u32, states: LoggedStates, incoming: bool) -> Rig {
    let mut rig = Rig::new(clients);
    rig.apply(settings(states, incoming));
    rig
}

fn taken(rig: &mut Rig) -> Vec<Record> {
    let mut records = Vec::new();
    let lost = rig.world.plane.take_log(|record| records.push(record));
    assert_eq!(lost, 0);
    records
}

/// The name of an account, if it is one's.
type Whose = Option<String>;
/// Who did what, in which state and direction.
type Gist = (Whose, &'static str, Tracked, Direction);

fn gist(record: &Record) -> Gist {
    let event = match record.event {
        Event::Begin => "begin",
        Event::End(_) => "end",
        Event::Packet => "packet",
    };
    (record.account.as_ref().map(|account| account.name.to_string()), event, record.state, record.direction)
}

fn gists(rig: &mut Rig) -> Vec<Gist> {
    taken(rig).iter().map(gist).collect()
}

fn peer(number: u32) -> Whose {
    Whose::from(format!("peer_{number}"))
}

fn totals(record: &Record) -> Totals {
    let Event::End(totals) = record.event else { panic!("{record:?}") };
    totals
}

fn question(client: usize) -> Vec<u8> {
    packet_of(&key(protocol::UDP, &at(INNER[client][V4], 20_000), &at(REMOTE[V4], 4_000)), b"?")
}

/// One question of the first client, answered: 29 bytes up and 31 down.
fn ask(rig: &mut Rig) {
    let left = rig.up(0, &question(1)).only_left();
    let (from, to) = ends(&left);
    rig.arrive(&packet_of(&key(protocol::UDP, &to, &from), b"yes")).only_got(0);
}

#[test]
fn says_nothing_until_it_is_asked_to_and_when_it_no_longer_is() {
    let mut rig = Rig::new(1);
    ask(&mut rig);
    assert_eq!(taken(&mut rig), []);
    rig.apply(settings(BOTH_ENDS, true));
    rig.apply(Change::Log(Arc::default()));

    rig.pass(400);
    ask(&mut rig);

    assert_eq!(taken(&mut rig), []);
}

#[test]
fn tells_a_connections_first_packet_and_by_what_name_it_left() {
    let mut rig = logging(1, BOTH_ENDS, false);
    let mut first = question(1);
    first[1] = 0xb8;
    mend_header(&mut first);

    let left = rig.up(0, &first).only_left();

    let expected = Record {
        server: Arc::new(server()),
        account: Some(Arc::new(account(1))),
        event: Event::Begin,
        state: Tracked::New,
        direction: Direction::Outgoing,
        protocol: protocol::UDP,
        source: at(INNER[1][V4], 20_000).parse().unwrap(),
        destination: at(REMOTE[V4], 4_000).parse().unwrap(),
        translated: Some(ends(&left).0.parse().unwrap()),
        interfaces: (Interface::Server, Interface::Uplink),
        len: 29,
        tos: 0xb8,
    };
    assert_eq!(taken(&mut rig), [expected]);
}

#[test]
fn tells_the_traffic_class_of_version_6() {
    let mut rig = logging(1, BOTH_ENDS, false);
    let mut first = packet_of(&key(protocol::UDP, &at(INNER[1][V6], 20_000), &at(REMOTE[V6], 4_000)), b"?");
    first[..2].copy_from_slice(&[0x6b, 0x80]);

    rig.up(0, &first).only_left();

    assert_eq!(taken(&mut rig).iter().map(|record| (record.tos, record.len)).collect::<Vec<_>>(), [(0xb8, 49)]);
}

#[test]
fn tells_what_a_connection_amounted_to_when_its_time_is_over() {
    let mut rig = logging(1, BOTH_ENDS, false);
    ask(&mut rig);
    rig.pass(100);
    ask(&mut rig);
    assert_eq!(gists(&mut rig), [(peer(1), "begin", Tracked::New, Direction::Outgoing)]);
    rig.pass(299);
    assert_eq!(taken(&mut rig), []);

    rig.pass(2);

    let records = taken(&mut rig);
    assert_eq!(
        records.iter().map(gist).collect::<Vec<_>>(),
        [(peer(1), "end", Tracked::Established, Direction::Outgoing)]
    );
    let counter = |bytes| Counter { packets: 2, bytes };
    let expected = Totals { up: counter(58), down: counter(62), lasted: Duration::from_secs(100) };
    assert_eq!(totals(&records[0]), expected);
    assert_eq!((records[0].len, records[0].source.port()), (29, 20_000));
}

#[test]
fn tells_the_end_of_what_nobody_answered_as_one_of_a_new_connection() {
    for (states, expected) in [
        (LoggedStates { new: true, ..NONE }, vec!["begin", "end"]),
        (LoggedStates { established: true, ..NONE }, vec![]),
    ] {
        let mut rig = logging(1, states, false);
        rig.up(0, &question(1)).only_left();
        rig.pass(302);

        let records = gists(&mut rig);

        assert_eq!(records.iter().map(|(_, event, ..)| *event).collect::<Vec<_>>(), expected);
        assert!(records.iter().all(|(_, _, state, _)| *state == Tracked::New));
    }
}

/// Opens a TCP connection of the first client and ends it from both sides.
fn open_and_close(rig: &mut Rig) {
    let (inner, remote, door) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 443), at(EXTERNAL[V4], 20_000));
    rig.up(0, &segment(&inner, &remote, (SYN, 1_000, 0))).only_left();
    rig.arrive(&segment(&remote, &door, (SYN | ACK, 9_000, 1_001))).only_got(0);
    rig.up(0, &segment(&inner, &remote, (FIN | ACK, 1_001, 9_001))).only_left();
    rig.arrive(&segment(&remote, &door, (FIN | ACK, 9_001, 1_002))).only_got(0);
    rig.up(0, &segment(&inner, &remote, (ACK, 1_002, 9_002))).only_left();
}

#[test]
fn tells_the_end_of_a_tcp_connection_soon_with_all_its_bytes_and_once() {
    let mut rig = logging(1, BOTH_ENDS, false);
    open_and_close(&mut rig);
    assert_eq!(gists(&mut rig).len(), 1);

    rig.pass(4);

    let records = taken(&mut rig);
    assert_eq!(records.len(), 1);
    assert_eq!((totals(&records[0]).up.packets, totals(&records[0]).down.packets), (3, 2));
    assert_eq!(records[0].state, Tracked::Established);
    rig.pass(300);
    assert_eq!((rig.world.plane.flows.len(), taken(&mut rig)), (0, vec![]));
}

#[test]
fn tells_a_refused_connection_soon() {
    let mut rig = logging(1, BOTH_ENDS, false);
    let (inner, remote, door) = (at(INNER[1][V4], 20_000), at(REMOTE[V4], 443), at(EXTERNAL[V4], 20_000));
    rig.up(0, &segment(&inner, &remote, (SYN, 1_000, 0))).only_left();
    rig.arrive(&segment(&remote, &door, (RST | ACK, 0, 1_001))).only_got(0);
    rig.pass(4);

    let records = gists(&mut rig);

    assert_eq!(records.iter().map(|(_, event, ..)| *event).collect::<Vec<_>>(), ["begin", "end"]);
}

#[test]
fn tells_the_end_of_everything_that_an_account_had_in_its_own_name() {
    for change in [
        Change::Gone(account(1).name),
        Change::Account(Arc::new(Account { enabled: false, ..account(1) })),
        Change::Account(Arc::new(Account { public_key: key_of(9), ..account(1) })),
    ] {
        let mut rig = logging(2, BOTH_ENDS, false);
        ask(&mut rig);
        taken(&mut rig);

        rig.apply(change);

        assert_eq!(gists(&mut rig), [(peer(1), "end", Tracked::Established, Direction::Outgoing)]);
    }
}

fn key_of(seed: u32) -> crate::domain::key::PublicKey {
    super::super::key(seed).public()
}

#[test]
fn tells_the_end_of_what_the_rules_forbid_from_now_on() {
    let mut rig = logging(1, BOTH_ENDS, false);
    ask(&mut rig);
    taken(&mut rig);
    let shut = FirewallSettings { policy_forward: Action::Drop, ..FirewallSettings::default() };
    rig.apply(Change::Firewall(Arc::new(Firewall { settings: shut, ..Firewall::default() })));

    assert!(rig.up(0, &question(1)).is_nothing());

    assert_eq!(gists(&mut rig), [(peer(1), "end", Tracked::Established, Direction::Outgoing)]);
}

#[test]
fn tells_the_end_of_all_that_is_open_when_the_machine_goes() {
    let mut rig = logging(1, BOTH_ENDS, false);
    open_and_close(&mut rig);
    rig.pass(4);
    ask(&mut rig);
    taken(&mut rig);

    rig.world.plane.close_log();

    // the connection's end was told before
    let records = taken(&mut rig);
    assert_eq!(records.iter().map(|record| record.protocol).collect::<Vec<_>>(), [protocol::UDP]);
}

#[test]
fn tells_what_others_begin_only_where_that_is_asked_for() {
    for (incoming, expected) in [(false, 0), (true, 1)] {
        let mut rig = logging(1, BOTH_ENDS, incoming);
        rig.forward(&[(Transport::Tcp, 8_080, 1, 80)]);
        let came = segment(&at(REMOTE[V4], 9), &at(EXTERNAL[V4], 8_080), (SYN, 1, 0));
        rig.arrive(&came).only_got(0);

        let records = taken(&mut rig);

        assert_eq!(records.len(), expected);
        for record in records {
            assert_eq!(gist(&record), (peer(1), "begin", Tracked::New, Direction::Incoming));
            assert_eq!(record.interfaces, (Interface::Uplink, Interface::Server));
            assert_eq!(record.translated, Some(at(INNER[1][V4], 80).parse().unwrap()));
        }
    }
}

#[test]
fn counts_what_comes_to_the_client_as_down_whoever_began() {
    let mut rig = logging(1, BOTH_ENDS, true);
    rig.forward(&[(Transport::Udp, 8_080, 1, 80)]);
    rig.arrive(&packet_of(&key(protocol::UDP, &at(REMOTE[V4], 9), &at(EXTERNAL[V4], 8_080)), b"12345")).only_got(0);
    rig.up(0, &packet_of(&key(protocol::UDP, &at(INNER[1][V4], 80), &at(REMOTE[V4], 9)), b"1")).only_left();
    rig.pass(302);

    let last = taken(&mut rig).pop().unwrap();

    assert_eq!((totals(&last).up.bytes, totals(&last).down.bytes), (29, 33));
}

#[test]
fn tells_a_connection_between_clients_to_the_credit_of_both() {
    let mut rig = logging(2, BOTH_ENDS, true);

    rig.up(0, &packet_of(&key(protocol::UDP, &at(INNER[1][V4], 1), &at(INNER[2][V4], 2)), b"?")).only_got(1);

    let records = taken(&mut rig);
    assert_eq!(
        records.iter().map(gist).collect::<Vec<_>>(),
        [(peer(1), "begin", Tracked::New, Direction::Outgoing), (peer(2), "begin", Tracked::New, Direction::Incoming)]
    );
    assert!(records.iter().all(|record| record.interfaces == (Interface::Server, Interface::Server)));
}

#[test]
fn tells_who_began_between_a_client_and_the_host() {
    let mut rig = logging(1, BOTH_ENDS, true);
    let own = at(INNER[0][V4], 9);

    rig.up(0, &packet_of(&key(protocol::ICMP, &at(INNER[1][V4], 5), &at(INNER[0][V4], 5)), b"?")).only_got(0);
    rig.host(&packet_of(&key(protocol::UDP, &own, &at(INNER[1][V4], 9)), b"?")).only_got(0);

    let told: Vec<_> = taken(&mut rig).iter().map(|record| (record.direction, record.interfaces)).collect();
    let (server, host) = (Interface::Server, Interface::Host);
    assert_eq!(told, [(Direction::Outgoing, (server, host)), (Direction::Incoming, (host, server))]);
}

#[test]
fn tells_errors_about_a_connection_as_related() {
    let mut rig = logging(1, LoggedStates { related: true, ..NONE }, true);
    let left = rig.up(0, &question(1)).only_left();
    rig.arrive(&error((3, 3), 0, STRANGER[V4], &left)).only_got(0);
    let (from, to) = ends(&left);
    let got = rig.arrive(&packet_of(&key(protocol::UDP, &to, &from), b"yes")).only_got(0);
    rig.up(0, &error((3, 3), 0, INNER[1][V4], &got)).only_left();

    let records = gists(&mut rig);

    assert_eq!(
        records,
        [
            (peer(1), "packet", Tracked::Related, Direction::Incoming),
            (peer(1), "packet", Tracked::Related, Direction::Outgoing)
        ]
    );
}

#[test]
fn tells_what_belongs_to_no_connection_and_begins_none_as_invalid() {
    let mut rig = logging(1, LoggedStates { invalid: true, ..NONE }, true);
    // a reset out of nowhere, and an error about nothing of ours
    assert!(rig.up(0, &segment(&at(INNER[1][V4], 1), &at(REMOTE[V4], 2), (RST, 1, 0))).is_nothing());
    let nobodys = packet_of(&key(protocol::UDP, &at(EXTERNAL[V4], 20_009), &at(REMOTE[V4], 4_000)), b"?");
    assert!(rig.arrive(&error((3, 3), 0, STRANGER[V4], &nobodys)).is_nothing());
    // what is refused for what it is, is not invalid
    assert!(rig.arrive(&question(1)).is_nothing());

    let records = gists(&mut rig);

    assert_eq!(
        records,
        [
            (peer(1), "packet", Tracked::Invalid, Direction::Outgoing),
            (None, "packet", Tracked::Invalid, Direction::Incoming)
        ]
    );
}

#[test]
fn tells_protocols_without_ports_as_untracked() {
    let own = Exit::Packets { v4: Name::Own, v6: Name::Own };
    let mut rig = Rig::with(server(), own, 1);
    rig.apply(settings(LoggedStates { untracked: true, ..NONE }, true));
    let gre = |from: &str, to: &str| {
        let mut packet = Vec::new();
        addressed(from.parse().unwrap(), to.parse().unwrap()).write(&mut packet, IpNumber::GRE, b"gre!").unwrap();
        packet
    };

    let Rig { world, clients } = &mut rig;
    assert_eq!(clients[0].send(world, &gre(INNER[1][V4], REMOTE[V4])).outward.len(), 1);
    let mut back = gre(REMOTE[V4], INNER[1][V4]);
    world.with(|plane, around, now| plane.handle_arrival(&mut back, Offload::NONE, around, now));
    assert_eq!(world.drain().len(), 1);

    let records = taken(&mut rig);
    assert_eq!(
        records.iter().map(gist).collect::<Vec<_>>(),
        [
            (peer(1), "packet", Tracked::Untracked, Direction::Outgoing),
            (peer(1), "packet", Tracked::Untracked, Direction::Incoming)
        ]
    );
    assert!(records.iter().all(|record| record.protocol == 47 && record.source.port() == 0 && record.len == 24));
}

#[test]
fn records_no_more_than_a_hundred_packets_a_second_and_counts_the_rest() {
    let mut rig = logging(1, LoggedStates { invalid: true, ..BOTH_ENDS }, true);
    for number in 0..150 {
        rig.up(0, &segment(&at(INNER[1][V4], number), &at(REMOTE[V4], 2), (RST, 1, 0)));
    }
    ask(&mut rig);
    let mut records = Vec::new();

    let lost = rig.world.plane.take_log(|record| records.push(gist(&record)));

    assert_eq!((records.len(), lost), (101, 50));
    assert_eq!(records[100].1, "begin", "a connection is recorded whatever else there is");
    rig.world.pass(Duration::from_secs(1));
    rig.up(0, &segment(&at(INNER[1][V4], 1), &at(REMOTE[V4], 2), (RST, 1, 0)));
    assert_eq!(gists(&mut rig).len(), 1);
}

/// What may happen to connections.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A client sends a datagram from this port.
    Asks(usize, u16),
    /// Whoever was asked last answers.
    Answers,
    /// The first client opens a TCP connection, and both sides end it.
    Talks,
    /// One client sends a datagram to the other.
    Crosses(usize),
    /// So many seconds pass.
    Passes(u64),
    /// An account is taken away and comes back.
    Leaves(usize),
    /// The firewall lets nothing through, or everything again.
    Shuts(bool),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (0_usize..2, 20_000_u16..20_003).prop_map(|(client, port)| Happening::Asks(client, port)),
        3 => Just(Happening::Answers),
        1 => Just(Happening::Talks),
        2 => (0_usize..2).prop_map(Happening::Crosses),
        2 => (1_u64..200).prop_map(Happening::Passes),
        1 => (0_usize..2).prop_map(Happening::Leaves),
        1 => any::<bool>().prop_map(Happening::Shuts),
    ];
    proptest::collection::vec(one, 1..30)
}

/// Lets it happen; `left` is what left last.
fn happen(rig: &mut Rig, happening: Happening, left: &mut Option<Vec<u8>>) {
    let [from, to] = [at(INNER[1][V4], 20_009), at(REMOTE[V4], 443)];
    match happening {
        Happening::Asks(client, port) => {
            let question =
                packet_of(&key(protocol::UDP, &at(INNER[client + 1][V4], port), &at(REMOTE[V4], 4_000)), b"?");
            *left = rig.up(client, &question).left.pop();
        }
        Happening::Answers => {
            if let Some(left) = left {
                let (from, to) = ends(left);
                rig.arrive(&packet_of(&key(protocol::UDP, &to, &from), b"yes"));
            }
        }
        Happening::Talks => {
            rig.up(0, &segment(&from, &to, (SYN, 1_000, 0)));
            let door = at(EXTERNAL[V4], 20_009);
            rig.arrive(&segment(&to, &door, (SYN | ACK, 9_000, 1_001)));
            rig.up(0, &segment(&from, &to, (FIN | ACK, 1_001, 9_001)));
            rig.arrive(&segment(&to, &door, (FIN | ACK, 9_001, 1_002)));
        }
        Happening::Crosses(client) => {
            let (from, to) = (at(INNER[client + 1][V4], 5), at(INNER[2 - client][V4], 6));
            rig.up(client, &packet_of(&key(protocol::UDP, &from, &to), b"?"));
        }
        Happening::Passes(seconds) => rig.pass(seconds),
        Happening::Leaves(client) => {
            let number = u32::try_from(client).unwrap() + 1;
            rig.world.change(Change::Gone(account(number).name));
            rig.world.change(Change::Account(Arc::new(account(number))));
            rig.world.drain();
            rig.clients[client] = Client::connected(number, &mut rig.world);
        }
        Happening::Shuts(shut) => {
            let policy_forward = if shut { Action::Drop } else { Action::Accept };
            let settings = FirewallSettings { policy_forward, ..FirewallSettings::default() };
            rig.world.change(Change::Firewall(Arc::new(Firewall { settings, ..Firewall::default() })));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: each connection begins and ends once, in the name of the same account.
    #[test]
    fn tells_of_every_beginning_one_end(story in happenings()) {
        let mut rig = logging(2, BOTH_ENDS, true);
        let (mut left, mut records) = (None, Vec::new());
        for happening in story {
            happen(&mut rig, happening, &mut left);
            prop_assert_eq!(rig.world.plane.take_log(|record| records.push(record)), 0);
        }
        rig.world.plane.close_log();
        rig.world.plane.take_log(|record| records.push(record));

        let mut open = BTreeMap::new();
        for record in &records {
            let who = record.account.as_ref().map(|account| account.name.clone());
            let connection = (record.protocol, record.source, record.destination, record.direction.name(), who);
            match record.event {
                Event::Begin => prop_assert!(open.insert(connection, record.len).is_none(), "{record:?}"),
                Event::End(totals) => {
                    let len = open.remove(&connection);
                    prop_assert_eq!(len, Some(record.len), "{:?}", record);
                    let answered = match record.direction {
                        Direction::Outgoing => totals.down.packets > 0,
                        Direction::Incoming => totals.up.packets > 0,
                    };
                    let state = if answered { Tracked::Established } else { Tracked::New };
                    prop_assert_eq!(record.state, state);
                }
                Event::Packet => prop_assert!(false, "{record:?}"),
            }
        }
        prop_assert!(open.is_empty(), "{open:?}");
    }
}
