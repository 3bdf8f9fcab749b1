//! Beyond the contract: until when an account may connect, and how much it may move.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::AccountDraft;
use crate::domain::field::{Bound, given, moment, number};
use crate::domain::limits;
use crate::domain::rate::Mbps;
use crate::domain::refusal::Refusal;
use crate::domain::restriction::Restriction;
use crate::domain::words::words;

/// The span of time for which a quota counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaPeriod {
    /// The account's whole life.
    #[default]
    None,
    /// A day of the appliance's time zone.
    Day,
    /// A week of it, which begins on Monday (ISO 8601).
    Week,
    /// A month of it.
    Month,
}

impl QuotaPeriod {
    /// The day on which the period of this day began; `None` for the account's whole life.
    pub fn began(self, today: Date) -> Option<Date> {
        match self {
            Self::None => None,
            Self::Day => Some(today),
            Self::Week => {
                let behind = today.weekday().since(Weekday::Monday);
                Some(today.checked_sub(Span::new().days(i64::from(behind))).unwrap_or(today))
            }
            Self::Month => Some(today.first_of_month()),
        }
    }
}

/// What happens when a quota is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaAction {
    /// The account may not connect.
    #[default]
    Cut,
    /// It is slowed down.
    Throttle,
}

words!(QuotaPeriod { None = "none", Day = "day", Week = "week", Month = "month" });
words!(QuotaAction { Cut = "cut", Throttle = "throttle" });

/// Until when an account may connect, and how much it may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// When it ends; `None` for never.
    pub expires: Option<Timestamp>,
    /// Bytes of both directions together; 0 for no quota.
    pub quota: u64,
    /// For how long that counts.
    pub period: QuotaPeriod,
    /// What happens when it is used up.
    pub action: QuotaAction,
    /// How slow it is then, where it is slowed down.
    pub rate: Mbps,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            expires: None,
            quota: 0,
            period: QuotaPeriod::None,
            action: QuotaAction::Cut,
            rate: limits::QUOTA_RATE_DEFAULT,
        }
    }
}

impl Allowance {
    /// How the account is held back now, when it has moved so many bytes in the present period.
    pub fn restriction(&self, used: u64, at: Timestamp) -> Option<Restriction> {
        if self.expires.is_some_and(|end| end <= at) {
            return Some(Restriction::Expired);
        }
        let used_up = self.quota > 0 && used >= self.quota;
        used_up.then_some(match self.action {
            QuotaAction::Cut => Restriction::OverQuota,
            QuotaAction::Throttle => Restriction::Throttled(self.rate),
        })
    }

    /// Whether there is anything to watch.
    pub const fn is_limited(&self) -> bool {
        self.quota > 0 || self.expires.is_some()
    }

    /// `self` with what the draft names.
    pub(super) fn amended(&self, draft: &AccountDraft) -> Result<Self, Refusal> {
        let malformed = |field, rule| Refusal::FieldMalformed { field, rule };
        let mut allowance = *self;
        if let Some(text) = given(draft.expires.as_ref()) {
            let refusal = || malformed("expires", "never, a day as 2026-12-31, or a time as 2026-12-31T18:00:00Z");
            allowance.expires = match text {
                _ if text.eq_ignore_ascii_case("never") => None,
                // whole seconds, for that is what is stored
                _ => Some(
                    moment(text, draft.zone.as_ref().unwrap_or(&TimeZone::UTC), Bound::End)
                        .and_then(whole)
                        .ok_or_else(refusal)?,
                ),
            };
        }
        if let Some(text) = given(draft.quota.as_ref()) {
            allowance.quota =
                amount(text).ok_or_else(|| malformed("quota", "bytes, as 5000000000, 5G or 5GiB; 0 for none"))?;
        }
        if let Some(text) = given(draft.quota_period.as_ref()) {
            let period = QuotaPeriod::parse(text);
            allowance.period = period.ok_or_else(|| malformed("quota_period", "none|day|week|month"))?;
        }
        if let Some(text) = given(draft.quota_action.as_ref()) {
            let action = QuotaAction::parse(text);
            allowance.action = action.ok_or_else(|| malformed("quota_action", "cut|throttle"))?;
        }
        if let Some(text) = given(draft.quota_rate.as_ref()) {
            let rate = number(text).and_then(|number| u16::try_from(number).ok()).and_then(Mbps::new);
            let rate = rate.filter(|rate| *rate != Mbps::UNLIMITED);
            allowance.rate = rate.ok_or_else(|| malformed("quota_rate", "1 to 10000"))?;
        }
        Ok(allowance)
    }
}

fn whole(moment: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(moment.as_second()).ok()
}

/// A number of bytes: digits, then perhaps `K`, `M`, `G` or `T` for powers of 1000, or `KiB` and so on for those of 1024.
pub(in crate::domain) fn amount(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (letter, base) = unit.strip_suffix('i').map_or((unit, 1_000_u64), |letter| (letter, 1_024));
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == letter)?;
    if base == 1_024 && power == 0 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(base.checked_pow(u32::try_from(power).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn draft(field: &str, text: &str) -> AccountDraft {
        let mut draft = AccountDraft { zone: TimeZone::get("Europe/Berlin").ok(), ..AccountDraft::default() };
        let slot = match field {
            "expires" => &mut draft.expires,
            "quota" => &mut draft.quota,
            "quota_period" => &mut draft.quota_period,
            "quota_action" => &mut draft.quota_action,
            "quota_rate" => &mut draft.quota_rate,
            _ => panic!("no such field: {field}"),
        };
        *slot = Some(text.into());
        draft
    }

    fn amended(field: &str, text: &str) -> Result<Allowance, Refusal> {
        Allowance::default().amended(&draft(field, text))
    }

    #[test]
    fn reads_an_end_with_an_offset_in_its_zone_or_as_a_day() {
        for (text, expected) in [
            ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z"),
            ("2026-12-31T18:00:00+02:00", "2026-12-31T16:00:00Z"),
            ("2026-12-31T18:00:00", "2026-12-31T17:00:00Z"),
            ("2026-12-31 18:00", "2026-12-31T17:00:00Z"),
            ("2026-12-31", "2026-12-31T23:00:00Z"),
        ] {
            assert_eq!(amended("expires", text).unwrap().expires, Some(expected.parse().unwrap()), "{text}");
        }
        let ends = Allowance { expires: Some(Timestamp::UNIX_EPOCH), ..Allowance::default() };
        assert_eq!(ends.amended(&draft("expires", "Never")).unwrap().expires, None);
        assert_eq!(ends.amended(&draft("expires", "")).unwrap(), ends);
    }

    #[test]
    fn reads_bytes_with_and_without_a_unit() {
        for (text, expected) in [
            ("0", 0),
            ("5000000000", 5_000_000_000),
            ("5G", 5_000_000_000),
            ("5 GB", 5_000_000_000),
            ("5GiB", 5 << 30),
            ("7ki", 7 << 10),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(amended("quota", text).map(|allowance| allowance.quota), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_says_nothing() {
        for (field, text) in [
            ("expires", "tomorrow"),
            ("expires", "2026-02-30"),
            ("expires", "1767225600"),
            ("quota", "-1"),
            ("quota", "5X"),
            ("quota", "5i"),
            ("quota", "G"),
            ("quota", "1.5G"),
            ("quota", "99999999T"),
            ("quota_period", "year"),
            ("quota_action", "stop"),
            ("quota_rate", "0"),
            ("quota_rate", "10001"),
        ] {
            let refused = amended(field, text).unwrap_err();
            assert!(
                matches!(refused, Refusal::FieldMalformed { field: named, .. } if named == field),
                "{field}={text}"
            );
        }
    }

    #[test]
    fn begins_each_period_on_its_day() {
        let sunday = date(2026, 3, 1);

        assert_eq!(QuotaPeriod::None.began(sunday), None);
        assert_eq!(QuotaPeriod::Day.began(sunday), Some(sunday));
        assert_eq!(QuotaPeriod::Week.began(sunday), Some(date(2026, 2, 23)));
        assert_eq!(QuotaPeriod::Week.began(date(2026, 3, 2)), Some(date(2026, 3, 2)));
        assert_eq!(QuotaPeriod::Month.began(date(2026, 3, 31)), Some(sunday));
    }

    #[test]
    fn holds_back_from_the_moment_of_the_end_and_from_the_byte_of_the_quota() {
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let before = end - Span::new().nanoseconds(1);
        let cut = Allowance { expires: Some(end), quota: 100, ..Allowance::default() };
        let throttle = Allowance { action: QuotaAction::Throttle, ..cut };

        assert_eq!(cut.restriction(99, before), None);
        assert_eq!(cut.restriction(100, before), Some(Restriction::OverQuota));
        assert_eq!(throttle.restriction(100, before), Some(Restriction::Throttled(limits::QUOTA_RATE_DEFAULT)));
        assert_eq!(throttle.restriction(100, end), Some(Restriction::Expired));
        assert_eq!(Allowance::default().restriction(u64::MAX, end), None);
    }
}
