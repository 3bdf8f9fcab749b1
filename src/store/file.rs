//! The folder and the file: made for the owner alone, locked, and looked through before anything is changed.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, StorageBackend};

use super::Error;
use super::state::State;
use super::tables::{self, FORMAT, Unreadable};

/// The file's name in the data folder.
pub(super) const NAME: &str = "culvert.redb";
/// Its name until its first commit is on disk, so that a crash leaves a whole file or none.
const NAME_UNFINISHED: &str = "culvert.redb.new";
/// Bytes of pages that the database keeps: everything that is read often is in memory as values already.
const CACHE: usize = 1024 * 1024;

/// Whether there is a store in `dir`.
pub(super) fn is_in(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// Opens the store in `dir`, made where there is none.
pub(super) fn open(dir: &Path) -> Result<(Database, State), Error> {
    make_folder(dir)?;
    let path = dir.join(NAME);
    if let Some(file) = open_file(&path, false)? {
        return open_present(file, &path);
    }
    make(dir, &path)
}

/// Makes `dir` for the owner alone. A folder that exists is narrowed only where it holds nothing else than a store.
fn make_folder(dir: &Path) -> Result<(), Error> {
    let unusable = |error: io::Error| unusable(dir, &error);
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        return Err(unusable(error));
    }
    let metadata = fs::metadata(dir).map_err(unusable)?;
    let ours = dir.join(NAME).symlink_metadata().is_ok() || fs::read_dir(dir).map_err(unusable)?.next().is_none();
    if ours && metadata.permissions().mode() & 0o077 != 0 {
        // a folder that a container runtime has mounted may belong to somebody else: the files are narrow all the same
        let _ = fs::set_permissions(dir, Permissions::from_mode(0o700));
    }
    Ok(())
}

/// Opens and locks a file, never through a symbolic link; `None` where there is none and none is to be made.
pub(super) fn open_file(path: &Path, make: bool) -> Result<Option<File>, Error> {
    let irregular = || Error::Unusable { path: shown(path), why: "it is not a regular file".into() };
    // asked before, for opening a pipe may wait for ever, and after, for the name may have changed hands in between
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(irregular());
    }
    let file = match OpenOptions::new().read(true).write(true).create(make).truncate(false).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| unusable(path, &error))?;
    let named = match path.symlink_metadata() {
        // another process has just finished making the store, and has given the file its own name
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Held { path: shown(path) }),
        named => named.map_err(|error| unusable(path, &error))?,
    };
    if !named.is_file() || (named.dev(), named.ino()) != (metadata.dev(), metadata.ino()) {
        return Err(irregular());
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(Error::Held { path: shown(path) }),
        Err(fs::TryLockError::Error(error)) => return Err(unusable(path, &error)),
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| unusable(path, &error))?;
    }
    Ok(Some(file))
}

/// Opens a file that is there, once a copy of it in memory has proved whole and of a known format.
fn open_present(mut file: File, path: &Path) -> Result<(Database, State), Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| unusable(path, &error))?;
    let state = look_through(&bytes).map_err(|unreadable| refuse(unreadable, path))?;
    drop(bytes);
    let backend = FileBackend::new(file).map_err(|error| refuse(error.into(), path))?;
    let database = database(backend, false).map_err(|error| refuse(error.into(), path))?;
    Ok((database, state))
}

/// Reads everything from a copy of the file, every page checked. The file itself is not touched.
pub(super) fn look_through(bytes: &[u8]) -> Result<State, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Damaged("it is empty".into()));
    }
    let copy = InMemoryBackend::new();
    let filled = copy.set_len(bytes.len() as u64).and_then(|()| copy.write(0, bytes));
    filled.map_err(|error| Unreadable::Damaged(error.to_string()))?;
    let read = database(copy, true).map_err(Unreadable::from).and_then(|database| tables::load(&database));
    // memory does not fail: whatever the database says of this copy, it says of what is written in it
    read.map_err(|unreadable| match unreadable {
        Unreadable::Database(error) => Unreadable::Damaged(error.to_string()),
        told @ (Unreadable::Newer(_) | Unreadable::Damaged(_)) => told,
    })
}

/// A database over `backend`; with `check`, every page of it is verified first.
pub(super) fn database(backend: impl StorageBackend, check: bool) -> Result<Database, redb::DatabaseError> {
    Builder::new().set_cache_size(CACHE).set_check_integrity_on_open(check).create_with_backend(backend)
}

/// Makes the file under another name, and gives it its own when its first commit is on disk.
fn make(dir: &Path, path: &Path) -> Result<(Database, State), Error> {
    let unfinished = dir.join(NAME_UNFINISHED);
    let failed = |error: io::Error| unusable(&unfinished, &error);
    let Some(file) = open_file(&unfinished, true)? else {
        return Err(Error::Unusable { path: shown(&unfinished), why: "it cannot be made".into() });
    };
    // whoever holds this lock is the only one who may give the file its name
    if path.symlink_metadata().is_ok() {
        return Err(Error::Held { path: shown(path) });
    }
    file.set_len(0).map_err(failed)?;
    let backend = FileBackend::new(file).map_err(|error| refuse(error.into(), path))?;
    let database = database(backend, false).map_err(|error| refuse(error.into(), path))?;
    tables::lay_out(&database).map_err(|error| refuse(Unreadable::Database(error), path))?;
    fs::rename(&unfinished, path).map_err(failed)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| unusable(dir, &error))?;
    Ok((database, State::default()))
}

/// Turns what the database said into what the operator reads.
pub(super) fn refuse(unreadable: Unreadable, path: &Path) -> Error {
    use redb::Error as Said;
    let path_shown = shown(path);
    let error = match unreadable {
        Unreadable::Newer(found) => return Error::Newer { path: path_shown, found, known: FORMAT },
        Unreadable::Damaged(why) => return Error::Damaged { path: path_shown, why },
        Unreadable::Database(error) => *error,
    };
    if let Said::Io(error) = &error {
        return unusable(path, error);
    }
    let held = matches!(error, Said::DatabaseAlreadyOpen);
    if held { Error::Held { path: path_shown } } else { Error::Damaged { path: path_shown, why: error.to_string() } }
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::Unusable { path: shown(path), why: error.to_string() }
}

fn shown(path: &Path) -> String {
    let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.into());
    path.display().to_string()
}
