//! Statistics of a group: per person first, then over persons, so that persons weigh the same, not frames.
//!
//! These numbers are raw: only the privacy gate ([`crate::gate`]) decides what of them may be said.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::attendance::{Attendance, Person};
use crate::descriptor::{GroupDescriptor, Moments};
use crate::expression::{EXPRESSIONS, dominant};
use crate::stay::{Stay, mean_scores};
use crate::window::FrameFaces;

/// Frames one after the other with the same faces, enough of them at once.
#[derive(Debug)]
struct CountedFrames {
    first: Duration,
    last: Duration,
    count: u32,
    /// The stays of the faces that were read a moment ago.
    stays: Vec<usize>,
}

/// What is counted of an open window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    frames: Vec<CountedFrames>,
    /// Whether each stay was seen.
    seen: Vec<bool>,
    classified: u32,
    skipped: u32,
}

/// The frames in which enough people of a report were seen at once.
#[derive(Debug)]
pub(crate) struct AtOnce {
    /// How many there are.
    pub(crate) frames: u32,
    /// How far the first and the last lie apart.
    pub(crate) time: Duration,
    /// Most of these people in one frame.
    pub(crate) peak: u32,
    /// The mean of that.
    mean: f64,
    /// What each person weighs if every frame weighs the same.
    weights: Vec<f64>,
}

impl Tally {
    /// Takes a frame in: the stays of everybody seen in it, and of those who were read a moment ago, if the frame counts.
    pub(crate) fn add(&mut self, frame: &FrameFaces, seen: &[usize], counts: Option<Vec<usize>>) {
        for &stay in seen {
            self.see(stay);
        }
        self.skipped += frame.skipped;
        self.classified += frame.faces.iter().filter(|face| face.reading.is_some()).count() as u32;
        let Some(stays) = counts else { return };
        match self.frames.last_mut() {
            Some(before) if before.stays == stays => {
                before.last = frame.at;
                before.count += 1;
            }
            _ => self.frames.push(CountedFrames {
                first: frame.at,
                last: frame.at,
                count: 1,
                stays,
            }),
        }
    }

    fn see(&mut self, stay: usize) {
        if self.seen.len() <= stay {
            self.seen.resize(stay + 1, false);
        }
        self.seen[stay] = true;
    }

    /// How many frames count.
    pub(crate) fn counted(&self) -> u32 {
        self.frames.iter().map(|frames| frames.count).sum()
    }

    /// Adds another window, as an attack shows that must not be.
    #[cfg(feature = "attack")]
    pub(crate) fn merge(&mut self, more: Self) {
        more.stays().into_iter().for_each(|stay| self.see(stay));
        self.frames.extend(more.frames);
    }

    /// Everybody who was seen.
    pub(crate) fn stays(&self) -> Vec<usize> {
        (0..self.seen.len()).filter(|stay| self.seen[*stay]).collect()
    }

    /// The frames in which at least `least` of `people` were seen at once: nobody else makes a frame count for them.
    pub(crate) fn at_once(&self, people: &[Person], least: usize) -> AtOnce {
        let mut owner = vec![None; self.seen.len()];
        for (person, stays) in people.iter().enumerate() {
            stays.iter().for_each(|stay| owner[*stay] = Some(person));
        }
        let mut at_once = AtOnce {
            frames: 0,
            time: Duration::ZERO,
            peak: 0,
            mean: 0.0,
            weights: vec![0.0; people.len()],
        };
        let mut first = None;
        for frames in &self.frames {
            let mut present: Vec<usize> = frames.stays.iter().filter_map(|stay| owner[*stay]).collect();
            present.sort_unstable();
            present.dedup();
            if present.len() < least {
                continue;
            }
            at_once.frames += frames.count;
            at_once.time = frames.last.saturating_sub(*first.get_or_insert(frames.first));
            at_once.peak = at_once.peak.max(present.len() as u32);
            at_once.mean += f64::from(frames.count) * present.len() as f64;
            for person in &present {
                at_once.weights[*person] += f64::from(frames.count) / present.len() as f64;
            }
        }
        at_once.mean /= f64::from(at_once.frames.max(1));
        at_once
    }

    /// Which of `stays` were seen together, frame by frame, each set once.
    pub(crate) fn together(&self, stays: &BTreeSet<usize>) -> Vec<Vec<usize>> {
        let seen = self.frames.iter().map(|frames| {
            let mut set = frames.stays.clone();
            set.retain(|stay| stays.contains(stay));
            set.sort_unstable();
            set
        });
        let mut sets: Vec<Vec<usize>> = seen.collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }
}

/// What a window says about its group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStatistics {
    /// People who are in the numbers.
    pub persons: u32,
    /// Mean number of people at once, over the counted frames.
    pub people_mean: f64,
    /// Most people at once.
    pub peak: u32,
    /// Whether frames weigh the same instead of people.
    pub by_frames: bool,
    /// Mean over persons of each person's mean score, confident or not.
    pub mean: [f64; EXPRESSIONS],
    /// Population standard deviation over persons of each person's mean score; zeros if frames weigh.
    pub std: [f64; EXPRESSIONS],
    /// Part of the persons by strongest expression, confident or not: if only who is read with confidence had one, the
    /// moments at which somebody is not would tell his.
    pub share: [f64; EXPRESSIONS],
    /// Part of the persons without a confident reading.
    pub unknown_share: f64,
    /// The paper's group descriptor over expression scores, persons taken as the faces of one frame: length 32, L2-normed.
    pub descriptor: Vec<f64>,
    /// Part of the classifications that the budget did not allow.
    pub skipped_part: f64,
}

impl GroupStatistics {
    pub(crate) fn of(
        tally: &Tally,
        people: &[Person],
        at_once: &AtOnce,
        attendance: &Attendance,
        by_frames: bool,
    ) -> Self {
        let mut weighted = Weighted::default();
        let mut moments = Moments::default();
        let mut descriptor = GroupDescriptor::default();
        let mut all = Vec::with_capacity(people.len());
        for (person, weight) in people.iter().zip(&at_once.weights) {
            let stays: Vec<&Stay> = person.iter().map(|place| attendance.stay(*place)).collect();
            let Some(mean) = mean_scores(&stays) else { continue };
            let is_known = stays.iter().any(|stay| stay.confident > 0);
            weighted.add(&mean, is_known, if by_frames { *weight } else { 1.0 });
            moments.add(&mean);
            all.push(mean);
        }
        let asked = f64::from(tally.classified + tally.skipped).max(1.0);
        let (mean, share, unknown_share) = weighted.means();
        if by_frames {
            descriptor.add_frame([mean.as_slice()]);
        } else {
            descriptor.add_frame(all.iter().map(<[f64; EXPRESSIONS]>::as_slice));
        }
        Self {
            persons: moments.count(),
            people_mean: at_once.mean,
            peak: at_once.peak,
            by_frames,
            mean,
            std: if by_frames {
                [0.0; EXPRESSIONS]
            } else {
                fixed(&moments.std())
            },
            share,
            unknown_share,
            descriptor: descriptor.vector().unwrap_or_default(),
            skipped_part: f64::from(tally.skipped) / asked,
        }
    }

    /// The means with persons weighing by the time for which they were seen, as an attack shows that they must not.
    #[cfg(feature = "attack")]
    pub(crate) fn weighted_by_time(mut self, people: &[Person], attendance: &Attendance) -> Self {
        let mut weighted = Weighted::default();
        for person in people {
            let stays: Vec<&Stay> = person.iter().map(|place| attendance.stay(*place)).collect();
            let weight: f64 = stays.iter().map(|stay| f64::from(stay.frames)).sum();
            if let Some(mean) = mean_scores(&stays) {
                weighted.add(&mean, true, weight);
            }
        }
        (self.mean, self.share, _) = weighted.means();
        self
    }
}

/// Sums over persons, each with a weight.
#[derive(Default)]
struct Weighted {
    weight: f64,
    mean: [f64; EXPRESSIONS],
    share: [f64; EXPRESSIONS],
    unknown: f64,
}

impl Weighted {
    fn add(&mut self, mean: &[f64; EXPRESSIONS], is_known: bool, weight: f64) {
        self.weight += weight;
        self.mean
            .iter_mut()
            .zip(mean)
            .for_each(|(sum, m)| *sum += weight * m);
        self.share[strongest(mean)] += weight;
        self.unknown += if is_known { 0.0 } else { weight };
    }

    fn means(&self) -> ([f64; EXPRESSIONS], [f64; EXPRESSIONS], f64) {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        (
            self.mean.map(|sum| sum / weight),
            self.share.map(|sum| sum / weight),
            self.unknown / weight,
        )
    }
}

fn strongest(scores: &[f64; EXPRESSIONS]) -> usize {
    dominant(&scores.map(|score| score as f32)).0.index()
}

/// The vector as an array; zeros where nothing was seen.
fn fixed(vector: &[f64]) -> [f64; EXPRESSIONS] {
    let mut array = [0.0; EXPRESSIONS];
    array.iter_mut().zip(vector).for_each(|(a, v)| *a = *v);
    array
}
