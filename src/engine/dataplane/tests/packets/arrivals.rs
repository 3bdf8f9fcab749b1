//! What comes in and is for a client by a forward, what is for nobody, and what pretends to come from inside.

use super::*;

/// RFC 4787, REQ-1: a forwarded port is its client's name both ways; the client sees who calls.
#[test]
fn a_forward_leads_to_its_client_and_is_its_name_outside() {
    for (version, (transport, protocol)) in [V4, V6]
        .iter()
        .flat_map(|it| [(Transport::Tcp, protocol::TCP), (Transport::Udp, protocol::UDP)].map(|kind| (*it, kind)))
    {
        let mut rig = Rig::new(2);
        rig.forward(&[(transport, 443, 2, 8_443)]);
        let (caller, door, inner) =
            (at(STRANGER[version], 1), at(EXTERNAL[version], 443), at(INNER[2][version], 8_443));

        let got = rig.arrive(&packet_of(&key(protocol, &caller, &door), b"call")).only_got(1);
        assert_eq!(ends(&got), (caller.clone(), inner.clone()));
        let left = rig.up(1, &packet_of(&key(protocol, &inner, &caller), b"answer")).only_left();
        assert_eq!(ends(&left), (door.clone(), caller));
        assert_eq!(rig.seen(1, protocol, &inner, &at(REMOTE[version], 9)), door, "also where the client begins");
        // the other protocol's port is not forwarded
        let other = if protocol == protocol::TCP { protocol::UDP } else { protocol::TCP };
        assert!(rig.arrive(&packet_of(&key(other, &at(STRANGER[version], 1), &door), b"call")).is_nothing());
    }
}

/// A forward to a client who has gone, is disabled or was never there leads nowhere, and is not answered.
#[test]
fn a_forward_to_a_client_who_is_not_there_leads_nowhere() {
    let mut rig = Rig::new(2);
    rig.forward(&[(Transport::Udp, 443, 2, 443), (Transport::Udp, 444, 3, 444)]);
    let call = |rig: &mut Rig, port| {
        rig.arrive(&packet_of(&key(protocol::UDP, &at(STRANGER[V4], 1), &at(EXTERNAL[V4], port)), b"call"))
    };
    assert!(!call(&mut rig, 443).is_nothing());
    assert!(call(&mut rig, 444).is_nothing());

    rig.apply(Change::Account(Arc::new(Account { enabled: false, ..account(2) })));
    assert!(call(&mut rig, 443).is_nothing());
    rig.apply(Change::Gone(account(2).name));
    assert!(call(&mut rig, 443).is_nothing());
    assert_eq!(rig.dropped(DropReason::PeerGone), 3);
}

/// A router outside that sends with a client's address as the source reaches nobody: not the client to whom it is addressed,
/// nor the one whose flow it looks like.
#[test]
fn a_forged_inner_source_from_outside_reaches_nobody() {
    for version in [V4, V6] {
        let mut rig = Rig::with(server(), Exit::Packets { v4: Name::Own, v6: Name::Own }, 2);
        let (one, two) = (at(INNER[1][version], 5_000), at(INNER[2][version], 6_000));
        let across = packet_of(&key(protocol::UDP, &one, &two), b"across");
        let mut back = packet_of(&key(protocol::UDP, &two, &one), b"back");
        assert_eq!(rig.up(0, &across).only_got(1)[..2], across[..2]);

        for forged in [&across, &back] {
            assert!(rig.arrive(forged).is_nothing());
        }
        // of no flow, from a client's address and from the server's own
        back = packet_of(&key(protocol::UDP, &at(INNER[3][version], 1), &two), b"forged");
        assert!(rig.arrive(&back).is_nothing());
        assert!(rig.arrive(&packet_of(&key(protocol::UDP, &at(INNER[0][version], 53), &two), b"forged")).is_nothing());
        let about = packet_of(&key(protocol::UDP, &two, &at(REMOTE[version], 1)), b"?");
        rig.up(1, &about).only_left();
        assert!(rig.arrive(&error(HOST_UNREACHABLE[version], 0, INNER[1][version], &about)).is_nothing());

        assert_eq!(rig.dropped(DropReason::SourceForged), 5);
    }
}

/// What cannot be read ends here, whatever it claims to be.
#[test]
fn what_is_malformed_is_dropped() {
    let mut rig = Rig::new(1);
    let door = rig.seen(0, protocol::UDP, &at(INNER[1][V4], 20_000), &at(REMOTE[V4], 4_000));
    let sound = packet_of(&key(protocol::UDP, &at(REMOTE[V4], 4_000), &door), b"word");
    for length in 0..sound.len() {
        assert!(rig.arrive(&sound[..length]).is_nothing(), "{length}");
    }
    assert_eq!(rig.dropped(DropReason::Malformed), sound.len() as u64);
    rig.arrive(&sound).only_got(0);
}
