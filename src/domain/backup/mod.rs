//! Backups: their names, and when and where they are made.

mod schedule;
mod settle;

use std::fmt;

pub use self::schedule::Due;
pub use self::settle::{BackupSettingsDraft, with_statistics};
use super::password::Password;
use super::refusal::Refusal;

/// The longest name of a backup, in bytes: what every file system takes.
pub const NAME_LENGTH: usize = 255;
/// What every backup's name ends with.
const EXTENSION: &str = ".zip";
/// What follows that in the name of an encrypted copy.
pub const SEALED: &str = ".age";

/// The name of a backup's file: `<hostname>_<date>_<time>.zip` for one that was made here. That of an encrypted copy that
/// has come back is `.zip.age`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName(String);

impl BackupName {
    /// Checks a name: letters, digits, `.`, `_` and `-`, not hidden, ending in `.zip` or `.zip.age`. No such name leaves its
    /// folder.
    ///
    /// # Errors
    /// [`Refusal::BackupNotFound`]: there is no backup of any other name.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let sign = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
        let plain = text.strip_suffix(SEALED).unwrap_or(text);
        let good = text.len() <= NAME_LENGTH
            && plain.len() > EXTENSION.len()
            && plain.ends_with(EXTENSION)
            && !text.starts_with('.')
            && text.chars().all(sign);
        if good { Ok(Self(text.into())) } else { Err(Refusal::BackupNotFound) }
    }

    /// The name of a backup that this host makes at this time of its own clock.
    pub fn made(hostname: &str, at: &jiff::civil::DateTime) -> Self {
        let sign = |sign: char| if sign.is_ascii_alphanumeric() || ".-".contains(sign) { sign } else { '-' };
        let host: String = hostname.trim_matches('.').chars().map(sign).take(NAME_LENGTH / 2).collect();
        let host = if host.is_empty() { "culvert" } else { &host };
        Self(format!("{host}_{}{EXTENSION}", at.strftime("%Y-%m-%d_%H-%M-%S")))
    }

    /// Whether it is that of an encrypted copy.
    pub fn is_sealed(&self) -> bool {
        self.0.ends_with(SEALED)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When backups are made, how many are kept, and where copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    /// Whether each hour has one, at which minute, and whether with the statistics.
    pub every_hour: bool,
    /// 0 to 59.
    pub every_hour_minute: u8,
    /// Whether they have the statistics too.
    pub every_hour_statistics: bool,
    /// Whether each day has one.
    pub every_day: bool,
    /// 0 to 23.
    pub every_day_hour: u8,
    /// 0 to 59.
    pub every_day_minute: u8,
    /// Whether they have the statistics too.
    pub every_day_statistics: bool,
    /// How many are kept, at least 1.
    pub number_backups: u32,
    /// Whether each goes to the FTP server too.
    pub to_ftp: bool,
    /// The server and where in it.
    pub ftp: Ftp,
    /// Whether each goes to the S3 bucket too. Beyond the contract, as what follows.
    pub to_s3: bool,
    /// The bucket and where in it.
    pub s3: S3,
    /// What copies are encrypted with before they leave; the key in the data folder where there is none.
    pub passphrase: Password,
}

/// A server that takes files by FTP (RFC 959) or FTPS (RFC 4217).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ftp {
    /// Its name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: Password,
    /// The folder there; made where it is missing.
    pub path: String,
    /// Whether the connection is encrypted (`AUTH TLS`).
    pub tls: bool,
}

/// A bucket of a store that speaks Amazon S3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3 {
    /// Its URL, `https://…` or `http://…`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What every key begins with.
    pub path: String,
    /// Who signs.
    pub access_key: String,
    /// With what.
    pub secret_key: Password,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self {
            every_hour: false,
            every_hour_minute: 0,
            every_hour_statistics: false,
            every_day: false,
            every_day_hour: 0,
            every_day_minute: 0,
            every_day_statistics: true,
            number_backups: super::limits::BACKUPS_DEFAULT,
            to_ftp: false,
            ftp: Ftp::default(),
            to_s3: false,
            s3: S3::default(),
            passphrase: Password::default(),
        }
    }
}

impl Default for Ftp {
    fn default() -> Self {
        Self {
            server: String::new(),
            port: super::limits::FTP_PORT,
            user: String::new(),
            password: Password::default(),
            path: String::new(),
            tls: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_name_that_leaves_its_folder() {
        for text in [
            "",
            ".zip",
            "..zip",
            ".a.zip",
            "a",
            "a.tar",
            "../a.zip",
            "a/b.zip",
            "a\\b.zip",
            "a b.zip",
            "a\0.zip",
            ".zip.age",
            "a.age",
            "a.zip.age.age",
        ] {
            assert_eq!(BackupName::parse(text), Err(Refusal::BackupNotFound), "{text:?}");
        }
        assert!(!BackupName::parse("dev.softkeel.com_2023-01-27_19-00-40.zip").unwrap().is_sealed());
        assert!(BackupName::parse("dev.softkeel.com_2023-01-27_19-00-40.zip.age").unwrap().is_sealed());
        assert!(BackupName::parse(&format!("{}.zip", "a".repeat(252))).is_err());
    }

    #[test]
    fn names_a_backup_for_its_host_and_time() {
        let at = jiff::civil::date(2023, 1, 27).at(19, 0, 40, 5);

        let names = ["dev.softkeel.com", "", "a b/c_d", &"x".repeat(300)].map(|host| BackupName::made(host, &at));

        assert_eq!(names[0].as_str(), "dev.softkeel.com_2023-01-27_19-00-40.zip");
        assert_eq!(names[1].as_str(), "culvert_2023-01-27_19-00-40.zip");
        assert_eq!(names[2].as_str(), "a-b-c-d_2023-01-27_19-00-40.zip");
        assert!(names.iter().all(|name| BackupName::parse(name.as_str()).as_ref() == Ok(name)));
    }

    #[test]
    fn shows_no_secret() {
        let settings = BackupSettings { passphrase: Password::new("open sesame".into()), ..BackupSettings::default() };

        assert!(!format!("{settings:?}").contains("sesame"));
    }
}
