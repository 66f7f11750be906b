//! Windows that wait for the broker: the queue, and what of it is on the disk ([why](../../../docs/decisions/0026-spool.md)).
//!
//! ```text
//! push ──> waiting (memory) + fresh (a file in memory that outlives the daemon)
//!             │  after five minutes, or when twenty wait: the keeper's thread
//!             └──> segments on the disk, synced ──> next ──> on its way ──> acknowledged: gone
//!                                                                      └──> refused for good: `refused` on the disk
//! ```
//! The queue never waits for the disk, but to read what lies there: whatever becomes of that, windows go out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::Clocks;

mod exchange;
mod found;
mod fresh;
mod keeper;
mod record;
mod segments;
mod show;
#[cfg(test)]
mod tests;

use fresh::{Fresh, encoded};
pub(super) use keeper::Keeper;
pub(crate) use keeper::{Limits, Place};
use record::Kind;
pub(super) use record::Window;
use segments::Spot;
pub(crate) use show::{Look, look};

use super::Summary;

/// A power cut loses at most so many windows, or those of so long a time.
const UNSYNCED: usize = 20;
const UNSYNCED_FOR: Duration = Duration::from_secs(300);
/// Windows that are kept in memory where the disk does not take them.
const IN_MEMORY: usize = 1000;
/// Windows that the keeper writes at once.
const AT_ONCE: usize = 1000;
/// Refused windows that wait to be written to the disk.
const REFUSED_IN_MEMORY: usize = 100;

/// A bounded queue, oldest first. Windows that are on their way stay in it, do not count as waiting, and are not dropped,
/// since they may arrive.
#[derive(Debug)]
pub(super) struct Spool {
    waiting: VecDeque<Entry>,
    limits: Limits,
    /// The file of the newest windows, once the keeper has opened the spool on the disk.
    fresh: Option<Fresh>,
    /// Number of the next window in the spool on the disk.
    next_number: u64,
    versions: u64,
    in_flight: usize,
    in_memory: usize,
    /// How many windows that wait are in each file on the disk.
    live: BTreeMap<u64, usize>,
    /// Files on the disk of which nothing waits any more.
    empty: Vec<u64>,
    /// Since when windows on the disk are settled of which the disk does not know.
    unnoted: Option<Clocks>,
    /// Refused windows on their way to the disk, each with the reason's code.
    aside: Vec<(u8, Option<u64>, Window)>,
    /// The next window, as it was read from the disk.
    ahead: Option<(u64, Window)>,
    on_disk: bool,
    acknowledged: u64,
    dropped: u64,
    refused: u64,
    damaged: u64,
    /// Whether this outage's first dropped window was logged.
    told: bool,
}

#[derive(Debug)]
struct Entry {
    /// Tells it from any other in this run.
    version: u64,
    /// Its number on the disk, if there is a disk.
    number: Option<u64>,
    given: Clocks,
    body: Body,
    in_flight: bool,
}

#[derive(Debug)]
enum Body {
    Memory(Window),
    Disk(Spot),
}

/// How a window leaves the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The broker has it.
    Acknowledged,
    /// The broker will never take it, for this reason.
    Refused(u8),
    /// It is worth nothing any more.
    Expired,
}

impl Spool {
    /// An empty spool.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            waiting: VecDeque::new(),
            limits,
            fresh: None,
            next_number: 1,
            versions: 0,
            in_flight: 0,
            in_memory: 0,
            live: BTreeMap::new(),
            empty: Vec::new(),
            unnoted: None,
            aside: Vec::new(),
            ahead: None,
            on_disk: false,
            acknowledged: 0,
            dropped: 0,
            refused: 0,
            damaged: 0,
            told: false,
        }
    }

    /// Adds a window. It is in the file that outlives the daemon when this returns.
    pub(super) fn push(&mut self, window: Window, now: &Clocks) {
        self.expire(now);
        while self.in_memory >= IN_MEMORY {
            let is_free = |entry: &Entry| !entry.in_flight && matches!(entry.body, Body::Memory(_));
            let Some(index) = self.waiting.iter().position(is_free) else {
                break;
            };
            self.drop_at(index, now);
            self.tell(format_args!(
                "{IN_MEMORY} windows wait that are not on the disk, so the oldest are dropped until the broker takes them, or the disk"
            ));
        }
        let number = self.fresh.is_some().then_some(self.next_number);
        if number.is_some() {
            self.next_number += 1;
        }
        let entry = self.entry(number, window.given, Body::Memory(window.clone()));
        self.waiting.push_back(entry);
        if let (Some(number), Some(mut fresh)) = (number, self.fresh.take()) {
            fresh.window(number, &window, || self.unsynced());
            self.fresh = Some(fresh);
        }
    }

    fn entry(&mut self, number: Option<u64>, given: Clocks, body: Body) -> Entry {
        self.versions += 1;
        match &body {
            Body::Memory(_) => self.in_memory += 1,
            Body::Disk(spot) => *self.live.entry(spot.segment).or_default() += 1,
        }
        Entry {
            version: self.versions,
            number,
            given,
            body,
            in_flight: false,
        }
    }

    /// The records of the windows that are not on the disk, behind one that says what is settled.
    fn unsynced(&self) -> Vec<Vec<u8>> {
        let oldest = self.waiting.iter().find_map(|entry| entry.number);
        let settled = fresh::settled(Kind::SettledUpTo, oldest.unwrap_or(self.next_number) - 1);
        let windows = self
            .waiting
            .iter()
            .filter_map(|entry| match (&entry.body, entry.number) {
                (Body::Memory(window), Some(number)) => Some(encoded(number, window)),
                _ => None,
            });
        std::iter::once(settled).chain(windows).collect()
    }

    /// The oldest window that is not on its way, with what tells it from others.
    pub(super) fn first(&mut self, now: &Clocks) -> Option<(u64, &Window)> {
        self.expire(now);
        loop {
            // Those on their way are the oldest, but for a few that the broker answered out of turn.
            let index = self.waiting.iter().position(|entry| !entry.in_flight)?;
            let entry = &self.waiting[index];
            let version = entry.version;
            if self.ahead.as_ref().is_some_and(|(ahead, _)| *ahead == version) {
                break;
            }
            let window = match &entry.body {
                Body::Memory(window) => Some(window.clone()),
                Body::Disk(spot) => spot.read().ok().and_then(|body| Window::decode(&body)),
            };
            match window {
                Some(window) => {
                    self.ahead = Some((version, window));
                    break;
                }
                None => {
                    self.damaged += 1;
                    if self.damaged == 1 {
                        log::error!(
                            "A window on the disk cannot be read any more, so it is left out; others may follow, which are counted as damaged. The card may be worn."
                        );
                    }
                    self.remove(index, now);
                }
            }
        }
        self.ahead.as_ref().map(|(version, window)| (*version, window))
    }

    /// The window that [`Self::first`] has shown goes out.
    pub(super) fn take(&mut self) -> Option<(u64, Window)> {
        let (version, window) = self.ahead.take()?;
        let entry = self.waiting.iter_mut().find(|entry| entry.version == version)?;
        if !std::mem::replace(&mut entry.in_flight, true) {
            self.in_flight += 1;
        }
        Some((version, window))
    }

    /// How many windows are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this is the oldest window.
    pub(super) fn is_oldest(&self, version: u64) -> bool {
        self.waiting.front().is_some_and(|entry| entry.version == version)
    }

    /// What becomes of a window that is on its way. (Of any other nothing becomes of an answer.)
    pub(super) fn settle(&mut self, version: u64, settled: Settled, now: &Clocks) {
        let is_it = |entry: &Entry| entry.version == version && entry.in_flight;
        let Some(index) = self.waiting.iter().position(is_it) else {
            return;
        };
        match settled {
            Settled::Acknowledged => {
                self.acknowledged += 1;
                self.told = false;
            }
            Settled::Refused(code) => {
                self.refused += 1;
                let entry = &self.waiting[index];
                let window = match &entry.body {
                    Body::Memory(window) => Some(window.clone()),
                    Body::Disk(spot) => spot.read().ok().and_then(|body| Window::decode(&body)),
                };
                if let Some(window) = window.filter(|_| self.fresh.is_some()) {
                    self.aside.truncate(REFUSED_IN_MEMORY - 1);
                    self.aside.push((code, entry.number, window));
                }
            }
            Settled::Expired => self.dropped += 1,
        }
        self.remove(index, now);
    }

    /// A window that is on its way waits again.
    pub(super) fn put_back(&mut self, version: u64) {
        let is_it = |entry: &&mut Entry| entry.version == version && entry.in_flight;
        if let Some(entry) = self.waiting.iter_mut().find(is_it) {
            entry.in_flight = false;
            self.in_flight -= 1;
        }
        self.ahead = None;
    }

    /// Whatever is on its way waits again.
    pub(super) fn put_all_back(&mut self) {
        self.waiting.iter_mut().for_each(|entry| entry.in_flight = false);
        self.in_flight = 0;
        self.ahead = None;
    }

    /// Takes a window out of the queue, and notes that it is settled.
    fn remove(&mut self, index: usize, now: &Clocks) {
        let Some(entry) = self.waiting.remove(index) else {
            return;
        };
        self.in_flight -= usize::from(entry.in_flight);
        self.ahead.take_if(|(version, _)| *version == entry.version);
        match &entry.body {
            Body::Memory(_) => self.in_memory -= 1,
            Body::Disk(spot) => {
                self.unnoted.get_or_insert(*now);
                self.one_less_in(spot.segment);
            }
        }
        if let (Some(number), Some(mut fresh)) = (entry.number, self.fresh.take()) {
            let kind = if index == 0 {
                Kind::SettledUpTo
            } else {
                Kind::Settled
            };
            fresh.settled(kind, number, || self.unsynced());
            self.fresh = Some(fresh);
        }
    }

    fn one_less_in(&mut self, segment: u64) {
        if let Some(live) = self.live.get_mut(&segment) {
            *live -= 1;
            if *live == 0 {
                self.live.remove(&segment);
                self.empty.push(segment);
            }
        }
    }

    fn drop_at(&mut self, index: usize, now: &Clocks) {
        self.dropped += 1;
        self.remove(index, now);
    }

    /// Drops what is too old.
    fn expire(&mut self, now: &Clocks) {
        while let Some(entry) = self.waiting.front()
            && !entry.in_flight
            && entry.given.age(now) >= self.limits.age
        {
            self.drop_at(0, now);
            self.tell(format_args!(
                "Windows have waited longer than [spool] max_age, so they are dropped"
            ));
        }
    }

    /// Says once per outage that windows are dropped.
    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.told, true) {
            log::warn!("{what}.");
        }
    }

    /// What became of the windows so far.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            acknowledged: self.acknowledged,
            dropped: self.dropped,
            refused: self.refused,
            damaged: self.damaged,
            undelivered: self.waiting.len() as u64,
            kept: self.on_disk && self.fresh.is_some(),
        }
    }

    /// How long the oldest window has waited.
    pub(super) fn oldest(&self, now: &Clocks) -> Option<Duration> {
        self.waiting.front().map(|entry| entry.given.age(now))
    }

    /// Whether so many windows are not on the disk that the keeper has to come.
    pub(super) fn needs_the_keeper(&self) -> bool {
        let broken = self.fresh.as_ref().is_some_and(|fresh| !fresh.works());
        self.in_memory >= UNSYNCED || broken
    }
}
