//! Files on their way from the appliance and to it, a piece at a time.

use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Response, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio_stream::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::Failure;
use super::client::{Door, unwrap_envelope};
use super::progress;
use super::request::Call;

/// What stands for standard input and output.
pub(super) const STANDARD: &str = "-";
const MB: u64 = 1_000_000;

/// Writes what the appliance has under a name into a file, or to standard output. A file is there whole or not at all, and
/// nobody else may read it.
///
/// # Errors
/// The API's own text, and what the file said.
pub(super) async fn download(door: &Door, call: &Call, name: &str, file: &Path) -> Result<(), Failure> {
    if file == Path::new(STANDARD) {
        if io::stdout().is_terminal() {
            return Err(Failure::unusable("standard output is a terminal, which shows no archive: name a file"));
        }
        return receive(door, call, name, &mut io::stdout().lock(), "standard output").await;
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let shown = file.display().to_string();
    let written = async {
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let mut out = opened.map_err(|error| cannot_write(&shown, &error))?;
        receive(door, call, name, &mut out, &shown).await?;
        let kept = out.sync_all().and_then(|()| std::fs::rename(&unfinished, file));
        kept.map_err(|error| cannot_write(&shown, &error))
    };
    let written = written.await;
    if written.is_err() {
        // half a backup is none
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

async fn receive(door: &Door, call: &Call, name: &str, out: &mut impl Write, shown: &str) -> Result<(), Failure> {
    let moved = Arc::new(AtomicU64::new(0));
    let take = async |answer: Response<Body>| {
        if is_envelope(&answer) {
            let bytes = answer.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
            return unwrap_envelope(&bytes).map(|_| ());
        }
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let piece = frame.map_err(|error| broken(&error))?.into_data().unwrap_or_else(|_| Bytes::new());
            out.write_all(&piece).map_err(|error| cannot_write(shown, &error))?;
            moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        out.flush().map_err(|error| cannot_write(shown, &error))
    };
    let done = || moved.load(Ordering::Relaxed);
    let line = |_| format!("{name}: {} MB", done() / MB);
    progress::shown(line, door.exchange(call.request(Body::empty())?, take)).await
}

fn is_envelope(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// Sends a file, and returns what the appliance says to it.
///
/// # Errors
/// The API's own text, and what the file said.
pub(super) async fn upload(door: &Door, call: &Call, file: &Path) -> Result<Value, Failure> {
    let shown = file.display();
    let unreadable = |error: io::Error| Failure::unusable(format!("cannot read `{shown}`: {error}"));
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let metadata = opened.metadata().await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Failure::unusable(format!("cannot read `{shown}`: it is no file")));
    }
    let moved = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&moved);
    let pieces = ReaderStream::new(opened).map(move |piece| {
        piece.inspect(|piece| {
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        })
    });
    let mut request = call.request(Body::from_stream(pieces))?;
    request.headers_mut().insert(header::CONTENT_LENGTH, metadata.len().into());
    let take = async |answer: Response<Body>| {
        let bytes = answer.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
        unwrap_envelope(&bytes)
    };
    let line = |_| match moved.load(Ordering::Relaxed) {
        all if all >= metadata.len() => format!("{shown}: it is proved"),
        part => format!("{shown}: {} of {} MB", part / MB, metadata.len() / MB),
    };
    progress::shown(line, door.exchange(request, take)).await
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::refused(format!("cannot speak to the appliance: {error}"))
}

fn cannot_write(shown: &str, error: &io::Error) -> Failure {
    Failure::unusable(format!("cannot write to `{shown}`: {error}"))
}
