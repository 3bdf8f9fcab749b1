//! The commands of backups.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::args::Switch;
use super::client::Door;
use super::request::{Call, below, flag};
use super::{progress, transfer};

/// Where backups are.
const BACKUPS: &str = "/api/v1/backups";
const CONFIG: &str = "/api/v1/backups/config";

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// List the backups, the newest first
    List,
    /// Make a backup, and send a copy where copies go
    Create {
        /// With the traffic figures
        #[arg(long)]
        statistics: bool,
    },
    /// Write a backup into a file
    Download {
        /// Its name
        name: String,
        /// The file, `-` for standard output [default: its name, in this folder]
        file: Option<PathBuf>,
    },
    /// Take a backup that was made elsewhere, or an encrypted copy of one
    Upload {
        /// The file
        file: PathBuf,
        /// What it is to be called [default: the file's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Replace everything by what a backup has; what there was stays in `backups/before-restore`
    Restore {
        /// Its name.
        name: String,
    },
    /// Remove a backup
    #[command(alias = "delete")]
    Remove {
        /// Its name.
        name: String,
    },
    /// When backups are made, how many are kept, and where copies go
    #[command(subcommand)]
    Settings(SettingsCommand),
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show them
    Show,
    /// Change them; what you leave out stays
    Edit(Box<SettingsFields>),
}

/// What can be set.
#[derive(Debug, Default, Args)]
pub struct SettingsFields {
    /// At which minute of each hour one is made, or `off`
    #[arg(long, value_name = "MINUTE")]
    pub hourly: Option<String>,
    /// Whether those have the traffic figures
    #[arg(long, value_name = "BOOL")]
    pub hourly_statistics: Option<Switch>,
    /// At which time of each day one is made, or `off`
    #[arg(long, value_name = "HH:MM", value_parser = daily)]
    pub daily: Option<Daily>,
    /// Whether those have the traffic figures
    #[arg(long, value_name = "BOOL")]
    pub daily_statistics: Option<Switch>,
    /// How many are kept
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<String>,
    /// Whether copies go to an FTP server
    #[arg(long, value_name = "BOOL")]
    pub ftp: Option<Switch>,
    /// That server
    #[arg(long, value_name = "HOST")]
    pub ftp_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT")]
    pub ftp_port: Option<String>,
    /// Whether the connection is encrypted
    #[arg(long, value_name = "BOOL")]
    pub ftp_tls: Option<Switch>,
    /// Who logs in there
    #[arg(long, value_name = "NAME")]
    pub ftp_user: Option<String>,
    /// A file with the password, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub ftp_password_file: Option<PathBuf>,
    /// The folder there
    #[arg(long, value_name = "PATH")]
    pub ftp_path: Option<String>,
    /// Whether copies go to a store that speaks Amazon S3
    #[arg(long, value_name = "BOOL")]
    pub s3: Option<Switch>,
    /// That store, as in `https://s3.example.org`
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// The region
    #[arg(long, value_name = "NAME")]
    pub s3_region: Option<String>,
    /// The bucket
    #[arg(long, value_name = "NAME")]
    pub s3_bucket: Option<String>,
    /// What every key begins with
    #[arg(long, value_name = "PATH")]
    pub s3_path: Option<String>,
    /// Who signs
    #[arg(long, value_name = "KEY")]
    pub s3_access_key: Option<String>,
    /// A file with the secret key, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub s3_secret_key_file: Option<PathBuf>,
    /// A file with the passphrase that copies are encrypted with, `-` for standard input; an empty one for the key of the
    /// data folder
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// A time of each day, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daily {
    /// Never.
    Off,
    /// Hour and minute.
    At(String, String),
}

fn daily(text: &str) -> Result<Daily, String> {
    if text == "off" {
        return Ok(Daily::Off);
    }
    let (hour, minute) = text.split_once(':').ok_or("as in 03:30, or off")?;
    Ok(Daily::At(hour.to_owned(), minute.to_owned()))
}

/// The request that a command stands for, but for what lies in files.
pub(super) fn call(command: &BackupCommand) -> Call {
    match command {
        BackupCommand::List => Call::get(BACKUPS),
        BackupCommand::Create { statistics } => {
            let statistics = if *statistics { "1" } else { "0" };
            Call::post(BACKUPS, vec![("statistics", Some(statistics.to_owned()))])
        }
        BackupCommand::Download { name, .. } => Call::get(below(BACKUPS, name)),
        BackupCommand::Upload { file, name } => {
            Call::post(below(BACKUPS, &upload_name(file, name.as_ref())), Vec::new())
        }
        BackupCommand::Restore { name } => {
            Call::put(below(BACKUPS, "restore"), vec![("backup_name", Some(name.clone()))])
        }
        BackupCommand::Remove { name } => Call::delete(below(BACKUPS, name)),
        BackupCommand::Settings(SettingsCommand::Show) => Call::get(CONFIG),
        BackupCommand::Settings(SettingsCommand::Edit(fields)) => Call::put(CONFIG, form(fields)),
    }
}

fn upload_name(file: &Path, name: Option<&String>) -> String {
    let own = || file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.cloned().unwrap_or_else(own)
}

fn form(fields: &SettingsFields) -> Vec<(&'static str, Option<String>)> {
    let hourly = fields.hourly.as_deref();
    let minute = hourly.filter(|text| *text != "off").map(str::to_owned);
    let daily = fields.daily.as_ref();
    let (hour_of_day, minute_of_day) = match daily {
        Some(Daily::At(hour, minute)) => (Some(hour.clone()), Some(minute.clone())),
        Some(Daily::Off) | None => (None, None),
    };
    let on = |on: bool| if on { "1" } else { "0" }.to_owned();
    vec![
        ("every_hour", hourly.map(|text| on(text != "off"))),
        ("every_hour_minute", minute),
        ("every_hour_statistics", fields.hourly_statistics.map(flag)),
        ("every_day", daily.map(|daily| on(*daily != Daily::Off))),
        ("every_day_hour", hour_of_day),
        ("every_day_minute", minute_of_day),
        ("every_day_statistics", fields.daily_statistics.map(flag)),
        ("number_backups", fields.keep.clone()),
        ("backup_to_ftp", fields.ftp.map(flag)),
        ("ftp_server", fields.ftp_server.clone()),
        ("ftp_server_port", fields.ftp_port.clone()),
        ("ftp_tls", fields.ftp_tls.map(flag)),
        ("ftp_user", fields.ftp_user.clone()),
        ("ftp_path", fields.ftp_path.clone()),
        ("backup_to_s3", fields.s3.map(flag)),
        ("s3_endpoint", fields.s3_endpoint.clone()),
        ("s3_region", fields.s3_region.clone()),
        ("s3_bucket", fields.s3_bucket.clone()),
        ("s3_path", fields.s3_path.clone()),
        ("s3_access_key", fields.s3_access_key.clone()),
    ]
}

/// Carries a command out; what the appliance answers, or nothing where a file went to standard output.
///
/// # Errors
/// The API's own text, and what the files said.
pub(super) async fn carry_out(command: &BackupCommand, mut call: Call, door: &Door) -> Result<Option<Value>, Failure> {
    match command {
        BackupCommand::Download { name, file } => {
            let file = file.clone().unwrap_or_else(|| PathBuf::from(name));
            transfer::download(door, &call, name, &file).await?;
            return Ok((file != Path::new(transfer::STANDARD)).then_some(Value::String(file.display().to_string())));
        }
        BackupCommand::Upload { file, .. } => return transfer::upload(door, &call, file).await.map(Some),
        BackupCommand::Settings(SettingsCommand::Edit(fields)) => {
            for (field, file) in [
                ("ftp_password", &fields.ftp_password_file),
                ("s3_secret_key", &fields.s3_secret_key_file),
                ("passphrase", &fields.passphrase_file),
            ] {
                if let Some(file) = file {
                    call.form.push((field, secret(file)?));
                }
            }
        }
        BackupCommand::List
        | BackupCommand::Create { .. }
        | BackupCommand::Restore { .. }
        | BackupCommand::Remove { .. }
        | BackupCommand::Settings(SettingsCommand::Show) => {}
    }
    let what = match command {
        BackupCommand::Create { .. } => "Making a backup",
        BackupCommand::Restore { .. } => "Restoring",
        BackupCommand::List
        | BackupCommand::Download { .. }
        | BackupCommand::Upload { .. }
        | BackupCommand::Remove { .. }
        | BackupCommand::Settings(_) => return door.send(&call).await.map(Some),
    };
    // how long it takes is a matter of disks, and of the servers that copies go to: whoever waits may leave
    progress::shown(|seconds| format!("{what}: {seconds} s"), door.send_patiently(&call)).await.map(Some)
}

/// The first line of a file: what is secret is in no list of processes and in no shell's history.
fn secret(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new(transfer::STANDARD) {
        io::stdin().read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::unusable(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    fn command(line: &str) -> BackupCommand {
        let parsed = Arguments::try_parse_from(line.split_whitespace()).unwrap().command;
        let Command::Backup(command) = parsed else { panic!("{parsed:?}") };
        command
    }

    #[test]
    fn knows_the_path_of_every_command() {
        for (line, expected) in [
            ("culvert backup list", "GET /api/v1/backups"),
            ("culvert backup create", "POST /api/v1/backups"),
            ("culvert backup download a.zip", "GET /api/v1/backups/a%2Ezip"),
            ("culvert backup upload f/a.zip", "POST /api/v1/backups/a%2Ezip"),
            ("culvert backup upload f/a.zip --name b.zip", "POST /api/v1/backups/b%2Ezip"),
            ("culvert backup restore a.zip", "PUT /api/v1/backups/restore"),
            ("culvert backup remove a.zip", "DELETE /api/v1/backups/a%2Ezip"),
            ("culvert backup delete a.zip", "DELETE /api/v1/backups/a%2Ezip"),
            ("culvert backup settings show", "GET /api/v1/backups/config"),
            ("culvert backup settings edit --keep 3", "PUT /api/v1/backups/config"),
        ] {
            let call = call(&command(line));
            assert_eq!(format!("{} {}", call.method, call.path), expected, "{line}");
        }
    }

    #[test]
    fn sends_only_what_was_named() {
        for (line, expected) in [
            ("--keep 3", vec![("number_backups", "3")]),
            ("--hourly 50", vec![("every_hour", "1"), ("every_hour_minute", "50")]),
            ("--hourly off", vec![("every_hour", "0")]),
            ("--daily 03:30", vec![("every_day", "1"), ("every_day_hour", "03"), ("every_day_minute", "30")]),
            ("--daily off", vec![("every_day", "0")]),
            ("--ftp on --ftp-port 2121", vec![("backup_to_ftp", "1"), ("ftp_server_port", "2121")]),
            ("--s3 off --ftp-tls on", vec![("ftp_tls", "1"), ("backup_to_s3", "0")]),
        ] {
            let form = call(&command(&format!("culvert backup settings edit {line}"))).form;
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(form, expected, "{line}");
        }
        assert!(Arguments::try_parse_from(["culvert", "backup", "settings", "edit", "--daily", "noon"]).is_err());
    }

    #[test]
    fn takes_a_secret_from_the_first_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, " open sesame\nmore\n").unwrap();

        assert_eq!(secret(&file).unwrap(), " open sesame");
        assert!(secret(&folder.path().join("nothing")).unwrap_err().sentence.starts_with("cannot read `"));
    }
}
