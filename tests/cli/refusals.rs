//! A start that cannot succeed: one sentence, exit code 2, nothing touched.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::process::{Running, Said, culvert, on};

fn serve(data: &Path, arguments: &[&str]) -> Said {
    on(data, &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
}

#[test]
fn refuses_a_port_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = other.local_addr().unwrap().to_string();

    let sentence = on(&data, &["serve", "--listen", &listen]).sentence(2);

    assert!(sentence.starts_with(&format!("cannot listen on {listen}: ")), "{sentence}");
    assert!(!data.exists());
}

#[test]
fn refuses_a_wrong_configuration_with_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    let file = folder.path().join("culvert.toml");
    fs::write(&file, "log = \"info\"\nlissen = \"127.0.0.1:1\"\n").unwrap();
    let path = file.to_str().unwrap();

    let sentence = serve(&data, &["--config", path]).sentence(2);

    assert_eq!(sentence, format!("line 2 of `{path}`: unknown key `lissen`, did you mean `listen`?"));
    assert!(!data.exists());
}

#[test]
fn refuses_a_wrong_setting_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    let mut command = culvert(&["serve", "--data", data.to_str().unwrap()]);

    let said = Said::from(command.env("CULVERT_LISTEN", "everywhere").output().unwrap());

    let expected = "the environment's CULVERT_LISTEN: `everywhere` is no value for `listen`: \
                    an address and a port, as in 0.0.0.0:8098 or [::]:8098";
    assert_eq!(said.sentence(2), expected);
    assert!(!data.exists());
}

#[test]
fn refuses_a_certificate_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("state");
    let mut command = culvert(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    command.env("CULVERT_API__CERTIFICATE", "/nonexistent/chain").env("CULVERT_API__KEY", "/nonexistent/key");

    let sentence = Said::from(command.output().unwrap()).sentence(2);

    assert!(sentence.starts_with("cannot read `/nonexistent/chain`: "), "{sentence}");
    assert!(!data.exists());
}

#[test]
fn refuses_a_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();

    for data in [file.join("state"), "/proc/culvert".into(), file.clone()] {
        let sentence = serve(&data, &[]).sentence(2);
        assert!(sentence.starts_with("cannot use "), "{sentence}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn refuses_a_store_of_a_newer_version() {
    let folder = tempfile::tempdir().unwrap();
    on(folder.path(), &["access", "add", "first", "--ip", "127.0.0.1"]).out();
    let file = folder.path().join("culvert.redb");
    {
        let database = redb::Database::open(&file).unwrap();
        let transaction = database.begin_write().unwrap();
        let counters = redb::TableDefinition::<&str, u64>::new("counters");
        transaction.open_table(counters).unwrap().insert("format", 1_000).unwrap();
        transaction.commit().unwrap();
    }
    let listing = || -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (fs::read(&file).unwrap(), listing());

    let sentence = serve(folder.path(), &[]).sentence(2);

    assert!(sentence.contains("format 1000") && sentence.contains("use a newer Culvert"), "{sentence}");
    assert_eq!((fs::read(&file).unwrap(), listing()), before);
}

#[test]
fn refuses_a_store_that_another_process_has() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());

    let sentence = serve(folder.path(), &[]).sentence(2);

    assert!(sentence.ends_with("is in use by another process"), "{sentence}");
    assert_eq!(on(folder.path(), &["status", "--json"]).json()["status"], "OK");
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}
