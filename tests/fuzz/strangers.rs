//! Datagrams of strangers at the server's port: of every type and length, and real messages changed.

use std::net::SocketAddr;
use std::time::Duration;

use culvert::engine::outbox::Endpoint;

use crate::campaign::Campaign;
use crate::dice::Dice;
use crate::packets::{Ends, Packets};
use crate::rig::{Rig, address, endpoint};

#[test]
fn lets_no_stranger_in_and_no_client_down() {
    let mut campaign = Campaign::new("strangers");
    while let Some(mut dice) = campaign.next() {
        story(&mut dice);
    }
}

fn story(dice: &mut Dice) {
    let mut rig = Rig::new();
    let ends = Ends { peer: SocketAddr::new(address(0, false), 9), ..Ends::example(false) };
    let packets = Packets::new(ends);
    let mut real = Vec::new();
    for at in [0, 1] {
        real.push(rig.initiation(at));
    }
    for at in [0, 1, 0] {
        rig.let_in(at);
        let packet = packets.plain(0x10, b"real");
        real.push(rig.seal(at, &packet));
    }
    for _ in 0..200 {
        let datagram = datagram(dice, &real);
        let stranger = SocketAddr::from(([203, 0, 113, dice.byte()], dice.short()));
        let from = Endpoint { remote: stranger, local: None };
        // a message that came through unchanged is its client's, wherever it comes from
        let is_real = real.contains(&datagram);
        let outward = rig.handle(from, &datagram);
        assert!(outward.is_none() || is_real, "a stranger's packet goes out");
        if dice.once_in(16) {
            rig.pass(Duration::from_millis(u64::from(dice.short())));
            rig.drain(|_, _| {});
        }
    }
    rig.drain(|_, _| {});
    rig.pass(Duration::from_secs(30));
    rig.let_in(1);
    let packet = Packets::new(Ends { peer: SocketAddr::new(address(1, false), 9), ..ends }).plain(0x10, b"honest");
    let sealed = rig.seal(1, &packet);
    let outward = rig.handle(endpoint(1), &sealed);
    assert_eq!(outward.map(|(_, bytes)| bytes), Some(packet), "an honest client goes on");
}

fn datagram(dice: &mut Dice, real: &[Vec<u8>]) -> Vec<u8> {
    if dice.once_in(3) {
        let length = *dice.pick(&[0, 1, 4, 16, 31, 32, 33, 48, 64, 91, 92, 93, 147, 148, 149, 1_500, 9_000, 65_507]);
        let mut bytes = if length > 200 { vec![dice.byte(); length] } else { dice.bytes(length) };
        if let Some(head) = bytes.get_mut(..4) {
            head.copy_from_slice(&[u8::try_from(dice.below(6)).unwrap(), 0, 0, 0]);
        }
        return bytes;
    }
    let (mut bytes, other) = (dice.pick(real).clone(), dice.pick(real).clone());
    dice.mutate(&mut bytes, &other);
    bytes
}
