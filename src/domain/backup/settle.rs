//! From what is asked of the backups to their settings: refuses what cannot be.

use super::BackupSettings;
use crate::domain::field::{self, amend_flag, amend_line, amend_secret, given};
use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// What somebody asks of the backups' settings: the form as it came. What is absent stays; a text that is there and empty
/// is cleared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupSettingsDraft {
    /// A flag.
    pub backup_to_ftp: Option<String>,
    /// A flag.
    pub every_day: Option<String>,
    /// 0 to 23.
    pub every_day_hour: Option<String>,
    /// 0 to 59.
    pub every_day_minute: Option<String>,
    /// A flag.
    pub every_day_statistics: Option<String>,
    /// A flag.
    pub every_hour: Option<String>,
    /// 0 to 59.
    pub every_hour_minute: Option<String>,
    /// A flag.
    pub every_hour_statistics: Option<String>,
    /// Text.
    pub ftp_password: Option<String>,
    /// A path.
    pub ftp_path: Option<String>,
    /// A host.
    pub ftp_server: Option<String>,
    /// A port.
    pub ftp_server_port: Option<String>,
    /// Text.
    pub ftp_user: Option<String>,
    /// A flag; beyond the contract, as all that follow but the last.
    pub ftp_tls: Option<String>,
    /// A flag.
    pub backup_to_s3: Option<String>,
    /// A URL.
    pub s3_endpoint: Option<String>,
    /// Text.
    pub s3_region: Option<String>,
    /// Text.
    pub s3_bucket: Option<String>,
    /// A path.
    pub s3_path: Option<String>,
    /// Text.
    pub s3_access_key: Option<String>,
    /// Text.
    pub s3_secret_key: Option<String>,
    /// Text.
    pub passphrase: Option<String>,
    /// 1 and more.
    pub number_backups: Option<String>,
}

/// Whether a backup that is asked for is to have the statistics.
///
/// # Errors
/// [`Refusal::FieldMalformed`].
pub fn with_statistics(text: Option<&String>) -> Result<bool, Refusal> {
    given(text).map_or(Ok(false), |text| field::flag("statistics", text))
}

impl BackupSettingsDraft {
    /// `current` with what the draft names.
    ///
    /// # Errors
    /// The contract's refusal of the first field that cannot be; [`Refusal::FieldMalformed`] for those without one.
    pub fn amend(&self, current: &BackupSettings) -> Result<BackupSettings, Refusal> {
        let mut settings = current.clone();
        self.amend_schedule(&mut settings)?;
        self.amend_ftp(&mut settings)?;
        self.amend_s3(&mut settings)?;
        amend_secret("passphrase", self.passphrase.as_ref(), &mut settings.passphrase)?;
        Ok(settings)
    }

    fn amend_schedule(&self, settings: &mut BackupSettings) -> Result<(), Refusal> {
        amend_flag("every_hour", self.every_hour.as_ref(), &mut settings.every_hour)?;
        amend_flag("every_hour_statistics", self.every_hour_statistics.as_ref(), &mut settings.every_hour_statistics)?;
        amend_flag("every_day", self.every_day.as_ref(), &mut settings.every_day)?;
        amend_flag("every_day_statistics", self.every_day_statistics.as_ref(), &mut settings.every_day_statistics)?;
        for (text, last, settled, refusal) in [
            (&self.every_hour_minute, limits::MINUTE_LAST, &mut settings.every_hour_minute, Refusal::HourlyMinute),
            (&self.every_day_hour, limits::HOUR_LAST, &mut settings.every_day_hour, Refusal::DailyHour),
            (&self.every_day_minute, limits::MINUTE_LAST, &mut settings.every_day_minute, Refusal::DailyMinute),
        ] {
            if let Some(text) = given(text.as_ref()) {
                let number = field::number(text).and_then(|number| u8::try_from(number).ok());
                *settled = number.filter(|number| *number <= last).ok_or(refusal)?;
            }
        }
        if let Some(text) = given(self.number_backups.as_ref()) {
            let number = field::number(text).filter(|number| *number > 0).ok_or(Refusal::BackupsTooFew)?;
            settings.number_backups = number;
        }
        Ok(())
    }

    fn amend_ftp(&self, settings: &mut BackupSettings) -> Result<(), Refusal> {
        amend_flag("backup_to_ftp", self.backup_to_ftp.as_ref(), &mut settings.to_ftp)?;
        let ftp = &mut settings.ftp;
        amend_flag("ftp_tls", self.ftp_tls.as_ref(), &mut ftp.tls)?;
        if let Some(server) = &self.ftp_server {
            let host = || field::endpoint(server.trim());
            let malformed = Refusal::FieldMalformed { field: "ftp_server", rule: "a domain or an address" };
            ftp.server = if server.trim().is_empty() { String::new() } else { host().ok_or(malformed)? };
        }
        if let Some(port) = given(self.ftp_server_port.as_ref()) {
            let malformed = Refusal::FieldMalformed { field: "ftp_server_port", rule: "1 to 65535" };
            ftp.port = field::port(port).ok_or(malformed)?;
        }
        amend_line("ftp_user", self.ftp_user.as_ref(), &mut ftp.user)?;
        amend_line("ftp_path", self.ftp_path.as_ref(), &mut ftp.path)?;
        amend_secret("ftp_password", self.ftp_password.as_ref(), &mut ftp.password)?;
        if !settings.to_ftp {
            return Ok(());
        }
        let filled = [
            (ftp.server.is_empty(), Refusal::FtpServerMissing),
            (ftp.user.is_empty(), Refusal::FtpUserMissing),
            (ftp.password.is_empty(), Refusal::FtpPasswordMissing),
        ];
        filled.into_iter().find(|(missing, _)| *missing).map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    fn amend_s3(&self, settings: &mut BackupSettings) -> Result<(), Refusal> {
        amend_flag("backup_to_s3", self.backup_to_s3.as_ref(), &mut settings.to_s3)?;
        let s3 = &mut settings.s3;
        if given(self.s3_endpoint.as_ref()).is_some_and(|url| !field::is_http_url(url)) {
            return Err(Refusal::FieldMalformed { field: "s3_endpoint", rule: "https://host" });
        }
        amend_line("s3_endpoint", self.s3_endpoint.as_ref(), &mut s3.endpoint)?;
        amend_line("s3_region", self.s3_region.as_ref(), &mut s3.region)?;
        amend_line("s3_bucket", self.s3_bucket.as_ref(), &mut s3.bucket)?;
        amend_line("s3_path", self.s3_path.as_ref(), &mut s3.path)?;
        amend_line("s3_access_key", self.s3_access_key.as_ref(), &mut s3.access_key)?;
        amend_secret("s3_secret_key", self.s3_secret_key.as_ref(), &mut s3.secret_key)?;
        if !settings.to_s3 {
            return Ok(());
        }
        let filled = [
            ("s3_endpoint", s3.endpoint.is_empty()),
            ("s3_region", s3.region.is_empty()),
            ("s3_bucket", s3.bucket.is_empty()),
            ("s3_access_key", s3.access_key.is_empty()),
            ("s3_secret_key", s3.secret_key.is_empty()),
        ];
        let missing = filled.into_iter().find(|(_, missing)| *missing);
        missing.map_or(Ok(()), |(field, _)| Err(Refusal::FieldMalformed { field, rule: "filled" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of the form as a test names it.
    type Field = fn(&mut BackupSettingsDraft) -> &mut Option<String>;

    fn amended(current: &BackupSettings, field: Field, value: &str) -> Result<BackupSettings, Refusal> {
        let mut draft = BackupSettingsDraft::default();
        *field(&mut draft) = Some(value.into());
        draft.amend(current)
    }

    #[test]
    fn keeps_what_it_does_not_name() {
        let current = BackupSettings { every_hour_minute: 7, number_backups: 3, ..BackupSettings::default() };

        assert_eq!(BackupSettingsDraft::default().amend(&current), Ok(current));
    }

    #[test]
    fn refuses_times_that_no_clock_shows() {
        let current = BackupSettings::default();
        let cases: [(Field, &str, &str, Refusal); 3] = [
            (|draft| &mut draft.every_hour_minute, "59", "60", Refusal::HourlyMinute),
            (|draft| &mut draft.every_day_hour, "23", "24", Refusal::DailyHour),
            (|draft| &mut draft.every_day_minute, "59", "60", Refusal::DailyMinute),
        ];
        for (field, last, beyond, refusal) in cases {
            assert!(amended(&current, field, last).is_ok());
            for value in [beyond, "-1", "x", "256"] {
                assert_eq!(amended(&current, field, value), Err(refusal.clone()), "{value}");
            }
        }
    }

    #[test]
    fn keeps_at_least_one_backup() {
        let current = BackupSettings::default();

        for value in ["0", "-1", "many"] {
            assert_eq!(amended(&current, |draft| &mut draft.number_backups, value), Err(Refusal::BackupsTooFew));
        }
        assert_eq!(amended(&current, |draft| &mut draft.number_backups, "1").unwrap().number_backups, 1);
    }

    #[test]
    fn sends_copies_only_where_it_knows_the_way() {
        let mut draft = BackupSettingsDraft { backup_to_ftp: Some("1".into()), ..BackupSettingsDraft::default() };
        let current = BackupSettings::default();

        assert_eq!(draft.amend(&current), Err(Refusal::FtpServerMissing));
        draft.ftp_server = Some("ftp.example.org".into());
        assert_eq!(draft.amend(&current), Err(Refusal::FtpUserMissing));
        draft.ftp_user = Some("backup".into());
        assert_eq!(draft.amend(&current), Err(Refusal::FtpPasswordMissing));
        draft.ftp_password = Some("QWEqwe123".into());
        let settings = draft.amend(&current).unwrap();

        assert!(settings.to_ftp);
        assert_eq!((settings.ftp.server.as_str(), settings.ftp.port), ("ftp.example.org", 21));
        assert_eq!(settings.ftp.password.reveal(), "QWEqwe123");
        // and what is needed cannot be taken away
        let cleared = BackupSettingsDraft { ftp_user: Some(String::new()), ..BackupSettingsDraft::default() };
        assert_eq!(cleared.amend(&settings), Err(Refusal::FtpUserMissing));
    }

    #[test]
    fn refuses_what_would_end_a_command_early() {
        let current = BackupSettings::default();

        let fields: [Field; 2] = [|draft| &mut draft.ftp_path, |draft| &mut draft.ftp_user];
        for field in fields {
            assert!(amended(&current, field, "home\r\nDELE x").is_err());
            assert!(amended(&current, field, &"x".repeat(1_025)).is_err());
        }
        assert!(amended(&current, |draft| &mut draft.ftp_server, "ftp example").is_err());
        assert!(amended(&current, |draft| &mut draft.s3_endpoint, "ftp://example.org").is_err());
    }
}
