//! The store as one file that can be carried away: a zip with a list of its files, their sizes and their SHA-256.
//!
//! A table is a file of rows: the key's length (four bytes, least first), the key, the record's length, the record.
//! Nothing is taken from an archive before all of it has proved whole and readable.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;

use redb::ReadTransaction;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::carried;
use super::state::{State, WebhookBook};
use super::tables::{self, FORMAT, Rows, Unreadable};
use crate::domain::access::AccessBook;
use crate::domain::backup::BackupSettings;
use crate::domain::hex::hex;
use crate::domain::host::HostSettings;
use crate::domain::intended::{Intended, Revision};
use crate::domain::limits;
use crate::domain::one_time_link::LinkBook;
use crate::domain::refusal::Refusal;

/// The list of files.
const LIST: &str = "manifest.json";
/// The largest list, in bytes.
const LIST_BYTES: u64 = 256 * 1024;
/// So many bytes are packed at a time.
const PIECE: usize = 64 * 1024;
/// The most files of an archive.
const FILES: usize = 256;
/// The folder of what must be restored.
const STATE: &str = "state/";
/// The folder of the traffic figures, which an archive may lack.
const STATISTICS: &str = "statistics/";

/// Tables with their rows, by name.
pub(super) type Tables = BTreeMap<String, Rows>;

/// What an archive says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct List {
    /// The store's format.
    format: u64,
    /// The program that wrote it.
    version: String,
    /// The host that it comes from.
    host: String,
    /// When it was begun.
    created: String,
    files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Listed {
    name: String,
    size: u64,
    sha256: String,
}

/// Where an archive comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// This program's version.
    pub version: String,
    /// This host's name.
    pub host: String,
    /// Now.
    pub created: String,
}

/// Everything that lasts as of one moment, however much is written meanwhile.
pub struct Snapshot {
    pub(super) transaction: ReadTransaction,
    pub(super) statistics: Option<Tables>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Snapshot {
    /// Writes it as an archive. `packed` is told how many more bytes of rows are in it, of how many in all.
    ///
    /// # Errors
    /// What the file said, or the database.
    pub fn pack<W: Write + Seek>(self, file: W, origin: Origin, mut packed: impl FnMut(u64, u64)) -> io::Result<W> {
        let mut zip = ZipWriter::new(file);
        let mut files = Vec::new();
        let state = tables::dump(&self.transaction).map_err(io::Error::other)?;
        let folders = [(STATE, state), (STATISTICS, self.statistics.unwrap_or_default())];
        let tables = folders.into_iter().flat_map(|(name, all)| all.into_iter().map(move |one| (name, one)));
        let encoded = tables.map(|(folder, (table, rows))| Ok((format!("{folder}{table}"), encode(&rows)?)));
        let encoded = encoded.collect::<io::Result<Vec<_>>>()?;
        let of = encoded.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        for (name, bytes) in encoded {
            files.push(add(&mut zip, name, &bytes, |more| packed(more, of))?);
        }
        let Origin { version, host, created } = origin;
        let list = List { format: FORMAT, version, host, created, files };
        add(&mut zip, LIST.into(), &serde_json::to_vec_pretty(&list)?, |_| ())?;
        Ok(zip.finish()?)
    }
}

fn add<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: String,
    bytes: &[u8],
    mut added: impl FnMut(u64),
) -> io::Result<Listed> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(0o600);
    zip.start_file(name.as_str(), options)?;
    for piece in bytes.chunks(PIECE) {
        zip.write_all(piece)?;
        added(piece.len() as u64);
    }
    Ok(Listed { name, size: bytes.len() as u64, sha256: sum(bytes) })
}

fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// An archive that has been read and is good to be restored.
#[derive(Debug)]
pub struct Archive {
    pub(super) tables: Arc<Tables>,
    /// Empty where it has none.
    pub(super) statistics: Tables,
    /// What the tables say.
    state: State,
}

/// What lasts, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// What ought to run.
    pub intended: Arc<Intended>,
    /// Who may call.
    pub access: Arc<AccessBook>,
    /// The one-time links, and what they show.
    pub links: Arc<LinkBook>,
    /// The webhooks.
    pub webhooks: Arc<WebhookBook>,
    /// When and where backups are made.
    pub backups: Arc<BackupSettings>,
    /// What is set of the host.
    pub host: Arc<HostSettings>,
}

impl Archive {
    /// Reads a whole archive and proves that a store can be made of it. Touches nothing.
    ///
    /// # Errors
    /// The contract's refusals of a backup: see [`Refusal`].
    pub fn read(file: impl Read + Seek) -> Result<Self, Refusal> {
        let mut zip = ZipArchive::new(file).map_err(|error| Refusal::BackupNoArchive(error.to_string()))?;
        if zip.is_empty() {
            return Err(Refusal::BackupEmpty);
        }
        let list = list(&mut zip)?;
        if list.format > FORMAT {
            let newer = format!("it has format {}, this program knows formats up to {FORMAT}", list.format);
            return Err(Refusal::BackupUnreadable(newer));
        }
        if list.files.len() + 1 != zip.len() || list.files.len() > FILES {
            return Err(Refusal::BackupCountMismatch);
        }
        if list.files.iter().any(|listed| zip.index_for_name(&listed.name).is_none()) {
            return Err(Refusal::BackupListMismatch);
        }
        let total = list.files.iter().try_fold(0_u64, |sum, listed| sum.checked_add(listed.size));
        if total.is_none_or(|total| total > limits::ARCHIVE_BYTES) {
            return Err(Refusal::BackupDamaged("it holds more than an archive may".into()));
        }
        let (mut tables, mut statistics) = (Tables::new(), Tables::new());
        for listed in &list.files {
            let damaged = |why: &str| Refusal::BackupDamaged(format!("{}: {why}", listed.name));
            let bytes = unpack(&mut zip, listed).map_err(|why| damaged(&why))?;
            let rows = decode(&bytes).ok_or_else(|| damaged("malformed"))?;
            if let Some(table) = listed.name.strip_prefix(STATE) {
                tables.insert(table.to_owned(), rows);
            } else {
                let table = listed.name.strip_prefix(STATISTICS).ok_or_else(|| damaged("unknown"))?;
                if !carried::is_sound(table, &rows) {
                    return Err(damaged("malformed"));
                }
                statistics.insert(table.to_owned(), rows);
            }
        }
        let state = prove(&tables)?;
        Ok(Self { tables: Arc::new(tables), statistics, state })
    }

    /// What it holds.
    pub fn holding(&self) -> Holding {
        let State { intended, access, links, webhooks, backups, host, .. } = self.state.clone();
        Holding { intended: intended.into(), access: access.into(), links: links.into(), webhooks, backups, host }
    }
}

/// Makes a store of the tables in memory, and reads everything from there.
fn prove(tables: &Tables) -> Result<State, Refusal> {
    let damaged = |why: String| Refusal::BackupDamaged(why);
    let memory = redb::backends::InMemoryBackend::new();
    let database = super::file::database(memory, false).map_err(|error| damaged(error.to_string()))?;
    tables::replace(&database, tables, Revision(1)).map_err(|error| damaged(error.to_string()))?;
    match tables::load(&database) {
        Ok(state) => Ok(state),
        Err(Unreadable::Newer(format)) => Err(damaged(format!("format {format}"))),
        Err(Unreadable::Damaged(why)) => Err(damaged(why)),
        Err(Unreadable::Database(error)) => Err(damaged(error.to_string())),
    }
}

fn list<R: Read + Seek>(zip: &mut ZipArchive<R>) -> Result<List, Refusal> {
    let mut text = Vec::new();
    let Ok(file) = zip.by_name(LIST) else { return Err(Refusal::BackupListEmpty) };
    let unreadable = |error: &dyn std::fmt::Display| Refusal::BackupUnreadable(error.to_string());
    file.take(LIST_BYTES + 1).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
    if text.len() as u64 > LIST_BYTES {
        return Err(unreadable(&"the list of files is too long"));
    }
    let list: List = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
    if list.files.is_empty() { Err(Refusal::BackupListEmpty) } else { Ok(list) }
}

/// One file of the archive, no longer than the list says, and the same to the byte.
fn unpack<R: Read + Seek>(zip: &mut ZipArchive<R>, listed: &Listed) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = zip.by_name(&listed.name).map_err(|error| error.to_string())?;
    file.take(listed.size + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != listed.size {
        return Err("not as long as the list says".into());
    }
    if sum(&bytes) == listed.sha256 { Ok(bytes) } else { Err("its SHA-256 is not the list's".into()) }
}

fn encode(rows: &Rows) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (key, record) in rows {
        for part in [key, record] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    Ok(bytes)
}

fn decode(mut bytes: &[u8]) -> Option<Rows> {
    let mut rows = Rows::new();
    while !bytes.is_empty() {
        let key = part(&mut bytes)?;
        rows.push((key, part(&mut bytes)?));
    }
    Some(rows)
}

fn part(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_the_rows_of_a_table_and_nothing_cut_off() {
        let rows = vec![(b"a".to_vec(), vec![1, 2, 3]), (Vec::new(), Vec::new()), (b"key".to_vec(), vec![0; 300])];
        let bytes = encode(&rows).unwrap();

        assert_eq!(decode(&bytes), Some(rows));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&bytes[..3]), None);
        assert_eq!(decode(&[0xff; 8]), None);
    }
}
