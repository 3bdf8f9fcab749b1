//! Log lines: where they go, which of them, and in which form.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

/// Libraries that write a line for what one packet of a stranger can trigger, some of them at ERROR: they are silent at
/// every level, and what matters of it is counted by us.
const SILENT: [&str; 2] = ["boringtun", "smoltcp"];

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// A filter that is no list of levels and `target=level`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no list of log levels")]
pub struct UnknownFilter(String);

/// Sends log lines to standard error from now on, for the whole process. The first call counts, later ones change
/// nothing. Lines of the `log` crate's users (rustls among them) are not taken.
///
/// # Errors
/// [`UnknownFilter`].
pub fn start(filter: &str, format: Format) -> Result<(), UnknownFilter> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let dispatch = build(filter, format, colour, io::stderr)?;
    // fails only where a dispatcher is there already
    let _ = dispatcher::set_global_default(dispatch);
    Ok(())
}

fn build<W>(filter: &str, format: Format, colour: bool, writer: W) -> Result<Dispatch, UnknownFilter>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let asked: Targets = filter.parse().map_err(|_| UnknownFilter(filter.to_owned()))?;
    let wanted = asked.with_targets(SILENT.map(|library| (library, LevelFilter::OFF)));
    let lines = fmt::layer().with_ansi(colour).with_writer(writer);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(Dispatch::new(registry().with(lines.with_filter(wanted))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fields;
    use std::sync::{Arc, Mutex};
    use tracing::{debug, error, info};

    /// Everything that was written, for one test.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(filter: &str, format: Format, act: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let dispatch = build(filter, format, false, move || writer.clone()).unwrap();
        dispatcher::with_default(&dispatch, act);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn writes_the_levels_that_are_asked_for() {
        let text = written("info", Format::Text, || {
            info!("seen");
            debug!("unseen");
        });

        assert!(text.contains("seen") && !text.contains("unseen"), "{text}");
    }

    #[test]
    fn keeps_libraries_silent_that_log_what_a_packet_triggers() {
        let text = written("trace", Format::Text, || {
            error!(target: "boringtun::noise", "loud");
            error!(target: "smoltcp::iface", "loud");
            error!(target: "culvert::app", "ours");
        });

        assert!(!text.contains("loud") && text.contains("ours"), "{text}");
    }

    #[test]
    fn writes_fields_by_their_names_as_json() {
        let text = written("info", Format::Json, || info!({ fields::ACCOUNT } = %"peer_1", "Added account `peer_1`"));

        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["account"], &line["message"]), (&"peer_1".into(), &"Added account `peer_1`".into()));
    }

    #[test]
    fn refuses_what_is_no_filter() {
        assert_eq!(start("culvert=loud", Format::Text), Err(UnknownFilter("culvert=loud".into())));
    }
}
