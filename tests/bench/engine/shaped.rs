//! What it costs to keep many accounts to their rates at once, beside one account that moves the same bytes.

use std::io;
use std::time::Duration;

use culvert::domain::rate::Mbps;
use culvert::engine::packet::Owner;

use crate::report::Report;
use crate::rig::{self, MTU, OUTSIDE, Rig, address, packet};
use crate::road::WARM_UP;
use crate::stopwatch::{Stopwatch, as_f64};

/// Accounts on either side.
const ACCOUNTS: [u32; 2] = [1, 1_000];
/// What all of them have together, in Mbit/s.
const RATE: u32 = 5_000;
/// How often the machine is asked what is due.
const TICK: Duration = Duration::from_micros(500);
/// Packets of an account that come at once: as a call or a film comes, where few wait, and as TCP sends, where most of
/// them wait in the account's queue.
const BURSTS: [usize; 2] = [1, 8];
/// Packets in a tick: not quite the rate, as of senders that notice their losses.
const PACKETS: usize = 216;
/// Ticks that are measured, after those in which the first burst goes.
const TICKS: usize = 2_000;
const FIRST: usize = 50 * WARM_UP;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    BURSTS.into_iter().try_for_each(|burst| measure_bursts(report, burst))
}

/// Measures both in turn, tick by tick.
fn measure_bursts(report: &mut Report, burst: usize) -> io::Result<()> {
    let mut sides = ACCOUNTS.map(|accounts| Side::new(accounts, burst));
    for round in 0..FIRST + TICKS {
        for side in &mut sides {
            if round == FIRST {
                side.stopwatch = Stopwatch::default();
            }
            side.tick();
        }
    }
    let [one, many] = sides.map(|mut side| side.stopwatch.seconds());
    let arrivals = if burst == 1 { "packets one by one".into() } else { format!("{burst} packets at once") };
    for (accounts, seconds) in ACCOUNTS.into_iter().zip([one, many]) {
        let gigabyte = seconds / as_f64(MTU) * 1e9;
        let figure = format!("down, {MTU} B, {RATE} Mbit/s in all, {arrivals}, shaped accounts: {accounts}");
        report.note(&figure, &format!("{gigabyte:.2} CPU s/GB"))?;
    }
    let share = many / one;
    let figure = format!("CPU time of 1,000 shaped accounts to that of one, {arrivals}");
    report.row(&figure, &format!("{share:.2} ×"), share, &(f64::NEG_INFINITY..=1.3), "≤ 1.3 ×")
}

/// A server whose accounts are all busy.
struct Side {
    rig: Rig,
    burst: usize,
    /// Who is next, and a packet for each account.
    next: usize,
    packets: Vec<(Owner, Vec<u8>)>,
    stopwatch: Stopwatch,
}

impl Side {
    fn new(accounts: u32, burst: usize) -> Self {
        let mut rig = Rig::new(accounts);
        let rate = Mbps::new(u16::try_from(RATE / accounts).expect("it is small")).expect("a good rate");
        for at in 0..accounts {
            rig.limit(at, rate);
            rig.let_in(at);
        }
        let packets = (0..accounts).map(|at| (rig.owner(at), packet(OUTSIDE, address(at), MTU))).collect();
        Self { rig, burst, next: 0, packets, stopwatch: Stopwatch::default() }
    }

    fn tick(&mut self) {
        let now = self.rig.now.pass(TICK);
        let Self { rig, burst, next, packets, stopwatch } = self;
        stopwatch.part(|| {
            for _ in 0..PACKETS / *burst {
                let (owner, packet) = &mut packets[*next];
                for _ in 0..*burst {
                    rig::down(&mut rig.dataplane, *owner, packet, &mut rig.outbox, now);
                }
                *next = (*next + 1) % packets.len();
            }
            rig.handle_deadline();
        });
        let moved = self.rig.sent().len();
        self.stopwatch.end_batch(moved);
    }
}
