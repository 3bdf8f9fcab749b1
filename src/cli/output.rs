//! Text for people and programs, on standard output.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use super::Failure;

/// Writes to standard output. A reader that has gone away (`culvert account list | head`) is no failure.
///
/// # Errors
/// What the system said, where standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::unusable(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a failure's sentence to standard error; there is nobody to tell if that fails.
pub fn complain(sentence: &str) {
    let _ = writeln!(io::stderr().lock(), "culvert: {sentence}");
}

/// Whether a person is looking.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
