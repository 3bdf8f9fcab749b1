//! The data plane in a simulated world: clients, a box with several servers and workers, hosts outside and the network
//! between them, in virtual time, through stories that are drawn from a seed. What must always hold is in
//! `invariants.rs`, a sentence each.
//!
//! `SIM_STORIES=100000` tells so many, `SIM_SEED=N` begins with that one, and alone tells that one only. The clients'
//! cryptography is real; it takes its keys from the OS, so that two runs differ in what is sealed and in nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test cares for some cases and treats the others alike")]
#![expect(clippy::print_stderr, reason = "a run says what it has told")]

mod appliance;
mod books;
mod client;
mod clock;
mod dice;
mod invariants;
mod model;
mod net;
mod packets;
mod passes;
mod portrait;
mod record;
mod speech;
mod story;
mod ways;
mod world;

use std::collections::BTreeSet;

use story::Story;

/// How many stories are told in an ordinary run.
const STORIES: u64 = 1_500;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_story_ends_well() {
    let (seed, stories) = (variable("SIM_SEED"), variable("SIM_STORIES"));
    let count = stories.unwrap_or_else(|| if seed.is_some() { 1 } else { STORIES });
    let first = seed.unwrap_or(1);
    for seed in first..first + count {
        let story = Story::drawn(seed);
        if let Some((step, fault)) = story.tell().fault {
            let shrunk = story.shrunk();
            let short = shrunk.tell().fault.map_or_else(String::new, |(_, fault)| fault);
            panic!(
                "SIM_SEED={seed}: after step {step} of {}\n{fault}\n\nSHORTER\n{}{short}",
                story.steps.len(),
                shrunk.script()
            );
        }
    }
    eprintln!("{count} stories");
}

#[test]
fn the_same_seed_leaves_the_same_trace_twice() {
    for seed in 1..=40 {
        let (one, other) = (Story::drawn(seed).tell(), Story::drawn(seed).tell());
        let verdict = invariants::the_same_seed_leaves_the_same_trace(one.trace, other.trace);
        assert_eq!(verdict, Ok(()), "SIM_SEED={seed}");
    }
}

#[test]
fn different_seeds_leave_different_traces() {
    let (one, other) = (Story::drawn(1).tell(), Story::drawn(2).tell());
    assert!(invariants::the_same_seed_leaves_the_same_trace(one.trace, other.trace).is_err());
}

#[test]
fn stories_meet_nearly_everything_that_can_happen_to_a_packet() {
    let met: BTreeSet<String> = (1..=300).flat_map(|seed| Story::drawn(seed).tell().met).collect();
    let expected = "answered, to the host, to client 0, to client 4, out as 203.0.113.1, out as 10.0.0.10, unknown, \
                    Filtered, ForwardingOff, InternalOff, NobodyThere, OutOfReach, HostClosed, Unsolicited, \
                    NoEndpoint, SourceForged, UnknownIndex, Replayed, PortsExhausted, FlowRate, \
                    HalfOpenFull";

    let missed: Vec<&str> = expected.split(", ").filter(|what| !met.contains(*what)).collect();

    assert!(missed.is_empty(), "never met: {missed:?}, but {met:?}");
}
