//! What a daemon finds of the one before: which windows still wait.

use std::collections::{BTreeMap, BTreeSet};

use super::Body;
use super::record::{Kind, Record};
use super::segments::Damage;
use crate::clock::Clocks;

/// What the files of before say.
#[derive(Debug, Default)]
pub(super) struct Found {
    windows: BTreeMap<u64, (Clocks, Body)>,
    up_to: u64,
    settled: BTreeSet<u64>,
    pub(super) highest: u64,
}

impl Found {
    pub(super) fn take(&mut self, record: &Record<'_>, window: Option<(Clocks, Body)>) {
        self.highest = self.highest.max(record.number);
        match (record.kind, window) {
            (Kind::Window, Some((given, body))) => {
                // What is on the disk stays there.
                self.windows.entry(record.number).or_insert((given, body));
            }
            (Kind::SettledUpTo, _) => self.up_to = self.up_to.max(record.number),
            (Kind::Settled, _) => drop(self.settled.insert(record.number)),
            (Kind::Window | Kind::Refused, _) => {}
        }
    }

    fn waits(&self, number: u64) -> bool {
        number > self.up_to && !self.settled.contains(&number)
    }

    /// How many windows are missing, if there was damage.
    pub(super) fn missing(&self, damage: &Damage) -> u64 {
        let mut waiting = self.windows.keys().copied().filter(|number| self.waits(*number));
        let (Some(first), true) = (waiting.next(), damage.bytes > 0) else {
            return u64::from(damage.bytes > 0);
        };
        let last = self.highest;
        let there = 1 + waiting.count() as u64 + self.settled.range(first..).count() as u64;
        (last + 1 - first).saturating_sub(there).max(1)
    }

    /// The files in which windows wait.
    pub(super) fn live(&self) -> BTreeSet<u64> {
        let waiting = self.windows.values();
        waiting
            .filter_map(|(_, body)| match body {
                Body::Disk(spot) => Some(spot.segment),
                Body::Memory(_) => None,
            })
            .collect()
    }

    /// The windows that wait, oldest first. (The others are gone afterwards.)
    pub(super) fn waiting(&mut self) -> Vec<(u64, Clocks, Body)> {
        let all = std::mem::take(&mut self.windows);
        let mut waiting = Vec::new();
        for (number, (given, body)) in all {
            if self.waits(number) {
                if let Body::Disk(spot) = &body {
                    self.windows.insert(number, (given, Body::Disk(spot.clone())));
                }
                waiting.push((number, given, body));
            }
        }
        waiting
    }
}
