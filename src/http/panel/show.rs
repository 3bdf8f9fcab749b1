//! Figures as people read them, in their language.

use askama::Template;
use jiff::Timestamp;

use super::words::Language;
use crate::domain::rate::Mbps;
use crate::services::Services;

/// A time: how long ago it was, or how soon it will be, and to a pointer or without scripts when exactly.
#[derive(Template)]
#[template(source = "<time datetime=\"{{ at }}\" data-ago>{{ text }}</time>", ext = "html")]
pub(super) struct Moment {
    at: Timestamp,
    text: String,
}

impl Moment {
    /// This time, as people of the appliance's zone read it.
    pub(super) fn of(at: Timestamp, services: &Services) -> Self {
        Self { at, text: services.system.local_time(at) }
    }
}

/// Something that is counted.
pub(super) trait Amount {
    /// How much of it there is.
    fn amount(&self) -> u64;
}

impl Amount for u64 {
    fn amount(&self) -> u64 {
        *self
    }
}

impl Amount for u32 {
    fn amount(&self) -> u64 {
        u64::from(*self)
    }
}

impl Amount for usize {
    fn amount(&self) -> u64 {
        *self as u64
    }
}

impl Amount for Mbps {
    fn amount(&self) -> u64 {
        u64::from(self.get())
    }
}

impl<T: Amount + ?Sized> Amount for &T {
    fn amount(&self) -> u64 {
        (*self).amount()
    }
}

/// A unit's prefixes, each a thousand times the one before.
const STEPS: [&str; 5] = ["", "k", "M", "G", "T"];

/// A number with one decimal where it is short, and the prefix for a thousand of it as often as it takes.
fn scaled(value: u64) -> (String, &'static str) {
    let mut step = 0;
    let mut size = 1_u64;
    while step + 1 < STEPS.len() && value / size >= 1_000 {
        size *= 1_000;
        step += 1;
    }
    let (whole, tenth) = (value / size, value % size * 10 / size);
    let number = if size == 1 || whole >= 100 { whole.to_string() } else { format!("{whole}.{tenth}") };
    (number, STEPS[step])
}

impl Language {
    /// A number with this language's mark between the whole and its parts.
    fn marked(self, number: &str) -> String {
        match self {
            Self::En | Self::Zh => number.to_owned(),
            Self::De | Self::Pl | Self::Uk | Self::Es => number.replace('.', ","),
        }
    }

    /// Bytes: `1.5 GB`, in thousands, as quotas are.
    pub(super) fn bytes(self, bytes: impl Amount) -> String {
        let (number, step) = scaled(bytes.amount());
        format!("{} {step}B", self.marked(&number))
    }

    /// Bytes a second as a line's rate: `12.0 Mbit/s`.
    pub(super) fn rate(self, bytes: impl Amount) -> String {
        let (number, step) = scaled(bytes.amount().saturating_mul(8));
        format!("{} {step}bit/s", self.marked(&number))
    }

    /// A limit in Mbit/s, where 0 is none.
    pub(super) fn limit(self, mbps: impl Amount) -> String {
        let mbps = mbps.amount();
        if mbps == 0 { self.say("show.unlimited").to_owned() } else { format!("{mbps} Mbit/s") }
    }

    /// A count, its thousands apart by a narrow blank.
    #[expect(clippy::unused_self, reason = "thousands are set apart in the same way in every language, so far")]
    pub(super) fn count(self, count: impl Amount) -> String {
        let digits = count.amount().to_string();
        let mut told = String::with_capacity(digits.len() + digits.len() / 3 * 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                told.push('\u{202f}');
            }
            told.push(digit);
        }
        told
    }

    /// How long something has been, by its two largest units: `2 d 3 h`.
    pub(super) fn span(self, seconds: impl Amount) -> String {
        let seconds = seconds.amount();
        let units = [
            (seconds / 86_400, self.say("show.days")),
            (seconds / 3_600 % 24, self.say("show.hours")),
            (seconds / 60 % 60, self.say("show.minutes")),
            (seconds % 60, self.say("show.seconds")),
        ];
        let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
        let told: Vec<_> = units[first..].iter().take(2).map(|(count, unit)| format!("{count} {unit}")).collect();
        told.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_sizes_in_the_largest_unit_that_fits() {
        for (bytes, told) in [
            (0_u64, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_550, "1.5 kB"),
            (123_456, "123 kB"),
            (2_000_000_000, "2.0 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(Language::En.bytes(bytes), told);
        }
        assert_eq!(Language::De.rate(1_500_000_u64), "12,0 Mbit/s");
    }

    #[test]
    fn sets_thousands_apart() {
        assert_eq!(Language::En.count(1_234_567_u64), "1\u{202f}234\u{202f}567");
        assert_eq!(Language::En.count(999_u64), "999");
    }

    #[test]
    fn tells_a_span_by_its_two_largest_units() {
        assert_eq!(Language::En.span(86_400_u64 * 2 + 3_600 * 3 + 59), "2 d 3 h");
        assert_eq!(Language::En.span(61_u64), "1 min 1 s");
        assert_eq!(Language::En.span(0_u64), "0 s");
    }
}
