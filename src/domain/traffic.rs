//! What accounts have moved, by hour and by day of the appliance's time zone.
//!
//! The data plane tells how much has passed since it was last asked, never a sum: what restarts with a process, a tunnel or
//! a server has nothing to restart from, so nothing is lost or counted twice. Time only chooses the hour in which bytes
//! are entered; a clock that jumps enters them in another.

use std::collections::BTreeMap;
use std::ops::{AddAssign, RangeInclusive};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::account::AccountId;
use super::limits;
use super::refusal::Refusal;

/// Bytes of inner packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// To the client.
    pub down: u64,
    /// From the client.
    pub up: u64,
}

impl Bytes {
    /// Both directions together.
    pub const fn sum(self) -> u64 {
        self.down.saturating_add(self.up)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.down = self.down.saturating_add(other.down);
        self.up = self.up.saturating_add(other.up);
    }
}

/// What an account has moved since it was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The account.
    pub account: AccountId,
    /// How much.
    pub bytes: Bytes,
}

/// An hour of a day: the day has 23 of them, 24 or 25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour {
    /// The day.
    pub day: Date,
    /// How many hours of that day had passed when it began.
    pub number: u8,
}

impl Hour {
    /// The hour of this moment.
    pub fn of(at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned_datetime(zone.clone());
        let begun = local.start_of_day().map_or(at, |start| start.timestamp());
        let number = at.duration_since(begun).as_hours();
        Self { day: local.date(), number: u8::try_from(number).unwrap_or(0) }
    }

    /// When it begins.
    pub fn start(self, zone: &TimeZone) -> Option<Timestamp> {
        let start = self.day.to_zoned_datetime(zone.clone()).ok()?.timestamp();
        start.checked_add(Span::new().hours(i64::from(self.number))).ok()
    }

    /// Every hour of a day.
    pub fn all_of(day: Date, zone: &TimeZone) -> Vec<Self> {
        let hours = (0..=u8::MAX).map(|number| Self { day, number });
        hours.take_while(|hour| hour.start(zone).is_some_and(|start| Self::of(start, zone) == *hour)).collect()
    }
}

/// What was moved, by hour and account.
pub type Portions = BTreeMap<(Hour, AccountId), Bytes>;

/// What an account moved on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTraffic {
    /// The day.
    pub day: Date,
    /// How much.
    pub bytes: Bytes,
}

/// What an account moved in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourTraffic {
    /// When the hour began.
    pub start: Timestamp,
    /// How much.
    pub bytes: Bytes,
}

/// The days of the month that a path names.
///
/// # Errors
/// [`Refusal::YearMalformed`], [`Refusal::MonthMalformed`].
pub fn month(year: &str, month: &str) -> Result<RangeInclusive<Date>, Refusal> {
    let first = first_of(year, month)?;
    Ok(first..=first.last_of_month())
}

/// The day that a path names.
///
/// # Errors
/// [`Refusal::YearMalformed`], [`Refusal::MonthMalformed`], [`Refusal::DayMalformed`].
pub fn day(year: &str, month: &str, day: &str) -> Result<Date, Refusal> {
    let first = first_of(year, month)?;
    let day = small(day).ok_or(Refusal::DayMalformed)?;
    Date::new(first.year(), first.month(), day).map_err(|_| Refusal::DayMalformed)
}

fn first_of(year: &str, month: &str) -> Result<Date, Refusal> {
    let year = super::field::number(year).and_then(|year| i16::try_from(year).ok());
    let year = year.filter(|year| limits::YEARS.contains(year)).ok_or(Refusal::YearMalformed)?;
    let month = small(month).filter(|month| (1..=12).contains(month)).ok_or(Refusal::MonthMalformed)?;
    Date::new(year, month, 1).map_err(|_| Refusal::MonthMalformed)
}

fn small(text: &str) -> Option<i8> {
    super::field::number(text).and_then(|number| i8::try_from(number).ok())
}

/// The first day that is kept of those with figures by day, `history` whole months before the month of `today`.
pub fn first_kept(today: Date, history: u32) -> Date {
    let whole = today.first_of_month();
    whole.checked_sub(Span::new().months(i64::from(history.min(limits::MONTHS_COUNTED)))).unwrap_or(Date::MIN)
}

/// The first day that is kept of those with figures by hour.
pub fn first_kept_by_hour(today: Date) -> Date {
    today.checked_sub(Span::new().days(limits::HOURLY_DAYS)).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn enters_a_moment_in_the_day_of_its_zone() {
        let moment = at("2026-01-31T23:30:00Z");

        assert_eq!(Hour::of(moment, &TimeZone::UTC), Hour { day: date(2026, 1, 31), number: 23 });
        assert_eq!(Hour::of(moment, &berlin()), Hour { day: date(2026, 2, 1), number: 0 });
    }

    #[test]
    fn counts_the_hours_of_a_day_that_the_clock_makes_shorter_or_longer() {
        let hours = |day| Hour::all_of(day, &berlin());

        assert_eq!(
            [date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 25)].map(|day| hours(day).len()),
            [23, 24, 25]
        );
        // both hours from two to three on the day that has two of them
        let twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map(|text| Hour::of(at(text), &berlin()).number);
        assert_eq!(twice, [2, 3]);
    }

    #[test]
    fn gives_every_moment_of_a_year_an_hour_that_it_lies_in() {
        for zone in ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"] {
            let zone = TimeZone::get(zone).unwrap();
            for quarter in 0..4 * 24 * 365 {
                let moment = at("2011-01-01T00:07:00Z") + Span::new().minutes(15 * quarter);
                let start = Hour::of(moment, &zone).start(&zone).unwrap();
                assert!((0..3_600).contains(&moment.duration_since(start).as_secs()), "{moment} {start}");
            }
        }
    }

    #[test]
    fn takes_months_and_days_that_exist() {
        assert_eq!(month("2024", "2"), Ok(date(2024, 2, 1)..=date(2024, 2, 29)));
        assert_eq!(month("2024", "02"), month("2024", "2"));
        assert_eq!(day("2024", "2", "29"), Ok(date(2024, 2, 29)));
        for text in ["0", "13", "x", "", "-1", "1.0"] {
            assert_eq!(month("2024", text), Err(Refusal::MonthMalformed), "{text}");
        }
        for text in ["1969", "10000", "x", "", "-2024"] {
            assert_eq!(month(text, "1"), Err(Refusal::YearMalformed), "{text}");
        }
        for text in ["0", "30", "x"] {
            assert_eq!(day("2024", "2", text), Err(Refusal::DayMalformed), "{text}");
        }
    }

    #[test]
    fn keeps_whole_months() {
        let today = date(2026, 3, 31);

        assert_eq!(first_kept(today, 0), date(2026, 3, 1));
        assert_eq!(first_kept(today, 2), date(2026, 1, 1));
        assert!(first_kept(today, 2_147_483_647) < date(1000, 1, 1));
    }
}
