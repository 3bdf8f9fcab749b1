//! Power loss, flipped bits and a disk that fails, on a disk of memory that remembers everything that was done to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redb::StorageBackend;

use super::state::State;
use super::tests::{add_account, add_server, shown};
use super::*;

/// What was done to the disk, in order.
#[derive(Debug, Clone)]
enum Event {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
    /// Somebody was told that this revision lasts.
    Acknowledged(Revision),
}

/// What power loss leaves whole, in bytes.
const SECTOR: usize = 512;

#[derive(Debug)]
struct Disk {
    bytes: Mutex<Vec<u8>>,
    events: Mutex<Vec<Event>>,
    is_full: AtomicBool,
    /// How many syncs still succeed before one fails.
    syncs_left: AtomicUsize,
}

/// A handle to the disk, as the database takes it.
#[derive(Debug, Clone)]
struct Handle(Arc<Disk>);

impl Default for Handle {
    fn default() -> Self {
        Self(Arc::new(Disk {
            bytes: Mutex::default(),
            events: Mutex::default(),
            is_full: AtomicBool::new(false),
            syncs_left: AtomicUsize::new(usize::MAX),
        }))
    }
}

impl Disk {
    fn record(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    fn check_space(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// Does to `bytes` what `event` did; of a write only the sectors that `lasts` lets through.
fn apply(bytes: &mut Vec<u8>, event: &Event, mut lasts: impl FnMut() -> bool) {
    match event {
        Event::Write(offset, written) => {
            let mut at = usize::try_from(*offset).unwrap();
            let mut rest = written.as_slice();
            while !rest.is_empty() {
                let (sector, behind) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                if at + sector.len() <= bytes.len() && lasts() {
                    bytes[at..at + sector.len()].copy_from_slice(sector);
                }
                (at, rest) = (at + sector.len(), behind);
            }
        }
        Event::SetLength(length) if lasts() => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Event::SetLength(_) | Event::Sync | Event::Acknowledged(_) => {}
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.bytes.lock().unwrap()[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.check_space()?;
        apply(&mut self.0.bytes.lock().unwrap(), &Event::SetLength(length), || true);
        self.0.record(Event::SetLength(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.check_space()?;
        if self.0.syncs_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::other("the disk says no"));
        }
        self.0.record(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.check_space()?;
        let event = Event::Write(offset, data.to_vec());
        apply(&mut self.0.bytes.lock().unwrap(), &event, || true);
        self.0.record(event);
        Ok(())
    }
}

/// A store on `disk`, which is laid out if it is empty.
fn store_on(disk: &Handle) -> Store {
    let disk = disk.clone();
    let opener = move || {
        let is_new = disk.len().unwrap() == 0;
        let failed = |why: String| Error::Write { why };
        let database = file::database(disk.clone(), false).map_err(|error| failed(error.to_string()))?;
        if is_new {
            tables::lay_out(&database).map_err(|error| failed(error.to_string()))?;
        }
        let state = tables::load(&database).map_err(|error| failed(format!("{error:?}")))?;
        Ok((database, state))
    };
    Store::start(Box::new(opener), Ledger::in_memory()).unwrap()
}

/// Random enough, and the same in every run (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// Works on a new store, and returns everything that was done to its disk, and what every revision was.
async fn history(accounts: usize) -> (Vec<Event>, BTreeMap<Revision, String>) {
    let disk = Handle::default();
    let store = store_on(&disk);
    let mut revisions = BTreeMap::from([(Revision(0), shown(&store.intended()))]);
    let mut acknowledge = |revision| {
        disk.0.record(Event::Acknowledged(revision));
        revisions.insert(revision, shown(&store.intended()));
    };
    acknowledge(add_server(&store).await.unwrap().1);
    for number in 0..accounts {
        let (account, revision) = add_account(&store).await.unwrap();
        acknowledge(revision);
        if number % 3 == 2 {
            let rule = move |change: &mut Change| change.remove_account(account.name.as_str());
            acknowledge(store.write(rule).await.unwrap().1);
        }
    }
    store.close().await.unwrap();
    let events = std::mem::take(&mut *disk.0.events.lock().unwrap());
    (events, revisions)
}

/// What lay on the disk when power went after the first `cut` events: everything before the last sync, and of the rest
/// whatever the dice leave.
fn image(events: &[Event], synced: &[u8], since: usize, cut: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = synced.to_vec();
    let keeps = dice.below(4);
    for event in &events[since..cut] {
        apply(&mut bytes, event, || dice.below(4) < keeps);
    }
    bytes
}

#[tokio::test]
async fn loses_nothing_acknowledged_when_power_goes_at_any_moment() {
    const IMAGES_A_MOMENT: usize = 2;
    let (events, revisions) = history(40).await;
    let laid_out = events.iter().position(|event| matches!(event, Event::Acknowledged(_))).unwrap();
    let (mut synced, mut since, mut acknowledged) = (Vec::new(), 0, Revision(0));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut images = 0;
    for cut in 0..events.len() {
        match &events[cut] {
            Event::Acknowledged(revision) => acknowledged = *revision,
            Event::Sync => {
                for event in &events[since..cut] {
                    apply(&mut synced, event, || true);
                }
                since = cut;
            }
            Event::Write(..) | Event::SetLength(_) => {}
        }
        // a file gets its name when it has been laid out: before that there is none to be opened
        for _ in (0..IMAGES_A_MOMENT).filter(|_| cut > laid_out) {
            let bytes = image(&events, &synced, since, cut + 1, &mut dice);
            let State { intended, .. } =
                file::look_through(&bytes).unwrap_or_else(|error| panic!("after {cut} events: {error:?}"));
            assert!(intended.revision >= acknowledged, "after {cut} events {acknowledged:?} is lost");
            assert_eq!(Some(&shown(&intended)), revisions.get(&intended.revision), "after {cut} events");
            images += 1;
        }
    }
    assert!(images > 500, "only {images} images were looked at");
}

#[tokio::test]
async fn opens_a_file_with_a_flipped_bit_rightly_or_not_at_all() {
    let disk = Handle::default();
    let store = store_on(&disk);
    add_server(&store).await.unwrap();
    for _ in 0..10 {
        add_account(&store).await.unwrap();
    }
    let right = shown(&store.intended());
    store.close().await.unwrap();
    let mut bytes = disk.0.bytes.lock().unwrap().clone();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (mut opened, mut refused) = (0, 0);
    // the header's every bit, and a thousand of the rest
    let places = (0..320 * 8).chain((0..1_000).map(|_| dice.below(bytes.len() * 8)));
    for place in places.collect::<Vec<_>>() {
        bytes[place / 8] ^= 1 << (place % 8);
        match file::look_through(&bytes) {
            Ok(state) => {
                assert_eq!(shown(&state.intended), right, "bit {place}");
                opened += 1;
            }
            Err(_) => refused += 1,
        }
        bytes[place / 8] ^= 1 << (place % 8);
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

#[tokio::test]
async fn writes_again_once_the_disk_has_room_again() {
    let disk = Handle::default();
    let store = store_on(&disk);
    add_server(&store).await.unwrap();
    let (_, last) = add_account(&store).await.unwrap();

    disk.0.is_full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = add_account(&store).await.unwrap_err();
        assert!(matches!(error, WriteError::Failed(Error::Write { .. })), "{error}");
        assert!(store.fault().is_some());
        assert_eq!(store.intended().count_accounts(), 1, "reads go on");
    }

    disk.0.is_full.store(false, Ordering::SeqCst);
    let (_, next) = add_account(&store).await.unwrap();
    assert!(next > last);
    assert_eq!((store.intended().count_accounts(), store.fault()), (2, None));
    store.close().await.unwrap();
    assert_eq!(shown(&store_on(&disk).intended()), shown(&store.intended()));
}

#[tokio::test]
async fn agrees_with_the_disk_about_a_write_whose_end_nobody_knows() {
    for syncs in 0..3 {
        let disk = Handle::default();
        let store = store_on(&disk);
        add_server(&store).await.unwrap();
        add_account(&store).await.unwrap();

        disk.0.syncs_left.store(syncs, Ordering::SeqCst);
        let unknown = add_account(&store).await;
        disk.0.syncs_left.store(usize::MAX, Ordering::SeqCst);
        add_account(&store).await.unwrap();

        let accounts = store.intended().count_accounts();
        assert!((2..=3).contains(&accounts), "{accounts} accounts after {syncs} syncs");
        assert!(unknown.is_err() || accounts == 3, "an acknowledged write is lost after {syncs} syncs");
        store.close().await.unwrap();
        assert_eq!(shown(&store_on(&disk).intended()), shown(&store.intended()), "after {syncs} syncs");
    }
}
