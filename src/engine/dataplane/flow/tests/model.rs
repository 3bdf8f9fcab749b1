//! The table against a model that is plainly right: lists that are searched from end to end.

use proptest::prelude::*;

use super::*;

/// What a story does.
#[derive(Debug, Clone)]
enum Step {
    /// A client sends: who, from which of its ports, to which host and port.
    Send { client: u8, port: u8, host: u8, remote: u8, tcp: bool },
    /// Somebody outside sends to a door that exists, or nearly.
    Receive { host: u8, remote: u8, door: u8, tcp: bool },
    /// Time passes.
    Pass(u16),
    /// A client is gone.
    Leave(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let ports = (0_u8..3, 0_u8..6, 0_u8..4, 0_u8..3, any::<bool>());
    prop_oneof![
        6 => ports.prop_map(|(client, port, host, remote, tcp)| Step::Send { client, port, host, remote, tcp }),
        4 => (0_u8..5, 0_u8..4, any::<u8>(), any::<bool>())
            .prop_map(|(host, remote, door, tcp)| Step::Receive { host, remote, door, tcp }),
        2 => (0_u16..400).prop_map(Step::Pass),
        1 => (0_u8..3).prop_map(Step::Leave),
    ]
}

/// A flow as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    client: u8,
    protocol: u8,
    inner: SocketAddr,
    remote: SocketAddr,
    door: SocketAddr,
    /// Whether the client began.
    out: bool,
    /// Seconds since the beginning when the client last spoke.
    spoke: u64,
}

#[derive(Debug, Default)]
struct Model {
    known: Vec<Known>,
    second: u64,
}

impl Model {
    fn expire(&mut self) {
        // neither protocol goes further than its first packets here
        let life = |known: &Known| if known.protocol == protocol::TCP { 240 } else { 300 };
        let now = self.second;
        self.known.retain(|known| now <= known.spoke + life(known));
    }

    fn doors(&self, protocol: u8) -> Vec<SocketAddr> {
        let mut doors: Vec<_> = self.known.iter().filter(|k| k.protocol == protocol).map(|k| k.door).collect();
        doors.sort_unstable();
        doors.dedup();
        doors
    }

    /// Who is behind a door, if this host may come in: address-dependent filtering.
    fn behind(&self, protocol: u8, door: SocketAddr, host: IpAddr) -> Option<&Known> {
        self.known.iter().find(|k| k.out && k.protocol == protocol && k.door == door && k.remote.ip() == host)
    }
}

fn inner(client: u8, port: u8) -> SocketAddr {
    // all clients use the same few ports, so that they want the same ones outside
    SocketAddr::new([10, 0, 0, 2 + client].into(), 20_000 + u16::from(port))
}

fn remote(host: u8, port: u8) -> SocketAddr {
    SocketAddr::new([203, 0, 113, 1 + host].into(), 4_000 + u16::from(port))
}

struct Story {
    rig: Rig,
    model: Model,
}

impl Story {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { client, port, host, remote: at, tcp } => {
                self.send(client, inner(client, port), remote(host, at), tcp);
            }
            Step::Receive { host, remote: at, door, tcp } => self.receive(remote(host, at), door, tcp),
            Step::Pass(seconds) => {
                self.model.second += u64::from(seconds);
                self.model.expire();
                self.rig.pass(u64::from(seconds));
            }
            Step::Leave(client) => {
                self.model.known.retain(|known| known.client != client);
                self.rig.table.close_owner(Owner(u32::from(client)), &mut self.rig.ports, self.rig.now);
            }
        }
    }

    fn send(&mut self, client: u8, inner: SocketAddr, remote: SocketAddr, tcp: bool) {
        let protocol = if tcp { protocol::TCP } else { protocol::UDP };
        let packet = key(protocol, inner, remote);
        let second = self.model.second;
        let same = |k: &&mut Known| k.protocol == protocol && k.inner == inner && k.remote == remote;
        let found = self.rig.table.find(&packet);
        if let Some(known) = self.model.known.iter_mut().find(same) {
            let (id, side) = found.expect("the model knows it");
            assert_eq!(side, if known.out { Side::Original } else { Side::Reply });
            let leaves = self.rig.table.get(id).and_then(|flow| flow.translated(side));
            assert_eq!(leaves, Some(key(protocol, known.door, remote)));
            known.spoke = second;
            self.note(id, side, tcp);
            return;
        }
        assert_eq!(found, None);
        let opened = self.rig.open(Owner(u32::from(client)), Way::Out, packet, Translation::Source(external()));
        let id = opened.expect("there is room");
        let door = self.rig.door(id);
        let mapped = self.model.known.iter().find(|k| k.protocol == protocol && k.inner == inner);
        match mapped {
            Some(known) => assert_eq!(door, known.door, "the mapping depends on the destination"),
            None => assert!(!self.model.doors(protocol).contains(&door), "the port is somebody's"),
        }
        self.model.known.push(Known { client, protocol, inner, remote, door, out: true, spoke: second });
        self.note(id, Side::Original, tcp);
    }

    fn receive(&mut self, remote: SocketAddr, door: u8, tcp: bool) {
        let protocol = if tcp { protocol::TCP } else { protocol::UDP };
        let doors = self.model.doors(protocol);
        // sometimes a door of nobody's
        let door =
            doors.get(usize::from(door) % (doors.len() + 1)).copied().unwrap_or_else(|| socket("198.51.100.7:51819"));
        let packet = key(protocol, remote, door);
        let found = self.rig.table.find(&packet);
        let known = self.model.known.iter().find(|k| k.protocol == protocol && k.door == door && k.remote == remote);
        if let Some(known) = known {
            let (id, side) = found.expect("the model knows it");
            let leaves = self.rig.table.get(id).and_then(|flow| flow.translated(side));
            assert_eq!(leaves, Some(key(protocol, remote, known.inner)));
            self.note(id, side, tcp);
            return;
        }
        assert_eq!(found, None);
        let admitted = self.rig.table.admit_inbound(&packet);
        let Some(behind) = self.model.behind(protocol, door, remote.ip()).cloned() else {
            let reason = if doors.contains(&door) { DropReason::Unsolicited } else { DropReason::NotMapped };
            assert_eq!(admitted, Err(reason));
            return;
        };
        let owner = Owner(u32::from(behind.client));
        assert_eq!(admitted, Ok((owner, behind.inner)));
        let opened = self.rig.open(owner, Way::In, packet, Translation::Destination(behind.inner));
        let id = opened.expect("there is room");
        let spoke = self.model.second;
        self.model.known.push(Known { remote, out: false, spoke, ..behind });
        self.note(id, Side::Original, tcp);
    }

    fn note(&mut self, id: FlowId, side: Side, tcp: bool) {
        let mark = TcpMark { syn: true, sequence: 5, length: 1, ..TcpMark::default() };
        self.rig.table.note(id, side, tcp.then_some(&mark), 1, 60, self.rig.now);
    }

    fn check(&self) {
        let (table, model) = (&self.rig.table, &self.model);
        assert_eq!(table.len(), model.known.len());
        let held = [protocol::TCP, protocol::UDP].map(|protocol| self.rig.ports.held(protocol, external()));
        let doors = [protocol::TCP, protocol::UDP].map(|protocol| model.doors(protocol).len());
        assert_eq!((held, table.mappings()), (doors, doors[0] + doors[1]));
        for client in 0..3 {
            let owner = Owner(u32::from(client));
            let flows = model.known.iter().filter(|known| known.client == client).count();
            assert_eq!((table.of_owner(owner).count(), table.count_of(owner) as usize), (flows, flows));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// RFC 4787, REQ-1, REQ-3, REQ-6 and REQ-8, in any order of events.
    #[test]
    fn the_table_agrees_with_plain_lists(steps in proptest::collection::vec(step(), 1..120)) {
        let mut story = Story { rig: Rig::new(), model: Model::default() };
        for step in &steps {
            story.take(step);
            story.check();
        }
    }
}
