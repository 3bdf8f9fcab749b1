//! What a packet costs, and what memory a flow takes, with many flows open.

use std::io;
use std::time::Duration;

use crate::outside::{NoHost, World};
use crate::report::{Bar, FREE, Report};
use crate::road::NONE;
use crate::stopwatch::Stopwatch;
use crate::stream::PAYLOAD;

/// Segments of one timed batch: as many as a new connection's congestion window lets go at once.
const BATCH: usize = 8;
/// From one busy flow to the next: coprime to their number, and far apart in memory.
const STRIDE: usize = 7;
/// Timed batches of each measurement.
const BATCHES: usize = 2_000;
/// Batches before, so that windows and buffers have their size.
const WARM_UP: usize = 50;
/// How long flows are left alone before they count as idle.
const REST: Duration = Duration::from_secs(10);
/// How many flows are open.
const FLOWS: [u32; 3] = [10, 1_000, 10_000];
/// Bytes that an idle flow has moved up.
const ASKED: usize = 1_024;
/// Bytes that an idle flow has moved down: with what went up 4 KiB.
const ANSWERED: usize = 3_072;
const KIB: f64 = 1_024.0;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    for (way, run) in [("up", up as fn(&mut World, usize) -> Stopwatch), ("down", down)] {
        let mut fewest = [0.0; 2];
        for count in FLOWS {
            let mut world = World::new();
            world.open(count);
            world.rest(REST);
            let mut busy = [run(&mut world, 1), run(&mut world, count as usize)];
            let seconds = [busy[0].seconds(), busy[1].seconds()];
            if count == 10 {
                fewest = seconds;
            }
            let one = format!("TCP {way}, {count} open flows, one of them busy");
            row(report, &one, seconds[0], fewest[0], count == 10_000)?;
            row(report, &format!("TCP {way}, {count} open flows, busy in turn"), seconds[1], fewest[1], false)?;
            if count == 10_000 {
                let allocations = busy[0].allocations();
                let shown = format!("{allocations:.3}");
                report.row(&format!("{one}: allocations a packet"), &shown, allocations, &NONE, "0")?;
            }
        }
    }
    Ok(())
}

fn row(report: &mut Report, figure: &str, seconds: f64, fewest: f64, barred: bool) -> io::Result<()> {
    let ratio = seconds / fewest;
    let bar: Bar = if barred { f64::NEG_INFINITY..=1.3 } else { FREE };
    let shown = format!("{:.0} ns a packet, {ratio:.2} × that with 10", seconds * 1e9);
    report.row(figure, &shown, ratio, &bar, if barred { "≤ 1.3 × that with 10" } else { "" })
}

/// Full segments from the first so many peers, a batch from each in turn.
fn up(world: &mut World, busy: usize) -> Stopwatch {
    let mut stopwatch = Stopwatch::default();
    for round in 0..WARM_UP + BATCHES {
        if round == WARM_UP {
            stopwatch = Stopwatch::default();
        }
        let now = world.now.pass(Duration::from_micros(500));
        let World { flows, hosts, streams, .. } = world;
        let (owner, _, stream) = &mut streams[round * STRIDE % busy];
        let packets: Vec<Vec<u8>> = (0..BATCH).map(|_| stream.full_segment()).collect();
        let taken = hosts.taken;
        stopwatch.time(|| {
            for packet in &packets {
                flows.handle_packet(*owner, packet, &mut NoHost, now);
            }
            flows.turn(hosts, now, &mut |_, packet| stream.take(packet));
            BATCH
        });
        assert_eq!(hosts.taken - taken, BATCH * PAYLOAD, "everything goes out");
    }
    stopwatch
}

/// Full segments to the first so many peers, a batch to each in turn, and an acknowledgement for every other one.
fn down(world: &mut World, busy: usize) -> Stopwatch {
    let mut stopwatch = Stopwatch::default();
    for round in 0..WARM_UP + BATCHES {
        if round == WARM_UP {
            stopwatch = Stopwatch::default();
        }
        let now = world.now.pass(Duration::from_micros(500));
        let World { flows, hosts, streams, .. } = world;
        let (owner, flow, stream) = &mut streams[round * STRIDE % busy];
        (hosts.give, hosts.to) = (BATCH * PAYLOAD, Some(*flow));
        stream.make_room();
        let before = stream.segments;
        stopwatch.part(|| {
            flows.handle_ready(*flow);
            flows.turn(hosts, now, &mut |_, packet| stream.take(packet));
        });
        hosts.give = 0;
        // what the congestion window held back comes with the acknowledgements
        loop {
            let acks = stream.acks();
            if acks.is_empty() {
                break;
            }
            stopwatch.part(|| {
                for ack in &acks {
                    flows.handle_packet(*owner, ack, &mut NoHost, now);
                }
                flows.turn(hosts, now, &mut |_, packet| stream.take(packet));
            });
        }
        stopwatch.end_batch(stream.segments - before);
    }
    stopwatch
}

/// Resident memory of idle flows: how many they are, what they moved, bytes.
pub(crate) struct Memory(Vec<(u32, &'static str, f64)>);

impl Memory {
    /// Measures. Must come before everything else, for memory that was given back to the allocator is resident already.
    ///
    /// # Errors
    /// Where the kernel does not say what is resident.
    pub(crate) fn measure() -> io::Result<Self> {
        let mut world = World::new();
        let mut all = Vec::new();
        let before = resident()?;
        for count in FLOWS {
            let there = world.streams.len();
            world.open(count);
            for at in there..world.streams.len() {
                world.exchange(at, ASKED, ANSWERED);
            }
            world.rest(REST);
            all.push((count, "4 KiB", resident()? - before));
        }
        for at in 0..world.streams.len() {
            world.exchange(at, ASKED + ANSWERED, ASKED + ANSWERED);
        }
        world.rest(REST);
        let [.., most] = FLOWS;
        all.push((most, "4 KiB each way at once", resident()? - before));
        Ok(Self(all))
    }

    /// Adds the rows.
    ///
    /// # Errors
    /// Where a row cannot be written.
    pub(crate) fn put(&self, report: &mut Report) -> io::Result<()> {
        let [.., most] = FLOWS;
        for &(count, moved, bytes) in &self.0 {
            let each = bytes / f64::from(count) / KIB;
            let figure = format!("resident memory, {count} idle TCP flows that moved {moved}");
            let shown = format!("{:.1} MiB, {each:.1} KiB a flow", bytes / KIB / KIB);
            let barred = count == most;
            let (bar, wanted) = if barred { (f64::NEG_INFINITY..=24.0, "≤ 24 KiB a flow") } else { (FREE, "") };
            report.row(&figure, &shown, each, &bar, wanted)?;
        }
        Ok(())
    }
}

/// This process's resident memory, in bytes.
fn resident() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |line: &str| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok();
    status.lines().find_map(of).map(|kib| kib * KIB).ok_or_else(|| io::Error::other("no VmRSS"))
}
