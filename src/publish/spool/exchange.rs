//! What queue and keeper tell each other: what has to be written, and what is.

use std::collections::BTreeMap;

use super::fresh::{Fresh, encoded};
use super::keeper::{Done, Loaded, Work};
use super::segments::Spot;
use super::{AT_ONCE, Body, Entry, REFUSED_IN_MEMORY, Spool, UNSYNCED, UNSYNCED_FOR};
use crate::clock::Clocks;

impl Spool {
    /// What the keeper shall do now; `all` at the end, when nothing may be left to be written.
    pub(in crate::publish) fn plan(&mut self, now: &Clocks, all: bool) -> Work {
        self.expire(now);
        let mut work = Work {
            empty: std::mem::take(&mut self.empty),
            ..Work::default()
        };
        let Some(fresh) = &self.fresh else {
            // Not opened yet.
            return work;
        };
        let fresh_works = fresh.works();
        work.refused = std::mem::take(&mut self.aside);
        let unsynced = || {
            let entries = self.waiting.iter();
            entries.filter_map(|entry| match &entry.body {
                Body::Memory(window) => Some((entry, window)),
                Body::Disk(_) => None,
            })
        };
        let oldest = unsynced().map(|(entry, _)| entry.given.age(now)).max();
        let is_due = all || !fresh_works || self.in_memory >= UNSYNCED || oldest >= Some(UNSYNCED_FOR);
        if is_due {
            let written = unsynced().take(AT_ONCE).filter_map(|(entry, window)| {
                let number = entry.number?;
                Some((entry.version, encoded(number, window)))
            });
            work.windows = written.collect();
        }
        if let Some(since) = &self.unnoted
            && (all || since.age(now) >= UNSYNCED_FOR)
        {
            // Once all is settled, the files go, and their numbers with them.
            let oldest = self.waiting.iter().find_map(|entry| entry.number);
            work.settled = oldest.filter(|_| !self.live.is_empty()).map(|oldest| oldest - 1);
            self.unnoted = None;
        }
        work
    }

    /// Takes in what the keeper has done.
    pub(in crate::publish) fn done(&mut self, done: Done, now: &Clocks) {
        self.on_disk = done.works;
        if let Some(loaded) = done.loaded {
            self.take_in(loaded);
        }
        for segment in done.gone {
            self.live.remove(&segment);
            let is_gone = |entry: &Entry| {
                !entry.in_flight && matches!(&entry.body, Body::Disk(spot) if spot.segment == segment)
            };
            while let Some(index) = self.waiting.iter().position(is_gone) {
                self.drop_at(index, now);
                self.tell(format_args!(
                    "The spool is full, so the oldest windows are dropped until the broker takes them; [spool] max_size sets its size"
                ));
            }
        }
        let wrote = !done.stored.is_empty();
        self.place(done.stored, now);
        if wrote && let Some(mut fresh) = self.fresh.take() {
            fresh.write_anew(&self.unsynced());
            self.fresh = Some(fresh);
        }
        for (code, number, window) in done.not_refused {
            self.aside.push((code, number, window));
        }
        self.aside.truncate(REFUSED_IN_MEMORY);
    }

    /// Windows are on the disk now. Those that were settled meanwhile are there, too.
    fn place(&mut self, stored: BTreeMap<u64, Spot>, now: &Clocks) {
        let mut stored = stored;
        for entry in &mut self.waiting {
            if let Some(spot) = stored.remove(&entry.version) {
                *self.live.entry(spot.segment).or_default() += 1;
                entry.body = Body::Disk(spot);
                self.in_memory -= 1;
            }
        }
        for spot in stored.into_values() {
            self.unnoted.get_or_insert(*now);
            if !self.live.contains_key(&spot.segment) && !self.empty.contains(&spot.segment) {
                self.empty.push(spot.segment);
            }
        }
    }

    /// Puts the windows from before in front, and numbers those that came before the spool could be opened.
    fn take_in(&mut self, loaded: Loaded) {
        self.next_number = loaded.highest + 1;
        self.damaged += loaded.damaged;
        for (number, given, body) in loaded.windows.into_iter().rev() {
            let entry = self.entry(Some(number), given, body);
            self.waiting.push_front(entry);
        }
        for entry in &mut self.waiting {
            if entry.number.is_none() {
                entry.number = Some(self.next_number);
                self.next_number += 1;
            }
        }
        self.fresh = Some(Fresh::begin(&loaded.fresh, &self.unsynced()));
        for stale in loaded.stale {
            // If it stays, its windows come twice after the next start.
            let _ = std::fs::remove_file(stale);
        }
    }
}
