//! Backups: made, carried away, brought, restored after a look at what changes; when they are made, and where copies go.

use askama::Template;
use axum::extract::{Path, State};

use super::audit::key;
use super::guest;
use super::page::{self, Answer, Refused};
use super::sheet::Sheet;
use super::visit::Visit;
use super::work;
use crate::domain::access::Right;
use crate::domain::audit::Kind;
use crate::domain::backup::{BackupSettingsDraft, with_statistics};
use crate::domain::limits;
use crate::http::api::backups::draft;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::backups::{Backup, Differing, SETTINGS as SETTINGS_DIFFER};
use crate::services::works::{Outcome, Task};

/// Where the page is.
const HOME: &str = "/panel/backups";
/// Where its settings are.
const SETTINGS: &str = "/panel/backup-settings";

#[derive(Template)]
#[template(path = "backups.html", config = "src/http/panel/askama.toml")]
struct List<'a> {
    visit: &'a Visit,
    backups: Vec<Backup>,
    fault: Option<String>,
    next: Option<String>,
    against: Option<String>,
    may_write: bool,
    may_restore: bool,
}

#[derive(Template)]
#[template(path = "backup_restore.html", config = "src/http/panel/askama.toml")]
struct Restore<'a> {
    visit: &'a Visit,
    name: String,
    differing: Vec<Part>,
}

/// What a restore would change of one kind of thing, as people read it.
struct Part {
    /// A word that no other has.
    word: &'static str,
    title: String,
    /// How each group is called, and who is in it.
    groups: Vec<(String, Vec<String>)>,
}

impl Part {
    fn of(visit: &Visit, differing: Differing) -> Self {
        let Differing { kind, added, removed, changed } = differing;
        let is_settings = kind == SETTINGS_DIFFER;
        let named =
            |word: &str| Kind::parse(word).map_or_else(|| word.to_owned(), |kind| visit.say(key(kind)).to_owned());
        // what is set has no name of its own, but that of what it is set of
        let shown = |name: String| if is_settings { named(&name) } else { name };
        let groups = [("backups.added", added), ("backups.removed", removed), ("backups.changed", changed)];
        let groups = groups.into_iter().filter(|(_, names)| !names.is_empty());
        Self {
            word: kind,
            title: if is_settings { visit.say("kind.settings").to_owned() } else { named(kind) },
            groups: groups
                .map(|(group, names)| (visit.say(group).to_owned(), names.into_iter().map(shown).collect()))
                .collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "backup_settings.html", config = "src/http/panel/askama.toml")]
struct Settings<'a> {
    visit: &'a Visit,
    sheet: Sheet<'a>,
    against: Option<String>,
}

/// Lists them.
pub(super) async fn list(visit: Visit, State(services): State<Services>) -> Answer {
    listed(&visit, &services, None).await
}

async fn listed(visit: &Visit, services: &Services, against: Option<String>) -> Answer {
    let next = services.backups.settings().next_after(&services.backups.now());
    page::page(&List {
        visit,
        backups: services.backups.list().await?,
        fault: services.backups.fault().filter(|_| against.is_none()),
        next: next.map(|due| services.system.local_time(due.at.timestamp())),
        against,
        may_write: visit.has(Right::Handle),
        may_restore: visit.has(Right::Administer),
    })
}

/// Makes one.
pub(super) async fn create(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let statistics = with_statistics(fields.text("statistics").as_ref())?;
    let (backups, by) = (services.backups.clone(), visit.caller().clone());
    let work = services.works.begin(visit.caller(), Task::Backup, |progress| async move {
        backups.create(&by, statistics, &progress).await.map(|_| (1, Vec::new()))
    });
    match work::soon(&work).await {
        Some(Outcome::Done { .. }) => Ok(page::done(HOME, "said.added")),
        Some(Outcome::Refused(refusal)) => listed(&visit, &services, Some(page::told(&visit, &refusal))).await,
        Some(Outcome::Failed) | None => Ok(work::follow(&work)),
    }
}

/// Takes one away.
pub(super) async fn delete(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    services.backups.remove(visit.caller(), &name).await?;
    Ok(page::done(HOME, "said.deleted"))
}

/// Shows what a restore would change.
pub(super) async fn ask_restore(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    let differing = services.backups.compare(visit.caller(), &name).await?;
    let differing = differing.into_iter().map(|one| Part::of(&visit, one)).collect();
    page::page(&Restore { visit: &visit, name, differing })
}

/// Restores one.
pub(super) async fn restore(visit: Visit, State(services): State<Services>, Path(name): Path<String>) -> Answer {
    let (backups, by) = (services.backups.clone(), visit.caller().clone());
    let work = services.works.begin(visit.caller(), Task::Restore, |progress| async move {
        backups.restore(&by, &name, &progress).await.map(|()| (1, Vec::new()))
    });
    match work::soon(&work).await {
        // nobody's session outlasts it
        Some(Outcome::Done { .. }) => Ok(guest::after_restore()),
        Some(Outcome::Refused(refusal)) => Err(refusal.into()),
        Some(Outcome::Failed) | None => Ok(work::follow(&work)),
    }
}

/// Asks when they are made, and where copies go.
pub(super) async fn ask_settings(visit: Visit, State(services): State<Services>) -> Answer {
    settings_page(&visit, &services, None, None)
}

fn settings_page(visit: &Visit, services: &Services, refused: Option<&Refused>, against: Option<String>) -> Answer {
    page::page(&Settings { visit, sheet: sheet(visit, services, refused), against })
}

fn sheet<'a>(visit: &'a Visit, services: &Services, refused: Option<&'a Refused>) -> Sheet<'a> {
    let present = services.backups.settings();
    let (ftp, s3) = (&present.ftp, &present.s3);
    Sheet::new(visit, "backup", SETTINGS, "servers.save")
        .again(refused)
        .part("backups.part.schedule")
        .flag("every_hour", present.every_hour)
        .number("every_hour_minute", present.every_hour_minute, 0, limits::MINUTE_LAST.into())
        .flag("every_hour_statistics", present.every_hour_statistics)
        .flag("every_day", present.every_day)
        .number("every_day_hour", present.every_day_hour, 0, limits::HOUR_LAST.into())
        .number("every_day_minute", present.every_day_minute, 0, limits::MINUTE_LAST.into())
        .flag("every_day_statistics", present.every_day_statistics)
        .number("number_backups", present.number_backups, 1, u32::MAX.into())
        .part("backups.part.ftp")
        .flag("backup_to_ftp", present.to_ftp)
        .text("ftp_server", &ftp.server)
        .number("ftp_server_port", ftp.port, 1, u16::MAX.into())
        .flag("ftp_tls", ftp.tls)
        .text("ftp_user", &ftp.user)
        .secret("ftp_password", "off")
        .text("ftp_path", &ftp.path)
        .part("backups.part.s3")
        .flag("backup_to_s3", present.to_s3)
        .hinted("s3_endpoint", &s3.endpoint, "https://")
        .text("s3_region", &s3.region)
        .text("s3_bucket", &s3.bucket)
        .text("s3_path", &s3.path)
        .text("s3_access_key", &s3.access_key)
        .secret("s3_secret_key", "off")
        .part("backups.part.seal")
        .secret("passphrase", "off")
}

/// Changes the settings. A secret that is left blank stays as it is: the form never shows one.
pub(super) async fn edit(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    let draft = draft(&fields);
    let kept = |secret: Option<String>| secret.filter(|secret| !secret.is_empty());
    let draft = BackupSettingsDraft {
        ftp_password: kept(draft.ftp_password),
        s3_secret_key: kept(draft.s3_secret_key),
        passphrase: kept(draft.passphrase),
        ..draft
    };
    match page::refused(services.backups.edit(visit.caller(), draft).await, fields)? {
        Ok(_) => Ok(page::done(SETTINGS, "said.saved")),
        Err(refused) => settings_page(&visit, &services, Some(&refused), None),
    }
}

/// Sends a trial to where copies go, and says what came of it.
pub(super) async fn test(visit: Visit, State(services): State<Services>, fields: Fields) -> Answer {
    match page::refused(services.backups.test(visit.caller()).await, fields)? {
        Ok(()) => Ok(page::done(SETTINGS, "said.sent")),
        Err(refused) => settings_page(&visit, &services, None, Some(page::told(&visit, &refused.refusal))),
    }
}
