//! Statistics of a group: per person first, then over persons, so that persons weigh the same, not frames.
//!
//! These numbers are raw: only the privacy gate ([`crate::gate`]) decides what of them may be said.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::attendance::{Attendance, Person, Stay, mean_scores};
use crate::descriptor::{GroupDescriptor, Moments};
use crate::expression::{EXPRESSIONS, dominant};
use crate::window::FrameFaces;

/// What is counted of an open window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Frames with enough people at once.
    pub(crate) counted: u32,
    /// Most people at once.
    pub(crate) peak: u32,
    first: Option<Duration>,
    last: Duration,
    /// Sum over the counted frames of the people at once.
    people: u64,
    stays: BTreeSet<usize>,
    classified: u32,
    skipped: u32,
    /// Over the counted frames: the mean of the latest scores, and the part of the faces by strongest expression.
    scores: Moments,
    share: Moments,
    unknown: f64,
}

impl Tally {
    /// Takes a frame in: the stays of everybody seen in it, and how many people it counts for, if it counts.
    pub(crate) fn add(
        &mut self,
        frame: &FrameFaces,
        seen: &[usize],
        counts: Option<usize>,
        attendance: &Attendance,
    ) {
        self.stays.extend(seen);
        self.skipped += frame.skipped;
        self.classified += frame.faces.iter().filter(|face| face.reading.is_some()).count() as u32;
        let Some(at_once) = counts else { return };
        self.counted += 1;
        self.peak = self.peak.max(at_once as u32);
        self.people += at_once as u64;
        self.first.get_or_insert(frame.at);
        self.last = frame.at;
        let mut mean = Moments::default();
        let mut share = [0.0; EXPRESSIONS];
        let mut unknown = 0.0;
        for reading in seen.iter().filter_map(|place| attendance.stay(*place).latest) {
            mean.add(&reading.scores.map(f64::from));
            share[dominant(&reading.scores).0.index()] += 1.0;
            unknown += f64::from(u8::from(!reading.confident));
        }
        let count = f64::from(mean.count());
        if count > 0.0 {
            self.scores.add(mean.mean());
            self.share.add(&share.map(|s| s / count));
            self.unknown += unknown / count;
        }
    }

    /// Adds another window, as an attack shows that must not be.
    #[cfg(feature = "attack")]
    pub(crate) fn merge(&mut self, more: Self) {
        self.counted += more.counted;
        self.peak = self.peak.max(more.peak);
        self.people += more.people;
        self.stays.extend(more.stays);
    }

    /// Everybody who was seen.
    pub(crate) fn stays(&self) -> Vec<usize> {
        self.stays.iter().copied().collect()
    }

    /// How far the first and the last counted frame lie apart.
    pub(crate) fn counted_for(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| self.last - first)
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
    pub(crate) fn of(tally: &Tally, people: &[Person], attendance: &Attendance, by_frames: bool) -> Self {
        let mut moments = Moments::default();
        let mut share = [0.0; EXPRESSIONS];
        let mut unknown = 0.0;
        let mut all = Vec::with_capacity(people.len());
        for person in people {
            let stays: Vec<&Stay> = person.iter().map(|place| attendance.stay(*place)).collect();
            let Some(mean) = mean_scores(&stays) else { continue };
            moments.add(&mean);
            all.push(mean);
            share[strongest(&mean)] += 1.0;
            let is_known = stays.iter().any(|stay| stay.confident > 0);
            unknown += f64::from(u8::from(!is_known));
        }
        let count = f64::from(moments.count()).max(1.0);
        let mut descriptor = GroupDescriptor::default();
        descriptor.add_frame(all.iter().map(<[f64; EXPRESSIONS]>::as_slice));
        let frames = f64::from(tally.scores.count()).max(1.0);
        let asked = f64::from(tally.classified + tally.skipped).max(1.0);
        Self {
            persons: moments.count(),
            people_mean: tally.people as f64 / f64::from(tally.counted.max(1)),
            peak: tally.peak,
            by_frames,
            mean: fixed(if by_frames {
                tally.scores.mean()
            } else {
                moments.mean()
            }),
            std: if by_frames {
                [0.0; EXPRESSIONS]
            } else {
                fixed(&moments.std())
            },
            share: match by_frames {
                true => fixed(tally.share.mean()),
                false => share.map(|s| s / count),
            },
            unknown_share: match by_frames {
                true => tally.unknown / frames,
                false => unknown / count,
            },
            descriptor: match by_frames {
                true => {
                    let mut descriptor = GroupDescriptor::default();
                    descriptor.add_frame([tally.scores.mean()]);
                    descriptor.vector().unwrap_or_default()
                }
                false => descriptor.vector().unwrap_or_default(),
            },
            skipped_part: f64::from(tally.skipped) / asked,
        }
    }

    /// The means with persons weighing by the time for which they were seen, as an attack shows that they must not.
    #[cfg(feature = "attack")]
    pub(crate) fn weighted_by_time(mut self, people: &[Person], attendance: &Attendance) -> Self {
        let mut mean = [0.0; EXPRESSIONS];
        let mut share = [0.0; EXPRESSIONS];
        let mut all = 0.0;
        for person in people {
            let stays: Vec<&Stay> = person.iter().map(|place| attendance.stay(*place)).collect();
            let weight: f64 = stays.iter().map(|stay| f64::from(stay.frames)).sum();
            let Some(scores) = mean_scores(&stays) else {
                continue;
            };
            all += weight;
            mean.iter_mut().zip(scores).for_each(|(m, s)| *m += weight * s);
            share[strongest(&scores)] += weight;
        }
        self.mean = mean.map(|m| m / all);
        self.share = share.map(|s| s / all);
        self
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
