//! When and where backups are made, as it lies in the file.

use serde::{Deserialize, Serialize};

use super::record::{Nothing, Record};
use super::records::first_version;
use crate::domain::backup::{BackupSettings, Ftp, S3};
use crate::domain::password::Password;

/// The settings.
#[derive(Serialize, Deserialize)]
pub(super) struct BackupsV1 {
    every_hour: bool,
    every_hour_minute: u8,
    every_hour_statistics: bool,
    every_day: bool,
    every_day_hour: u8,
    every_day_minute: u8,
    every_day_statistics: bool,
    number_backups: u32,
    to_ftp: bool,
    ftp: FtpV1,
    to_s3: bool,
    s3: S3V1,
    passphrase: Password,
}

#[derive(Serialize, Deserialize)]
struct FtpV1 {
    server: String,
    port: u16,
    user: String,
    password: Password,
    path: String,
    tls: bool,
}

#[derive(Serialize, Deserialize)]
struct S3V1 {
    endpoint: String,
    region: String,
    bucket: String,
    path: String,
    access_key: String,
    secret_key: Password,
}

first_version!(BackupsV1);

impl From<&BackupSettings> for BackupsV1 {
    fn from(settings: &BackupSettings) -> Self {
        let BackupSettings { ftp, s3, passphrase, .. } = settings.clone();
        Self {
            every_hour: settings.every_hour,
            every_hour_minute: settings.every_hour_minute,
            every_hour_statistics: settings.every_hour_statistics,
            every_day: settings.every_day,
            every_day_hour: settings.every_day_hour,
            every_day_minute: settings.every_day_minute,
            every_day_statistics: settings.every_day_statistics,
            number_backups: settings.number_backups,
            to_ftp: settings.to_ftp,
            ftp: FtpV1 {
                server: ftp.server,
                port: ftp.port,
                user: ftp.user,
                password: ftp.password,
                path: ftp.path,
                tls: ftp.tls,
            },
            to_s3: settings.to_s3,
            s3: S3V1 {
                endpoint: s3.endpoint,
                region: s3.region,
                bucket: s3.bucket,
                path: s3.path,
                access_key: s3.access_key,
                secret_key: s3.secret_key,
            },
            passphrase,
        }
    }
}

impl From<BackupsV1> for BackupSettings {
    fn from(record: BackupsV1) -> Self {
        let BackupsV1 { ftp, s3, .. } = record;
        Self {
            every_hour: record.every_hour,
            every_hour_minute: record.every_hour_minute,
            every_hour_statistics: record.every_hour_statistics,
            every_day: record.every_day,
            every_day_hour: record.every_day_hour,
            every_day_minute: record.every_day_minute,
            every_day_statistics: record.every_day_statistics,
            number_backups: record.number_backups,
            to_ftp: record.to_ftp,
            ftp: Ftp {
                server: ftp.server,
                port: ftp.port,
                user: ftp.user,
                password: ftp.password,
                path: ftp.path,
                tls: ftp.tls,
            },
            to_s3: record.to_s3,
            s3: S3 {
                endpoint: s3.endpoint,
                region: s3.region,
                bucket: s3.bucket,
                path: s3.path,
                access_key: s3.access_key,
                secret_key: s3.secret_key,
            },
            passphrase: record.passphrase,
        }
    }
}
