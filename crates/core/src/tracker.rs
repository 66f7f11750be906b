//! Follows faces from frame to frame: by where each must be by now ([`crate::motion`]), with a short memory.
//!
//! A track is one face that is followed without a break. Its name is a random number that says nothing about the face and
//! is drawn anew from time to time ([`Tracker::rename`]); the old name goes along with the new one, so that the privacy
//! gate can tell until the next report whether two groups are the same. A track that may have gone over to somebody else
//! has another name from then on. How sure a track is of being one person, the gate decides ([`crate::attendance`]).
//!
//! Boxes of which the detector is not sure continue a track, but never start one, and are no face to anybody else. A box
//! that lies on a face that is followed starts none either.

use std::time::Duration;

use crate::gate::LONGEST_GAP;
use crate::geometry::{Rect, SAME_FACE};
use crate::liveness::Liveness;
use crate::motion::{Expected, Motion};
use crate::random::Random;
use crate::surroundings::Surroundings;

/// How fast a face moves at most, in widths of it per second: two metres a second, a face 16 cm wide.
pub(crate) const SPEED: f32 = 12.5;
/// How far from its last place a face can be, besides, in widths: its boxes tremble.
const SLACK: f32 = 0.5;
/// How far from where it must be a face is looked for, in standard deviations.
const GATE: f32 = 4.0;
/// A face that has kept its place for so long, and then is not seen, is waited for longer: somebody who sits turns away …
const SETTLED: Duration = Duration::from_secs(2);
/// … but only for so long, …
pub const TURNED_AWAY: Duration = Duration::from_secs(30);
/// … only if nobody has moved about there meanwhile ([`crate::surroundings`]), and only if the next face there lies on the
/// last one by so much (intersection over union).
const SAME_PLACE: f32 = 0.5;
/// How far a face strays that keeps its place, in widths of it.
const STRAY: f32 = 0.5;
/// A face that is seen again within this time is surely the same, if it is near where it must be, or no other could be it; …
const SURELY_SAME: Duration = Duration::from_millis(350);
/// … how near that is, in widths.
const NEAR: f32 = 2.0;
/// Later, within this time, it is surely the same only if it is near where it must be, as large as it must be, and no other
/// could be it; or if it had settled, and nobody moved about.
const FOUND_AGAIN: Duration = Duration::from_secs(1);
/// By which factor its size may then differ, in how many frames it must have been seen, so that one knows how it moves, …
const AS_LARGE: f32 = 1.4;
const KNOWN: u32 = 2;
/// … and how far off it may well be by then (standard deviation, in widths).
const DOUBT: f32 = 1.7;
/// By how much likelier a face must then be this one than any other (a logarithm).
const MARGIN: f32 = 1.0;
/// How long boxes of which the detector is not sure continue a track.
const CARRIED: Duration = Duration::from_secs(2);
/// Overlap (intersection over union) that such a box must have with where the face must be.
const CARRIES: f32 = 0.5;
/// How many frames, at the rate at which they come, a track waits unseen at least.
const FRAMES: f64 = 2.5;
/// Weight of the newest time between two frames in their mean.
const NEWEST: f64 = 0.125;
/// More boxes than these in one frame are not looked at, …
const MOST_BOXES: usize = 256;
/// … and more tracks than these are not kept.
const MOST_TRACKS: usize = 512;

/// A track's name: a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u64);

/// How tracks are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackSettings {
    /// Overlap (intersection over union) with where a track must be from which a face can always be its, 0..=1.
    pub iou: f32,
    /// How long a track waits unseen before it is forgotten; longer at slow frame rates, but for [`LONGEST_GAP`] at most. 0 if
    /// frames have nothing to do with one another.
    pub memory: Duration,
}

impl TrackSettings {
    /// How long a track waits unseen if frames come so far apart: never so long that somebody else may have come.
    #[must_use]
    pub fn memory_at(&self, interval: Duration) -> Duration {
        match self.memory {
            Duration::ZERO => Duration::ZERO,
            memory => memory.max(interval.mul_f64(FRAMES)).min(LONGEST_GAP),
        }
    }
}

impl Default for TrackSettings {
    fn default() -> Self {
        Self {
            iou: 0.3,
            memory: Duration::from_secs(1),
        }
    }
}

/// What the detector finds in one frame.
#[derive(Debug, Clone, Copy)]
pub struct Boxes<'a> {
    /// Time since the stream began.
    pub at: Duration,
    /// Width and height of the frame.
    pub size: (f32, f32),
    /// The faces, best first.
    pub faces: &'a [Rect],
    /// Boxes that may be faces, best first.
    pub doubtful: &'a [Rect],
}

/// One face that is followed without a break.
#[derive(Debug, Clone)]
pub struct Track {
    id: TrackId,
    before: Option<TrackId>,
    /// Whether it was seen under its present name.
    is_known: bool,
    rect: Rect,
    motion: Motion,
    /// When it was last followed, and in which frame.
    followed: Duration,
    frame: u64,
    /// When the detector was last sure of it, and in which frame.
    last_seen: Duration,
    sure_frame: u64,
    /// In how many frames the detector was sure.
    sights: u32,
    /// Where the face settled, and since when.
    settled: (Rect, Duration),
    /// What moves around the face while it is not seen.
    surroundings: Surroundings,
    /// Whether the face lives.
    pub liveness: Liveness,
    /// When the next classification is due.
    pub(crate) due: Duration,
    /// How many have been left out since then.
    pub(crate) left_out: u32,
    /// When the last classification was.
    pub(crate) last_read: Option<Duration>,
}

impl Track {
    fn new(id: TrackId, at: Duration, frame: u64, face: &Rect) -> Self {
        Self {
            id,
            before: None,
            is_known: true,
            rect: *face,
            motion: Motion::new(face),
            followed: at,
            frame,
            last_seen: at,
            sure_frame: frame,
            sights: 1,
            settled: (*face, at),
            surroundings: Surroundings::default(),
            liveness: Liveness::default(),
            due: at,
            left_out: 0,
            last_read: None,
        }
    }

    /// The present name.
    #[must_use]
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// The name before the present one.
    #[must_use]
    pub fn before(&self) -> Option<TrackId> {
        self.before
    }

    /// Where the face was last seen.
    #[must_use]
    pub fn rect(&self) -> &Rect {
        &self.rect
    }

    /// In how many frames it was surely seen.
    #[must_use]
    pub fn sights(&self) -> u32 {
        self.sights
    }

    /// How long before `at` the last classification was attempted; `None` if never.
    #[must_use]
    pub fn since_read(&self, at: Duration) -> Option<Duration> {
        self.last_read.map(|read| at.saturating_sub(read))
    }

    /// Where the face must be `at`, if it goes on as it did.
    fn expected(&self, at: Duration) -> Expected {
        self.motion
            .expected(at.saturating_sub(self.followed).as_secs_f32())
    }

    /// Whether the face must have left a picture of this size by now.
    fn has_left(&self, at: Duration, size: (f32, f32)) -> bool {
        let (x, y) = self.expected(at).rect.centre();
        !(0.0..size.0).contains(&x) || !(0.0..size.1).contains(&y)
    }

    /// Whether the face kept its place for a while before it was last seen, so that it may only have turned away.
    fn has_settled(&self) -> bool {
        self.last_seen.saturating_sub(self.settled.1) >= SETTLED
    }

    fn may_have_turned_away(&self) -> bool {
        self.has_settled() && self.surroundings.are_quiet()
    }

    /// How likely `face` is this one, if it can be: a logarithm.
    fn likeness(
        &self,
        at: Duration,
        expected: &Expected,
        settings: &TrackSettings,
        face: &Rect,
    ) -> Option<f32> {
        let seconds = at.saturating_sub(self.followed).as_secs_f32();
        if expected.is_out_of_reach(face, GATE) {
            return None;
        }
        let (far, room) = expected.far(face);
        let can_be = far <= GATE * GATE
            && self.rect.distance(face) <= (SPEED * seconds + SLACK) * self.rect.w.min(face.w);
        let overlaps = || expected.rect.iou(face) >= settings.iou.max(f32::EPSILON);
        (can_be || overlaps()).then_some(-far - room)
    }

    /// While it was away, no reading was due.
    fn wait_from(&mut self, at: Duration) {
        (self.due, self.left_out) = (self.due.max(at), 0);
    }

    /// The face is followed into the frame at `at`.
    fn follow(&mut self, at: Duration, frame: u64, face: &Rect) {
        let seconds = at.saturating_sub(self.followed).as_secs_f32();
        self.motion.see(seconds, face);
        if self.settled.0.distance(face) > STRAY * face.w {
            self.settled = (*face, at);
        }
        (self.rect, self.followed, self.frame) = (*face, at, frame);
    }

    /// The detector is sure that this is a face; if it may be another one, the track has a new name from now on.
    fn see(&mut self, at: Duration, frame: u64, face: &Rect, is_same: bool, random: Random<'_>) {
        if !is_same {
            (self.id, self.before) = (TrackId(random()), None);
            self.liveness = Liveness::default();
        }
        self.follow(at, frame, face);
        self.is_known = true;
        (self.last_seen, self.sure_frame) = (at, frame);
        self.sights = self.sights.saturating_add(1);
        self.surroundings.face_is_seen();
    }
}

/// All tracks of one camera.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackSettings,
    tracks: Vec<Track>,
    /// The number of the frame and its time, which never goes back.
    frame: u64,
    now: Duration,
    /// Mean time between two frames, once there were two.
    interval: Option<Duration>,
    /// The boxes of one frame that can be faces; kept for their memory, as is what follows.
    faces: Vec<Rect>,
    doubtful: Vec<Rect>,
    /// Candidate pairs (likeness, track, face), and those that were chosen (track, face).
    pairs: Vec<(f32, usize, usize)>,
    chosen: Vec<(usize, usize)>,
    /// Whether each track, and each face, has been chosen.
    is_followed: Vec<bool>,
    is_taken: Vec<bool>,
    /// Where each track must be.
    expected: Vec<Expected>,
}

impl Tracker {
    /// A tracker without tracks.
    #[must_use]
    pub fn new(settings: TrackSettings) -> Self {
        Self {
            settings,
            tracks: Vec::new(),
            frame: 0,
            now: Duration::ZERO,
            interval: None,
            faces: Vec::new(),
            doubtful: Vec::new(),
            pairs: Vec::new(),
            chosen: Vec::new(),
            is_followed: Vec::new(),
            is_taken: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Takes the next frame in. Returns the tracks, those of its faces first, and how many these are: the people who are seen.
    /// Boxes that no face can have are left out.
    pub fn update(&mut self, boxes: &Boxes<'_>, random: Random<'_>) -> (&mut [Track], usize) {
        self.begin_frame(boxes);
        self.match_faces(random);
        for face in 0..self.faces.len() {
            if !self.is_taken[face] {
                self.start(face, random);
            }
        }
        self.carry_on();
        let frame = self.frame;
        let present = |track: &Track| track.sure_frame == frame;
        self.tracks
            .sort_unstable_by_key(|track| (!present(track), track.frame != frame));
        let present = self.tracks.iter().take_while(|track| present(track)).count();
        (&mut self.tracks, present)
    }

    /// Every track that was followed into the last frame, also by boxes that may not be faces.
    pub fn followed(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.frame == self.frame)
    }

    /// Takes over time and boxes, and forgets who has been away for too long.
    fn begin_frame(&mut self, boxes: &Boxes<'_>) {
        let Boxes {
            at,
            size,
            faces,
            doubtful,
        } = *boxes;
        let gap = at.saturating_sub(self.now);
        if self.frame > 0 && gap > Duration::ZERO && gap <= LONGEST_GAP {
            let mean = self.interval.unwrap_or(gap);
            self.interval = Some(mean.mul_f64(1.0 - NEWEST) + gap.mul_f64(NEWEST));
        }
        self.now = self.now.max(at);
        self.frame += 1;
        let can_be = |face: &&Rect| {
            let place = [face.x, face.y, face.w, face.h];
            place.iter().all(|length| length.abs() < 1e6) && face.w > 0.0 && face.h > 0.0
        };
        self.faces.clear();
        self.faces.extend(faces.iter().filter(can_be).take(MOST_BOXES));
        self.doubtful.clear();
        self.doubtful
            .extend(doubtful.iter().filter(can_be).take(MOST_BOXES));
        let (now, memory) = (self.now, self.memory());
        self.tracks.retain(|track| {
            let unseen = now.saturating_sub(track.last_seen);
            let waits = memory > Duration::ZERO && unseen <= TURNED_AWAY;
            (unseen <= memory && !track.has_left(now, size))
                || now.saturating_sub(track.followed) <= memory.min(CARRIED)
                || (waits && track.may_have_turned_away())
        });
        if self.tracks.len() > MOST_TRACKS {
            self.tracks
                .sort_unstable_by_key(|track| std::cmp::Reverse(track.frame));
            self.tracks.truncate(MOST_TRACKS);
        }
        self.expected.clear();
        self.expected
            .extend(self.tracks.iter().map(|track| track.expected(now)));
        self.is_followed.clear();
        self.is_followed.resize(self.tracks.len(), false);
        self.is_taken.clear();
        self.is_taken.resize(self.faces.len(), false);
    }

    /// How long a track waits unseen, at the rate at which frames really come.
    fn memory(&self) -> Duration {
        self.settings.memory_at(self.interval.unwrap_or_default())
    }

    fn likeness(&self, t: usize, face: &Rect) -> Option<f32> {
        let track = &self.tracks[t];
        let unseen = self.now.saturating_sub(track.followed);
        // Who may only have turned away comes back where he was; his track is for nobody else.
        let waits = unseen > SURELY_SAME && track.may_have_turned_away();
        if waits || unseen > self.memory() {
            return Some(track.rect.iou(face)).filter(|overlap| *overlap >= SAME_PLACE);
        }
        track.likeness(self.now, &self.expected[t], &self.settings, face)
    }

    /// Matches faces to tracks, the likeliest pair first.
    fn match_faces(&mut self, random: Random<'_>) {
        let memory = self.memory();
        self.pairs.clear();
        for t in 0..self.tracks.len() {
            for (f, face) in self.faces.iter().enumerate() {
                if let Some(likeness) = self.likeness(t, face) {
                    self.pairs.push((likeness, t, f));
                }
            }
        }
        self.choose();
        for i in 0..self.chosen.len() {
            let (t, f) = self.chosen[i];
            let is_same = self.is_surely(t, f);
            let (face, track) = (self.faces[f], &mut self.tracks[t]);
            if self.now.saturating_sub(track.last_seen) > memory {
                track.wait_from(self.now);
            }
            track.see(self.now, self.frame, &face, is_same, random);
        }
    }

    /// Chooses pairs greedily: the best one takes its track and its face out of the game.
    fn choose(&mut self) {
        self.pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        self.chosen.clear();
        for (_, t, f) in &self.pairs {
            if !self.is_followed[*t] && !self.is_taken[*f] {
                (self.is_followed[*t], self.is_taken[*f]) = (true, true);
                self.chosen.push((*t, *f));
            }
        }
    }

    /// Whether the face that was chosen for a track is surely the one of that track.
    fn is_surely(&self, t: usize, f: usize) -> bool {
        let (track, face) = (&self.tracks[t], &self.faces[f]);
        if track.may_have_turned_away() && track.rect.iou(face) >= SAME_PLACE {
            return true;
        }
        let unseen = self.now.saturating_sub(track.followed);
        let expected = &self.expected[t].rect;
        let apart = expected.distance(face) / expected.w.min(face.w);
        if unseen <= SURELY_SAME && apart <= NEAR {
            return true;
        }
        let ratio = (face.w / expected.w).max(expected.w / face.w);
        let is_known = track.sights >= KNOWN && self.expected[t].doubt() <= DOUBT;
        let goes_on = is_known && apart <= NEAR && ratio <= AS_LARGE;
        (unseen <= SURELY_SAME || (unseen <= FOUND_AGAIN && goes_on)) && self.no_other_fits(t, f)
    }

    /// Whether no face that nobody else has could be this track nearly as well, and no track that is lost this face.
    fn no_other_fits(&self, t: usize, f: usize) -> bool {
        let nearly = self
            .likeness(t, &self.faces[f])
            .map_or(f32::NEG_INFINITY, |likeness| likeness - MARGIN);
        let fits = |t: usize, f: usize| {
            self.likeness(t, &self.faces[f])
                .is_some_and(|other| other > nearly)
        };
        let other_face = (0..self.faces.len()).any(|other| !self.is_taken[other] && fits(t, other));
        let other_track = (0..self.tracks.len()).any(|other| !self.is_followed[other] && fits(other, f));
        !other_face && !other_track
    }

    /// Follows who was seen a moment ago by boxes that may not be faces, where it must be.
    fn carry_on(&mut self) {
        let interval = self.interval.unwrap_or_default();
        let a_moment = SURELY_SAME.max(interval + interval / 2);
        self.pairs.clear();
        // Those that have just begun stand at the end.
        for (t, track) in self.tracks[..self.is_followed.len()].iter().enumerate() {
            let unseen = self.now.saturating_sub(track.followed);
            let carried = self.now.saturating_sub(track.last_seen);
            if self.is_followed[t] || unseen > a_moment || carried > CARRIED {
                continue;
            }
            for (b, place) in self.doubtful.iter().enumerate() {
                let overlap = self.expected[t].rect.iou(place);
                if overlap >= CARRIES {
                    self.pairs.push((overlap, t, b));
                }
            }
        }
        self.is_taken.clear();
        self.is_taken.resize(self.doubtful.len(), false);
        self.choose();
        for (t, b) in &self.chosen {
            self.tracks[*t].follow(self.now, self.frame, &self.doubtful[*b]);
        }
    }

    /// Starts a track, unless the face lies on one that is followed.
    fn start(&mut self, f: usize, random: Random<'_>) {
        let face = self.faces[f];
        let is_double =
            |track: &Track| track.frame == self.frame && track.rect.covered_part(&face) > SAME_FACE;
        if !self.tracks.iter().any(is_double) {
            let id = TrackId(random());
            self.tracks.push(Track::new(id, self.now, self.frame, &face));
        }
    }

    /// Looks at what moves around every face that has settled, before the faces of the frame are taken in.
    pub fn watch(&mut self, mut look: impl FnMut(&mut Surroundings, &Rect)) {
        for track in self.tracks.iter_mut().filter(|track| track.has_settled()) {
            look(&mut track.surroundings, &track.rect);
        }
    }

    /// Gives every track a new random name; the one under which it was last seen goes along.
    pub fn rename(&mut self, random: Random<'_>) {
        for track in &mut self.tracks {
            let name = std::mem::replace(&mut track.id, TrackId(random()));
            if std::mem::take(&mut track.is_known) {
                track.before = Some(name);
            }
        }
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
