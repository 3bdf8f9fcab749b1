//! Handshakes answered a second on one core, beside boringtun's bare loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};

use culvert::engine::outbox::Endpoint;

use crate::client::Client;
use crate::report::{Bar, FREE, Report};
use crate::rig::{self, Rig, endpoint};
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
    let mut bare = Bare::new(&rig);
    let [mut first, mut known, mut roamed, mut made, mut alone] = [(); 5].map(|()| Stopwatch::default());
    // in turns, so that what else the machine does falls on all alike
    for at in 0..CLIENTS {
        let client = &mut clients[at as usize];
        answer(&mut rig, endpoint(at), client, &mut first);
        answer(&mut rig, endpoint(at), client, &mut known);
        answer(&mut rig, endpoint(CLIENTS + at), client, &mut roamed);
        bare.make_and_answer(at, client, &mut made);
        bare.answer(at, client, &mut alone);
    }
    let [first, known, roamed, made, alone] =
        [first, known, roamed, made, alone].map(|mut timed| 1.0 / timed.seconds());
    let bar: Bar = 0.9..=f64::INFINITY;
    report.note("handshakes answered a second, boringtun's bare loop", &format!("{alone:.0}"))?;
    row(report, "handshakes answered a second, endpoints as before", known, alone, &bar, "≥ 0.9 × the bare loop")?;
    row(report, "handshakes answered a second, each from a new endpoint", roamed, alone, &FREE, "")?;
    report.note(
        "handshakes answered a second, boringtun's bare loop that makes its `Tunn` first",
        &format!("{made:.0}"),
    )?;
    row(report, "handshakes answered a second, each the first of its account", first, made, &FREE, "")
}

fn row(report: &mut Report, figure: &str, rate: f64, alone: f64, bar: &Bar, wanted: &str) -> io::Result<()> {
    let share = rate / alone;
    report.row(figure, &format!("{rate:.0}, {share:.2} × the bare loop"), share, bar, wanted)
}

fn answer(rig: &mut Rig, from: Endpoint, client: &mut Client, stopwatch: &mut Stopwatch) {
    let initiation = client.initiation();
    let now = rig.now.pass(APART);
    let (dataplane, outbox) = (&mut rig.dataplane, &mut rig.outbox);
    stopwatch.time(|| {
        rig::up(dataplane, from, &initiation, outbox, now);
        1
    });
    let answers = rig.sent();
    assert_eq!(answers.len(), 1, "every handshake is answered");
    client.confirm(&answers[0]);
}

/// The bare loop: a `Tunn` for each client, no more.
struct Bare {
    secret: StaticSecret,
    limiter: Arc<RateLimiter>,
    peers: Vec<PublicKey>,
    responders: Vec<Tunn>,
    scratch: Vec<u8>,
}

impl Bare {
    fn new(rig: &Rig) -> Self {
        let peers = rig.keys.iter().map(|key| PublicKey::from(&key.secret())).collect();
        let limiter = Arc::new(RateLimiter::new(&rig.public, u64::MAX));
        Self { secret: rig.secret(), limiter, peers, responders: Vec::new(), scratch: vec![0; 2_048] }
    }

    /// The first handshake of a client, which comes before any other of the next one.
    fn make_and_answer(&mut self, at: u32, client: &mut Client, stopwatch: &mut Stopwatch) {
        let initiation = client.initiation();
        let Self { secret, limiter, peers, responders, scratch } = self;
        let answered = stopwatch.time(|| {
            let (peer, limiter) = (peers[at as usize], Arc::clone(limiter));
            let mut responder = Tunn::new(secret.clone(), peer, None, None, at, Some(limiter));
            let answered = is_answer(&responder.decapsulate(None, &initiation, scratch));
            responders.push(responder);
            usize::from(answered)
        });
        assert_eq!(answered, 1, "boringtun answers");
    }

    fn answer(&mut self, at: u32, client: &mut Client, stopwatch: &mut Stopwatch) {
        let initiation = client.initiation();
        let Self { responders, scratch, .. } = self;
        let answered =
            stopwatch.time(|| usize::from(is_answer(&responders[at as usize].decapsulate(None, &initiation, scratch))));
        assert_eq!(answered, 1, "boringtun answers");
    }
}

fn is_answer(outcome: &TunnResult<'_>) -> bool {
    matches!(outcome, TunnResult::WriteToNetwork(_))
}
