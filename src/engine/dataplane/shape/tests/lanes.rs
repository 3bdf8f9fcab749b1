//! Many lanes, idle ones, and what they may hold.

use super::*;
use crate::domain::figures::LaneFigures;
use crate::engine::dataplane::shape::store::MEMORY;
use crate::engine::dataplane::verdict::DropReason;

#[test]
fn what_nothing_limits_passes_and_has_no_deadline() {
    let now = start();
    let mut shaper = shaper(now);
    shaper.set_account(Owner(3), Mbps::UNLIMITED, mbps(1), now);
    let packet = packet(FULL);

    for _ in 0..1_000 {
        for lane in [down(3), down(0), up(9_999)] {
            assert_eq!(shaper.offer(lane, 1, &packet, Segments::NONE, 0, now), Verdict::Pass);
            assert_eq!(shaper.quantum(lane), usize::MAX);
        }
    }
    assert_eq!(shaper.poll_deadline(), None);
    assert_eq!(shaper.quantum(up(3)), 1_500);
    assert_eq!(shaper.figures(Owner(3))[Direction::Download as usize].sent_packets, 0);
}

#[test]
fn the_figures_tell_what_went_and_what_waits() {
    let now = start();
    let mut shaper = limited(10, now);
    let segments = Segments { header: 40, segment: 400 };
    let packet = packet(1_240);
    for _ in 0..10 {
        let _ = shaper.offer(down(0), 1, &packet, segments, 0, now);
    }

    // 40 bytes of header and 1,200 of payload become 3 packets of 440
    let figures = shaper.figures(Owner(0))[Direction::Download as usize];
    assert_eq!((figures.sent_bytes, figures.sent_packets), (3 * 1_320, 9));
    assert_eq!((figures.backlog_bytes, figures.backlog_packets, figures.overlimits), (7 * 1_320, 21, 21));
    assert_eq!((figures.rate, figures.dropped), (mbps(10), 0));
    let totals = shaper.totals()[Direction::Download as usize];
    assert_eq!((totals.sent_bytes, totals.backlog_packets, totals.rate), (3 * 1_320, 21, Mbps::UNLIMITED));

    shaper.remove(Owner(0));
    assert_eq!(shaper.figures(Owner(0)), [LaneFigures::default(); 2]);
    let totals = shaper.totals()[Direction::Download as usize];
    assert_eq!((totals.dropped, totals.backlog_bytes, totals.sent_packets), (21, 0, 9));
    assert_eq!(shaper.drops().of(DropReason::PeerGone), 7);
    assert_eq!(shaper.poll_deadline(), None);
    assert_eq!(shaper.offer(down(0), 1, &packet, segments, 0, now), Verdict::Pass);
}

#[test]
fn a_lane_that_drained_is_idle_again() {
    let mut now = start();
    let mut shaper = limited(100, now);
    shaper.set_server(mbps(50), mbps(50), now);
    let packet = packet(FULL);
    for round in 0..10 {
        now += SECOND;
        for number in 0..100 {
            let _ = shaper.offer(down(0), number % 7, &packet, Segments::NONE, round, now);
        }
        while let Some(at) = shaper.poll_deadline() {
            now = now.max(at);
            shaper.release(now, &mut |_, _, _| {});
        }
        let figures = shaper.figures(Owner(0))[Direction::Download as usize];
        assert_eq!((figures.backlog_bytes, figures.backlog_packets), (0, 0));
        assert_eq!(shaper.pool.flows.len() + shaper.queues.len(), 0);
    }
}

#[test]
fn a_full_lane_drops_from_its_fattest_flow_alone() {
    let now = start();
    let mut shaper = limited(1, now);
    let packet = packet(FULL);
    for number in 0..40 {
        let _ = shaper.offer(down(0), 1, &packet, Segments::NONE, (1, number), now);
        if number % 4 == 0 {
            let _ = shaper.offer(down(0), 2, &packet[..100], Segments::NONE, (2, number), now);
        }
    }
    let noisy = |number| (1, number);
    for number in 40..2_000 {
        assert_eq!(shaper.offer(down(0), 1, &packet, Segments::NONE, noisy(number), now), Verdict::Held);
        assert!(shaper.figures(Owner(0))[1].backlog_bytes <= 64 * 1_024);
    }

    let mut quiet = 0;
    shaper.set_account(Owner(0), Mbps::UNLIMITED, Mbps::UNLIMITED, now);
    while shaper.poll_deadline().is_some() {
        shaper.release(now + 40 * MS, &mut |_, _, (flow, _)| quiet += u32::from(flow == 2));
    }
    assert!(quiet >= 8, "{quiet}");
    assert_eq!(shaper.drops().of(DropReason::ShaperFull), shaper.drops().total());
}

#[test]
fn noisy_lanes_leave_room_for_quiet_ones() {
    let now = start();
    let mut shaper = shaper(now);
    let piece = packet(16_000);
    for owner in 0..200 {
        shaper.set_account(Owner(owner), mbps(200), Mbps::UNLIMITED, now);
        for _ in 0..300 {
            let _ = shaper.offer(down(owner), 1, &piece, Segments { header: 40, segment: 1_380 }, 0, now);
        }
    }
    assert!(shaper.pool.packets.room() < MEMORY / 8, "{}", shaper.pool.packets.room());
    shaper.set_account(Owner(999), mbps(1), Mbps::UNLIMITED, now);
    for _ in 0..30 {
        assert!(!matches!(shaper.offer(down(999), 1, &packet(FULL), Segments::NONE, 0, now), Verdict::Dropped(_)));
    }
}

#[test]
fn a_quiet_account_goes_before_the_busy_ones_of_a_full_server() {
    let now = start();
    let mut shaper = shaper(now);
    shaper.set_server(mbps(100), Mbps::UNLIMITED, now);
    let mut flood = Flood::new((1..100).map(down).collect(), FULL, 300, now);
    let mut longest = Duration::ZERO;
    for step in 1..100 {
        let at = now + 11 * MS * step;
        flood.run(&mut shaper, at);
        if shaper.offer(down(0), 7, &packet(84), Segments::NONE, 84, at) == Verdict::Held {
            flood.left.clear();
            flood.run(&mut shaper, at + 10 * MS);
            let (left, ..) = flood.left.iter().find(|(_, lane, _)| *lane == down(0)).expect("within 10 ms");
            longest = longest.max(*left - at);
        }
    }
    assert!(longest > Duration::ZERO && longest < 3 * MS, "{longest:?}");
}

#[test]
fn what_left_keeps_the_order_of_a_call_bounded() {
    let mut now = start();
    let mut shaper = shaper(now);
    for owner in 0..5_000 {
        shaper.set_account(Owner(owner), mbps(1), Mbps::UNLIMITED, now);
        for number in 0..4 {
            let _ = shaper.offer(down(owner), 1, &packet(FULL), Segments::NONE, number, now);
        }
    }
    let mut last = vec![1; 5_000];
    let mut calls = 0;
    while let Some(at) = shaper.poll_deadline() {
        now = now.max(at);
        let mut in_call = 0;
        shaper.release(now, &mut |lane, _, number| {
            let before = std::mem::replace(&mut last[lane.owner.index()], number);
            assert_eq!(number, before + 1);
            in_call += 1;
        });
        assert!(in_call <= 512);
        calls += 1;
    }
    assert!(last.iter().all(|number| *number == 3) && calls < 200, "{calls}");
}

/// Nanoseconds a packet, with the same bytes spread over so many lanes.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn cost(lanes: u16) -> f64 {
    let now = start();
    let mut shaper = shaper(now);
    for owner in 0..u32::from(lanes) {
        shaper.set_account(Owner(owner), mbps(1_000 / lanes), Mbps::UNLIMITED, now);
    }
    let mut flood = Flood::new((0..u32::from(lanes)).map(down).collect(), FULL, 1_050, now);
    flood.left.reserve(1 << 20);
    flood.run(&mut shaper, now + SECOND);
    flood.left.clear();
    let began = Instant::now();
    flood.run(&mut shaper, now + 6 * SECOND);
    began.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(flood.left.len()).unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for reading")]
#[ignore = "measures real time: for a release build on a quiet machine"]
fn a_thousand_lanes_cost_about_what_one_costs() {
    // the least of some, for whatever else the machine does only adds to it
    let least = |all: [f64; 3], round: [f64; 3]| [0, 1, 2].map(|at| all[at].min(round[at]));
    let rounds = (0..3).map(|_| [1, 10, 1_000].map(cost));
    let [one, ten, thousand] = rounds.fold([f64::MAX; 3], least);
    println!("ns a packet: one lane {one:.0}, ten {ten:.0}, a thousand {thousand:.0}");
    // sealing a packet costs some 1,000 ns beside this
    assert!(1_000.0 + thousand <= 1.3 * (1_000.0 + one));
}
