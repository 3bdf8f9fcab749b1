//! `culvert backup`: made, carried away, brought back, restored.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::process::{Running, Said, culvert, on};

/// Does something with a process running and without.
fn online_and_offline(check: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    check(folder.path());
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
    check(folder.path());
}

/// Makes a backup and returns its name.
fn make(data: &Path) -> String {
    on(data, &["backup", "create", "--json"]).json()["backup_name"].as_str().unwrap().to_owned()
}

#[test]
fn makes_lists_restores_and_removes_them() {
    online_and_offline(|data| {
        let said = on(data, &["backup", "create", "--statistics"]).out();
        let name = said.strip_prefix("Made `").and_then(|rest| rest.strip_suffix("`\n")).unwrap();
        assert!(on(data, &["backup", "list"]).out().contains(name));
        on(data, &["account", "add", "late"]).out();

        assert_eq!(on(data, &["backup", "restore", name]).out(), format!("Restored `{name}`\n"));

        assert_eq!(on(data, &["account", "show", "late"]).sentence(1), "Account not found");
        assert_eq!(on(data, &["backup", "remove", name]).out(), format!("Removed `{name}`\n"));
        assert!(!on(data, &["backup", "list"]).out().contains(name));
        for verb in ["restore", "remove", "download"] {
            assert_eq!(on(data, &["backup", verb, name]).sentence(1), "There is no backup with this name", "{verb}");
        }
        assert!(!Path::new(name).exists());
    });
}

#[test]
fn carries_one_away_and_brings_it_to_another_appliance() {
    online_and_offline(|data| {
        let (elsewhere, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let running = Running::start(away.path());
        let name = make(data);
        let file = elsewhere.path().join("carried.zip");
        let path = file.to_str().unwrap();

        let said = on(data, &["backup", "download", &name, path]).out();
        let mut command = culvert(&["--data", data.to_str().unwrap(), "backup", "download", &name, "-"]);
        let piped = command.output().unwrap().stdout;
        let taken = on(away.path(), &["backup", "upload", path]).out();
        on(away.path(), &["backup", "restore", "carried.zip"]).out();

        assert_eq!(said, format!("Wrote `{path}`\n"));
        let carried = fs::read(&file).unwrap();
        assert!(
            carried.starts_with(b"PK")
                && carried == piped
                && carried == fs::read(data.join("backups").join(&name)).unwrap()
        );
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(taken, "Took `carried.zip`\n");
        let key = |data: &Path| on(data, &["account", "show", "peer_1", "--json"]).json()["private_key"].clone();
        assert_eq!(key(data), key(away.path()));
        assert_eq!(
            on(away.path(), &["backup", "upload", path]).sentence(1),
            "There is already a backup with this name"
        );
        on(away.path(), &["backup", "upload", path, "--name", "again.zip"]).out();
        assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
    });
}

#[test]
fn writes_into_the_present_folder_where_no_file_is_named() {
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    on(folder.path(), &["access", "add", "first", "--ip", "::1"]).out();
    let name = make(folder.path());

    let mut command = culvert(&["--data", folder.path().to_str().unwrap(), "backup", "download", &name]);
    Said::from(command.current_dir(here.path()).output().unwrap()).out();

    let names: Vec<_> = fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [name.as_str()]);
}

#[test]
fn takes_nothing_that_is_no_backup_and_keeps_nothing_of_it() {
    online_and_offline(|data| {
        let files = tempfile::tempdir().unwrap();
        let whole = fs::read(data.join("backups").join(make(data))).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let file = files.path().join(name);
            fs::write(&file, bytes).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let before = on(data, &["backup", "list"]).out();

        let half = on(data, &["backup", "upload", &write("half.zip", &whole[..whole.len() / 2])]).sentence(1);
        let large = on(data, &["backup", "upload", &write("large.zip", &vec![7; 5_000_000])]).sentence(1);
        let sealed = on(data, &["backup", "upload", &write("a.zip.age", &whole)]).sentence(1);
        let named = on(data, &["backup", "upload", &write("a.txt", &whole)]).sentence(1);
        let absent = on(data, &["backup", "upload", "/nonexistent.zip"]).sentence(2);
        let no_file = on(data, &["backup", "upload", "/dev/null", "--name", "null.zip"]).sentence(2);

        assert!(half.starts_with("Failed to open archive, ERROR: "), "{half}");
        assert!(large.starts_with("Failed to open archive, ERROR: "), "{large}");
        assert!(sealed.starts_with("Error backup reader: "), "{sealed}");
        assert_eq!(named, "There is no backup with this name");
        assert!(absent.starts_with("cannot read `/nonexistent.zip`: "), "{absent}");
        assert_eq!(no_file, "cannot read `/dev/null`: it is no file");
        assert_eq!(on(data, &["backup", "list"]).out(), before);
        assert!(!data.join("backups/.arriving").exists());
    });
}

#[test]
fn shows_and_edits_its_settings_without_a_secret_in_sight() {
    online_and_offline(|data| {
        let files = tempfile::tempdir().unwrap();
        let secret = |name: &str, text: &str| {
            let file = files.path().join(name);
            fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let [ftp, s3] = [secret("ftp", "right horse\n"), secret("s3", "battery\n")];
        let edit = |words: &[&str]| on(data, &[&["backup", "settings", "edit"], words].concat());

        edit(&["--daily", "03:30", "--hourly", "50", "--keep", "7", "--daily-statistics", "off"]).out();
        edit(&["--ftp", "on", "--ftp-server", "ftp.example", "--ftp-user", "u", "--ftp-password-file", &ftp]).out();
        let shown = edit(&["--s3-secret-key-file", &s3, "--hourly", "off"]).out();
        let settings = on(data, &["backup", "settings", "show", "--json"]).json();

        assert!(shown.contains("ftp.example") && !shown.contains("horse") && !shown.contains("battery"), "{shown}");
        for (field, value) in [
            ("every_day", true.into()),
            ("every_day_hour", 3.into()),
            ("every_day_minute", 30.into()),
            ("every_day_statistics", false.into()),
            ("every_hour", false.into()),
            ("every_hour_minute", 50.into()),
            ("number_backups", 7.into()),
            ("ftp_password", "right horse".into()),
            ("s3_secret_key_set", serde_json::Value::from(true)),
        ] {
            assert_eq!(settings[field], value, "{field}");
        }
        assert_eq!(
            edit(&["--daily", "25:00"]).sentence(1),
            "In the daily schedule, the hour parameter must be between 0 and 23"
        );
        assert!(edit(&["--ftp-password-file", "/nonexistent"]).sentence(2).starts_with("cannot read `/nonexistent`: "));
        edit(&["--ftp", "off"]).out();
    });
}
