//! Two workers with a client each beside one worker that has both: do they stand in each other's way?

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use culvert::domain::key::PrivateKey;
use culvert::engine::dataplane::seat::Seat;
use culvert::runtime::os::clock;

use crate::client::{Client, fresh_key};
use crate::report::{Report, median};
use crate::rig::{self, MTU, OUTSIDE, Rig, address, endpoint, packet};
use crate::stopwatch::as_f64;

/// Workers, and clients.
const WORKERS: u8 = 2;
/// Packets of each client in a round.
const PACKETS: usize = 880;
/// Datagrams that come at once.
const AT_ONCE: usize = 44;
/// Rounds that are measured, after a few.
const ROUNDS: usize = 300;
const WARM_UP: usize = 10;

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    let keys: Vec<PrivateKey> = (0..WORKERS).map(key_of).collect();
    let mut one = Side::new(Seat::ALONE, &keys, 0..WORKERS);
    let mut two: Vec<Side> = (0..WORKERS)
        .map(|worker| Side::new(Seat { server: 0, worker, of: WORKERS }, &keys, worker..worker + 1))
        .collect();
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let spans = (one.round(&Barrier::new(1)), at_once(&mut two));
        if round >= WARM_UP {
            alone.push(spans.0.as_secs_f64());
            together.push(spans.1.as_secs_f64());
        }
    }
    let packets = as_f64(PACKETS * usize::from(WORKERS));
    let [one, two] = [&mut alone, &mut together].map(|spans| 1e-3 * packets / median(spans));
    report.note(&format!("up, {MTU} B, NAT, two clients, one worker"), &format!("{one:.0} thousand packets/s"))?;
    report.note(&format!("up, {MTU} B, NAT, two clients, two workers"), &format!("{two:.0} thousand packets/s"))?;
    let share = two / one;
    let figure = "packets a second of two workers to those of one";
    report.row(figure, &format!("{share:.2} ×"), share, &(1.6..=f64::INFINITY), "≥ 1.6 ×")
}

/// A key whose client lives at this worker.
fn key_of(worker: u8) -> PrivateKey {
    let seat = Seat { server: 0, worker, of: WORKERS };
    std::iter::repeat_with(fresh_key)
        .find(|key| seat.home(&key.public()) == worker)
        .expect("there is always another key")
}

/// One round of every worker at once; how long the slowest took.
fn at_once(workers: &mut [Side]) -> Duration {
    let start = Barrier::new(workers.len());
    let spans = thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|side| scope.spawn(|| side.round(&start))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends well")).max()
    });
    spans.unwrap_or_default()
}

/// A worker and the clients that live with it.
struct Side {
    rig: Rig,
    clients: Vec<(u32, Client)>,
}

impl Side {
    fn new(seat: Seat, keys: &[PrivateKey], clients: std::ops::Range<u8>) -> Self {
        let mut rig = Rig::seated(seat, keys.to_vec());
        rig.translate();
        let clients = clients.map(u32::from).map(|at| (at, rig.let_in(at))).collect();
        Self { rig, clients }
    }

    /// Takes what every client has sealed before; how long it took.
    fn round(&mut self, start: &Barrier) -> Duration {
        let mut sealed = Vec::with_capacity(PACKETS * self.clients.len());
        for (at, client) in &mut self.clients {
            let packet = packet(address(*at), OUTSIDE, MTU);
            sealed.extend((0..PACKETS).map(|_| (endpoint(*at), client.seal(&packet))));
        }
        start.wait();

        let began = clock::now();
        let let_through: usize =
            sealed.chunks(AT_ONCE).map(|datagrams| rig::up_at_once(&mut self.rig, datagrams)).sum();
        let span = clock::now().saturating_duration_since(began);

        assert_eq!(let_through, sealed.len(), "every packet is let through");
        span
    }
}
