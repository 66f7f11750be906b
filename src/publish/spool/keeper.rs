//! Keeps the spool on the disk: opens it, writes what waits too long, takes away what is settled. In a thread of its own,
//! since a card may take seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::Body;
use super::found::Found;
use super::fresh::{FILE, Fresh, settled};
use super::record::{self, Kind, Window};
use super::segments::{Damage, Segments, Spot, make_private};
use crate::clock::Clocks;

/// Folders and files in the spool's folder.
pub(super) const WAITING: &str = "waiting";
pub(super) const REFUSED: &str = "refused";
const LOCK: &str = "lock";
/// How much of the disk refused windows may take.
pub(super) const REFUSED_SIZE: u64 = 1 << 20;
/// How often a disk that fails is tried.
const RETRY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Where the spool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// On the disk.
    pub(crate) state: PathBuf,
    /// In memory that outlives the daemon; without it, everything is on the disk.
    pub(crate) runtime: Option<PathBuf>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The age at which a window is worth nothing.
    pub(crate) age: Duration,
    /// Bytes on the disk.
    pub(crate) size: u64,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(in crate::publish) struct Work {
    /// Windows to be written, with what tells them apart.
    pub(super) windows: Vec<(u64, Vec<u8>)>,
    /// Windows that were refused, with the reason's code.
    pub(super) refused: Vec<(u8, Option<u64>, Window)>,
    /// All windows up to this number are settled, which is to be noted.
    pub(super) settled: Option<u64>,
    /// Files of which nothing waits any more.
    pub(super) empty: Vec<u64>,
}

/// What was done.
#[derive(Debug, Default)]
pub(in crate::publish) struct Done {
    /// What was found when the spool was opened.
    pub(super) loaded: Option<Loaded>,
    /// Where windows are now.
    pub(super) stored: BTreeMap<u64, Spot>,
    /// Files that had to go.
    pub(super) gone: Vec<u64>,
    /// Refused windows that could not be written.
    pub(super) not_refused: Vec<(u8, Option<u64>, Window)>,
    /// Whether the disk takes windows.
    pub(super) works: bool,
}

/// What waited when the daemon ended.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Oldest first.
    pub(super) windows: Vec<(u64, Clocks, Body)>,
    /// The highest number that was given.
    pub(super) highest: u64,
    /// Windows that could not be read.
    pub(super) damaged: u64,
    /// Folder of the file of the newest windows.
    pub(super) fresh: PathBuf,
    /// Such files elsewhere.
    pub(super) stale: Vec<PathBuf>,
}

/// The spool on the disk.
#[derive(Debug)]
pub(in crate::publish) struct Keeper {
    place: Place,
    limits: Limits,
    opened: Option<Opened>,
    /// When the disk failed last.
    failed: Option<Clocks>,
    /// What is wrong, as far as it was said.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Opened {
    lock: File,
    waiting: Segments,
    refused: Segments,
    /// When the newest window of each file of refused ones was dated.
    refused_when: BTreeMap<u64, Clocks>,
}

impl Keeper {
    pub(in crate::publish) fn new(place: Place, limits: Limits) -> Self {
        Self {
            place,
            limits,
            opened: None,
            failed: None,
            trouble: None,
        }
    }

    /// Does what there is to do; if the spool is not open yet, opens it. A disk that fails is tried again after a while.
    pub(in crate::publish) fn work(&mut self, work: Work, now: &Clocks) -> Done {
        let mut done = Done::default();
        let rests = self.failed.as_ref().is_some_and(|failed| failed.age(now) < RETRY);
        if rests {
            done.not_refused = work.refused;
            // They are empty later, too.
            self.forget(&work.empty);
            return done;
        }
        let mut work = work;
        let result = self
            .open(&mut done)
            .and_then(|()| self.write(&mut work, &mut done, now));
        done.not_refused = work.refused;
        match result {
            Ok(()) => {
                done.works = true;
                self.failed = None;
                if self.trouble.take().is_some() {
                    log::info!("The spool `{}` works again.", self.place.state.display());
                }
            }
            Err(error) => {
                self.failed = Some(*now);
                let words = format!(
                    "The spool `{}` cannot be used: {error}. Windows go out as before, but those that wait are not on the disk and would be lost with the power{}. {}",
                    self.place.state.display(),
                    if self.place.runtime.is_some() {
                        ""
                    } else {
                        " or a restart"
                    },
                    advice(&error)
                );
                if self.trouble.as_ref() != Some(&words) {
                    log::warn!("{words}");
                    self.trouble = Some(words);
                }
            }
        }
        done
    }

    fn forget(&mut self, empty: &[u64]) {
        if let Some(opened) = &mut self.opened {
            empty.iter().for_each(|segment| opened.waiting.remove(*segment));
        }
    }

    /// What of the refused windows is left in `work` is not written.
    fn write(&mut self, work: &mut Work, done: &mut Done, now: &Clocks) -> io::Result<()> {
        self.forget(&work.empty);
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        opened.take_lock_again(&self.place.state)?;
        opened.put_aside(&work.refused, self.limits.age, now)?;
        work.refused.clear();
        let (versions, records): (Vec<u64>, Vec<Vec<u8>>) = work.windows.drain(..).unzip();
        let spots = opened.waiting.append(&records, &mut done.gone)?;
        done.stored = versions.into_iter().zip(spots).collect();
        if let Some(number) = work.settled {
            opened
                .waiting
                .append(&[settled(Kind::SettledUpTo, number)], &mut done.gone)?;
        }
        Ok(())
    }

    fn open(&mut self, done: &mut Done) -> io::Result<()> {
        if self.opened.is_some() {
            return Ok(());
        }
        let state = &self.place.state;
        make_private(state)?;
        let lock = take_lock(state)?;
        let mut damage = Damage::default();
        let mut found = Found::default();
        let waiting = Segments::open(
            &state.join(WAITING),
            self.limits.size,
            &mut damage,
            |record, spot| {
                let given = record::clocks(record.body).map(|(given, _)| given);
                found.take(record, given.map(|given| (given, Body::Disk(spot))));
            },
        )?;
        let mut refused_when = BTreeMap::new();
        let refused = Segments::open(&state.join(REFUSED), REFUSED_SIZE, &mut damage, |record, spot| {
            if let Some((given, _)) = record.body.get(1..).and_then(record::clocks) {
                refused_when.insert(spot.segment, given);
            }
        })?;
        let mut stale = Vec::new();
        let fresh = self.place.runtime.as_ref().unwrap_or(state);
        for folder in self.place.runtime.iter().chain([state]) {
            // One that cannot be read holds nothing that could be had.
            let bytes = Fresh::read(folder).unwrap_or_else(|error| {
                log::warn!("`{}` cannot be read ({error}).", folder.join(FILE).display());
                Vec::new()
            });
            let (records, bad) = record::read_all(&bytes);
            for (_, record) in &records {
                let window = Window::decode(record.body).filter(|_| record.kind == Kind::Window);
                found.take(record, window.map(|window| (window.given, Body::Memory(window))));
            }
            if bad > 0 {
                damage.bytes += bad;
                damage.files.push(folder.join(FILE));
            }
            if folder != fresh {
                stale.push(folder.join(FILE));
            }
        }
        let damaged = found.missing(&damage);
        if damage.bytes > 0 {
            tell(&damage, damaged);
        }
        let windows = found.waiting();
        if !windows.is_empty() {
            log::info!(
                "{} windows wait in `{}` from before; they go out first.",
                windows.len(),
                state.display()
            );
        }
        done.loaded = Some(Loaded {
            windows,
            highest: found.highest,
            damaged,
            fresh: fresh.clone(),
            stale,
        });
        // Files of which nothing waits.
        let live: BTreeSet<u64> = found.live();
        self.opened = Some(Opened {
            lock,
            waiting,
            refused,
            refused_when,
        });
        let empty: Vec<u64> = self
            .opened
            .iter()
            .flat_map(|opened| opened.waiting.numbers())
            .filter(|number| !live.contains(number))
            .collect();
        self.forget(&empty);
        Ok(())
    }
}

impl Opened {
    /// Writes refused windows, and takes away those that are too old.
    fn put_aside(
        &mut self,
        refused: &[(u8, Option<u64>, Window)],
        age: Duration,
        now: &Clocks,
    ) -> io::Result<()> {
        let old: Vec<u64> = self
            .refused_when
            .iter()
            .filter(|(_, newest)| newest.age(now) >= age)
            .map(|(segment, _)| *segment)
            .collect();
        for segment in old {
            self.refused.remove(segment);
            self.refused_when.remove(&segment);
        }
        let mut gone = Vec::new();
        for (code, number, window) in refused {
            let mut record = Vec::new();
            let body = [&[*code][..], &window.encode()].concat();
            record::write(&mut record, Kind::Refused, number.unwrap_or_default(), &body);
            for spot in self.refused.append(&[record], &mut gone)? {
                self.refused_when.insert(spot.segment, window.given);
            }
        }
        self.refused_when.retain(|segment, _| !gone.contains(segment));
        Ok(())
    }

    /// If somebody has cleaned up, the lock is a file that nobody sees.
    fn take_lock_again(&mut self, state: &Path) -> io::Result<()> {
        if self.lock.metadata()?.nlink() > 0 {
            return Ok(());
        }
        make_private(state)?;
        self.lock = take_lock(state)?;
        log::warn!(
            "Somebody removed `{}`; it is made anew. What waited in it goes out for as long as affectd runs.",
            state.display()
        );
        Ok(())
    }
}

/// Takes the spool for this process.
fn take_lock(state: &Path) -> io::Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(state.join(LOCK))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => io::Error::other("another affectd uses it"),
        error => error.into(),
    })?;
    Ok(lock)
}

fn tell(damage: &Damage, windows: u64) {
    let files: Vec<String> = damage
        .files
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    log::warn!(
        "{} bytes in {} cannot be read, so {windows} windows at most are left out, and the others go out: the power was cut while they were written, or the card is worn.",
        damage.bytes,
        files.join(" and ")
    );
}

/// What to do about a disk that fails.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Free some space: it is tried again.",
        io::ErrorKind::ReadOnlyFilesystem => {
            "The file system is read-only, perhaps because the card is worn: the kernel's log says why. It is tried again."
        }
        io::ErrorKind::PermissionDenied => "Make its folder writable for affectd alone: it is tried again.",
        _ => "It is tried again.",
    }
}
