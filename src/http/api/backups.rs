//! `backups*`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tokio_util::io::ReaderStream;

use super::{DONE, Named};
use crate::domain::access::Caller;
use crate::domain::backup::{BackupSettings, BackupSettingsDraft, with_statistics};
use crate::http::envelope::{Answer, Success};
use crate::http::error::Problem;
use crate::http::form::Fields;
use crate::services::Services;
use crate::services::backups::Backup;

/// Lists the backups, the newest first.
pub(crate) async fn list(State(services): State<Services>) -> Answer<ListView> {
    let backups = services.backups.list().await?;
    Ok(Success(ListView { backups: backups.iter().map(BackupView::from).collect() }))
}

/// Makes a backup.
pub(crate) async fn create(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<BackupView> {
    let statistics = with_statistics(fields.text("statistics").as_ref())?;
    let backup = services.backups.create(&caller, statistics).await?;
    Ok(Success(BackupView::from(&backup)))
}

/// Restores a backup.
pub(crate) async fn restore(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<&'static str> {
    services.backups.restore(&caller, &fields.text("backup_name").unwrap_or_default()).await?;
    Ok(Success(DONE))
}

/// Hands out a backup's file.
pub(crate) async fn download(State(services): State<Services>, Named(name): Named) -> Result<Response, Problem> {
    let (file, length) = services.backups.open(&name).await?;
    let pieces = ReaderStream::new(tokio::fs::File::from_std(file));
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// When and where backups are made.
pub(crate) async fn settings(State(services): State<Services>) -> Answer<SettingsView> {
    Ok(Success(SettingsView::from(services.backups.settings().as_ref())))
}

/// Changes when and where backups are made.
pub(crate) async fn edit(State(services): State<Services>, caller: Caller, fields: Fields) -> Answer<SettingsView> {
    let draft = BackupSettingsDraft {
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
    };
    let settings = services.backups.edit(&caller, draft).await?;
    Ok(Success(SettingsView::from(settings.as_ref())))
}

/// All backups as clients read them.
#[derive(Serialize)]
pub(crate) struct ListView {
    backups: Vec<BackupView>,
}

/// A backup as clients read it: its size is in MB.
#[derive(Serialize)]
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
#[derive(Serialize)]
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
