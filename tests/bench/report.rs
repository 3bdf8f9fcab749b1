//! Rows of the bench's table: section, figure, measured, bar, verdict; tabs between. The file is the bench's first
//! argument that names one; without it the rows go to the terminal alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::RangeInclusive;

/// What a figure must lie in; [`FREE`] for one that is shown for its own sake.
pub(crate) type Bar = RangeInclusive<f64>;
/// No bar.
pub(crate) const FREE: Bar = f64::NEG_INFINITY..=f64::INFINITY;

/// Where the rows go.
pub(crate) struct Report {
    section: &'static str,
    file: Option<File>,
}

impl Report {
    /// Appends to `file`, where one is named.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn open(section: &'static str, file: Option<&str>) -> io::Result<Self> {
        let file = file.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(Self { section, file })
    }

    /// Adds a row. `value` is in the unit of `bar`; `shown` and `wanted` say both for people.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn row(&mut self, figure: &str, shown: &str, value: f64, bar: &Bar, wanted: &str) -> io::Result<()> {
        let line = format!("{}\t{figure}\t{shown}\t{wanted}\t{}\n", self.section, verdict(value, bar));
        io::stdout().write_all(line.as_bytes())?;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()))
    }

    /// Adds a row without a bar.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn note(&mut self, figure: &str, shown: &str) -> io::Result<()> {
        self.row(figure, shown, 0.0, &FREE, "")
    }
}

fn verdict(value: f64, bar: &Bar) -> String {
    let (least, most) = (*bar.start(), *bar.end());
    if *bar == FREE {
        String::new()
    } else if bar.contains(&value) {
        "met".into()
    } else if value < least {
        format!("{:.0} % of the bar", 100.0 * value / least)
    } else if most > 0.0 {
        format!("{:.2} × the bar", value / most)
    } else {
        format!("{:.2} above", value - most)
    }
}

/// The middle one; sorts.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}
