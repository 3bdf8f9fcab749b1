//! `backups*`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::backup::{BackupSettings, BackupSettingsDraft, NAME_LENGTH, SEALED, with_statistics};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::http::body;
use crate::http::envelope::{Answer, Success};
use crate::http::error::Problem;
use crate::http::form::Fields;
use crate::http::openapi::field::{Field, Kind, flag, number, text};
use crate::http::openapi::operation::{Group, Operation, Shape};
use crate::services::Services;
use crate::services::backups::Backup;
use crate::services::progress::Progress;

/// The media type of a backup.
const ZIP: &str = "application/zip";
/// That of an encrypted copy.
const OCTETS: &str = "application/octet-stream";

/// Lists the backups, the newest first.
pub(crate) async fn list(State(services): State<Services>) -> Answer<ListView> {
    let backups = services.backups.list().await?;
    Ok(Success(ListView { backups: backups.iter().map(BackupView::from).collect() }))
}

/// Makes a backup.
pub(crate) async fn create(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<BackupView> {
    let statistics = with_statistics(fields.text("statistics").as_ref())?;
    let backup = services.backups.create(&caller, statistics, &Progress::default()).await?;
    Ok(Success(BackupView::from(&backup)))
}

/// Restores a backup.
pub(crate) async fn restore(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<&'static str> {
    services.backups.restore(&caller, &fields.text("backup_name").unwrap_or_default(), &Progress::default()).await?;
    Ok(Success(DONE))
}

/// Hands out a backup's file.
pub(crate) async fn download(State(services): State<Services>, Named(name): Named) -> Result<Response, Problem> {
    let (file, length) = services.backups.open(&name).await?;
    let pieces = ReaderStream::new(tokio::fs::File::from_std(file));
    let headers = [
        (header::CONTENT_TYPE, if name.ends_with(SEALED) { OCTETS } else { ZIP }.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Takes a backup's file: the body is what it holds.
pub(crate) async fn upload(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
    request: Request,
) -> Answer<BackupView> {
    let mut file = body::reader(request.into_body());
    match services.backups.bring(&caller, &name, &mut file).await {
        Ok(backup) => Ok(Success(BackupView::from(&backup))),
        Err(error) => {
            // what is left unread would have the connection reset, and a reset may overtake the answer
            let mut rest = file.take(limits::BODY_DISCARDED as u64);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
            Err(error.into())
        }
    }
}

/// Takes a backup away.
pub(crate) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Named(name): Named,
) -> Answer<&'static str> {
    services.backups.remove(&caller, &name).await?;
    Ok(Success(DONE))
}

/// When and where backups are made.
pub(crate) async fn settings(State(services): State<Services>) -> Answer<SettingsView> {
    Ok(Success(SettingsView::from(services.backups.settings().as_ref())))
}

/// Changes when and where backups are made.
pub(crate) async fn edit(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<SettingsView> {
    let settings = services.backups.edit(&caller, draft(&fields)).await?;
    Ok(Success(SettingsView::from(settings.as_ref())))
}

/// What a form says of when and where backups are made.
pub(in crate::http) fn draft(fields: &Fields) -> BackupSettingsDraft {
    BackupSettingsDraft {
        backup_to_ftp: fields.text("backup_to_ftp"),
        every_day: fields.text("every_day"),
        every_day_hour: fields.text("every_day_hour"),
        every_day_minute: fields.text("every_day_minute"),
        every_day_statistics: fields.text("every_day_statistics"),
        every_hour: fields.text("every_hour"),
        every_hour_minute: fields.text("every_hour_minute"),
        every_hour_statistics: fields.text("every_hour_statistics"),
        ftp_password: fields.text("ftp_password"),
        ftp_path: fields.text("ftp_path"),
        ftp_server: fields.text("ftp_server"),
        ftp_server_port: fields.text("ftp_server_port"),
        ftp_user: fields.text("ftp_user"),
        ftp_tls: fields.text("ftp_tls"),
        backup_to_s3: fields.text("backup_to_s3"),
        s3_endpoint: fields.text("s3_endpoint"),
        s3_region: fields.text("s3_region"),
        s3_bucket: fields.text("s3_bucket"),
        s3_path: fields.text("s3_path"),
        s3_access_key: fields.text("s3_access_key"),
        s3_secret_key: fields.text("s3_secret_key"),
        passphrase: fields.text("passphrase"),
        number_backups: fields.text("number_backups"),
    }
}

/// Sends a trial to where copies go.
pub(crate) async fn test(State(services): State<Services>, caller: Caller) -> Answer<&'static str> {
    services.backups.test(&caller).await?;
    Ok(Success(DONE))
}

/// All backups as clients read them.
#[derive(Serialize, ToSchema)]
#[schema(as = Backups)]
pub(crate) struct ListView {
    backups: Vec<BackupView>,
}

/// A backup as clients read it: its size is in MB.
#[derive(Serialize, ToSchema)]
#[schema(as = Backup)]
pub(crate) struct BackupView {
    backup_name: String,
    creation_date: String,
    size: f64,
}

impl From<&Backup> for BackupView {
    fn from(backup: &Backup) -> Self {
        // four digits are hundreds of bytes, and no file of this size is beyond what a double holds to the byte
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let size = (backup.size as f64 / 100.0).round() / 10_000.0;
        Self {
            backup_name: backup.name.to_string(),
            creation_date: backup.created.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
            size,
        }
    }
}

/// When and where backups are made, as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupSettings)]
pub(crate) struct SettingsView {
    backup_to_ftp: bool,
    every_day: bool,
    every_day_hour: u8,
    every_day_minute: u8,
    every_day_statistics: bool,
    every_hour: bool,
    every_hour_minute: u8,
    every_hour_statistics: bool,
    ftp_password: String,
    ftp_path: String,
    ftp_server: String,
    ftp_server_port: u16,
    ftp_user: String,
    number_backups: u32,
    ftp_tls: bool,
    backup_to_s3: bool,
    s3_endpoint: String,
    s3_region: String,
    s3_bucket: String,
    s3_path: String,
    s3_access_key: String,
    /// Whether there is one; beyond the contract no secret is printed.
    s3_secret_key_set: bool,
    passphrase_set: bool,
}

impl From<&BackupSettings> for SettingsView {
    fn from(settings: &BackupSettings) -> Self {
        let BackupSettings { ftp, s3, .. } = settings;
        Self {
            backup_to_ftp: settings.to_ftp,
            every_day: settings.every_day,
            every_day_hour: settings.every_day_hour,
            every_day_minute: settings.every_day_minute,
            every_day_statistics: settings.every_day_statistics,
            every_hour: settings.every_hour,
            every_hour_minute: settings.every_hour_minute,
            every_hour_statistics: settings.every_hour_statistics,
            ftp_password: ftp.password.reveal().to_owned(),
            ftp_path: ftp.path.clone(),
            ftp_server: ftp.server.clone(),
            ftp_server_port: ftp.port,
            ftp_user: ftp.user.clone(),
            number_backups: settings.number_backups,
            ftp_tls: ftp.tls,
            backup_to_s3: settings.to_s3,
            s3_endpoint: s3.endpoint.clone(),
            s3_region: s3.region.clone(),
            s3_bucket: s3.bucket.clone(),
            s3_path: s3.path.clone(),
            s3_access_key: s3.access_key.clone(),
            s3_secret_key_set: !s3.secret_key.is_empty(),
            passphrase_set: !settings.passphrase.is_empty(),
        }
    }
}

/// What the document says of these.
pub(crate) fn described() -> Group {
    let failed = |texts: [fn(String) -> Refusal; 3]| texts.map(|refusal| refusal("<why>".into()));
    Group {
        name: "Backups",
        about: "Archives of everything that lasts, with the private keys: keep them safe.",
        named: ("", ""),
        operations: vec![
            Operation::new("backups", "Lists the backups", Shape::of::<ListView>()).about("The newest first."),
            Operation::new("backup_create", "Makes a backup", Shape::of::<BackupView>())
                .form([flag("statistics", "Whether with the traffic figures.").such_as("1")])
                .refuses(failed([Refusal::BackupFailed, Refusal::FtpUploadFailed, Refusal::S3UploadFailed])),
            Operation::new("backup_restore", "Restores a backup", Shape::done())
                .about("All or nothing: the archive is checked as a whole before anything changes.")
                .form([text("backup_name", NAME_LENGTH, "The backup's name.").required().such_as("NAME.zip")])
                .refuses([
                    Refusal::StatusNotOk,
                    Refusal::BackupNotFound,
                    Refusal::BackupListEmpty,
                    Refusal::BackupEmpty,
                    Refusal::BackupCountMismatch,
                    Refusal::BackupListMismatch,
                ])
                .refuses(failed([Refusal::BackupUnreadable, Refusal::BackupNoArchive, Refusal::BackupDamaged]))
                .refuses(failed([Refusal::RestoreCommit, Refusal::RestoreFolder, Refusal::RestoreFile])),
            Operation::new("backup_download", "Hands out a backup", Shape::file("application/zip", "The archive."))
                .at([text("filename", NAME_LENGTH, "The backup's name.").such_as("NAME.zip")])
                .refuses([Refusal::BackupNotFound]),
            Operation::new("backup_upload", "Takes a backup from elsewhere", Shape::of::<BackupView>())
                .about("Or an encrypted copy of one. It is proved whole before it gets its name.")
                .at([text("filename", NAME_LENGTH, "The name that it is to have.").such_as("NAME.zip")])
                .takes("application/octet-stream")
                .refuses([Refusal::BackupNotFound, Refusal::BackupTaken])
                .refuses(failed([Refusal::BackupUnreadable, Refusal::BackupNoArchive, Refusal::BackupDamaged])),
            Operation::new("backup_delete", "Removes a backup", Shape::done())
                .at([text("filename", NAME_LENGTH, "The backup's name.").such_as("NAME.zip")])
                .refuses([Refusal::BackupNotFound]),
            Operation::new("backups_config", "Shows when and where backups are made", Shape::of::<SettingsView>()),
            Operation::new("backups_config_edit", "Changes what the form names", Shape::of::<SettingsView>())
                .form(form())
                .refuses([
                    Refusal::HourlyMinute,
                    Refusal::DailyHour,
                    Refusal::DailyMinute,
                    Refusal::BackupsTooFew,
                    Refusal::FtpServerMissing,
                    Refusal::FtpUserMissing,
                    Refusal::FtpPasswordMissing,
                ]),
            Operation::new("backups_config_test", "Sends a trial to where copies go", Shape::done())
                .about("A small file, `culvert-test.txt`, to each place that is on. A refusal says what it has against it.")
                .refuses([Refusal::FtpUploadFailed("<why>".into()), Refusal::S3UploadFailed("<why>".into())]),
        ],
    }
}

/// The form of the settings.
fn form() -> [Field; 23] {
    let line = |name, about| text(name, limits::TEXT_LENGTH, about);
    [
        flag("backup_to_ftp", "Whether each goes to the FTP server too."),
        flag("every_day", "Whether each day has one.").such_as("1"),
        number("every_day_hour", 0..=23, "At which hour.").such_as("3"),
        number("every_day_minute", 0..=59, "At which minute of it."),
        flag("every_day_statistics", "Whether with the traffic figures."),
        flag("every_hour", "Whether each hour has one."),
        number("every_hour_minute", 0..=59, "At which minute."),
        flag("every_hour_statistics", "Whether with the traffic figures."),
        line("ftp_password", "The FTP server's password."),
        line("ftp_path", "The folder on it."),
        Field::new("ftp_server", Kind::Host, "The FTP server."),
        number("ftp_server_port", 1..=u16::MAX, "Its port."),
        line("ftp_user", "The user there."),
        flag("ftp_tls", "Whether the connection is encrypted (RFC 4217)."),
        flag("backup_to_s3", "Whether each goes to the S3 bucket too."),
        Field::new("s3_endpoint", Kind::Url, "The S3 store."),
        line("s3_region", "Its region."),
        line("s3_bucket", "The bucket."),
        line("s3_path", "The folder in it."),
        line("s3_access_key", "The access key."),
        line("s3_secret_key", "The secret key; no answer has it."),
        line("passphrase", "What copies are encrypted with before they leave; no answer has it."),
        number("number_backups", 1..=u32::MAX, "How many are kept.").such_as("14"),
    ]
}
