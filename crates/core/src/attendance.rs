//! Who was there since the last report: stays of faces, which of them could be one person, and how far two groups differ.
//!
//! A *stay* is one unbroken track, from its first sight to its last. The tracker may break one person into several stays,
//! so a stay is never counted as a person without a bound:
//!
//! - *Upper bound of change*: every stay that ended is somebody who left, every stay that began is somebody who joined.
//! - *Lower bound of change*: whatever could be the same person, by place, size and time, is the same person.
//!
//! Stays live in memory until the next report, and nowhere else.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::stay::Stay;
#[cfg(feature = "attack")]
use crate::stay::add;
use crate::tracker::TrackId;
use crate::window::SeenFace;

/// Stays that ended longer ago cannot matter any more: no comparison looks back further.
const FORGET: Duration = Duration::from_secs(660);
/// More stays than these since the last report are not kept apart any more.
const MOST: usize = 1024;

/// A person as far as one window can tell: places of stays that could all be one.
pub(crate) type Person = Vec<usize>;

/// How far two groups differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Most people who can have left.
    pub left_most: usize,
    /// Fewest people who can have left.
    pub left_least: usize,
    /// Most people who can have joined.
    pub joined_most: usize,
    /// Fewest people who can have joined.
    pub joined_least: usize,
}

/// All stays since the last report.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    stays: Vec<Stay>,
    names: HashMap<TrackId, usize>,
    /// Whether there were more stays than can be kept apart.
    overflowed: bool,
    /// Whether every stay is all of one person, as nowhere but in simulations.
    #[cfg(feature = "attack")]
    pub(crate) perfect: bool,
    /// What windows counted that were held, by stay.
    #[cfg(feature = "attack")]
    aside: HashMap<usize, Stay>,
}

impl Attendance {
    /// Takes a face in; gives the place of its stay, `None` if there are too many.
    pub(crate) fn see(&mut self, at: Duration, size: (f32, f32), face: &SeenFace) -> Option<usize> {
        let known = self.names.get(&face.track).copied();
        let place = known.or_else(|| {
            let place = self.names.remove(&face.before?)?;
            self.names.insert(face.track, place);
            self.stays[place].name = face.track;
            Some(place)
        });
        if let Some(place) = place {
            self.stays[place].see(at, face.rect, size);
            return Some(place);
        }
        if self.stays.len() >= MOST {
            self.overflowed = true;
            return None;
        }
        self.names.insert(face.track, self.stays.len());
        self.stays.push(Stay::new(face.track, at, face.rect, size));
        Some(self.stays.len() - 1)
    }

    /// Keeps what the window has counted, as an attack shows that must not be.
    #[cfg(feature = "attack")]
    pub(crate) fn put_aside(&mut self) {
        self.take_back();
        self.aside = self.stays.iter().cloned().enumerate().collect();
    }

    /// Adds what was put aside to the open window.
    #[cfg(feature = "attack")]
    pub(crate) fn take_back(&mut self) {
        for (place, before) in self.aside.drain() {
            let stay = &mut self.stays[place];
            stay.frames += before.frames;
            stay.read += before.read;
            stay.confident += before.confident;
            add(&mut stay.sum, &before.sum);
        }
    }

    pub(crate) fn stay(&self, place: usize) -> &Stay {
        &self.stays[place]
    }

    pub(crate) fn stay_mut(&mut self, place: usize) -> &mut Stay {
        &mut self.stays[place]
    }

    /// Who was there in at least so many frames of the windows before, and was not seen to walk out.
    pub(crate) fn regulars(&self, least: f64) -> impl Iterator<Item = usize> {
        let stays = self.stays.iter().enumerate();
        stays
            .filter(move |(_, stay)| stay.earlier >= least && !stay.walked_out())
            .map(|(place, _)| place)
    }

    /// Whether stays were lost because there were too many, so that no comparison holds.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Forgets everybody.
    pub(crate) fn clear(&mut self) {
        self.stays.clear();
        self.names.clear();
        self.overflowed = false;
    }

    /// There were too many stays, but a report has gone out, after which everything begins anew.
    pub(crate) fn forget_overflow(&mut self) {
        self.overflowed = false;
    }

    /// Whether the camera was moved, or another picture came: within a second most of those who were there were lost, and as
    /// many are new who cannot be they. Who walks out or in at an edge does neither.
    pub(crate) fn jumped(&self, at: Duration) -> bool {
        const SECOND: Duration = Duration::from_secs(1);
        let (mut before, mut gone, mut fresh) = (0, vec![], vec![]);
        for (place, stay) in self.stays.iter().enumerate() {
            let is_old = stay.first.at + SECOND <= at;
            if is_old && stay.last.at + 3 * SECOND >= at {
                before += 1;
                if stay.last.at < at && !stay.walked_out() {
                    gone.push(place);
                }
            } else if !is_old && stay.last.at == at && !stay.walked_in() {
                fresh.push(place);
            }
        }
        if before < 3 || 2 * gone.len() <= before || 2 * fresh.len() < before {
            return false;
        }
        let could_be: Vec<Vec<usize>> = gone
            .iter()
            .map(|a| {
                (0..fresh.len())
                    .filter(|b| self.could_become(&self.stays[*a], &self.stays[fresh[*b]]))
                    .collect()
            })
            .collect();
        let mut taken = vec![None; fresh.len()];
        let same = (0..gone.len())
            .filter(|i| augment(*i, &could_be, &mut taken, &mut vec![false; fresh.len()]))
            .count();
        2 * (gone.len() - same) > before && 2 * (fresh.len() - same) >= before
    }

    /// Ends a window: forgets what it counted, and every stay that ended before `before` and is not in `kept`, whose
    /// places are changed to the new ones.
    pub(crate) fn end_window(&mut self, before: Duration, kept: Vec<&mut Vec<usize>>) {
        let needed: BTreeSet<usize> = kept.iter().flat_map(|places| places.iter().copied()).collect();
        let mut places = vec![usize::MAX; self.stays.len()];
        let mut stays = Vec::new();
        for (place, mut stay) in std::mem::take(&mut self.stays).into_iter().enumerate() {
            if stay.last.at >= before || needed.contains(&place) {
                stay.begin_window();
                places[place] = stays.len();
                stays.push(stay);
            }
        }
        self.names = stays.iter().enumerate().map(|(i, stay)| (stay.name, i)).collect();
        self.stays = stays;
        for place in kept.into_iter().flatten() {
            *place = places[*place];
        }
    }

    /// What is older than this does not matter at `now`.
    pub(crate) fn horizon(now: Duration) -> Duration {
        now.saturating_sub(FORGET)
    }

    /// The people among `stays`, as few as they can be: a stay that could go on as a later one is taken for the same person
    /// (a largest matching, the nearest first).
    pub(crate) fn people(&self, mut stays: Vec<usize>) -> Vec<Person> {
        stays.sort_by_key(|place| self.stays[*place].first.at);
        let could_be: Vec<Vec<usize>> = stays
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let mut later: Vec<(f32, usize)> = stays
                    .iter()
                    .enumerate()
                    .skip(i + 1)
                    .filter_map(|(j, b)| Some((self.farness(*a, *b)?, j)))
                    .collect();
                later.sort_by(|a, b| a.0.total_cmp(&b.0));
                later.into_iter().map(|(_, j)| j).collect()
            })
            .collect();
        let mut earlier = vec![None; stays.len()];
        for i in 0..stays.len() {
            augment(i, &could_be, &mut earlier, &mut vec![false; stays.len()]);
        }
        let mut next = vec![None; stays.len()];
        for (j, i) in earlier.iter().enumerate() {
            if let Some(i) = i {
                next[*i] = Some(j);
            }
        }
        let first = (0..stays.len()).filter(|i| earlier[*i].is_none());
        first
            .map(|i| {
                std::iter::successors(Some(i), |i| next[*i])
                    .map(|i| stays[i])
                    .collect()
            })
            .collect()
    }

    /// How far, in widths of a face and in seconds, a stay lies from a later one that it could go on as.
    fn farness(&self, stay: usize, later: usize) -> Option<f32> {
        let (a, b) = (&self.stays[stay], &self.stays[later]);
        self.could_become(a, b).then(|| {
            let gap = (b.first.at - a.last.at).as_secs_f32();
            a.last.rect.distance(&b.first.rect) / a.last.rect.w.max(1.0) + gap
        })
    }

    /// How far the group `now` differs from the group `then`.
    pub(crate) fn change(&self, then: &[Person], now: &[Person]) -> Change {
        let then_stays: BTreeSet<usize> = then.iter().flatten().copied().collect();
        let now_stays: BTreeSet<usize> = now.iter().flatten().copied().collect();
        let apart =
            |people: &[Person]| -> Vec<Person> { people.iter().flatten().map(|stay| vec![*stay]).collect() };
        Change {
            left_most: then_stays.difference(&now_stays).count(),
            left_least: then.len() - self.most_in_common(then, &apart(now)),
            joined_most: now_stays.difference(&then_stays).count(),
            joined_least: now.len() - self.most_in_common(&apart(then), now),
        }
    }

    /// How many people of `then` could be people of `now`, at most: a maximum matching.
    fn most_in_common(&self, then: &[Person], now: &[Person]) -> usize {
        let mut owner = HashMap::new();
        for (person, stays) in now.iter().enumerate() {
            stays.iter().for_each(|stay| {
                owner.insert(*stay, person);
            });
        }
        let could_be: Vec<Vec<usize>> = then
            .iter()
            .map(|person| {
                let mut people: Vec<usize> = self
                    .reachable(person)
                    .iter()
                    .filter_map(|stay| owner.get(stay).copied())
                    .collect();
                people.sort_unstable();
                people.dedup();
                people
            })
            .collect();
        let mut taken = vec![None; now.len()];
        (0..then.len())
            .filter(|person| {
                let mut tried = vec![false; now.len()];
                augment(*person, &could_be, &mut taken, &mut tried)
            })
            .count()
    }

    fn could_become(&self, stay: &Stay, later: &Stay) -> bool {
        #[cfg(feature = "attack")]
        if self.perfect {
            return false;
        }
        stay.could_become(later)
    }

    /// Every stay that whoever made `stays` could have made since, by way of others.
    fn reachable(&self, stays: &[usize]) -> Vec<usize> {
        let mut reached = vec![false; self.stays.len()];
        stays.iter().for_each(|place| reached[*place] = true);
        let mut open = stays.to_vec();
        let mut next = 0;
        while next < open.len() {
            let here = &self.stays[open[next]];
            next += 1;
            for (place, stay) in self.stays.iter().enumerate() {
                if !reached[place] && self.could_become(here, stay) {
                    reached[place] = true;
                    open.push(place);
                }
            }
        }
        open
    }
}

/// Finds a partner for `person`, moving others aside if need be (Kuhn's algorithm).
fn augment(person: usize, could_be: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &other in &could_be[person] {
        if std::mem::replace(&mut tried[other], true) {
            continue;
        }
        let free = match taken[other] {
            None => true,
            Some(owner) => augment(owner, could_be, taken, tried),
        };
        if free {
            taken[other] = Some(person);
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "attendance_tests.rs"]
mod tests;
