//! Long work: a page that says how far it is, and in the end what came of it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use tokio::time::timeout;

use super::live::Told;
use super::page::{self, Answer};
use super::visit::Visit;
use crate::services::Services;
use crate::services::progress::{Reading, Stage};
use crate::services::works::{Outcome, Task, Work};

/// What is over by then needs no page of its own.
const SOON: Duration = Duration::from_millis(500);

/// The thousandths of the whole.
const WHOLE: u64 = 1000;

#[derive(Template)]
#[template(path = "work.html", config = "src/http/panel/askama.toml")]
struct Page<'a> {
    visit: &'a Visit,
    id: &'a str,
    title: &'static str,
    /// Where whoever began it came from: address and the key of its name.
    back: (&'static str, &'static str),
    reading: Reading,
    stage: String,
    end: Option<End>,
}

/// What came of it, for people.
struct End {
    done: usize,
    refused: Vec<(String, String)>,
    why: Option<String>,
}

/// What came of a piece of work, where it is soon over.
pub(super) async fn soon(work: &Work) -> Option<Outcome> {
    timeout(SOON, work.clone().ended()).await.ok()
}

/// To the page where it can be followed.
pub(super) fn follow(work: &Work) -> Response {
    Redirect::to(&format!("/panel/work/{}", work.id)).into_response()
}

/// Shows how far it is, or what came of it.
pub(super) async fn show(visit: Visit, State(services): State<Services>, Path(id): Path<String>) -> Answer {
    let work = services.works.find(visit.caller(), &id)?;
    let (title, back) = match work.task {
        Task::Accounts => ("work.accounts", ("/panel/accounts", "nav.accounts")),
        Task::Backup => ("work.backup", ("/panel/backups", "nav.backups")),
        Task::Restore => ("work.restore", ("/panel/backups", "nav.backups")),
    };
    let reading = work.progress.read();
    let end = work.outcome().map(|outcome| match outcome {
        Outcome::Done { done, refused } => {
            let refused = refused.iter().map(|(name, why)| (name.clone(), page::told(&visit, why))).collect();
            End { done, refused, why: None }
        }
        Outcome::Refused(refusal) => End { done: 0, refused: Vec::new(), why: Some(page::told(&visit, &refusal)) },
        Outcome::Failed => End { done: 0, refused: Vec::new(), why: Some(visit.say("trouble.fault").to_owned()) },
    });
    page::page(&Page { visit: &visit, id: &id, title, back, reading, stage: stage(&visit, reading), end })
}

/// What is being done, and how much of it.
fn stage(visit: &Visit, reading: Reading) -> String {
    let Some(stage) = reading.stage else { return visit.say("work.waits").to_owned() };
    let name = visit.say(key(stage)).to_owned();
    if reading.of == 0 {
        return name;
    }
    let language = visit.language;
    let tell = |count: u64| if stage.is_of_bytes() { language.bytes(count) } else { language.count(count) };
    visit.fill("work.much", &[("stage", &name), ("done", &tell(reading.done)), ("of", &tell(reading.of))])
}

/// The key of what is being done.
fn key(stage: Stage) -> &'static str {
    match stage {
        Stage::Accounts => "work.stage.accounts",
        Stage::Collect => "work.stage.collect",
        Stage::Pack => "work.stage.pack",
        Stage::Ftp => "work.stage.ftp",
        Stage::S3 => "work.stage.s3",
        Stage::Check => "work.stage.check",
        Stage::Keep => "work.stage.keep",
        Stage::Replace => "work.stage.replace",
        Stage::Settle => "work.stage.settle",
        Stage::Statistics => "work.stage.statistics",
    }
}

/// What moves on the page.
pub(super) fn tell(visit: &Visit, services: &Services, id: &str) -> Told {
    let mut told = Told::default();
    let Ok(work) = services.works.find(visit.caller(), id) else { return told };
    let reading = work.progress.read();
    told.progress.insert("work".into(), [reading.permille, WHOLE]);
    told.text.insert("stage".into(), stage(visit, reading));
    told.fresh.insert("work".into(), if work.outcome().is_some() { "over" } else { "on" }.into());
    told
}
