//! Keeps the block lists: reads them again when a file has changed, and fetches those from elsewhere once a day.
//!
//! What was fetched lies in the data folder, so that a start without the internet has it too.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::fetch::fetch;
use super::tls;
use crate::domain::dns::BlocklistSource;
use crate::domain::name::ServerName;
use crate::engine::dns::blocklist::Blocklist;
use crate::observe::fields;
use crate::runtime::os::{clock, entropy};
use crate::runtime::worker::{Command, Worker};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How old what was fetched may be.
const FRESH: Duration = Duration::from_secs(86_400);
/// How long until what could not be fetched is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(300);
/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 128 << 20;

/// The lists in force.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Lists {
    every: Arc<Blocklist>,
    of_server: BTreeMap<ServerName, Arc<Blocklist>>,
}

impl Lists {
    /// The list of a server.
    pub(in crate::runtime) fn of(&self, server: &ServerName) -> &Arc<Blocklist> {
        self.of_server.get(server).unwrap_or(&self.every)
    }
}

/// Keeps the lists until the process ends. Must be called within a tokio runtime.
pub(in crate::runtime) fn start(sources: Vec<BlocklistSource>, folder: PathBuf, workers: Arc<[Worker]>) {
    if sources.is_empty() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "it ends with the process, as its lists do")]
    tokio::spawn(async move {
        let mut keeper = Keeper { sources, folder, seen: BTreeMap::new(), tried: BTreeMap::new() };
        loop {
            if let Some(lists) = keeper.look().await {
                let lists = Arc::new(lists);
                for worker in workers.iter() {
                    worker.tell(Command::Lists(Arc::clone(&lists)));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

struct Keeper {
    sources: Vec<BlocklistSource>,
    folder: PathBuf,
    /// When each file was written last, as it was read.
    seen: BTreeMap<PathBuf, Option<SystemTime>>,
    /// When each URL was tried last.
    tried: BTreeMap<String, std::time::Instant>,
}

impl Keeper {
    /// Looks at everything; the lists, if they are others than before.
    async fn look(&mut self) -> Option<Lists> {
        self.fetch_due().await;
        let files: Vec<(Option<ServerName>, PathBuf)> =
            self.sources.iter().map(|source| (source.server.clone(), self.file(source))).collect();
        let mut now: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
        for (_, file) in &files {
            now.insert(file.clone(), tokio::fs::metadata(file).await.and_then(|known| known.modified()).ok());
        }
        if now == self.seen {
            return None;
        }
        self.seen = now;
        tokio::task::spawn_blocking(move || build(&files)).await.ok()
    }

    /// Where the list of a source lies.
    fn file(&self, source: &BlocklistSource) -> PathBuf {
        match BlocklistSource::url(&source.place) {
            Some(rest) => {
                let name: String =
                    rest.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
                self.folder.join(format!("blocklist-{}", name.get(..200).unwrap_or(&name)))
            }
            None => PathBuf::from(&source.place),
        }
    }

    async fn fetch_due(&mut self) {
        for source in &self.sources {
            if BlocklistSource::url(&source.place).is_none() {
                continue;
            }
            let (file, now) = (self.file(source), clock::now());
            let was_tried =
                self.tried.get(&source.place).is_some_and(|at| now.saturating_duration_since(*at) < TRY_AGAIN);
            if was_tried || is_fresh(&file).await {
                continue;
            }
            self.tried.insert(source.place.clone(), now);
            let fetched = fetch(&source.place, tls::trust()).await;
            let kept = match fetched {
                Ok(bytes) => keep(&file, &bytes).await,
                Err(error) => Err(error),
            };
            if let Err(cause) = kept {
                warn!({ fields::CAUSE } = %cause, "Cannot fetch the block list `{}`: {cause}", source.place);
            }
        }
    }
}

async fn is_fresh(file: &Path) -> bool {
    let written = tokio::fs::metadata(file).await.and_then(|known| known.modified());
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age < FRESH))
}

/// Puts what was fetched into the place of what was there.
async fn keep(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, file).await
}

/// Reads every list. One that cannot be read is left out, and said.
fn build(files: &[(Option<ServerName>, PathBuf)]) -> Lists {
    let named: BTreeSet<&ServerName> = files.iter().filter_map(|(server, _)| server.as_ref()).collect();
    let for_server = |wanted: Option<&ServerName>| {
        let mut list = Blocklist::new(u64::from_le_bytes(entropy::bytes()));
        for (_, file) in files.iter().filter(|(server, _)| server.is_none() || server.as_ref() == wanted) {
            match read(file) {
                Ok(text) => {
                    let odd = list.add(&text);
                    info!(
                        "Read the block list `{}`: {} names so far, {odd} lines are none",
                        file.display(),
                        list.len()
                    );
                }
                Err(cause) => {
                    warn!({ fields::CAUSE } = %cause, "Cannot read the block list `{}`: {cause}", file.display());
                }
            }
        }
        Arc::new(list)
    };
    let every = for_server(None);
    Lists { every, of_server: named.into_iter().map(|server| (server.clone(), for_server(Some(server)))).collect() }
}

fn read(file: &Path) -> io::Result<String> {
    if std::fs::metadata(file)?.len() > FILE_MAX {
        return Err(io::Error::other("it is too large"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(sources: &[&str]) -> (tempfile::TempDir, Keeper) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        let sources =
            sources.iter().map(|text| BlocklistSource::parse(&text.replace("DIR", &place)).unwrap()).collect();
        let keeper =
            Keeper { sources, folder: folder.path().to_owned(), seen: BTreeMap::new(), tried: BTreeMap::new() };
        (folder, keeper)
    }

    #[tokio::test]
    async fn reads_each_servers_lists_again_when_a_file_has_changed() {
        let (folder, mut keeper) = keeper(&["DIR/every", "one=DIR/one"]);
        let [one, other] = ["one", "other"].map(|name| ServerName::parse(name).unwrap());
        std::fs::write(folder.path().join("every"), "0.0.0.0 a.example\n").unwrap();

        let lists = keeper.look().await.unwrap();
        assert_eq!((lists.of(&one).len(), lists.of(&other).len()), (1, 1));
        assert!(keeper.look().await.is_none());

        std::fs::write(folder.path().join("one"), "b.example\nc.example\n").unwrap();
        let lists = keeper.look().await.unwrap();
        assert_eq!((lists.of(&one).len(), lists.of(&other).len()), (3, 1));
    }
}
