//! Commands: what a person types, turned into requests of the API, and its answers into tables.
//!
//! Owns the command line, the socket's client side and every text on standard output. Knows no rule, no store and no
//! service: it speaks HTTP over the data folder's socket to the process that runs or, where none does, to a router that
//! it is handed.

pub mod args;
pub mod backup;
mod client;
pub mod greeting;
pub mod ikev2;
mod network;
pub mod output;
mod progress;
mod request;
mod table;
mod traffic_log;
mod transfer;
pub mod user;
mod webhook;

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::Value;

use args::{AccessCommand, AccountCommand, Arguments, Command};
pub use client::Offline;
use client::{Door, PATIENCE, open};
use request::{Call, SERVERS, call};
use user::UserCommand;

/// Why a command ended without its effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// One sentence for the person who typed the command.
    pub sentence: String,
    /// The process's exit code.
    pub code: u8,
}

impl Failure {
    /// The appliance said no: exit code 1.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 1 }
    }

    /// The command cannot work as it was given, or here: exit code 2.
    pub fn unusable(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 2 }
    }
}

/// Carries out a command that asks the appliance whose data folder this is. `offline` opens that folder itself, for
/// when no process answers there.
///
/// # Errors
/// The API's own text, or why nobody could be asked.
pub async fn run(
    arguments: &Arguments,
    data: &Path,
    offline: impl Fn() -> Result<axum::Router, Offline>,
) -> Result<(), Failure> {
    let Some(mut call) = call(&arguments.command) else { return Ok(()) };
    let door = open(data, offline, PATIENCE).await?;
    choose_server(&arguments.command, &mut call, &door).await?;
    if let Command::Ikev2(command) = &arguments.command {
        let first = match ikev2::asks_first(command) {
            Some(first) => door.send(&first).await?,
            None => Value::Null,
        };
        ikev2::complete(command, &mut call, &first)?;
    }
    if let Command::TrafficLog(command) = &arguments.command {
        traffic_log::complete(command, &mut call)?;
    }
    if let Command::User(command) = &arguments.command {
        user::complete(command, &mut call)?;
    }
    if let Command::Backup(command) = &arguments.command {
        let answer = backup::carry_out(command, call, &door).await?;
        return answer.map_or(Ok(()), |answer| output::print(&tell(arguments, &answer)));
    }
    let answer = door.send(&call).await?;
    if let (Command::Account(AccountCommand::Qr { png: Some(file), .. }), Some(picture)) =
        (&arguments.command, answer.as_str())
    {
        return write_picture(file, picture);
    }
    output::print(&tell(arguments, &answer))
}

/// Reads a file that a command names.
fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::unusable(format!("cannot read `{}`: {error}", file.display())))
}

/// Prints completions for a shell.
///
/// # Errors
/// As [`output::print`].
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "culvert", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// An answer as it goes to standard output.
fn tell(arguments: &Arguments, answer: &Value) -> String {
    let bare = match &arguments.command {
        _ if arguments.json => return format!("{answer:#}\n"),
        Command::Account(
            AccountCommand::Config { .. }
            | AccountCommand::Qr { .. }
            | AccountCommand::Ikev2Profile { .. }
            | AccountCommand::Link { .. },
        ) => answer.as_str(),
        Command::Access(AccessCommand::Add { .. }) => answer.get("access_hash").and_then(Value::as_str),
        Command::User(UserCommand::Add { .. } | UserCommand::Password { .. }) => {
            answer.get("password").and_then(Value::as_str)
        }
        Command::Serve(_)
        | Command::Status
        | Command::Server(_)
        | Command::Account(_)
        | Command::Access(_)
        | Command::Firewall(_)
        | Command::Dns(_)
        | Command::TrafficLog(_)
        | Command::Forward(_)
        | Command::System(_)
        | Command::Ikev2(_)
        | Command::Backup(_)
        | Command::Link(_)
        | Command::Audit(_)
        | Command::Webhook(_)
        | Command::User(_)
        | Command::Completions { .. } => None,
    };
    match bare {
        Some(text) if text.ends_with('\n') => text.to_owned(),
        Some(text) => format!("{text}\n"),
        None => table::render(&arguments.command, answer, output::is_terminal()),
    }
}

/// An account needs a server's name; where there is only one, a person need not say it.
async fn choose_server(command: &Command, call: &mut Call, door: &Door) -> Result<(), Failure> {
    let Command::Account(AccountCommand::Add { server: None, .. }) = command else { return Ok(()) };
    let servers = door.send(&Call::get(SERVERS)).await?;
    let names: Vec<&String> = servers.as_object().into_iter().flat_map(|servers| servers.keys()).collect();
    match names.as_slice() {
        [only] => {
            call.form.push(("wg_name", (*only).clone()));
            Ok(())
        }
        [] => Err(Failure::refused("there is no server yet: make one with `culvert server add`")),
        [first, ..] => Err(Failure::unusable(format!("there are several servers: name one, as in `--server {first}`"))),
    }
}

/// A client file holds a private key, and so does its picture: nobody else may read it, also where they could read what
/// lay there before. What is no file, as a pipe, keeps its own mode.
fn write_picture(file: &Path, picture: &str) -> Result<(), Failure> {
    let refuse = |problem: String| Failure::unusable(format!("cannot write `{}`: {problem}", file.display()));
    let bytes = STANDARD.decode(picture).map_err(|error| refuse(error.to_string()))?;
    let mut options = std::fs::OpenOptions::new();
    let mut write = || {
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        file.write_all(&bytes)
    };
    write().map_err(|error: std::io::Error| refuse(error.to_string()))
}

/// A field of an answer as text, whatever its JSON type.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_picture_that_nobody_else_reads_over_one_that_everybody_could() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("qr.png");
        std::fs::write(&file, "an older and longer picture").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();

        write_picture(&file, &STANDARD.encode("picture")).unwrap();

        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&file).unwrap(), b"picture");
    }
}
