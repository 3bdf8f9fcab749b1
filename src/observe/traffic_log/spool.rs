//! Batches that `InfluxDB` has not taken, in a folder: each a file, whose name is its number and how many records it has.
//! What is there outlives the process. Bounded: where there is no more room, the oldest goes.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How many bytes of files may lie there.
const BYTES_MAX: u64 = 64 << 20;
/// What the name of a file ends with.
const ENDING: &str = ".lines.gz";
/// What ends the name of one that is not whole yet.
const UNFINISHED: &str = ".part";

/// A batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    number: u64,
    /// How many records it has.
    pub(super) records: u64,
    bytes: u64,
}

/// The folder, and what lies in it, the oldest first.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    batches: VecDeque<Batch>,
    room: u64,
}

impl Spool {
    /// Takes over what lies there.
    pub(super) fn open(folder: &Path) -> Self {
        Self::with_room(folder, BYTES_MAX)
    }

    fn with_room(folder: &Path, room: u64) -> Self {
        let mut batches: Vec<Batch> = Vec::new();
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let bytes = entry.metadata().map_or(0, |known| known.len());
            match parse(&name) {
                Some((number, records)) => batches.push(Batch { number, records, bytes }),
                // a process ended while it wrote it
                None if name.ends_with(UNFINISHED) => drop(std::fs::remove_file(entry.path())),
                None => {}
            }
        }
        batches.sort_by_key(|batch| batch.number);
        Self { folder: folder.to_owned(), batches: batches.into(), room }
    }

    /// Puts lines there; how many older records had to go for them.
    ///
    /// # Errors
    /// The operating system's: the lines are not there.
    pub(super) fn put(&mut self, lines: &str, records: u64) -> io::Result<u64> {
        let number = self.batches.back().map_or(0, |last| last.number + 1);
        let packed = packed(lines.as_bytes())?;
        let batch = Batch { number, records, bytes: packed.len() as u64 };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(&batch);
        let unfinished = path.with_extension(&UNFINISHED[1..]);
        let written = write(&unfinished, &packed).and_then(|()| std::fs::rename(&unfinished, &path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&unfinished);
            return Err(error);
        }
        self.batches.push_back(batch);
        let mut gone = 0;
        while self.batches.len() > 1 && self.bytes() > self.room {
            gone += self.batches.front().copied().map_or(0, |oldest| self.remove(&oldest));
        }
        Ok(gone)
    }

    /// The oldest batch, and the file in which it lies.
    pub(super) fn oldest(&self) -> Option<(Batch, PathBuf)> {
        self.batches.front().map(|batch| (*batch, self.path(batch)))
    }

    /// Takes a batch away; how many records that were, 0 where it is not there any more.
    pub(super) fn remove(&mut self, batch: &Batch) -> u64 {
        let Some(at) = self.batches.iter().position(|other| other == batch) else { return 0 };
        self.batches.remove(at);
        // one that cannot be removed comes again after a restart, and is written once more under the same time
        let _ = std::fs::remove_file(self.path(batch));
        batch.records
    }

    /// Takes everything away: records of clients' connections are not kept for nobody.
    pub(super) fn clear(&mut self) {
        while let Some(oldest) = self.batches.front().copied() {
            self.remove(&oldest);
        }
    }

    fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| batch.bytes).sum()
    }

    fn path(&self, batch: &Batch) -> PathBuf {
        self.folder.join(format!("{:020}-{}{ENDING}", batch.number, batch.records))
    }
}

/// Lines as they lie there and travel: compressed (RFC 1952).
///
/// # Errors
/// None that memory gives.
pub(super) fn packed(lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(lines)?;
    packed.finish()
}

/// The number and how many records, from a file's name.
fn parse(name: &str) -> Option<(u64, u64)> {
    let (number, records) = name.strip_suffix(ENDING)?.split_once('-')?;
    Some((number.parse().ok()?, records.parse().ok()?))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// What lies there, the oldest first.
    fn lines(spool: &mut Spool) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((batch, path)) = spool.oldest() {
            let mut text = String::new();
            GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            all.push(text);
            spool.remove(&batch);
        }
        all
    }

    #[test]
    fn gives_the_oldest_first_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("traffic-log");
        let mut spool = Spool::open(&place);
        for text in ["a\n", "b\n"] {
            spool.put(text, 1).unwrap();
        }

        let mut spool = Spool::open(&place);
        spool.put("c\n", 1).unwrap();

        assert_eq!(lines(&mut spool), ["a\n", "b\n", "c\n"]);
        assert_eq!(place.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn lets_the_oldest_go_and_says_how_many_records_that_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_room(folder.path(), 50);

        let gone: Vec<u64> = (1..=4).map(|records| spool.put("one line\n", records).unwrap()).collect();

        // a batch of so few bytes has 29 of them when it is packed
        assert_eq!(gone, [0, 1, 2, 3]);
        assert_eq!(Spool::open(folder.path()).oldest().map(|(batch, _)| batch.records), Some(4));
    }

    #[test]
    fn keeps_it_from_everybody_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("traffic-log");
        let mut spool = Spool::open(&place);
        spool.put("a\n", 1).unwrap();

        let (_, file) = spool.oldest().unwrap();

        let modes = [place, file].map(|path| path.metadata().unwrap().permissions().mode() & 0o777);
        assert_eq!(modes, [0o700, 0o600]);
    }

    #[test]
    fn takes_nothing_for_a_batch_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000000000000000007-2.lines.part", "notes.txt", "x-1.lines.gz", "1.lines.gz"] {
            std::fs::write(folder.path().join(name), "?").unwrap();
        }

        let spool = Spool::open(folder.path());

        assert_eq!(spool.oldest(), None);
        assert!(!folder.path().join("00000000000000000007-2.lines.part").exists());
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn clears_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path());
        spool.put("a\n", 1).unwrap();
        spool.put("b\n", 1).unwrap();

        spool.clear();

        assert_eq!((spool.oldest(), folder.path().read_dir().unwrap().count()), (None, 0));
    }
}
