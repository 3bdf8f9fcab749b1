//! How far a long piece of work is: told by whoever does it, read by whoever waits for it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Accounts are changed, one after the other.
    Accounts,
    /// Everything that lasts is read as of one moment.
    Collect,
    /// It is written into a file.
    Pack,
    /// A copy travels to the FTP server.
    Ftp,
    /// A copy travels to the S3 store.
    S3,
    /// A backup is read and proved whole.
    Check,
    /// The state as it is goes into a file of its own.
    Keep,
    /// What lasts is replaced.
    Replace,
    /// What runs follows.
    Settle,
    /// The traffic figures are replaced.
    Statistics,
}

impl Stage {
    /// Whether it is measured in bytes, rather than in pieces.
    pub const fn is_of_bytes(self) -> bool {
        !matches!(self, Self::Accounts)
    }
}

/// How far a piece of work is. Clones are of the same work.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Course>>);

/// The stages of a piece of work, and where it is among them.
#[derive(Debug, Default)]
struct Course {
    plan: Vec<Stage>,
    at: Option<usize>,
    done: u64,
    of: u64,
}

/// How far it is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What is being done; absent before it begins.
    pub stage: Option<Stage>,
    /// So much of this stage is done: bytes, or pieces.
    pub done: u64,
    /// So much it is in all; 0 where nobody knows.
    pub of: u64,
    /// How much of the whole work is done, in thousandths. Stages count alike.
    pub permille: u64,
}

impl Progress {
    /// Says which stages there will be, in their order.
    pub fn plan(&self, stages: impl IntoIterator<Item = Stage>) {
        self.course().plan = stages.into_iter().collect();
    }

    /// Begins a stage of so many bytes or pieces, 0 where nobody knows. One that the plan lacks counts as its last.
    pub fn enter(&self, stage: Stage, of: u64) {
        let mut course = self.course();
        let at = course.plan.iter().position(|planned| *planned == stage);
        let at = at.unwrap_or_else(|| {
            course.plan.push(stage);
            course.plan.len() - 1
        });
        (course.at, course.done, course.of) = (Some(at), 0, of);
    }

    /// So much more of this stage is done.
    pub fn add(&self, more: u64) {
        let mut course = self.course();
        course.done = course.done.saturating_add(more);
    }

    /// So much more of a stage is done, of so much; begins the stage where it is not the present one.
    pub(super) fn advance(&self, stage: Stage, more: u64, of: u64) {
        let reading = self.read();
        if reading.stage != Some(stage) || reading.of != of {
            self.enter(stage, of);
        }
        self.add(more);
    }

    /// How far it is now.
    pub fn read(&self) -> Reading {
        let course = self.course();
        let (stages, at) = (course.plan.len() as u64, course.at.unwrap_or_default() as u64);
        let done = if course.of == 0 { 0 } else { course.done.min(course.of) };
        let within = (done.saturating_mul(1000)).checked_div(course.of).unwrap_or_default();
        Reading {
            stage: course.at.and_then(|at| course.plan.get(at).copied()),
            done,
            of: course.of,
            permille: (at * 1000 + within).checked_div(stages).unwrap_or_default(),
        }
    }

    /// What is read through it counts as done.
    pub(super) fn count<R: Read>(&self, reader: R) -> Counted<R> {
        Counted { reader, progress: self.clone() }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader whose bytes count.
pub(super) struct Counted<R> {
    reader: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_through_its_stages_and_never_back() {
        let progress = Progress::default();
        let mut seen = vec![progress.read().permille];
        progress.plan([Stage::Collect, Stage::Pack, Stage::Ftp, Stage::S3]);
        progress.enter(Stage::Collect, 0);
        seen.push(progress.read().permille);
        progress.enter(Stage::Pack, 10);
        for _ in 0..3 {
            progress.add(5);
            seen.push(progress.read().permille);
        }
        progress.enter(Stage::S3, 100);
        progress.add(50);
        seen.push(progress.read().permille);

        assert_eq!(seen, [0, 0, 375, 500, 500, 875]);
        assert_eq!(progress.read().stage, Some(Stage::S3));
    }

    #[test]
    fn counts_a_stage_that_was_not_planned() {
        let progress = Progress::default();

        progress.enter(Stage::Accounts, 4);
        progress.add(1);

        assert_eq!(progress.read(), Reading { stage: Some(Stage::Accounts), done: 1, of: 4, permille: 250 });
    }
}
