//! Backups: made, listed, carried away, restored.

mod compare;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Mutex, watch};
use tracing::warn;

pub use self::compare::{Differing, SETTINGS};
use super::progress::{Progress, Stage};
use super::{Caller, Error, Ground};
use crate::domain::access::Right;
use crate::domain::audit::{Deed, Kind};
use crate::domain::backup::{self, BackupName, BackupSettings, BackupSettingsDraft};
use crate::domain::limits;
use crate::domain::refusal::Refusal;
use crate::domain::webhook::Event;
use crate::observe::{fields, upload};
use crate::runtime::Status;
use crate::runtime::os::{clock, host};
use crate::store::{Archive, Change, Origin};

/// The folder of backups in the data folder.
const FOLDER: &str = "backups";
/// What a file is called until it is whole.
const UNFINISHED: &str = ".unfinished";
/// What a file is called that is on its way here.
const ARRIVING: &str = ".arriving";
/// What a trial is called where it goes.
const TRIAL_NAME: &str = "culvert-test.txt";
/// What it says.
const TRIAL_TEXT: &str = "Culvert can write here.\n";
/// What was there before the last restore.
const BEFORE: &str = "before-restore";

/// The use cases of backups.
#[derive(Debug, Clone)]
pub struct Backups {
    ground: Ground,
    /// One is made or restored at a time.
    turn: Arc<Mutex<()>>,
    /// One comes from elsewhere at a time.
    arrival: Arc<Mutex<()>>,
    /// What became of the last one that was to be made: why it, or its copy, is not there.
    fault: Arc<std::sync::Mutex<Option<String>>>,
}

/// A backup that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its file's name.
    pub name: BackupName,
    /// When it was done.
    pub created: ZonedDateTime,
    /// Its size in bytes.
    pub size: u64,
}

impl Backups {
    pub(super) fn new(ground: Ground) -> Self {
        Self { ground, turn: Arc::default(), arrival: Arc::default(), fault: Arc::default() }
    }

    /// Why the last backup that was to be made, or its copy, is not there; `None` once the next is.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When and where backups are made.
    pub fn settings(&self) -> Arc<BackupSettings> {
        self.ground.store.backups().borrow().clone()
    }

    /// Now, by the clock that the schedule goes by.
    pub fn now(&self) -> ZonedDateTime {
        clock::timestamp().to_zoned_datetime(self.ground.time_zone())
    }

    /// Follows them.
    pub fn follow(&self) -> watch::Receiver<Arc<BackupSettings>> {
        self.ground.store.backups()
    }

    /// Edits what the draft names.
    ///
    /// # Errors
    /// The refusals of [`BackupSettingsDraft`].
    pub async fn edit(&self, by: &Caller, draft: BackupSettingsDraft) -> Result<Arc<BackupSettings>, Error> {
        // whoever says where backups go has them, and in them what only an admin may have
        by.must(Right::Administer)?;
        let rule = move |change: &mut Change| {
            let settings = draft.amend(change.backups())?;
            if settings != *change.backups() {
                change.put_backups(settings.clone());
            }
            Ok((settings, Deed::of(Kind::Backup, "Set when and where backups are made")))
        };
        let settings = self.ground.write(by, rule).await?;
        Ok(Arc::new(settings))
    }

    /// All backups, the newest first.
    ///
    /// # Errors
    /// A fault where the folder cannot be read.
    pub async fn list(&self) -> Result<Vec<Backup>, Error> {
        let (folder, zone) = (self.folder(), self.ground.time_zone());
        on_disk(move || look(&folder, &zone)).await
    }

    /// Makes a backup, with the statistics if asked, lets the oldest go that are too many, and sends a copy where copies go.
    ///
    /// # Errors
    /// `BackupFailed`; `FtpUploadFailed` and `S3UploadFailed`, where the backup is there and its copy is not.
    pub async fn create(&self, by: &Caller, statistics: bool, progress: &Progress) -> Result<Backup, Error> {
        by.must(Right::Handle)?;
        let (backups, by, progress) = (self.clone(), by.clone(), progress.clone());
        to_its_end(async move {
            let _turn = backups.turn.lock().await;
            let made = backups.make(&by, statistics, &progress).await;
            let fault = made.as_ref().err().map(Error::reason);
            if let Some(why) = fault.clone() {
                backups.ground.announce(&Event::BackupFailed { why });
            }
            *backups.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
            made
        })
        .await
    }

    async fn make(&self, by: &Caller, statistics: bool, progress: &Progress) -> Result<Backup, Error> {
        let failed = |why: String| Error::from(Refusal::BackupFailed(why));
        if let Ok(_nobody) = self.arrival.try_lock() {
            // what was on its way when its sender, or the process, went away
            let arriving = self.folder().join(ARRIVING);
            let _ = on_disk(move || fs::remove_file(arriving)).await;
        }
        let settings = self.settings();
        let copies = [(settings.to_ftp, Stage::Ftp), (settings.to_s3, Stage::S3)];
        let copies = copies.into_iter().filter_map(|(is_wanted, stage)| is_wanted.then_some(stage));
        progress.plan([Stage::Collect, Stage::Pack].into_iter().chain(copies));
        progress.enter(Stage::Collect, 0);
        let snapshot = self.ground.store.snapshot(statistics).await.map_err(|error| failed(error.to_string()))?;
        let (folder, origin, packing) = (self.folder(), self.origin(), progress.clone());
        let now = self.now();
        let kept = usize::try_from(settings.number_backups).unwrap_or(usize::MAX);
        let made = on_disk(move || {
            make_folder(&folder)?;
            let path = free_name(&folder, &origin.host, &now);
            let unfinished = folder.join(UNFINISHED);
            let written = || {
                let mut options = OpenOptions::new();
                let file = options.write(true).read(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
                snapshot.pack(file, origin, |more, of| packing.advance(Stage::Pack, more, of))?.sync_all()?;
                name_file(&unfinished, &folder, &path)
            };
            written().inspect_err(|_| {
                // a disk that is full needs its room for more than half a backup
                let _ = fs::remove_file(&unfinished);
            })?;
            let all = look(&folder, now.time_zone())?;
            for old in all.iter().skip(kept).filter(|old| old.name != path) {
                fs::remove_file(folder.join(old.name.as_str()))?;
            }
            all.into_iter().find(|backup| backup.name == path).ok_or_else(|| io::Error::other("it is gone"))
        });
        let backup = made.await.map_err(|error| match error {
            Error::Fault(cause) => failed(cause.to_string()),
            refused @ Error::Refused(_) => refused,
        });
        let backup =
            backup.inspect_err(|error| warn!({ fields::CAUSE } = %error, "A backup could not be made: {error}"))?;
        let text = format!("Made backup `{}`", backup.name);
        self.ground.note(by, Deed::to(Kind::Backup, &backup.name, text)).await;
        self.send(&backup, &settings, progress).await?;
        Ok(backup)
    }

    /// Sends a copy of a backup where copies go.
    async fn send(&self, backup: &Backup, settings: &Arc<BackupSettings>, progress: &Progress) -> Result<(), Error> {
        if !settings.to_ftp && !settings.to_s3 {
            return Ok(());
        }
        let (path, settings, progress) = (self.folder().join(backup.name.as_str()), settings.clone(), progress.clone());
        let key = upload::KeyFile::in_folder(&self.ground.settings.data);
        let name = format!("{}{}", backup.name, backup::SEALED);
        let sent = on_disk(move || {
            let sealed = |stage| {
                let sealed = upload::seal(File::open(&path)?, &settings.passphrase, &key)?;
                let size = sealed.metadata()?.len();
                progress.enter(stage, size);
                Ok((progress.count(sealed), size))
            };
            let to_ftp = || {
                let (mut sealed, _) = sealed(Stage::Ftp).map_err(|error: io::Error| error.to_string())?;
                upload::to_ftp(&settings.ftp, &name, &mut sealed)
            };
            let to_s3 = || {
                let (mut sealed, size) = sealed(Stage::S3).map_err(|error| error.to_string())?;
                upload::to_s3(&settings.s3, &name, &mut sealed, size)
            };
            // what keeps it from one place keeps it from no other
            let by_ftp = settings.to_ftp.then(to_ftp).and_then(Result::err).map(Refusal::FtpUploadFailed);
            let by_s3 = settings.to_s3.then(to_s3).and_then(Result::err).map(Refusal::S3UploadFailed);
            Ok([by_ftp, by_s3])
        });
        let refusals: Vec<Refusal> = sent.await?.into_iter().flatten().collect();
        for refusal in &refusals {
            warn!({ fields::CAUSE } = %refusal, "No copy of backup `{}` arrived: {refusal}", backup.name);
        }
        refusals.into_iter().next().map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Sends a small file to every place where copies go, now.
    ///
    /// # Errors
    /// `FieldMalformed` where copies go nowhere; `FtpUploadFailed`, `S3UploadFailed`.
    pub async fn test(&self, by: &Caller) -> Result<(), Error> {
        by.must(Right::Administer)?;
        let settings = self.settings();
        if !settings.to_ftp && !settings.to_s3 {
            return Err(Refusal::FieldMalformed { field: "backup_to_ftp", rule: "1, or backup_to_s3 is" }.into());
        }
        let folder = self.folder();
        let tried = on_disk(move || {
            make_folder(&folder)?;
            if settings.to_ftp
                && let Err(why) = upload::to_ftp(&settings.ftp, TRIAL_NAME, &mut TRIAL_TEXT.as_bytes())
            {
                return Ok(Err(Refusal::FtpUploadFailed(why)));
            }
            let (mut text, size) = (TRIAL_TEXT.as_bytes(), TRIAL_TEXT.len() as u64);
            let sent = if settings.to_s3 { upload::to_s3(&settings.s3, TRIAL_NAME, &mut text, size) } else { Ok(()) };
            Ok(sent.map_err(Refusal::S3UploadFailed))
        });
        Ok(tried.await??)
    }

    /// What a restore of this backup would change, kind by kind; what stays as it is, is left out.
    ///
    /// # Errors
    /// As [`Self::restore`], before anything is touched.
    pub async fn compare(&self, by: &Caller, name: &str) -> Result<Vec<Differing>, Error> {
        by.must(Right::Administer)?;
        let name = BackupName::parse(name)?;
        let path = self.folder().join(name.as_str());
        let (file, _) = on_disk(move || open_file(&path)).await?.ok_or(Refusal::BackupNotFound)?;
        let archive = self.read(&name, file).await?;
        Ok(compare::compare(&self.ground.store.holding(), &archive.holding(), clock::timestamp()))
    }

    /// A backup's file, to be read from its beginning, and how long it is.
    ///
    /// # Errors
    /// `BackupNotFound`.
    pub async fn open(&self, name: &str) -> Result<(File, u64), Error> {
        let path = self.path(name)?;
        on_disk(move || open_file(&path)).await?.ok_or_else(|| Refusal::BackupNotFound.into())
    }

    /// Takes a backup from elsewhere, or an encrypted copy of one. It is proved whole before it gets its name.
    ///
    /// # Errors
    /// `BackupNotFound` for what can be no backup's name, `BackupTaken`, and the refusals of [`Archive::read`].
    pub async fn bring(&self, by: &Caller, name: &str, from: impl AsyncRead + Unpin) -> Result<Backup, Error> {
        by.must(Right::Handle)?;
        let name = BackupName::parse(name)?;
        let _turn = self.arrival.lock().await;
        let (folder, zone) = (self.folder(), self.ground.time_zone());
        let arriving = folder.join(ARRIVING);
        let arrived = self.arrive(&folder, &name, from).await;
        let named = match arrived {
            Ok(()) => {
                let (from, folder, name) = (arriving.clone(), folder.clone(), name.clone());
                on_disk(move || name_file(&from, &folder, &name)).await
            }
            Err(error) => Err(error),
        };
        if named.is_err() {
            // nothing is left of it
            let _ = on_disk(move || fs::remove_file(arriving)).await;
        }
        named?;
        self.ground.note(by, Deed::to(Kind::Backup, name.as_str(), format!("Took backup `{name}`"))).await;
        let all = on_disk(move || look(&folder, &zone)).await?;
        all.into_iter().find(|backup| backup.name == name).ok_or_else(|| Refusal::BackupNotFound.into())
    }

    /// Puts an archive on disk and proves it.
    async fn arrive(&self, folder: &Path, name: &BackupName, from: impl AsyncRead + Unpin) -> Result<(), Error> {
        let (folder, taken) = (folder.to_owned(), folder.join(name.as_str()));
        let file = on_disk(move || {
            make_folder(&folder)?;
            if taken.symlink_metadata().is_ok() {
                return Ok(Err(Refusal::BackupTaken));
            }
            let mut options = OpenOptions::new();
            let file = options.write(true).read(true).create(true).truncate(true).mode(0o600);
            Ok(Ok(file.open(folder.join(ARRIVING))?))
        });
        let mut file = tokio::fs::File::from_std(file.await??);
        let broken = |error: io::Error| Refusal::BackupUnreadable(error.to_string());
        // a byte more than there may be shows that there are too many
        tokio::io::copy(&mut from.take(limits::ARCHIVE_BYTES + 1), &mut file).await.map_err(broken)?;
        file.sync_all().await.map_err(broken)?;
        let mut file = file.into_std().await;
        file.rewind().map_err(broken)?;
        self.read(name, file).await?;
        Ok(())
    }

    /// Takes a backup away.
    ///
    /// # Errors
    /// `BackupNotFound`.
    pub async fn remove(&self, by: &Caller, name: &str) -> Result<(), Error> {
        by.must(Right::Handle)?;
        let path = self.path(name)?;
        let removed = on_disk(move || match open_file(&path)? {
            Some(_) => fs::remove_file(&path).map(|()| true),
            None => Ok(false),
        });
        if !removed.await? {
            return Err(Refusal::BackupNotFound.into());
        }
        self.ground.note(by, Deed::to(Kind::Backup, name, format!("Removed backup `{name}`"))).await;
        Ok(())
    }

    /// Replaces everything by what a backup has. It is checked whole before anything is touched; the state as it is goes
    /// into a file beside the backups; where the result cannot be stored or does not run, everything is as before.
    ///
    /// # Errors
    /// `StatusNotOk`, `BackupNotFound`, and the refusals of [`Archive::read`].
    pub async fn restore(&self, by: &Caller, name: &str, progress: &Progress) -> Result<(), Error> {
        by.must(Right::Administer)?;
        if self.ground.runtime.status() != Status::Ready {
            return Err(Refusal::StatusNotOk.into());
        }
        let (backups, by, name, progress) = (self.clone(), by.clone(), name.to_owned(), progress.clone());
        to_its_end(async move { backups.put_back(&by, &name, &progress).await }).await
    }

    async fn put_back(&self, by: &Caller, name: &str, progress: &Progress) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        progress.plan([Stage::Check, Stage::Keep, Stage::Replace, Stage::Settle, Stage::Statistics]);
        progress.enter(Stage::Check, 0);
        let name = BackupName::parse(name)?;
        let path = self.folder().join(name.as_str());
        let (file, _) = on_disk(move || open_file(&path)).await?.ok_or(Refusal::BackupNotFound)?;
        let archive = self.read(&name, file).await?;
        let before = self.keep_before(progress).await?;
        self.replace(archive, &before, progress).await?;
        self.ground.note(by, Deed::to(Kind::Backup, name.as_str(), format!("Restored backup `{name}`"))).await;
        Ok(())
    }

    /// Reads a backup from the beginning of its file, decrypting a copy, and proves it.
    async fn read(&self, name: &BackupName, file: File) -> Result<Archive, Error> {
        let sealed = name.is_sealed();
        let (settings, key) = (self.settings(), upload::KeyFile::in_folder(&self.ground.settings.data));
        let read = on_disk(move || {
            if file.metadata()?.len() > limits::ARCHIVE_BYTES {
                return Ok(Err(Refusal::BackupUnreadable("it is larger than an archive may be".into())));
            }
            if !sealed {
                return Ok(Archive::read(io::BufReader::new(file)));
            }
            let plain = upload::open(file, &settings.passphrase, &key, limits::ARCHIVE_BYTES)?;
            Ok(Archive::read(io::BufReader::new(plain)))
        });
        match read.await {
            Ok(archive) => Ok(archive?),
            Err(Error::Fault(cause)) => Err(Refusal::BackupUnreadable(cause.to_string()).into()),
            Err(refused) => Err(refused),
        }
    }

    async fn replace(&self, archive: Archive, before: &Archive, progress: &Progress) -> Result<(), Error> {
        let commit = |error: crate::store::Error| Error::from(Refusal::RestoreCommit(error.to_string()));
        progress.enter(Stage::Replace, 0);
        let revision = self.ground.store.restore(&archive).await.map_err(commit)?;
        progress.enter(Stage::Settle, 0);
        let Err(unsettled) = self.ground.runtime.settled(revision).await else {
            progress.enter(Stage::Statistics, 0);
            self.ground.store.restore_statistics(archive).await.map_err(commit)?;
            self.ground.metering.read_again();
            return Ok(());
        };
        warn!({ fields::CAUSE } = %unsettled, "What was restored does not run, so everything is put back: {unsettled}");
        let revision = self.ground.store.restore(before).await.map_err(commit)?;
        // as it ran before
        let _ = self.ground.runtime.settled(revision).await;
        Err(Refusal::RestoreCommit(unsettled.to_string()).into())
    }

    /// Writes the state as it is into a file, and reads it back.
    async fn keep_before(&self, progress: &Progress) -> Result<Archive, Error> {
        progress.enter(Stage::Keep, 0);
        let snapshot =
            self.ground.store.snapshot(false).await.map_err(|error| Refusal::RestoreFile(error.to_string()))?;
        let (folder, origin, packing) = (self.folder().join(BEFORE), self.origin(), progress.clone());
        let kept = on_disk(move || {
            if let Err(error) = make_folder(&folder) {
                return Ok(Err(Refusal::RestoreFolder(error.to_string())));
            }
            let path = folder.join("state.zip");
            let written = OpenOptions::new().write(true).read(true).create(true).truncate(true).mode(0o600).open(&path);
            let written =
                written.and_then(|file| snapshot.pack(file, origin, |more, of| packing.advance(Stage::Keep, more, of)));
            let written = written.and_then(|mut file| {
                file.sync_all()?;
                file.rewind()?;
                Ok(file)
            });
            match written {
                Ok(file) => Ok(Archive::read(file)),
                Err(error) => Ok(Err(Refusal::RestoreFile(error.to_string()))),
            }
        });
        Ok(kept.await??)
    }

    fn path(&self, name: &str) -> Result<PathBuf, Refusal> {
        Ok(self.folder().join(BackupName::parse(name)?.as_str()))
    }

    fn folder(&self) -> PathBuf {
        self.ground.settings.data.join(FOLDER)
    }

    fn origin(&self) -> Origin {
        Origin {
            version: self.ground.settings.version.clone(),
            host: host::look().hostname,
            created: clock::timestamp().to_string(),
        }
    }
}

/// Does the whole of something, also where whoever asked for it goes away in the middle: a restore whose result nobody
/// looks at would stand, and two backups would write one file.
#[expect(clippy::disallowed_methods, reason = "it ends with the work, which is bounded by its disks and networks")]
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|error| Error::Fault(error.into()))?
}

/// Runs what waits for disks and networks where waiting is allowed.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::Fault(error.into())),
        Err(error) => Err(Error::Fault(error.into())),
    }
}

/// Gives a file that is whole its name, which outlasts the power too.
fn name_file(from: &Path, folder: &Path, name: &BackupName) -> io::Result<()> {
    fs::rename(from, folder.join(name.as_str()))?;
    File::open(folder)?.sync_all()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The backups of a folder, the newest first. What has no backup's name, or is no file, is none.
fn look(folder: &Path, zone: &TimeZone) -> io::Result<Vec<Backup>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(|name| BackupName::parse(name).ok()) else { continue };
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            let created = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
            found.push(Backup { name, created: created.to_zoned_datetime(zone.clone()), size: metadata.len() });
        }
    }
    found.sort_by(|one, other| (&other.created, &other.name).cmp(&(&one.created, &one.name)));
    Ok(found)
}

/// A name that no backup of the folder has: two of one second are told apart.
fn free_name(folder: &Path, host: &str, now: &ZonedDateTime) -> BackupName {
    let mut at = now.datetime();
    loop {
        let name = BackupName::made(host, &at);
        if !folder.join(name.as_str()).exists() {
            return name;
        }
        at = at.saturating_add(jiff::SignedDuration::from_secs(1));
    }
}

/// A regular file of this path, never through a symbolic link, and its length.
fn open_file(path: &Path) -> io::Result<Option<(File, u64)>> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some((File::open(path)?, metadata.len()))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
