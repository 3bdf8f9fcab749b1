//! Backups: made, carried away, restored, refused.

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Method;
use culvert::domain::access::Caller;
use culvert::domain::account::AccountDraft;
use culvert::domain::hex::hex;
use culvert::domain::intended::Intended;
use culvert::domain::password::Password;
use culvert::domain::server::ServerDraft;
use culvert::observe::upload::{self, KeyFile};
use culvert::runtime::{self, Runtime, Status};
use culvert::services::Services;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Reply, World};

const BACKUPS: &str = "/api/v1/backups";
const CONFIG: &str = "/api/v1/backups/config";

fn folder(world: &World) -> PathBuf {
    world.folder.path().join("backups")
}

/// A zip of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A list of files as the appliance writes it.
fn list(format: u64, files: &[(&str, &[u8])]) -> Vec<u8> {
    let sum = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let files: Vec<_> =
        files.iter().map(|(name, bytes)| json!({"name": name, "size": bytes.len(), "sha256": sum(bytes)})).collect();
    let list = json!({"format": format, "version": "0", "host": "h", "created": "now", "files": files});
    serde_json::to_vec(&list).unwrap()
}

/// Puts a file among the backups and asks for it to be restored.
async fn restore(world: &World, bytes: &[u8]) -> Reply {
    fs::create_dir_all(folder(world)).unwrap();
    fs::write(folder(world).join("given.zip"), bytes).unwrap();
    world.put("/api/v1/backups/restore", "backup_name=given.zip").await
}

/// What the appliance has, as far as clients see it.
async fn everything(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for path in ["wireguard", "account", "firewall/rules/filter", "wireguard/Default_1/port_forward", "backups/config"]
    {
        all.push(world.get(&format!("/api/v1/{path}")).await.body);
    }
    all
}

#[tokio::test]
async fn restores_what_was_there_when_it_was_made() {
    let world = World::furnished().await;
    let before = everything(&world).await;
    let made = world.post(BACKUPS, "").await.success();
    world.delete("/api/v1/account/peer_1").await.success();
    world.put("/api/v1/wireguard/Default_1", "mtu=1300").await.success();
    world.put(CONFIG, "number_backups=3").await.success();
    assert_ne!(everything(&world).await, before);

    let form = format!("backup_name={}", made["backup_name"].as_str().unwrap());
    world.put("/api/v1/backups/restore", &form).await.success();

    assert_eq!(everything(&world).await, before);
    let world = world.reopened().await;
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn lists_the_newest_first_and_keeps_so_many() {
    let world = World::new().await;
    world.put(CONFIG, "number_backups=2").await.success();

    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.post(BACKUPS, "").await.success()["backup_name"].clone());
    }
    let listed = world.get(BACKUPS).await.success();

    let names: Vec<_> = listed["backups"].as_array().unwrap().iter().map(|backup| &backup["backup_name"]).collect();
    assert_eq!(names, [&made[2], &made[1]]);
    assert!(listed["backups"][0]["size"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn carries_away_what_can_be_restored_elsewhere() {
    let (home, away) = (World::furnished().await, World::new().await);

    let carried = home.get("/api/v1/backups/whole.zip").await;
    let length = carried.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert_eq!(length, carried.bytes.len());
    fs::create_dir_all(folder(&away)).unwrap();
    fs::write(folder(&away).join("carried.zip"), &carried.bytes).unwrap();
    away.operate(Method::PUT, "/api/v1/backups/restore", "backup_name=carried.zip").await.success();

    let accounts = away.operate(Method::GET, "/api/v1/account", "").await.body;
    assert_eq!(accounts, home.get("/api/v1/account").await.body);
}

#[tokio::test]
async fn hands_out_nothing_but_backups() {
    let world = World::furnished().await;
    fs::write(folder(&world).join("secret.txt"), "x").unwrap();
    std::os::unix::fs::symlink(world.folder.path().join("culvert.redb"), folder(&world).join("link.zip")).unwrap();

    for name in
        ["secret.txt", "link.zip", "..%2Fculvert.redb", "..%2F..%2Fetc%2Fpasswd.zip", "%2Fetc%2Fpasswd", "nothing.zip"]
    {
        let reply = world.get(&format!("{BACKUPS}/{name}")).await;
        assert_eq!(reply.refusal(), "There is no backup with this name", "{name}");
    }
}

#[tokio::test]
async fn refuses_archives_that_are_none_and_touches_nothing() {
    let world = World::furnished().await;
    let before = everything(&world).await;
    let whole = world.get("/api/v1/backups/whole.zip").await.bytes;
    let file: (&str, &[u8]) = ("state/accounts", &[]);
    let unlisted = list(2, &[file]);
    let empty = list(2, &[]);
    let other = list(2, &[("state/servers", &[])]);
    let outside = list(2, &[("../../etc/cron.d/x", b"x")]);
    let wrong = list(2, &[("state/accounts", b"other bytes")]);
    let longer = list(2, &[("state/accounts", b"four")]);
    let newer = list(99, &[file]);
    let malformed = list(2, &[("state/accounts", &[1, 0, 0, 0, b'a', 200, 0, 0, 0])]);

    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"no archive at all".to_vec(), "Failed to open archive, ERROR: "),
        (whole[..whole.len() / 2].to_vec(), "Failed to open archive, ERROR: "),
        (zip(&[]), "Empty archive"),
        (zip(&[file]), "Empty list of files in file with file list"),
        (zip(&[file, ("manifest.json", &empty)]), "Empty list of files in file with file list"),
        (zip(&[file, ("manifest.json", b"{")]), "Error backup reader: "),
        (zip(&[file, ("manifest.json", &newer)]), "Error backup reader: it has format 99"),
        (
            zip(&[file, ("state/more", b"x"), ("manifest.json", &unlisted)]),
            "The number of files in the archive does not match the list of files in the file",
        ),
        (zip(&[file, ("manifest.json", &other)]), "Mismatch between files in archive and list of files"),
        (zip(&[("../../etc/cron.d/x", b"x"), ("manifest.json", &outside)]), "Failed to unzip file: "),
        (zip(&[("state/accounts", b"other_bytes"), ("manifest.json", &wrong)]), "Failed to unzip file: "),
        (zip(&[("state/accounts", &[0; 1 << 20]), ("manifest.json", &longer)]), "Failed to unzip file: "),
        (
            zip(&[("state/accounts", &[1, 0, 0, 0, b'a', 200, 0, 0, 0]), ("manifest.json", &malformed)]),
            "Failed to unzip file: ",
        ),
    ];
    for (bytes, text) in cases {
        let refusal = restore(&world, &bytes).await.refusal();
        assert!(refusal.starts_with(text), "{refusal} instead of {text}");
    }

    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn refuses_an_archive_whose_records_do_not_belong_together() {
    let world = World::furnished().await;
    let before = everything(&world).await;
    let whole = world.get("/api/v1/backups/whole.zip").await.bytes;
    // the accounts of the backup, but not their servers
    let mut archive = zip::ZipArchive::new(Cursor::new(whole)).unwrap();
    let mut accounts = Vec::new();
    std::io::copy(&mut archive.by_name("state/accounts").unwrap(), &mut accounts).unwrap();
    let listed = list(2, &[("state/accounts", &accounts)]);

    let reply = restore(&world, &zip(&[("state/accounts", &accounts), ("manifest.json", &listed)])).await;

    assert!(reply.refusal().starts_with("Failed to unzip file: "), "{reply:?}");
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn says_where_a_backup_or_a_restore_got_stuck() {
    let world = World::furnished().await;
    let before = folder(&world).join("before-restore");

    // what lies where a folder or a file is to be
    File::create(&before).unwrap();
    let no_folder = world.put("/api/v1/backups/restore", "backup_name=whole.zip").await.refusal();
    fs::remove_file(&before).unwrap();
    fs::create_dir_all(before.join("state.zip")).unwrap();
    let no_file = world.put("/api/v1/backups/restore", "backup_name=whole.zip").await.refusal();
    fs::create_dir(folder(&world).join(".unfinished")).unwrap();
    let not_made = world.post(BACKUPS, "").await.refusal();

    assert!(no_folder.starts_with("Failed to create folder: "), "{no_folder}");
    assert!(no_file.starts_with("Failed to create file: "), "{no_file}");
    assert!(not_made.starts_with("Error backup creation: "), "{not_made}");
}

#[tokio::test]
async fn keeps_a_backup_whose_copy_does_not_arrive() {
    let world = World::new().await;
    // nobody listens there
    let form = "backup_to_ftp=1&ftp_server=127.0.0.1&ftp_server_port=1&ftp_user=u&ftp_password=p";
    world.put(CONFIG, form).await.success();

    let reply = world.post(BACKUPS, "").await;

    assert!(reply.refusal().starts_with("FTP upload error: "), "{reply:?}");
    assert_eq!(world.get(BACKUPS).await.success()["backups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn takes_an_encrypted_copy_back_and_restores_it() {
    let world = World::furnished().await;
    let before = everything(&world).await;
    let seal = |passphrase: &str, name: &str| {
        let key = KeyFile::in_folder(world.folder.path());
        let plain = File::open(folder(&world).join("whole.zip")).unwrap();
        let mut bytes = Vec::new();
        upload::seal(plain, &Password::new(passphrase.into()), &key).unwrap().read_to_end(&mut bytes).unwrap();
        (format!("{BACKUPS}/{name}"), bytes)
    };
    let bring = async |(path, bytes): (String, Vec<u8>)| {
        world.send(world.request(Method::POST, &path).body(Body::from(bytes)).unwrap()).await
    };
    world.delete("/api/v1/account/peer_2").await.success();

    // by the key of the folder; a passphrase that nobody set opens nothing
    bring(seal("", "back.zip.age")).await.success();
    let strange = bring(seal("open sesame", "strange.zip.age")).await.refusal();
    world.put("/api/v1/backups/restore", "backup_name=back.zip.age").await.success();

    assert!(strange.starts_with("Error backup reader: "), "{strange}");
    assert_eq!(everything(&world).await, before);
    let kept = world.get(&format!("{BACKUPS}/back.zip.age")).await;
    assert_eq!(kept.headers["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn takes_no_archive_whose_body_breaks_off() {
    let world = World::furnished().await;
    let whole = world.get("/api/v1/backups/whole.zip").await.bytes;
    let half = Ok(whole[..whole.len() / 2].to_vec());
    let broken = tokio_stream::iter([half, Err(std::io::Error::other("gone"))]);

    let request = world.request(Method::POST, "/api/v1/backups/broken.zip").body(Body::from_stream(broken)).unwrap();
    let refusal = world.send(request).await.refusal();

    assert!(refusal.starts_with("Error backup reader: "), "{refusal}");
    let names: Vec<_> = fs::read_dir(folder(&world)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["whole.zip"]);
}

#[tokio::test]
async fn restores_nothing_while_it_loads() {
    let world = World::furnished().await;
    let (_store, intended) = watch::channel(Arc::default());
    let settings = runtime::Settings { workers: Some(1), ..runtime::Settings::default() };

    // on this one thread nothing else runs between the start and the answer
    let starting = Runtime::start(&settings, intended).unwrap();
    let world = world.above(starting.clone());
    let reply = world.operate(Method::PUT, "/api/v1/backups/restore", "backup_name=whole.zip").await;

    assert_eq!(reply.refusal(), "PUQVPNCP status not OK");
    starting.stop().await;
}

/// A furnished world without `peer_2`, whose runtime never hears of its store, and therefore never runs what it asks for.
async fn deaf() -> (World, Runtime, watch::Sender<Arc<Intended>>) {
    let world = World::furnished().await;
    world.delete("/api/v1/account/peer_2").await.success();
    let (unheard, intended) = watch::channel(Arc::default());
    let settings = runtime::Settings { workers: Some(1), ..runtime::Settings::default() };
    let deaf = Runtime::start(&settings, intended).unwrap();
    while deaf.status() != Status::Ready {
        tokio::task::yield_now().await;
    }
    (world.above(deaf.clone()), deaf, unheard)
}

async fn accounts(world: &World) -> String {
    world.operate(Method::GET, "/api/v1/account", "").await.body
}

#[tokio::test]
async fn puts_everything_back_also_where_nobody_waits_for_it_any_more() {
    let (world, deaf, _unheard) = deaf().await;
    let before = accounts(&world).await;

    let restoring = world.operate(Method::PUT, "/api/v1/backups/restore", "backup_name=whole.zip");
    let restored = async {
        while accounts(&world).await == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        reply = restoring => panic!("{reply:?}"),
        () = restored => {}
    }

    while accounts(&world).await != before {
        tokio::task::yield_now().await;
    }
    deaf.stop().await;
}

#[tokio::test]
async fn puts_everything_back_where_what_was_restored_does_not_run() {
    let (world, deaf, _unheard) = deaf().await;
    let before = accounts(&world).await;

    let reply = world.operate(Method::PUT, "/api/v1/backups/restore", "backup_name=whole.zip").await;

    assert!(reply.refusal().starts_with("Unable to delete old configuration: "), "{reply:?}");
    assert_eq!(accounts(&world).await, before);
    deaf.stop().await;
}

/// Counts up in two accounts and then in a server, so that at any moment the first is as far as the second, and the second
/// as the third, or one step ahead. Counts the edits that were made.
async fn count_up(services: Services, number: usize, edits: Arc<AtomicUsize>, mut ended: watch::Receiver<bool>) {
    let by = Caller::local();
    for step in 1..=9_999 {
        let rate = Some(step.to_string());
        for name in [format!("first_{number}"), format!("second_{number}")] {
            let draft = AccountDraft { b_download: rate.clone(), ..AccountDraft::default() };
            services.accounts.edit(&by, &name, draft).await.unwrap();
        }
        let draft = ServerDraft { limit_download: rate, ..ServerDraft::default() };
        services.servers.edit(&by, &format!("server_{number}"), draft).await.unwrap();
        edits.fetch_add(3, Ordering::Relaxed);
        if *ended.borrow_and_update() {
            return;
        }
    }
}

#[tokio::test]
async fn has_everything_of_one_moment_while_a_thousand_edits_a_second_are_made() {
    const WRITERS: usize = 32;
    const COPIES: usize = 6;
    let (world, away) = (World::new().await, World::new().await);
    for number in 0..WRITERS {
        let server = format!("name=server_{number}&address=10.{number}.0.1/24&listen_port={}", 52_000 + number);
        world.post("/api/v1/wireguard", &server).await.success();
        for name in ["first", "second"] {
            let account = format!("name={name}_{number}&wg_name=server_{number}");
            world.post("/api/v1/account", &account).await.success();
        }
    }
    let ((end, ended), edits) = (watch::channel(false), Arc::new(AtomicUsize::new(0)));
    let writer = |number| tokio::spawn(count_up(world.services.clone(), number, edits.clone(), ended.clone()));
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();

    let mut made = Vec::new();
    for copy in 1..=COPIES {
        // each is made amid edits, and a good part of them later than the one before
        while edits.load(Ordering::Relaxed) < copy * 3 * WRITERS {
            tokio::task::yield_now().await;
        }
        made.push(world.post(BACKUPS, "").await.success()["backup_name"].as_str().unwrap().to_owned());
    }
    end.send_replace(true);
    for writer in writers {
        writer.await.unwrap();
    }

    let mut before = [0; WRITERS];
    for name in made {
        fs::create_dir_all(folder(&away)).unwrap();
        fs::copy(folder(&world).join(&name), folder(&away).join(&name)).unwrap();
        away.operate(Method::PUT, "/api/v1/backups/restore", &format!("backup_name={name}")).await.success();
        for (number, before) in before.iter_mut().enumerate() {
            let account = |of: &str| {
                away.services.accounts.detail(&Caller::local(), &format!("{of}_{number}")).unwrap().b_download.get()
            };
            let server = away.services.servers.detail(&format!("server_{number}")).unwrap().limit_download.get();
            let counts = [account("first"), account("second"), server];
            assert!(counts.is_sorted_by(|ahead, behind| ahead >= behind) && counts[0] - counts[2] <= 1, "{counts:?}");
            assert!(*before <= counts[2], "a later backup has what an earlier one has");
            *before = counts[2];
        }
    }
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
}
