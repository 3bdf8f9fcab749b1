//! A line that shows a person that something goes on.

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

/// How often the line is drawn again.
const TICK: Duration = Duration::from_secs(1);

/// Awaits `work`. From its first second on a line on standard error says `what` after so many seconds, if that is a terminal;
/// it is gone at the end.
pub(super) async fn shown<T>(what: impl Fn(u64) -> String, work: impl Future<Output = T>) -> T {
    drawn(what, work, io::stderr().is_terminal(), |text| {
        let mut err = io::stderr().lock();
        // there is nobody to tell if that fails
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    })
    .await
}

async fn drawn<T>(
    what: impl Fn(u64) -> String,
    work: impl Future<Output = T>,
    terminal: bool,
    mut draw: impl FnMut(&str),
) -> T {
    let mut work = pin!(work);
    if !terminal {
        return work.await;
    }
    let mut seconds = 0;
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut work => break outcome,
            () = tokio::time::sleep(TICK) => {
                seconds += 1;
                draw(&what(seconds));
            }
        }
    };
    if seconds > 0 {
        draw("");
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(terminal: bool, millis: u64) -> Vec<String> {
        let mut lines = Vec::new();
        let work = tokio::time::sleep(Duration::from_millis(millis));
        drawn(|seconds| format!("{seconds} s"), work, terminal, |text| lines.push(text.to_owned())).await;
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn counts_the_seconds_on_a_terminal_and_leaves_nothing_behind() {
        assert_eq!(lines(true, 2_500).await, ["1 s", "2 s", ""]);
        assert!(lines(true, 500).await.is_empty());
        assert!(lines(false, 2_500).await.is_empty());
    }
}
