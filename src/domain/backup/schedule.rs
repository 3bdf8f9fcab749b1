//! When the next backup is due.

use jiff::{SignedDuration, ZonedDateTime};

use super::BackupSettings;

/// A backup that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: ZonedDateTime,
    /// Whether with the statistics.
    pub statistics: bool,
}

impl BackupSettings {
    /// The first backup that becomes due after `now`, by the clock of its time zone; `None` where none is asked for. An
    /// hourly and a daily one at the same minute are one, with the statistics if either wants them.
    pub fn next_after(&self, now: &ZonedDateTime) -> Option<Due> {
        let hourly = self.every_hour.then(|| self.next_hourly(now)).flatten();
        let daily = self.every_day.then(|| self.next_daily(now)).flatten();
        match (hourly, daily) {
            (Some(hour), Some(day)) if hour.at == day.at => {
                Some(Due { statistics: hour.statistics || day.statistics, ..day })
            }
            (Some(hour), Some(day)) => Some(if hour.at < day.at { hour } else { day }),
            (hour, day) => hour.or(day),
        }
    }

    fn next_hourly(&self, now: &ZonedDateTime) -> Option<Due> {
        // from minute to minute of the wall clock: zones shift by parts of an hour, and clocks are put forward and back
        let whole = now.with().second(0).subsec_nanosecond(0).build().ok()?;
        let minute = |step: i64| whole.checked_add(SignedDuration::from_mins(step)).ok();
        let at = (1..=120).filter_map(minute).find(|at| at.minute() == i8_of(self.every_hour_minute))?;
        Some(Due { at, statistics: self.every_hour_statistics })
    }

    fn next_daily(&self, now: &ZonedDateTime) -> Option<Due> {
        let time = jiff::civil::time(i8_of(self.every_day_hour), i8_of(self.every_day_minute), 0, 0);
        let mut day = now.date();
        for _ in 0..3 {
            // a time that the clock leaps over is made up for right after it
            let at = day.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?;
            if at > *now {
                return Some(Due { at, statistics: self.every_day_statistics });
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

fn i8_of(number: u8) -> i8 {
    i8::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ZonedDateTime {
        text.parse().unwrap()
    }

    fn next(settings: &BackupSettings, now: &str) -> Option<(String, bool)> {
        settings.next_after(&at(now)).map(|due| (due.at.strftime("%d. %H:%M:%S %:z").to_string(), due.statistics))
    }

    #[test]
    fn is_never_due_where_nothing_is_asked_for() {
        assert_eq!(next(&BackupSettings::default(), "2026-06-01T12:00:00[UTC]"), None);
    }

    #[test]
    fn is_due_at_its_minute_of_each_hour() {
        let settings = BackupSettings { every_hour: true, every_hour_minute: 50, ..BackupSettings::default() };

        assert_eq!(next(&settings, "2026-06-01T12:49:59[UTC]"), Some(("01. 12:50:00 +00:00".into(), false)));
        assert_eq!(next(&settings, "2026-06-01T12:50:00[UTC]"), Some(("01. 13:50:00 +00:00".into(), false)));
        assert_eq!(next(&settings, "2026-06-01T23:50:30[UTC]"), Some(("02. 00:50:00 +00:00".into(), false)));
    }

    #[test]
    fn is_due_once_a_day_also_when_clocks_are_changed() {
        let settings =
            BackupSettings { every_day: true, every_day_hour: 2, every_day_minute: 30, ..BackupSettings::default() };
        let statistics = true;

        // forward: 02:30 does not exist; back: 02:30 comes twice and the first counts
        let forward = next(&settings, "2026-03-28T12:00:00[Europe/Warsaw]");
        let back = next(&settings, "2026-10-24T12:00:00[Europe/Warsaw]");
        let after = next(&settings, "2026-10-25T02:30:00+02:00[Europe/Warsaw]");

        assert_eq!(forward, Some(("29. 03:30:00 +02:00".into(), statistics)));
        assert_eq!(back, Some(("25. 02:30:00 +02:00".into(), statistics)));
        assert_eq!(after, Some(("26. 02:30:00 +01:00".into(), statistics)));
    }

    #[test]
    fn takes_the_earlier_and_joins_two_of_one_minute() {
        let settings = BackupSettings {
            every_hour: true,
            every_hour_minute: 5,
            every_day: true,
            every_day_hour: 13,
            every_day_minute: 5,
            ..BackupSettings::default()
        };

        assert_eq!(next(&settings, "2026-06-01T11:30:00[UTC]"), Some(("01. 12:05:00 +00:00".into(), false)));
        assert_eq!(next(&settings, "2026-06-01T12:30:00[UTC]"), Some(("01. 13:05:00 +00:00".into(), true)));
    }
}
