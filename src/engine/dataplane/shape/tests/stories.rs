//! Stories that are made up: whatever happens, nothing is lost unseen and no flow is reordered.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Offer { owner: u32, up: bool, flow: u32, length: usize, segment: u16 },
    Account { owner: u32, down: u16, up: u16 },
    Server { down: u16, up: u16 },
    Remove { owner: u32 },
    Pass { micros: u64 },
    Release,
}

fn rate() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(1), Just(10), 1_u16..=10_000]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0_u32..4, any::<bool>(), 0_u32..40, 28_usize..3_000, prop_oneof![Just(0_u16), 100_u16..1_400])
            .prop_map(|(owner, up, flow, length, segment)| Step::Offer { owner, up, flow, length, segment }),
        2 => (0_u32..4, rate(), rate()).prop_map(|(owner, down, up)| Step::Account { owner, down, up }),
        1 => (rate(), rate()).prop_map(|(down, up)| Step::Server { down, up }),
        1 => (0_u32..4).prop_map(|owner| Step::Remove { owner }),
        5 => (0_u64..30_000).prop_map(|micros| Step::Pass { micros }),
        5 => Just(Step::Release),
    ]
}

/// What became of packets: each has the number of its flow and its own, which grow.
#[derive(Default)]
struct Account {
    offered: u64,
    ended: u64,
    held: u64,
    last: BTreeMap<(u32, u32), u64>,
}

impl Account {
    fn leaves(&mut self, lane: Lane, (flow, number): (u32, u64)) {
        let before = self.last.insert((lane.number(), flow), number);
        assert!(before.is_none_or(|before| before < number), "{lane:?} {flow}: {number} after {before:?}");
        self.ended += 1;
    }
}

fn play(steps: Vec<Step>) {
    let mut now = start();
    let mut shaper = shaper(now);
    let mut account = Account::default();
    for step in steps {
        match step {
            Step::Offer { owner, up: upwards, flow, length, segment } => {
                let lane = if upwards { up(owner) } else { down(owner) };
                let meta = (flow, account.offered);
                account.offered += 1;
                let segments = Segments { header: 28, segment };
                match shaper.offer(lane, flow, &packet(length), segments, meta, now) {
                    Verdict::Pass => account.leaves(lane, meta),
                    Verdict::Held => account.held += 1,
                    Verdict::Dropped(_) => account.ended += 1,
                }
            }
            Step::Account { owner, down, up } => shaper.set_account(Owner(owner), mbps(down), mbps(up), now),
            Step::Server { down, up } => shaper.set_server(mbps(down), mbps(up), now),
            Step::Remove { owner } => shaper.remove(Owner(owner)),
            Step::Pass { micros } => now += Duration::from_micros(micros),
            Step::Release => shaper.release(now, &mut |lane, _, meta| account.leaves(lane, meta)),
        }
        check(&shaper, &account);
    }
    let began = now;
    while let Some(at) = shaper.poll_deadline() {
        now = now.max(at);
        assert!(now < began + 60 * SECOND, "what waits leaves in the end");
        shaper.release(now, &mut |lane, _, meta| account.leaves(lane, meta));
        check(&shaper, &account);
    }
    assert_eq!(account.offered, account.ended + shaper.drops().total());
}

fn check(shaper: &Shaper<(u32, u64)>, account: &Account) {
    let waiting = account.offered - account.ended - shaper.drops().total();
    assert_eq!(waiting, shaper.pool.packets.len() as u64);
    assert!(waiting <= account.held);
    assert_eq!(waiting > 0, shaper.poll_deadline().is_some());
    for direction in [0, 1] {
        let lanes = (0..4).map(|owner| shaper.figures(Owner(owner))[direction].backlog_bytes).sum::<u64>();
        assert_eq!(lanes, shaper.totals()[direction].backlog_bytes);
    }
}

proptest! {
    #[test]
    fn everything_offered_passes_leaves_waits_or_is_counted_as_dropped(
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        play(steps);
    }
}
