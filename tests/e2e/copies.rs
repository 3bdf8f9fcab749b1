//! Copies of backups on their way to real servers: FTP, FTPS and S3, and what becomes of them where the way is bad.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use culvert::domain::password::Password;
use culvert::observe::upload::{self, KeyFile};
use serde_json::Value;

use crate::rig::appliance::Appliance;
use crate::rig::keepers::{BUCKET, Certificate, Keeper, by_ftp, by_s3};
use crate::rig::namespace::run;
use crate::rig::world::World;
use crate::rig::{PATIENCE, until};

/// How long a server that says nothing may hold up a backup: a few waits of 20 seconds, for each in which a little was taken
/// begins another, and what a loaded machine needs.
const SILENCE: Duration = Duration::from_secs(100);

/// Makes a backup, and proves that `keeper` has it to the byte, encrypted.
#[track_caller]
fn copies(appliance: &Appliance<'_>, keeper: &Keeper, folder: &str, passphrase: &str) {
    let made = appliance.api("POST", "backups", "statistics=1");
    let name = made["backup_name"].as_str().unwrap();

    let sealed = format!("{folder}/{name}.age");
    assert_eq!(keeper.list(folder), [format!("{name}.age")]);
    let key = KeyFile::in_folder(&appliance.state());
    let mut copy = Vec::new();
    let opened =
        upload::open(File::open(keeper.path(&sealed)).unwrap(), &Password::new(passphrase.to_owned()), &key, 1 << 30);
    opened.unwrap().read_to_end(&mut copy).unwrap();
    let download = appliance.request("GET", &format!("backups/{name}"), "").output().unwrap().stdout;
    assert!(copy == download && !copy.is_empty(), "{} bytes of {}", copy.len(), download.len());
    assert_eq!(condition(appliance), Value::Null);
}

/// What the operator is told of the last backup.
fn condition(appliance: &Appliance<'_>) -> Value {
    serde_json::from_str::<Value>(&appliance.cli("status --json")).unwrap()["backup_fault"].take()
}

/// Proves that a backup was refused with a text that has `words`, that log and status say so, and that the backup itself
/// is there.
#[track_caller]
fn is_told(appliance: &mut Appliance<'_>, envelope: &Value, words: &[&str]) {
    let text = envelope["error"].as_str().unwrap();
    assert!(words.iter().all(|word| text.contains(word)), "{envelope}");
    assert_eq!(condition(appliance), text);
    let log = appliance.program().said();
    let line = log.lines().rfind(|line| line.contains("No copy of backup")).unwrap();
    assert!(line.contains(text), "{line}");
    let listed = appliance.api("GET", "backups", "");
    let newest = listed["backups"][0]["backup_name"].as_str().unwrap();
    assert!(line.contains(newest), "{line} {listed}");
}

/// Adds so many accounts that a backup has some ten thousand bytes.
fn enlarge(appliance: &Appliance<'_>) {
    let forms: Vec<_> = (0..200).map(|number| format!("wg_name=Default_1&name=more_{number}")).collect();
    assert_eq!(appliance.add_accounts(&forms), forms.len());
}

/// Begins a backup.
fn begin(appliance: &Appliance<'_>) -> Child {
    let mut command = appliance.request("POST", "backups", "");
    command.args(["--max-time", "120"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// The answer to a backup that was begun.
fn end(begun: Child) -> Value {
    serde_json::from_slice(&begun.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftp_a_copy_is_the_backup_to_the_byte() {
    let world = World::new();
    let keeper = Keeper::ftp(&world, None, &[]);
    let appliance = Appliance::start(&world);
    appliance.api("PUT", "backups/config", &by_ftp(false));

    copies(&appliance, &keeper, "deep/deeper", "");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftps_a_copy_is_the_backup_to_the_byte_and_a_passphrase_opens_it() {
    let (world, certificate) = (World::new(), Certificate::new());
    let keeper = Keeper::ftp(&world, Some(&certificate), &[]);
    let appliance = Appliance::start_with(&world, &[("SSL_CERT_FILE", &certificate.believed())]);
    appliance.api("PUT", "backups/config", &format!("{}&passphrase=open+sesame", by_ftp(true)));

    copies(&appliance, &keeper, "deep/deeper", "open sesame");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftps_nothing_goes_to_a_server_that_cannot_prove_who_it_is() {
    let (world, certificate) = (World::new(), Certificate::new());
    let keeper = Keeper::ftp(&world, Some(&certificate), &[]);
    let mut appliance = Appliance::start_with(&world, &[("SSL_CERT_FILE", &Certificate::new().believed())]);
    appliance.api("PUT", "backups/config", &by_ftp(true));

    let refused = appliance.call("POST", "backups", "");

    is_told(&mut appliance, &refused, &["FTP upload error: ", "certificate"]);
    assert!(keeper.list("").is_empty());
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftp_a_wrong_password_is_told_until_it_is_right() {
    let world = World::new();
    let keeper = Keeper::ftp(&world, None, &[]);
    let mut appliance = Appliance::start(&world);
    appliance.api("PUT", "backups/config", &(by_ftp(false) + "&ftp_password=wrong"));

    let refused = appliance.call("POST", "backups", "");

    is_told(&mut appliance, &refused, &["FTP upload error: the server says: ", "530", "Authentication failed"]);
    appliance.api("PUT", "backups/config", &by_ftp(false));
    copies(&appliance, &keeper, "deep/deeper", "");
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftp_a_server_that_goes_in_the_midst_is_told() {
    let world = World::new();
    let mut keeper = Keeper::ftp(&world, None, &["rate=1024"]);
    let mut appliance = Appliance::start(&world);
    enlarge(&appliance);
    appliance.api("PUT", "backups/config", &by_ftp(false));

    let begun = begin(&appliance);
    until(PATIENCE, "the first bytes of a file", || {
        fs::read_dir(keeper.path("deep/deeper"))
            .ok()?
            .flatten()
            .find(|entry| entry.path().extension().is_some_and(|end| end == "part"))
    });
    keeper.kill();

    is_told(&mut appliance, &end(begun), &["FTP upload error: the server hung up"]);
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftp_a_server_that_falls_silent_holds_up_nobody_for_long() {
    let world = World::new();
    // so little is under way that the file does not fit in
    world.server.sysctl("net/ipv4/tcp_wmem", "4096 4096 4096");
    let keeper = Keeper::ftp(&world, None, &["rate=1024", "buffer=2048"]);
    let mut appliance = Appliance::start(&world);
    enlarge(&appliance);
    appliance.api("PUT", "backups/config", &by_ftp(false));

    let (begun, since) = (begin(&appliance), Instant::now());
    until(PATIENCE, "the first bytes of a file", || fs::read_dir(keeper.path("deep/deeper")).ok()?.flatten().next());
    keeper.hold_up();

    is_told(&mut appliance, &end(begun), &["FTP upload error: the server does not answer"]);
    assert!(since.elapsed() < SILENCE, "{:?}", since.elapsed());
}

#[test]
#[ignore = "needs root, /dev/net/tun and Debian's python3-pyftpdlib: run tests/run"]
fn by_ftp_a_full_disk_there_is_told() {
    let world = World::new();
    let _keeper = Keeper::ftp_on_a_full_disk(&world);
    let mut appliance = Appliance::start(&world);
    enlarge(&appliance);
    appliance.api("PUT", "backups/config", &(by_ftp(false) + "&ftp_path="));

    // this server says 426, or, where closing the file fails too, nothing any more
    let refused = end(begin(&appliance));

    is_told(&mut appliance, &refused, &["FTP upload error: the server "]);
}

#[test]
#[ignore = "needs root, /dev/net/tun and rclone: run tests/run"]
fn by_s3_a_copy_is_the_backup_to_the_byte() {
    let (world, certificate) = (World::new(), Certificate::new());
    let keeper = Keeper::s3(&world, Some(&certificate));
    let appliance = Appliance::start_with(&world, &[("SSL_CERT_FILE", &certificate.believed())]);
    appliance.api("PUT", "backups/config", &by_s3("https"));

    copies(&appliance, &keeper, &format!("{BUCKET}/deep/deeper"), "");
}

#[test]
#[ignore = "needs root, /dev/net/tun and rclone: run tests/run"]
fn by_s3_a_wrong_secret_is_told_until_it_is_right() {
    let world = World::new();
    let keeper = Keeper::s3(&world, None);
    let mut appliance = Appliance::start(&world);
    appliance.api("PUT", "backups/config", &(by_s3("http") + "&s3_secret_key=wrong"));

    let refused = appliance.call("POST", "backups", "");

    is_told(&mut appliance, &refused, &["S3 upload error: ", "403", "SignatureDoesNotMatch"]);
    appliance.api("PUT", "backups/config", &by_s3("http"));
    copies(&appliance, &keeper, &format!("{BUCKET}/deep/deeper"), "");
}

#[test]
#[ignore = "needs root, /dev/net/tun and rclone: run tests/run"]
fn by_s3_a_server_that_goes_in_the_midst_is_told() {
    let world = World::new();
    let mut keeper = Keeper::s3(&world, None);
    let mut appliance = Appliance::start(&world);
    enlarge(&appliance);
    appliance.api("PUT", "backups/config", &by_s3("http"));

    // its kernel takes what is sent, and it itself no more
    keeper.hold_up();
    let begun = begin(&appliance);
    until(PATIENCE, "a connection to the store", || {
        let mut command = world.server.command("ss");
        let said = command.args(["-Htn", "state", "established", "dport", "=", ":9000"]).output().unwrap().stdout;
        (!said.is_empty()).then_some(())
    });
    keeper.kill();

    is_told(&mut appliance, &end(begun), &["S3 upload error: "]);
}

#[test]
#[ignore = "needs root and /dev/net/tun: run tests/run"]
fn a_full_disk_here_is_told_and_leaves_no_half_backup() {
    let world = World::new();
    let appliance = Appliance::prepare(&world, &[]);
    let folder = appliance.state().join("backups");
    fs::create_dir(&folder).unwrap();
    let _disk = Disk::mount(&folder);
    let ballast = folder.join("ballast");
    while fs::OpenOptions::new().create(true).append(true).open(&ballast).unwrap().write_all(&[0; 512]).is_ok() {}
    let mut appliance = appliance.started();

    let refused = appliance.call("POST", "backups", "");

    let text = refused["error"].as_str().unwrap();
    assert!(text.starts_with("Error backup creation: ") && text.contains("No space left on device"), "{text}");
    assert_eq!(condition(&appliance), text);
    let log = appliance.program().said();
    assert!(log.lines().any(|line| line.contains("A backup could not be made") && line.contains(text)), "{log}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only the ballast is there");
    fs::remove_file(&ballast).unwrap();
    appliance.api("POST", "backups", "");
    assert_eq!(condition(&appliance), Value::Null);
}

/// A small disk over a folder of nobody's; taken away when dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(folder: &'a Path) -> Self {
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=128k,uid=65534,gid=65534,mode=700", "none", folder.to_str().unwrap()],
        );
        Self(folder)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
