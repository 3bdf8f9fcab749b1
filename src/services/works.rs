//! Long work: it goes on where whoever began it looks away, says how far it is, and keeps what came of it for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::error;

use super::progress::Progress;
use super::{Caller, Error};
use crate::domain::hex::hex;
use crate::domain::refusal::Refusal;
use crate::observe::fields;
use crate::runtime::os::entropy;

/// Of so many pieces of work one can still see what came of them.
const KEPT: usize = 64;

/// What a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Many accounts are changed.
    Accounts,
    /// A backup is made.
    Backup,
    /// A backup is restored.
    Restore,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// All of it is done, but for what was refused: names, and why.
    Done {
        /// How many are done.
        done: usize,
        /// What was refused.
        refused: Arc<[(String, Refusal)]>,
    },
    /// It was refused as a whole.
    Refused(Refusal),
    /// It failed; the log says why.
    Failed,
}

/// A piece of work that goes on, or has ended.
#[derive(Debug, Clone)]
pub struct Work {
    /// How it is called.
    pub id: String,
    /// What it is.
    pub task: Task,
    /// How far it is.
    pub progress: Progress,
    by: Caller,
    over: watch::Receiver<Option<Outcome>>,
}

impl Work {
    /// What came of it, once it has ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.over.borrow().clone()
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Outcome {
        match self.over.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Failed),
            Err(_) => Outcome::Failed,
        }
    }
}

/// All long work.
#[derive(Debug, Clone, Default)]
pub struct Works {
    shelf: Arc<Mutex<VecDeque<Work>>>,
}

impl Works {
    /// Begins a piece of work, which ends by itself whoever looks: how many it has done, and what was refused.
    #[expect(clippy::disallowed_methods, reason = "it ends with the work, which is bounded by what it was given")]
    pub fn begin<F>(&self, by: &Caller, task: Task, work: impl FnOnce(Progress) -> F) -> Work
    where
        F: Future<Output = Result<(usize, Vec<(String, Refusal)>), Error>> + Send + 'static,
    {
        let progress = Progress::default();
        let (teller, over) = watch::channel(None);
        let doing = work(progress.clone());
        tokio::spawn(async move {
            let outcome = match doing.await {
                Ok((done, refused)) => Outcome::Done { done, refused: refused.into() },
                Err(Error::Refused(refusal)) => Outcome::Refused(refusal),
                Err(Error::Fault(cause)) => {
                    error!({ fields::CAUSE } = %cause, "Long work failed: {cause:#}");
                    Outcome::Failed
                }
            };
            teller.send_replace(Some(outcome));
        });
        let work = Work { id: hex(&entropy::bytes::<16>()), task, progress, by: by.clone(), over };
        let mut all = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front(work.clone());
        all.truncate(KEPT);
        work
    }

    /// A piece of work that `by` has begun.
    ///
    /// # Errors
    /// `PathUnknown`, also where it is another's, or long over.
    pub fn find(&self, by: &Caller, id: &str) -> Result<Work, Refusal> {
        let all = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|work| work.id == id && work.by.label == by.label);
        found.cloned().ok_or(Refusal::PathUnknown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::services::progress::Stage;

    #[tokio::test]
    async fn goes_on_by_itself_and_is_found_by_who_began_it_alone() {
        let (works, me, other) = (Works::default(), Caller::local(), Caller::schedule());
        let (go, gone) = oneshot::channel::<()>();

        let work = works.begin(&me, Task::Accounts, |progress| async move {
            progress.enter(Stage::Accounts, 2);
            progress.add(1);
            gone.await.unwrap();
            Ok((1, vec![("a".to_owned(), Refusal::AccountNotFound)]))
        });
        let id = work.id.clone();

        assert!(work.outcome().is_none());
        assert!(matches!(works.find(&other, &id), Err(Refusal::PathUnknown)));
        go.send(()).unwrap();
        let outcome = works.find(&me, &id).unwrap().ended().await;
        assert!(matches!(outcome, Outcome::Done { done: 1, refused } if refused.len() == 1));
        assert_eq!(works.find(&me, &id).unwrap().progress.read().permille, 500);
    }

    #[tokio::test]
    async fn forgets_what_is_long_over() {
        let (works, me) = (Works::default(), Caller::local());
        let first = works.begin(&me, Task::Backup, |_| async { Err(Refusal::BackupNotFound.into()) });
        assert!(matches!(first.clone().ended().await, Outcome::Refused(Refusal::BackupNotFound)));

        for _ in 0..KEPT {
            works.begin(&me, Task::Backup, |_| async { Ok((1, Vec::new())) });
        }

        assert!(works.find(&me, &first.id).is_err());
    }
}
