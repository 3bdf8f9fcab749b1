//! The text format in which Prometheus reads metrics (version 0.0.4 of its exposition format).

use std::fmt::{Display, Write as _};

/// What it is, for `Content-Type`.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// What a metric's values mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts by classes.
    Histogram,
}

/// Names and values that tell a metric's series apart.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // writing to a String cannot fail, here and below
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample of the metric that was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if at == 0 { '{' } else { ',' });
            for letter in value.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_metric_with_its_samples() {
        let mut page = Page::default();

        page.metric("culvert_x_total", Kind::Counter, "What it is.");
        page.sample("culvert_x_total", &[], 1);
        page.sample("culvert_x_total", &[("a", "plain"), ("b", "q\"b\\s\nl")], 0.5);

        let expected = "# HELP culvert_x_total What it is.\n# TYPE culvert_x_total counter\nculvert_x_total 1\n\
                        culvert_x_total{a=\"plain\",b=\"q\\\"b\\\\s\\nl\"} 0.5\n";
        assert_eq!(page.into_text(), expected);
    }
}
