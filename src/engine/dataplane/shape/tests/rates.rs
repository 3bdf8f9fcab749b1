//! Goodput: never above the rate, hardly below it.

use super::*;

/// Asserts that the flood got between 98 and 100 % of the rate: within every window of 5 s no more, within 5 s no less.
fn assert_rate(flood: &Flood, began: Instant, megabits: u64, what: &str) {
    let whole = megabits * 125_000 * 5;
    let most = flood.most_within(5 * SECOND);
    let got: u64 = flood.left.iter().filter(|left| left.0 < began + 5 * SECOND).map(|left| left.2).sum();
    assert!(most <= whole, "{what} at {megabits}: {most} of {whole} bytes in some 5 s");
    assert!(got * 100 >= whole * 98, "{what} at {megabits}: {got} of {whole} bytes");
}

#[test]
fn full_packets_get_the_rate_and_never_more_however_late_the_worker_wakes() {
    for megabits in [1, 10, 100, 1_000] {
        for late in [Duration::ZERO, MS] {
            let now = start();
            let mut shaper = limited(megabits, now);
            let mut flood = Flood::new(vec![down(0)], FULL, u32::from(megabits) * 6 / 5 + 1, now);
            (flood.late, flood.flows) = (late, 4);
            flood.run(&mut shaper, now + 6 * SECOND);
            assert_rate(&flood, now, u64::from(megabits), "full packets");
        }
    }
}

#[test]
fn small_packets_and_pieces_that_stand_for_many_get_the_same_rate() {
    for megabits in [1, 10, 100, 1_000, 10_000] {
        let now = start();
        let mut shaper = limited(megabits, now);
        let piece = shaper.quantum(down(0)).min(65_000);
        assert!((1_500..=65_536).contains(&piece));
        let mut flood = Flood::new(vec![down(0)], piece, u32::from(megabits) * 6 / 5 + 1, now);
        flood.segments = Segments { header: 40, segment: 1_380 };
        flood.late = MS;
        flood.run(&mut shaper, now + 6 * SECOND);
        assert_rate(&flood, now, u64::from(megabits), "pieces");
    }
    let now = start();
    let mut shaper = limited(10, now);
    let mut flood = Flood::new(vec![down(0)], 60, 12, now);
    flood.late = MS;
    flood.run(&mut shaper, now + 6 * SECOND);
    assert_rate(&flood, now, 10, "small packets");
}

#[test]
fn both_directions_and_the_server_have_limits_of_their_own() {
    let now = start();
    let mut shaper = shaper(now);
    shaper.set_account(Owner(0), mbps(20), mbps(50), now);
    shaper.set_account(Owner(1), mbps(20), Mbps::UNLIMITED, now);
    shaper.set_server(mbps(30), Mbps::UNLIMITED, now);
    let mut flood = Flood::new(vec![up(0), down(0), up(1), down(1)], FULL, 240, now);
    flood.late = MS;
    flood.run(&mut shaper, now + 5 * SECOND);

    let got = |lane| flood.bytes(lane, now, now + 5 * SECOND) / 625_000;
    assert!((49..=50).contains(&got(up(0))), "{}", got(up(0)));
    assert!((59..=60).contains(&got(up(1))), "{}", got(up(1)));
    let (first, second) = (got(down(0)), got(down(1)));
    assert!((14..=15).contains(&first) && (14..=15).contains(&second), "{first} {second}");
}

#[test]
fn the_servers_limit_is_shared_fairly_and_fully_by_accounts_of_every_kind() {
    let now = start();
    let mut shaper = shaper(now);
    shaper.set_server(mbps(100), Mbps::UNLIMITED, now);
    shaper.set_account(Owner(0), mbps(5), Mbps::UNLIMITED, now);
    shaper.set_account(Owner(1), mbps(500), Mbps::UNLIMITED, now);
    let lanes: Vec<Lane> = (0..10).map(down).collect();
    let mut flood = Flood::new(lanes.clone(), FULL, 200, now);
    flood.late = MS;
    flood.run(&mut shaper, now + 6 * SECOND);

    assert_rate(&flood, now, 100, "a server");
    let got: Vec<f64> = lanes.iter().map(|lane| counted(flood.bytes(*lane, now + SECOND, now + 6 * SECOND))).collect();
    assert!((4.8..=5.0).contains(&(got[0] / 625_000.0)), "{got:?}");
    assert!(jain(&got[1..]) > 0.999, "{got:?}");
}

#[test]
fn workers_share_a_servers_limit_and_none_starves() {
    let now = start();
    let limit = Arc::new(ServerLimit::new(now));
    let mut workers = [3, 4].map(|seed| Shaper::new(seed, Arc::clone(&limit)));
    // the second one is asked four times as often
    let mut floods = [120, 480].map(|megabits| Flood::new(vec![down(0)], FULL, megabits, now));
    for (worker, flood) in workers.iter_mut().zip(&mut floods) {
        worker.set_server(mbps(100), Mbps::UNLIMITED, now);
        flood.late = MS / 2;
    }
    for step in 1..=25_000 {
        // now the one is first, now the other
        for turn in [step % 2, (step + 1) % 2] {
            floods[turn as usize].run(&mut workers[turn as usize], now + MS / 5 * step);
        }
    }

    let [first, second] = [0, 1].map(|worker| floods[worker].bytes(down(0), now, now + 5 * SECOND));
    let whole = 100 * 625_000;
    assert!(first + second <= whole && (first + second) * 100 >= whole * 98, "{first} {second}");
    assert!(first * 10 >= whole * 4 && second * 10 >= whole * 4, "{first} {second}");
}

#[test]
fn a_changed_rate_applies_at_once_and_loses_nothing() {
    for (before, after) in [(1, 100), (10, 1_000), (100, 1), (50, 0)] {
        let mut now = start();
        let mut shaper = limited(before, now);
        let packet = packet(FULL);
        let mut held = 0;
        for number in 0..20 {
            held += u32::from(shaper.offer(down(0), 1, &packet, Segments::NONE, number, now) == Verdict::Held);
        }
        shaper.set_account(Owner(0), mbps(after), Mbps::UNLIMITED, now);
        let changed = now;
        let mut left = Vec::new();
        while let Some(at) = shaper.poll_deadline() {
            now = now.max(at);
            shaper.release(now, &mut |_, _, number| left.push(number));
        }

        assert_eq!(u32::try_from(left.len()).unwrap(), held);
        assert!(left.is_sorted());
        assert_eq!(shaper.drops().total(), 0);
        let took = now - changed;
        let least = if after == 0 { 0 } else { u64::from(held) * 1_420 * 8 / u64::from(after) };
        let least = Duration::from_micros(least);
        assert!(took <= least + MS && took + 26 * MS >= least, "{before} to {after}: {took:?} {least:?}");
        if after == 0 {
            assert_eq!(shaper.offer(down(0), 1, &packet, Segments::NONE, 9, now), Verdict::Pass);
            assert_eq!(shaper.quantum(down(0)), usize::MAX);
        }
    }
}

#[test]
fn a_jumbo_packet_goes_at_the_rate_although_no_bucket_holds_it() {
    let now = start();
    let mut shaper = limited(1, now);
    let mut flood = Flood::new(vec![down(0)], 9_000, 2, now);
    flood.run(&mut shaper, now + 10 * SECOND);
    let got = flood.bytes(down(0), now, now + 10 * SECOND);
    assert!((1_225_000..=1_259_000).contains(&got), "{got}");
}
