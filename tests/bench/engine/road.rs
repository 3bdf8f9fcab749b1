//! Packets through the data plane alone: opened and let through, or sealed.

use std::io;

use crate::report::{Bar, Report};
use crate::rig::{self, MTU, OUTSIDE, Rig, address, endpoint, packet};
use crate::stopwatch::{Stopwatch, as_f64};

/// Packets of one timed batch: what one GSO batch carries of full-sized ones.
pub(crate) const BATCH: usize = 44;
/// Timed batches of each measurement.
pub(crate) const BATCHES: usize = 1_000;
/// Batches before, so that every table and buffer has its size.
pub(crate) const WARM_UP: usize = 20;
/// No allocation a packet.
pub(crate) const NONE: Bar = f64::NEG_INFINITY..=0.0;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    for length in [64, MTU] {
        row(report, "up", length, up(length))?;
        row(report, "down", length, down(length))?;
    }
    Ok(())
}

/// Packets a second, seconds a gigabyte, allocations.
pub(crate) fn row(report: &mut Report, way: &str, length: usize, mut stopwatch: Stopwatch) -> io::Result<()> {
    let seconds = stopwatch.seconds();
    let gigabyte = seconds / as_f64(length) * 1e9;
    let thousands = 1e-3 / seconds;
    let shown = format!("{thousands:.0} thousand packets/s, {gigabyte:.2} CPU s/GB");
    report.note(&format!("{way}, {length} B"), &shown)?;
    let allocations = stopwatch.allocations();
    report.row(
        &format!("{way}, {length} B: allocations a packet"),
        &format!("{allocations:.3}"),
        allocations,
        &NONE,
        "0",
    )
}

fn up(length: usize) -> Stopwatch {
    let mut rig = Rig::new(1);
    let mut client = rig.let_in(0);
    let packet = packet(address(0), OUTSIDE, length);
    let mut stopwatch = Stopwatch::default();
    for round in 0..WARM_UP + BATCHES {
        if round == WARM_UP {
            stopwatch = Stopwatch::default();
        }
        let sealed: Vec<Vec<u8>> = (0..BATCH).map(|_| client.seal(&packet)).collect();
        let now = rig.now();
        let (dataplane, outbox) = (&mut rig.dataplane, &mut rig.outbox);
        let let_through = stopwatch.time(|| {
            let count = sealed.iter().map(|datagram| rig::up(dataplane, endpoint(0), datagram, outbox, now)).sum();
            outbox.clear();
            count
        });
        assert_eq!(let_through, BATCH, "every packet is let through");
    }
    stopwatch
}

fn down(length: usize) -> Stopwatch {
    let mut rig = Rig::new(1);
    let mut client = rig.let_in(0);
    let mut packet = packet(OUTSIDE, address(0), length);
    let owner = rig.owner(0);
    let mut stopwatch = Stopwatch::default();
    for round in 0..WARM_UP + BATCHES {
        if round == WARM_UP {
            stopwatch = Stopwatch::default();
        }
        let now = rig.now();
        let (dataplane, outbox) = (&mut rig.dataplane, &mut rig.outbox);
        stopwatch.time(|| {
            for _ in 0..BATCH {
                rig::down(dataplane, owner, &mut packet, outbox, now);
            }
            BATCH
        });
        let sent = rig.sent();
        assert_eq!(sent.len(), BATCH, "every packet is sealed");
        assert!(round > 0 || client.open(&sent[0]).is_some_and(|inner| inner == packet), "the client reads it");
    }
    stopwatch
}
