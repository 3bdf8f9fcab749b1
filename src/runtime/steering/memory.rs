//! The file that remembers which settings were changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::Memory;
use crate::runtime::os::life;

/// The file.
#[derive(Debug)]
pub(super) struct Notebook {
    path: PathBuf,
    life: String,
}

#[derive(Serialize, Deserialize)]
struct Page {
    /// Which run of which kernel's network the settings are of.
    life: String,
    changed: Memory,
}

impl Notebook {
    /// Opens it, with what a process before us has left; nothing where that was before a restart of the host or in another
    /// container, whose settings went with it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Memory)> {
        let notebook = Self { path: path.to_owned(), life: life::of_network() };
        let memory = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok().filter(|page: &Page| page.life == notebook.life),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((notebook, memory.map(|page| page.changed).unwrap_or_default()))
    }

    /// Replaces its page, or removes it where there is nothing to remember.
    pub(super) fn write(&self, memory: &Memory) -> io::Result<()> {
        if memory.0.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let page = Page { life: self.life.clone(), changed: memory.clone() };
        let draft = self.path.with_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(&page)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_before_a_restart_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.json");
        let memory: Memory =
            serde_json::from_str(r#"[{"key":"net/x","was":"0","aim":{"Value":"1"},"dragged":{}}]"#).unwrap();
        let (notebook, before) = Notebook::open(&path).unwrap();
        assert_eq!(before, Memory::default());
        notebook.write(&memory).unwrap();
        assert_eq!(Notebook::open(&path).unwrap().1, memory);

        Notebook { life: "another".into(), ..notebook }.write(&memory).unwrap();

        let (notebook, after) = Notebook::open(&path).unwrap();
        assert_eq!(after, Memory::default());
        notebook.write(&after).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}
