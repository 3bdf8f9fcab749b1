//! Losses on the way to the peer are made good in round trips, not in seconds.

use std::time::Duration;

use crate::engine::flows::testing::{World, pattern};

/// How long five megabytes take to a peer 10 ms away that loses so many of a thousand packets.
fn download(loss: u32) -> Duration {
    let (mut world, flow) = World::established(1_000);
    (world.loss, world.jitter) = (loss, Duration::ZERO);
    let down = pattern(5_000_000);
    world.far(flow).gives = down.iter().copied().collect();
    let began = world.now;
    let mut got = Vec::new();

    world.run_until(|world| {
        let client = world.client(1_000);
        while client.can_recv() {
            got.extend(client.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        world.poll_client(1_000);
        got.len() == down.len()
    });

    assert!(got == down, "what went down is intact");
    world.now - began
}

#[test]
fn makes_good_a_lost_packet_in_a_hundred_without_waiting_for_a_timer() {
    let (clean, lossy) = (download(0), download(10));
    assert!(clean < Duration::from_millis(500), "{clean:?}");
    assert!(lossy < Duration::from_secs(7), "{lossy:?}");
}
