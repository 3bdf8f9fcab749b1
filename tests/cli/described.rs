//! The API as its own document describes it: Schemathesis reads the document from a running appliance, makes up
//! requests, good ones and bad ones, and compares every answer with what the document says.
//!
//! `tests/run` installs the programs and names their folder in `CULVERT_SCHEMATHESIS`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::process::{Running, on};

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method,allow_header_conformance";

/// The folder with the programs.
fn programs() -> PathBuf {
    std::env::var_os("CULVERT_SCHEMATHESIS").expect("the folder with the programs, which `tests/run` names").into()
}

/// Runs a program to its end, which must be a good one.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    std::io::stdout().write_all(said.as_bytes()).unwrap();
}

#[test]
#[ignore = "needs programs that tests/run installs"]
fn answers_what_its_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&folder.path().join("state"));
    let made = on(&folder.path().join("state"), &["access", "add", "described", "--ip", "127.0.0.1"]).out();
    let hash = made.split_whitespace().find(|word| word.len() == 80).expect("an access hash");
    let document = format!("https://127.0.0.1:{}/api/openapi.json", running.port());

    // the seed is fixed: a failure is there again
    let mut schemathesis = Command::new(programs().join("schemathesis"));
    schemathesis.current_dir(folder.path()).env("NO_COLOR", "1").args(["run", &document, "--tls-verify", "false"]);
    schemathesis.args(["--header", &format!("Authorization: Bearer {hash}"), "--checks", CHECKS]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8", "--seed", "1"]);
    // made up addresses of other hosts are not to be called
    for group in ["Webhooks", "Traffic log", "Operator"] {
        schemathesis.args(["--exclude-tag", group]);
    }
    schemathesis.args(["--exclude-operation-id", "backups_config_edit"]);
    // one worker: two threads that parse at once make CPython 3.11 fail now and then ("AST constructor recursion depth
    // mismatch")
    schemathesis.args(["--workers", "1", "--generation-database", "none"]);
    run(&mut schemathesis);

    // whatever was asked, it is still there and stops as it ought to
    assert_eq!(running.stop(Signal::SIGTERM).1, Some(0));
}

#[test]
#[ignore = "needs programs that tests/run installs"]
fn has_a_document_that_is_valid_openapi() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&folder.path().join("state"));
    let document = folder.path().join("openapi.json");
    let address = format!("https://127.0.0.1:{}/api/openapi.json", running.port());
    run(Command::new("curl").args(["--insecure", "--silent", "--fail", "--output"]).arg(&document).arg(address));

    run(Command::new(programs().join("openapi-spec-validator")).args(["--schema", "3.1"]).arg(document));
}
