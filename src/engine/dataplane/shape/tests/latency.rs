//! What a load adds to the round trip, and how it is shared among flows.

use super::senders::{Net, PING};
use super::*;

const WARM: Duration = Duration::from_secs(2);

fn mean(waits: &[Duration]) -> Duration {
    waits.iter().sum::<Duration>() / u32::try_from(waits.len().max(1)).unwrap()
}

#[test]
fn a_load_of_senders_that_listen_adds_little_delay_and_uses_the_rate() {
    for megabits in [10, 50, 200] {
        for rtts in [&[10][..], &[40], &[20; 4], &[10, 20, 30, 40]] {
            for ecn in [false, true] {
                let mut net = Net::new(megabits, rtts, ecn);
                net.run(10 * SECOND);

                let ping = net.waits(|flow| flow == PING, Duration::ZERO);
                let bulk = net.waits(|flow| flow != PING, WARM);
                let shares = net.shares(WARM);
                let used = shares.iter().sum::<f64>() * 1_420.0 / 1_000_000.0 / f64::from(megabits);
                let case = format!("{megabits} Mbit/s, {rtts:?} ms, ecn {ecn}: bulk {:?}, used {used:.3}", mean(&bulk));
                assert!(ping.last().is_some_and(|wait| *wait < 5 * MS), "{case}: {:?}", ping.last());
                assert!(mean(&bulk) < 15 * MS, "{case}");
                assert!(bulk[bulk.len() * 95 / 100] < 25 * MS, "{case}");
                assert!(used <= 1.0 && used > if rtts == [40] { 0.94 } else { 0.98 }, "{case}");
                assert!(jain(&shares) > 0.99, "{case}: {shares:?}");
            }
        }
    }
}
