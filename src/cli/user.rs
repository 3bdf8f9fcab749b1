//! The commands of the panel's users.

use std::io::{BufRead as _, IsTerminal as _};

use clap::{Args, Subcommand};

use super::Failure;
use super::request::{Call, below};

const USERS: &str = "/local/v1/users";

/// What to do with the panel's users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, and print the password that was chosen: it is shown this once
    Add {
        /// The name to log in with: letters, digits, `_`, `-`, `.` and `@`
        name: String,
        /// Read the password from standard input instead of having one chosen
        #[arg(long)]
        ask_password: bool,
        /// What it may.
        #[command(flatten)]
        fields: UserFields,
    },
    /// List the users
    List,
    /// Change what a user may; what you leave out stays
    Edit {
        /// Its name.
        name: String,
        /// What is to change.
        #[command(flatten)]
        fields: UserFields,
    },
    /// Remove a user, with its sessions and its access hashes; a reseller's accounts stay
    Remove {
        /// Its name.
        name: String,
    },
    /// Set a user's password, and print it where it was chosen: it is shown this once; its sessions end
    Password {
        /// Its name.
        name: String,
        /// Read the password from standard input instead of having one chosen
        #[arg(long)]
        ask_password: bool,
    },
    /// Let a user log in again who was wrong too often
    Unlock {
        /// Its name.
        name: String,
    },
    /// Remove the second factor of a user who has lost it
    RemoveSecondFactor {
        /// Its name.
        name: String,
    },
}

/// What can be said of a user.
#[derive(Debug, Default, Args)]
pub struct UserFields {
    /// What it may: admin, operator, `read_only` or reseller
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// How many accounts a reseller may have, 0 for no bound
    #[arg(long, value_name = "COUNT")]
    pub accounts: Option<String>,
    /// Mbit/s towards each of its clients at most, 0 for no bound
    #[arg(long, value_name = "MBIT")]
    pub download: Option<String>,
    /// Mbit/s from each of its clients at most, 0 for no bound
    #[arg(long, value_name = "MBIT")]
    pub upload: Option<String>,
    /// What all of its clients may move in a month, as 500G, 0 for no bound
    #[arg(long, value_name = "BYTES")]
    pub traffic: Option<String>,
}

/// The request that a command stands for, still without a password that is asked for.
pub(super) fn call(command: &UserCommand) -> Call {
    match command {
        UserCommand::Add { name, fields, .. } => {
            let mut form = form(fields);
            form.push(("name", Some(name.clone())));
            Call::post(USERS, form)
        }
        UserCommand::List => Call::get(USERS),
        UserCommand::Edit { name, fields } => Call::put(below(USERS, name), form(fields)),
        UserCommand::Remove { name } => Call::delete(below(USERS, name)),
        UserCommand::Password { name, .. } => Call::put(below(USERS, name) + "/password", Vec::new()),
        UserCommand::Unlock { name } => Call::put(below(USERS, name) + "/unlock", Vec::new()),
        UserCommand::RemoveSecondFactor { name } => Call::delete(below(USERS, name) + "/second_factor"),
    }
}

fn form(fields: &UserFields) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("role", fields.role.clone()),
        ("accounts", fields.accounts.clone()),
        ("b_download", fields.download.clone()),
        ("b_upload", fields.upload.clone()),
        ("traffic", fields.traffic.clone()),
    ]
}

/// Adds the password that a command asks for: a line of standard input, which a terminal does not show.
///
/// # Errors
/// That there is none.
pub(super) fn complete(command: &UserCommand, call: &mut Call) -> Result<(), Failure> {
    let (UserCommand::Add { ask_password: true, .. } | UserCommand::Password { ask_password: true, .. }) = command
    else {
        return Ok(());
    };
    let unreadable = |error: std::io::Error| Failure::unusable(format!("cannot read the password: {error}"));
    let password = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Password: ").map_err(unreadable)?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() {
        return Err(Failure::unusable("there is no password on standard input"));
    }
    call.form.push(("password", password));
    Ok(())
}
