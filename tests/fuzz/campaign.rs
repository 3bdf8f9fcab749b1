//! How long a target runs, and how its failure is repeated.

use std::time::{Duration, Instant};

use culvert::runtime::os::clock;

use crate::dice::Dice;

/// How long a target runs in an ordinary test run.
const SHORT: Duration = Duration::from_secs(5);

/// The stories of one target, until its time is over.
pub(crate) struct Campaign {
    target: &'static str,
    seed: u64,
    stories: u64,
    single: bool,
    end: Instant,
}

impl Campaign {
    /// A campaign as the environment wants it.
    pub(crate) fn new(target: &'static str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let (seed, seconds) = (variable("CULVERT_FUZZ_SEED"), variable("CULVERT_FUZZ_SECONDS"));
        let span = seconds.map_or(SHORT, Duration::from_secs);
        let single = seed.is_some() && seconds.is_none();
        Self { target, seed: seed.unwrap_or(1), stories: 0, single, end: clock::now() + span }
    }

    /// The dice of the next story.
    pub(crate) fn next(&mut self) -> Option<Dice> {
        let is_over = if self.single { self.stories > 0 } else { clock::now() >= self.end };
        if is_over && self.stories > 0 {
            return None;
        }
        self.seed += u64::from(self.stories > 0);
        self.stories += 1;
        Some(Dice::new(self.seed))
    }
}

impl Drop for Campaign {
    #[expect(clippy::print_stderr, reason = "a failure says how to repeat it, a long run what it did")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: repeat with CULVERT_FUZZ_SEED={}", self.target, self.seed);
        } else {
            eprintln!("{}: {} stories", self.target, self.stories);
        }
    }
}
