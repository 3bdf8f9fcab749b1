//! Stories: drawn from a seed, told, and where one ends badly told again with fewer steps.

pub(crate) mod step;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use step::{Seeded, draw};

use crate::dice::Dice;
use crate::invariants::a_restart_is_as_good_as_never_having_stopped;
use crate::model::House;
use crate::net::Weather;
use crate::record::Trace;
use crate::world::{WIDE, World};

/// A range in which ports run out.
const TIGHT: RangeInclusive<u16> = 45_001..=45_002;

/// How a story begins, and what happens in it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) is_shared: bool,
    pub(crate) range: RangeInclusive<u16>,
    /// Whether at the end a box that begins anew is compared.
    pub(crate) is_compared: bool,
    pub(crate) steps: Vec<Seeded>,
}

/// What a story has led to.
#[derive(Debug)]
pub(crate) struct End {
    /// What was wrong first, after which step.
    pub(crate) fault: Option<(usize, String)>,
    pub(crate) trace: Trace,
    /// What became of packets, each thing once.
    pub(crate) met: BTreeSet<String>,
}

impl End {
    fn of(world: World, fault: Option<(usize, String)>) -> Self {
        let met = world.talks.into_iter().flat_map(|talk| talk.log).collect();
        Self { fault, trace: world.trace, met }
    }
}

impl Story {
    /// The story of a seed.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let length = 10 + dice.below(25);
        let is_tight = dice.once_in(10);
        Self {
            is_shared: dice.once_in(2),
            range: if is_tight { TIGHT } else { WIDE },
            is_compared: dice.once_in(8) && !is_tight,
            steps: (0..length).map(|_| (dice.bits(), draw(&mut dice))).collect(),
        }
    }

    /// Tells it.
    pub(crate) fn tell(&self) -> End {
        let mut world = World::new(House::new(self.is_shared, self.range.clone()));
        for (number, step) in self.steps.iter().enumerate() {
            world.step(step);
            world.check(false);
            if let Some(fault) = world.faults.first().cloned() {
                return End::of(world, Some((number, fault)));
            }
        }
        world.weather = Weather::CLEAR;
        // longer than any flow may be silent
        world.pass(Duration::from_secs(8_000));
        world.check(true);
        if self.is_compared {
            let mut anew = World::new(world.house().clone());
            let verdict = a_restart_is_as_good_as_never_having_stopped(&world.manners(), &anew.manners());
            world.hold("a restart is as good as never having stopped", verdict);
            world.faults.append(&mut anew.faults);
        }
        let fault = world.faults.first().map(|fault| (self.steps.len(), fault.clone()));
        End::of(world, fault)
    }

    /// The same story without the steps that its bad end does not need.
    pub(crate) fn shrunk(&self) -> Self {
        let mut story = self.clone();
        let Some((last, fault)) = story.tell().fault else { return story };
        story.steps.truncate(last + 1);
        let sentence = |fault: &str| fault.lines().next().unwrap_or_default().to_owned();
        let is_same = |end: End| end.fault.is_some_and(|(_, other)| sentence(&other) == sentence(&fault));
        let mut at = 0;
        while at < story.steps.len() {
            let mut shorter = story.clone();
            shorter.steps.remove(at);
            if is_same(shorter.tell()) {
                story = shorter;
            } else {
                at += 1;
            }
        }
        story
    }

    /// For people.
    pub(crate) fn script(&self) -> String {
        let mut script = format!("one external address: {}, ports {:?}\n", self.is_shared, self.range);
        for (number, (seed, step)) in self.steps.iter().enumerate() {
            writeln!(script, "{number:3}  ({seed:#018x}, Step::{step:?})").unwrap();
        }
        script
    }
}
