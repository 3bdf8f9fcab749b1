//! Encrypts a copy, and reads one again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::{Decryptor, Encryptor, scrypt, x25519};

use crate::domain::password::Password;

/// The key that copies are encrypted for where nobody set a passphrase. It is a file of the data folder, in the form of
/// `age-keygen`, and is in no backup: whoever wants to restore elsewhere keeps it apart.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The one in this data folder.
    pub fn in_folder(data: &Path) -> Self {
        Self(data.join("backup.key"))
    }

    /// Reads it; makes it where there is none.
    fn identity(&self) -> io::Result<x25519::Identity> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => {
                let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
                let malformed = |_| io::Error::other(format!("{} holds no age key", self.0.display()));
                x25519::Identity::from_str(line.unwrap_or_default()).map_err(malformed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(),
            Err(error) => Err(error),
        }
    }

    fn folder(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    fn make(&self) -> io::Result<x25519::Identity> {
        let identity = x25519::Identity::generate();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0)?;
        writeln!(file, "# public key: {}\n{}", identity.to_public(), identity.to_string().expose_secret())?;
        file.sync_all()?;
        Ok(identity)
    }
}

/// Encrypts a file into one that has no name; it is read from its beginning.
///
/// # Errors
/// What the files said.
pub fn seal(mut plain: File, passphrase: &Password, key: &KeyFile) -> io::Result<File> {
    let encryptor = if passphrase.is_empty() {
        let recipient = key.identity()?.to_public();
        Encryptor::with_recipients(iter::once(&recipient as _)).map_err(io::Error::other)?
    } else {
        Encryptor::with_user_passphrase(SecretString::from(passphrase.reveal().to_owned()))
    };
    let mut sealed = unnamed(key.folder())?;
    let mut writer = encryptor.wrap_output(BufWriter::new(&mut sealed))?;
    io::copy(&mut plain, &mut writer)?;
    writer.finish()?.flush()?;
    sealed.rewind()?;
    Ok(sealed)
}

/// Reads an encrypted file into one that has no name, of at most so many bytes.
///
/// # Errors
/// What the files said, and where neither passphrase nor key fits.
pub fn open(sealed: File, passphrase: &Password, key: &KeyFile, most: u64) -> io::Result<File> {
    let decryptor = Decryptor::new_buffered(BufReader::new(sealed)).map_err(io::Error::other)?;
    let passphrase = scrypt::Identity::new(SecretString::from(passphrase.reveal().to_owned()));
    let identity = key.identity()?;
    let identities: [&dyn age::Identity; 2] = [&identity, &passphrase];
    let reader = decryptor.decrypt(identities.into_iter()).map_err(io::Error::other)?;
    let mut plain = unnamed(key.folder())?;
    if io::copy(&mut reader.take(most + 1), &mut plain)? > most {
        return Err(io::Error::other("it is larger than an archive may be"));
    }
    plain.rewind()?;
    Ok(plain)
}

/// A file that nobody can find, and that is gone with its last handle.
fn unnamed(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("backup.{}.tmp", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, bytes: &[u8]) -> File {
        let mut file = unnamed(folder).unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn text(mut file: File) -> String {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn opens_what_it_sealed_with_the_key_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::in_folder(folder.path());

        let mut sealed = seal(file(folder.path(), b"private keys"), &Password::default(), &key).unwrap();
        let mut bytes = Vec::new();
        sealed.read_to_end(&mut bytes).unwrap();
        sealed.rewind().unwrap();

        assert!(!bytes.windows(7).any(|window| window == b"private"));
        assert_eq!(text(open(sealed, &Password::default(), &key, 100).unwrap()), "private keys");
    }

    #[test]
    fn opens_nothing_with_another_key_or_beyond_its_bound() {
        let [folder, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [key, other_key] = [&folder, &other].map(|folder| KeyFile::in_folder(folder.path()));
        let sealed = || seal(file(folder.path(), b"private keys"), &Password::default(), &key).unwrap();

        assert!(open(sealed(), &Password::default(), &other_key, 100).is_err());
        assert!(open(sealed(), &Password::default(), &key, 11).is_err());
        assert!(open(file(folder.path(), b"no age file"), &Password::default(), &key, 100).is_err());
    }
}
