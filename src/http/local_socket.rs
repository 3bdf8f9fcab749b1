//! The Unix socket in the data folder, by which the operator's own commands reach the running process.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

/// The socket's file name in the data folder.
pub const FILE_NAME: &str = "culvert.sock";

/// A listener whose file goes when it goes.
#[derive(Debug)]
pub(super) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Why there is no local socket.
#[derive(Debug, Error)]
pub enum Error {
    /// A process listens there already.
    #[error("another process already answers at `{}`", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something lies there that is not ours to remove.
    #[error("`{}` is there and is no socket", path.display())]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot listen on `{}`: {cause}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
}

impl LocalSocket {
    /// Listens in the data folder. A socket file that a dead process left behind is replaced.
    ///
    /// # Errors
    /// [`enum@Error`]; a live process's socket is left alone.
    pub(super) fn bind(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE_NAME);
        clear(&path)?;
        let refused = |cause| Error::Refused { path: path.clone(), cause };
        let listener = UnixListener::bind(&path).map_err(refused)?;
        // the folder is closed to everybody else, so nobody came in before this
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(refused)?;
        Ok(Self { listener, path })
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // what is left behind is replaced at the next start
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket at which nobody answers.
fn clear(path: &Path) -> Result<(), Error> {
    let refused = |cause| Error::Refused { path: path.to_owned(), cause };
    let kind = match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(refused(cause)),
        Ok(found) => found.file_type(),
    };
    if !kind.is_socket() {
        return Err(Error::NoSocket { path: path.to_owned() });
    }
    match BlockingStream::connect(path) {
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(refused),
        Err(cause) => Err(refused(cause)),
        Ok(_) => Err(Error::Taken { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lets_only_the_owner_in_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);

        let socket = LocalSocket::bind(folder.path()).unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn replaces_the_socket_of_a_dead_process() {
        let folder = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(FILE_NAME)).unwrap());

        assert!(LocalSocket::bind(folder.path()).is_ok());
    }

    #[tokio::test]
    async fn leaves_the_socket_of_a_live_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let live = LocalSocket::bind(folder.path()).unwrap();

        assert!(matches!(LocalSocket::bind(folder.path()), Err(Error::Taken { .. })));

        assert!(live.path.exists());
    }

    #[tokio::test]
    async fn removes_nothing_but_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "mine").unwrap();

        assert!(matches!(LocalSocket::bind(folder.path()), Err(Error::NoSocket { .. })));

        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }
}
