//! Handshakes answered a second on one core, beside boringtun's bare loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};

use crate::client::Client;
use crate::report::{Bar, FREE, Report};
use crate::rig::{Rig, endpoint};
use crate::stopwatch::Stopwatch;

/// How many clients shake hands.
const CLIENTS: u32 = 1_000;
/// Between two handshakes in the machine's time: slower than what it takes for load.
const APART: Duration = Duration::from_millis(20);

/// Measures.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    let mut rig = Rig::new(CLIENTS);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|at| rig.client(at)).collect();
    // in turns, so that what else the machine does falls on all three alike
    let mut bare = Bare::new(&rig);
    let (mut first, mut again, mut alone) = (Stopwatch::default(), Stopwatch::default(), Stopwatch::default());
    for at in 0..CLIENTS {
        let client = &mut clients[at as usize];
        answer(&mut rig, at, client, &mut first);
        answer(&mut rig, at, client, &mut again);
        bare.answer(at, client, &mut alone);
    }
    let (first, again, alone) = (1.0 / first.seconds(), 1.0 / again.seconds(), 1.0 / alone.seconds());
    let bar: Bar = 0.9..=f64::INFINITY;
    report.note("handshakes answered a second, boringtun's bare loop", &format!("{alone:.0}"))?;
    row(report, "handshakes answered a second, endpoint known", again, alone, &bar, "≥ 0.9 × the bare loop")?;
    row(report, "handshakes answered a second, first of an unknown endpoint", first, alone, &FREE, "")
}

fn row(report: &mut Report, figure: &str, rate: f64, alone: f64, bar: &Bar, wanted: &str) -> io::Result<()> {
    let share = rate / alone;
    report.row(figure, &format!("{rate:.0}, {share:.2} × the bare loop"), share, bar, wanted)
}

fn answer(rig: &mut Rig, at: u32, client: &mut Client, stopwatch: &mut Stopwatch) {
    let initiation = client.initiation();
    let now = rig.now.pass(APART);
    let (dataplane, outbox) = (&mut rig.dataplane, &mut rig.outbox);
    stopwatch.time(1, || dataplane.handle_datagram(endpoint(at), &initiation, outbox, now).is_some());
    let answers = rig.sent();
    assert_eq!(answers.len(), 1, "every handshake is answered");
    client.confirm(&answers[0]);
}

/// The bare loop: a `Tunn` for each client, no more.
struct Bare {
    responders: Vec<Tunn>,
    scratch: Vec<u8>,
}

impl Bare {
    fn new(rig: &Rig) -> Self {
        let secret = rig.secret();
        let limiter = Arc::new(RateLimiter::new(&rig.public, u64::MAX));
        let responder = |at: u32, client: &StaticSecret| {
            Tunn::new(secret.clone(), PublicKey::from(client), None, None, at, Some(Arc::clone(&limiter)))
        };
        let responders = (0..).zip(&rig.keys).map(|(at, key)| responder(at, &key.secret())).collect();
        Self { responders, scratch: vec![0; 2_048] }
    }

    fn answer(&mut self, at: u32, client: &mut Client, stopwatch: &mut Stopwatch) {
        let initiation = client.initiation();
        let (responder, scratch) = (&mut self.responders[at as usize], &mut self.scratch);
        let answered = stopwatch
            .time(1, || matches!(responder.decapsulate(None, &initiation, scratch), TunnResult::WriteToNetwork(_)));
        assert!(answered, "boringtun answers");
    }
}
