//! The privacy gate: whether a window has numbers, and what they rest on. Nothing is published but through here.
//!
//! 1. **People are counted by simultaneity.** A window has numbers only if, in enough of its frames, at least `min_group`
//!    different faces were visible in one frame, each alive and each read a moment ago. Confidence decides nothing here.
//! 2. **People weigh the same**, however long they were seen ([`crate::statistics`]).
//! 3. **Nobody can be subtracted out.** After a report the next is released only if of its people nobody left or at least
//!    `min_group` left, and nobody joined or at least `min_group` joined. *Nobody* is judged by the upper bound of change,
//!    *at least* by the lower bound ([`crate::attendance`]). Other windows are held: dropped, not merged.
//!    The first window after a start is held, so that whoever was hidden in it is not taken for somebody who joins.
//! 4. **What was not seen is not guessed.** After a gap, a pause or a restart nothing is released until [`SILENCE`] has passed
//!    since the last report. A hold ends then, too.
//! 5. **A group that is all alike is coarsened** ([`crate::release`]).
//!
//! `docs/privacy.md` says against whom this holds, and with which figure; `crates/attack` measures it.

mod differences;
mod rules;

use std::collections::BTreeSet;
use std::time::Duration;

pub use rules::Rule;

use crate::attendance::{Attendance, Person};
use crate::expression::Expression;
use crate::geometry::SAME_FACE;
use crate::mood::MoodClassifier;
use crate::release::{Released, Releaser};
use crate::statistics::{AtOnce, GroupStatistics, Tally};
use crate::window::{FrameFaces, SeenFace, Span};

/// The least value that `min_group` may take. Below three, a member of the group can work out the others.
pub const MIN_GROUP_FLOOR: u32 = 3;
/// The least value in places that are open to the public.
pub const PUBLIC_MIN_GROUP_FLOOR: u32 = 5;
/// In how many frames of a window `min_group` people must have been seen at once.
pub const COUNTED_FRAMES: u32 = 3;
/// How far the first and the last of these frames must lie apart, if the source is live.
pub const COUNTED_TIME: Duration = Duration::from_secs(3);
/// How long ago a face that counts may have been read.
pub const READ_WITHIN: Duration = Duration::from_secs(1);
/// Part of the counted frames in which somebody must have been seen to join a report: of the window, or of it and those before.
pub const LEAST_PRESENCE: f64 = 0.25;
/// How many times as many linked people as were seen at once may be told apart; above, frames weigh instead of people.
pub const MOST_LINKED: f64 = 1.5;
/// After a gap, nothing is released for so long after the last report; and a hold ends after so long.
pub const SILENCE: Duration = Duration::from_secs(600);
/// The longest time that a report covers.
pub const LONGEST_COVER: Duration = Duration::from_secs(60);
/// The longest time without a frame in which everybody can still be followed.
pub const LONGEST_GAP: Duration = Duration::from_secs(3);
/// More faces than these in one frame are not looked at.
const MOST_FACES: usize = 256;

/// What the frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A camera, or a command that stands for one: everything applies.
    Live,
    /// A recorded video. Its people left long ago: liveness, durations and silences do not apply.
    Recording,
    /// Pictures, each a window of its own: nor does the least number of frames.
    Stills,
}

/// What a gate is told.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// Fewest people of whom something may be said; raised to [`MIN_GROUP_FLOOR`].
    pub min_group: u32,
    /// What the frames come from.
    pub origin: Origin,
    /// The expressions that the model knows.
    pub labels: Vec<Expression>,
    /// Says the mood of a group, if the model has one; otherwise the mean scores do.
    pub classifier: Option<MoodClassifier>,
}

/// What may be said of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Too few people at once: nothing.
    Suppressed,
    /// Too little has changed since the last report, or too little is known about it: nothing.
    Held,
    /// These numbers.
    Released(Box<Released>),
}

/// The gate of one camera.
#[derive(Debug)]
pub struct Gate {
    min_group: u32,
    origin: Origin,
    releaser: Releaser,
    attendance: Attendance,
    tally: Tally,
    /// Counted frames of the windows before, each counting half as much as the next.
    earlier: f64,
    last_frame: Option<Duration>,
    /// End of the first window with a group, before any report.
    begun: Option<Duration>,
    /// Size of the last frame.
    size: Option<(f32, f32)>,
    last: Last,
    #[cfg(feature = "attack")]
    without: Option<Rule>,
    /// What was held, if that is not dropped.
    #[cfg(feature = "attack")]
    merged: Tally,
}

/// What the gate knows of the last report.
#[derive(Debug)]
enum Last {
    /// There was none, or it is too long ago.
    None,
    /// Its people are still followed.
    Followed {
        end: Duration,
        people: Vec<Person>,
        /// Which of their stays were seen together.
        together: Vec<Vec<usize>>,
        by_frames: bool,
    },
    /// Nobody is followed any more; nothing may be said before this time.
    Lost { until: Duration },
}

impl Gate {
    /// A gate that has not released anything yet.
    #[must_use]
    pub fn new(settings: GateSettings) -> Self {
        let min_group = settings.min_group.max(MIN_GROUP_FLOOR);
        Self {
            min_group,
            origin: settings.origin,
            releaser: Releaser::new(min_group, settings.labels, settings.classifier),
            attendance: Attendance::default(),
            tally: Tally::default(),
            earlier: 0.0,
            begun: None,
            last_frame: None,
            size: None,
            last: Last::None,
            #[cfg(feature = "attack")]
            without: None,
            #[cfg(feature = "attack")]
            merged: Tally::default(),
        }
    }

    /// Fewest people of whom something may be said.
    #[must_use]
    pub fn min_group(&self) -> u32 {
        self.min_group
    }

    /// Nobody knows who was in the last report, or is to know when the next one comes: nothing may be said before `until`, nor
    /// before what was said earlier.
    pub fn keep_silent(&mut self, until: Duration) {
        if self.origin == Origin::Live && self.holds(Rule::Silence) {
            let until = match self.last {
                Last::Lost { until: before } => before.max(until),
                Last::None | Last::Followed { .. } => until,
            };
            self.last = Last::Lost { until };
        }
    }

    /// Nobody was watched for a while: what was counted of the open window is dropped, and nobody is followed any more.
    pub fn interrupt(&mut self) {
        if self.origin != Origin::Live {
            return;
        }
        self.tally = Tally::default();
        self.attendance.clear();
        self.earlier = 0.0;
        self.begun = None;
        if let Last::Followed { end, .. } = self.last {
            self.last = match self.holds(Rule::Silence) {
                true => Last::Lost { until: end + SILENCE },
                false => Last::None,
            };
        }
    }

    /// A recorded video starts again: what follows was published before, and is judged as it was then. (A folder of pictures
    /// may have others by now.)
    pub fn start_again(&mut self) {
        if self.origin == Origin::Recording {
            self.tally = Tally::default();
            self.attendance.clear();
            self.last = Last::None;
        }
    }

    /// Takes a frame of the open window in. `covered` is false before the part of the window that a report covers.
    pub fn see(&mut self, frame: &FrameFaces, covered: bool) {
        let gap = self
            .last_frame
            .map_or(Duration::ZERO, |last| frame.at.saturating_sub(last));
        if gap > LONGEST_GAP {
            self.interrupt();
        }
        self.last_frame = Some(frame.at);
        let size = self.size.replace(frame.size);
        let mut faces = self.take_in(frame);
        let is_other = size.is_some_and(|size| size != frame.size);
        if is_other || self.attendance.overflowed() || self.attendance.jumped(frame.at) {
            self.interrupt();
            faces = self.take_in(frame);
        }
        if !covered {
            return;
        }
        let lives =
            |face: &SeenFace| face.lives || self.origin != Origin::Live || !self.holds(Rule::Liveness);
        faces.retain(|(_, face)| lives(face));
        let faces = different(faces);
        let is_read = |face: &SeenFace| face.since_read.is_some_and(|since| since <= READ_WITHIN);
        #[cfg(feature = "attack")]
        let is_read = |face: &SeenFace| {
            is_read(face)
                && (self.holds(Rule::Confidence) || face.reading.is_none_or(|reading| reading.confident))
        };
        let read: Vec<usize> = faces
            .iter()
            .filter(|(_, face)| is_read(face))
            .map(|(place, _)| *place)
            .collect();
        let counts = read.len() >= self.least_at_once();
        for (place, face) in &faces {
            let stay = self.attendance.stay_mut(*place);
            stay.frames += u32::from(counts);
            if let Some(reading) = face.reading {
                stay.add(reading);
            }
        }
        let seen: Vec<usize> = faces.iter().map(|(place, _)| *place).collect();
        self.tally.add(frame, &seen, counts.then_some(read));
    }

    /// The faces of a frame with the places of their stays. So many that nobody could tell them apart are no people.
    fn take_in<'a>(&mut self, frame: &'a FrameFaces) -> Vec<(usize, &'a SeenFace)> {
        let faces = frame.faces.iter().take(MOST_FACES);
        faces
            .filter_map(|face| Some((self.attendance.see(frame.at, frame.size, face)?, face)))
            .collect()
    }

    /// How many people must be seen at once.
    fn least_at_once(&self) -> usize {
        match self.holds(Rule::Simultaneity) {
            true => self.min_group as usize,
            false => 1,
        }
    }

    /// Closes the window `span` and says what may be said of it.
    pub fn close(&mut self, span: &Span) -> Verdict {
        let people = self.people(&self.tally);
        let at_once = self.tally.at_once(&people, self.least_at_once());
        let verdict = self.judge(span, &people, &at_once);
        if !matches!(verdict, Judgement::Suppress) {
            self.begun.get_or_insert(span.end);
        }
        let tally = std::mem::take(&mut self.tally);
        self.earlier = (self.earlier + f64::from(tally.counted())) / 2.0;
        if let Judgement::Release { by_frames } = verdict {
            #[cfg(feature = "attack")]
            let (tally, people) = self.with_merged(tally, people);
            #[cfg(feature = "attack")]
            let at_once = tally.at_once(&people, self.least_at_once());
            let statistics = GroupStatistics::of(&tally, &people, &at_once, &self.attendance, by_frames);
            #[cfg(feature = "attack")]
            let statistics = match self.holds(Rule::EqualWeights) {
                true => statistics,
                false => statistics.weighted_by_time(&people, &self.attendance),
            };
            let released = self.releaser.release(&statistics);
            let stays = people.iter().flatten().copied().collect();
            self.last = Last::Followed {
                end: span.end,
                together: tally.together(&stays),
                people,
                by_frames,
            };
            self.end_window(span.covered_from());
            self.attendance.forget_overflow();
            return Verdict::Released(Box::new(released));
        }
        #[cfg(feature = "attack")]
        if matches!(verdict, Judgement::Hold) && !self.holds(Rule::Dropping) {
            self.merged.merge(tally);
            // Nobody is forgotten, so places stay as they are.
            self.attendance.put_aside();
            self.end_window(Duration::ZERO);
            return Verdict::Held;
        }
        self.end_window(Attendance::horizon(span.end));
        match verdict {
            Judgement::Suppress => Verdict::Suppressed,
            _ => Verdict::Held,
        }
    }

    fn end_window(&mut self, before: Duration) {
        match &mut self.last {
            Last::Followed { people, together, .. } => {
                let kept = people.iter_mut().chain(together);
                self.attendance.end_window(before, kept.collect());
            }
            _ => self.attendance.end_window(before, Vec::new()),
        }
    }

    /// The people of the open window: who was read, and seen for a while or part of the last report.
    fn people(&self, tally: &Tally) -> Vec<Person> {
        let least = match self.holds(Rule::Presence) && self.holds(Rule::Simultaneity) {
            true => f64::from(tally.counted()) * LEAST_PRESENCE,
            false => 1.0,
        };
        let mut people = match self.holds(Rule::Simultaneity) {
            true => self.attendance.people(tally.stays()),
            false => tally.stays().into_iter().map(|stay| vec![stay]).collect(),
        };
        let reported: BTreeSet<usize> = match &self.last {
            Last::Followed { people, .. } => people.iter().flatten().copied().collect(),
            _ => BTreeSet::new(),
        };
        people.retain(|person| {
            let stays = || person.iter().map(|place| self.attendance.stay(*place));
            let frames: f64 = stays().map(|stay| f64::from(stay.frames)).sum();
            let earlier: f64 = stays().map(|stay| stay.earlier).sum();
            let is_known = person.iter().any(|place| reported.contains(place));
            // Whoever was there before may be hidden for most of this window.
            let stays_on = frames + earlier >= least + LEAST_PRESENCE * self.earlier;
            let is_there = frames >= least || is_known || (earlier > 0.0 && stays_on);
            frames >= 1.0 && is_there && stays().any(|stay| stay.read > 0)
        });
        people
    }

    fn judge(&self, span: &Span, people: &[Person], at_once: &AtOnce) -> Judgement {
        let (frames, time) = match self.origin {
            Origin::Live => (COUNTED_FRAMES, COUNTED_TIME),
            Origin::Recording => (COUNTED_FRAMES, Duration::ZERO),
            Origin::Stills => (1, Duration::ZERO),
        };
        let is_group =
            people.len() >= self.min_group as usize && at_once.frames >= frames && at_once.time >= time;
        if !is_group {
            return Judgement::Suppress;
        }
        let by_frames = people.len() as f64 > MOST_LINKED * f64::from(at_once.peak);
        let release = match &self.last {
            Last::None => self.origin != Origin::Live || self.knows_everybody(span, people),
            Last::Lost { until } => span.end >= *until,
            Last::Followed { end, .. } if self.origin == Origin::Live && span.end >= *end + SILENCE => true,
            Last::Followed { .. } if self.attendance.overflowed() => false,
            Last::Followed {
                people: then,
                together,
                by_frames: before,
                ..
            } => {
                let change = self.change(then, together, people);
                self.allows(&change, by_frames || *before)
            }
        };
        match release {
            true => Judgement::Release { by_frames },
            false => Judgement::Hold,
        }
    }
}

enum Judgement {
    Suppress,
    Hold,
    Release { by_frames: bool },
}

/// The faces that are different ones: of boxes that lie on one another, the one that was known first.
fn different(mut faces: Vec<(usize, &SeenFace)>) -> Vec<(usize, &SeenFace)> {
    faces.sort_by_key(|(place, _)| *place);
    let mut kept: Vec<(usize, &SeenFace)> = Vec::with_capacity(faces.len());
    for face in faces {
        if kept
            .iter()
            .all(|other| other.1.rect.covered_part(&face.1.rect) <= SAME_FACE)
        {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
