//! What a long list of rules costs a flow that it has let through.

use std::io;
use std::sync::Arc;

use culvert::domain::firewall::{Action, Chain, FilterRule, Firewall, FirewallSettings, RuleProtocol};
use culvert::domain::name::RuleName;
use culvert::engine::dataplane::Change;

use crate::client::Client;
use crate::report::Report;
use crate::rig::{self, OUTSIDE, Rig, address, endpoint, packet};
use crate::road::{BATCH, BATCHES, WARM_UP};
use crate::stopwatch::Stopwatch;

/// A short list and a long one.
const RULES: [u32; 2] = [10, 10_000];
/// Bytes of a packet: small ones, of which a second has the most.
const LENGTH: usize = 64;

/// Measures both in turn, batch by batch.
///
/// # Errors
/// Where a row cannot be written.
pub(crate) fn measure(report: &mut Report) -> io::Result<()> {
    let mut sides = RULES.map(Side::new);
    for round in 0..WARM_UP + BATCHES {
        for side in &mut sides {
            if round == WARM_UP {
                side.stopwatch = Stopwatch::default();
            }
            side.batch();
        }
    }
    let [few, many] = sides.map(|mut side| 1e-3 / side.stopwatch.seconds());
    for (rules, thousands) in RULES.into_iter().zip([few, many]) {
        report.note(&format!("up, {LENGTH} B, NAT, {rules} rules"), &format!("{thousands:.0} thousand packets/s"))?;
    }
    let share = many / few;
    let figure = "packets a second of an open flow, 10,000 rules to 10";
    report.row(figure, &format!("{share:.3} ×"), share, &(0.97..=f64::INFINITY), "≥ 0.97 ×")
}

/// A server with a list of rules, and a client with a flow.
struct Side {
    rig: Rig,
    client: Client,
    stopwatch: Stopwatch,
}

impl Side {
    fn new(rules: u32) -> Self {
        let mut rig = Rig::new(1);
        rig.translate();
        rig.apply(Change::Firewall(Arc::new(firewall(rules))));
        let client = rig.let_in(0);
        Self { rig, client, stopwatch: Stopwatch::default() }
    }

    fn batch(&mut self) {
        let packet = packet(address(0), OUTSIDE, LENGTH);
        let sealed: Vec<_> = (0..BATCH).map(|_| (endpoint(0), self.client.seal(&packet))).collect();
        let rig = &mut self.rig;
        let let_through = self.stopwatch.time(|| rig::up_at_once(rig, &sealed));
        assert_eq!(let_through, BATCH, "every packet is let through");
    }
}

/// Rules of which none fits, so that all are tried.
fn firewall(rules: u32) -> Firewall {
    let rule = |at: u32| FilterRule {
        name: RuleName::parse(&format!("rule_{at}")).expect("a good name"),
        action: Action::Drop,
        chain: Chain::Forward,
        protocol: RuleProtocol::Udp,
        source: "0.0.0.0/0".parse().expect("a good network"),
        source_port: 0,
        destination: format!("192.0.2.{}/32", at % 256).parse().expect("a good network"),
        destination_port: u16::try_from(1 + at / 256).expect("it is small"),
    };
    Firewall { settings: FirewallSettings::default(), rules: (0..rules).map(rule).collect() }
}
