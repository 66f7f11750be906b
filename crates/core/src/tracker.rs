//! Follows faces from frame to frame: by the overlap of each box with where the face must be by now, with a short memory.
//!
//! A track is one face that is followed without a break. Its name is a random number that says nothing about the face and
//! is drawn anew from time to time ([`Tracker::rename`]); the old name goes along with the new one, so that the privacy
//! gate can tell until the next report whether two groups are the same. How sure a track is of being one person, the gate
//! decides ([`crate::attendance`]).

use std::time::Duration;

use crate::geometry::Rect;
use crate::liveness::Liveness;
use crate::random::Random;
use crate::surroundings::Surroundings;

/// How fast a face moves at most, in widths of it per second: two metres a second, a face 16 cm wide.
pub(crate) const SPEED: f32 = 12.5;
/// How far from where it must be a face is looked for at most, in widths of it.
const FARTHEST: f32 = 1.5;
/// By which factor the size of a face changes at most from frame to frame.
const SIZE_CHANGE: f32 = 1.3;
/// How much of its new movement a face's velocity takes up at each frame.
const TURN: f32 = 0.5;
/// A face that has kept its place for so long, and then is not seen, is waited for longer: somebody who sits turns away …
const SETTLED: Duration = Duration::from_secs(2);
/// … but only for so long, …
pub const TURNED_AWAY: Duration = Duration::from_secs(30);
/// … only if nobody has moved about there meanwhile ([`crate::surroundings`]), and only if the next face there lies on the
/// last one by so much (intersection over union).
const SAME_PLACE: f32 = 0.5;
/// How far a face strays that keeps its place, in widths of it.
const STRAY: f32 = 0.5;
/// A face that is seen again within this time is surely the same; later somebody else can have taken its place, unless it had
/// settled and nobody moved about. So at fewer than three frames a second only who keeps his place is surely the same.
const SURELY_SAME: Duration = Duration::from_millis(350);

/// A track's name: a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u64);

/// How tracks are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackSettings {
    /// Least overlap (intersection over union) between a track's last box and a face, 0..=1.
    pub iou: f32,
    /// How long a track waits unseen before it is forgotten.
    pub memory: Duration,
}

impl TrackSettings {
    /// How well a face fits a track, if it can be the same: 0..=1 by overlap, below 0 by distance.
    fn likeness(&self, track: &Track, at: Duration, face: &Rect) -> Option<f32> {
        let unseen = at.saturating_sub(track.last_seen);
        if unseen > self.memory {
            return Some(track.rect.iou(face)).filter(|overlap| *overlap >= SAME_PLACE);
        }
        let expected = track.expected(at);
        let overlap = expected.iou(face).max(track.rect.iou(face));
        if overlap >= self.iou && overlap > 0.0 {
            return Some(overlap);
        }
        let (small, large) = (track.rect.w.min(face.w), track.rect.w.max(face.w));
        let reach = (SPEED * unseen.as_secs_f32()).min(FARTHEST) * small;
        let far = expected.distance(face);
        (far < reach && large <= small * SIZE_CHANGE).then(|| -far / reach)
    }
}

/// One face that is followed without a break.
#[derive(Debug, Clone)]
pub struct Track {
    id: TrackId,
    before: Option<TrackId>,
    /// Whether it was seen under its present name.
    is_known: bool,
    rect: Rect,
    last_seen: Duration,
    /// Pixels per second.
    velocity: (f32, f32),
    /// Where the face settled, and since when.
    settled: (Rect, Duration),
    /// What moves around the face while it is not seen.
    surroundings: Surroundings,
    /// Whether the face lives.
    pub liveness: Liveness,
    /// When the next classification is due.
    pub(crate) due: Duration,
    /// When the last classification was.
    pub(crate) last_read: Option<Duration>,
}

impl Track {
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

    /// Where the face must be `at`, if it goes on as it did.
    fn expected(&self, at: Duration) -> Rect {
        let seconds = at.saturating_sub(self.last_seen).as_secs_f32();
        Rect {
            x: self.rect.x + self.velocity.0 * seconds,
            y: self.rect.y + self.velocity.1 * seconds,
            ..self.rect
        }
    }

    /// Whether the face kept its place for a while before it was last seen, so that it may only have turned away.
    fn has_settled(&self) -> bool {
        self.last_seen.saturating_sub(self.settled.1) >= SETTLED
    }

    /// Whether a face that is seen now is surely the one of this track.
    fn is_surely(&self, at: Duration, face: &Rect) -> bool {
        let stays =
            || self.has_settled() && self.rect.iou(face) >= SAME_PLACE && self.surroundings.are_quiet();
        at.saturating_sub(self.last_seen) <= SURELY_SAME || stays()
    }

    /// The face is seen again; if it may be another one, the track has a new name from now on.
    fn see(&mut self, at: Duration, face: Rect, random: Random<'_>) {
        if !self.is_surely(at, &face) {
            (self.id, self.before) = (TrackId(random()), None);
            self.liveness = Liveness::default();
        }
        self.is_known = true;
        let seconds = at.saturating_sub(self.last_seen).as_secs_f32();
        if seconds > 0.0 {
            let ((x0, y0), (x1, y1)) = (self.rect.centre(), face.centre());
            let now = ((x1 - x0) / seconds, (y1 - y0) / seconds);
            self.velocity.0 += TURN * (now.0 - self.velocity.0);
            self.velocity.1 += TURN * (now.1 - self.velocity.1);
        }
        if self.settled.0.distance(&face) > STRAY * face.w {
            self.settled = (face, at);
        }
        self.rect = face;
        self.last_seen = at;
        self.surroundings.face_is_seen();
    }

    /// How long before `at` the last classification was attempted; `None` if never.
    #[must_use]
    pub fn since_read(&self, at: Duration) -> Option<Duration> {
        self.last_read.map(|read| at.saturating_sub(read))
    }
}

/// All tracks of one camera.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackSettings,
    tracks: Vec<Track>,
    /// Candidate pairs (overlap, track, face) of one frame; kept for its memory.
    pairs: Vec<(f32, usize, usize)>,
}

impl Tracker {
    /// A tracker without tracks.
    #[must_use]
    pub fn new(settings: TrackSettings) -> Self {
        Self {
            settings,
            tracks: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Takes the faces of the frame at `at` in and returns the tracks, those that are in this frame first, and
    /// how many these are. The best overlap is matched first; a face without a match starts a track.
    pub fn update(&mut self, at: Duration, faces: &[Rect], random: Random<'_>) -> (&mut [Track], usize) {
        let memory = self.settings.memory;
        self.tracks.retain(|track| {
            let unseen = at.saturating_sub(track.last_seen);
            let may_be_there =
                memory > Duration::ZERO && track.has_settled() && track.surroundings.are_quiet();
            unseen <= memory || (unseen <= TURNED_AWAY && may_be_there)
        });
        self.match_faces(at, faces, random);
        for face in faces {
            // A face that was matched has a track with just this box and time.
            if !self
                .tracks
                .iter()
                .any(|track| track.last_seen == at && track.rect == *face)
            {
                self.tracks.push(Track {
                    id: TrackId(random()),
                    before: None,
                    is_known: true,
                    rect: *face,
                    last_seen: at,
                    velocity: (0.0, 0.0),
                    settled: (*face, at),
                    surroundings: Surroundings::default(),
                    liveness: Liveness::default(),
                    due: at,
                    last_read: None,
                });
            }
        }
        self.tracks.sort_by_key(|track| track.last_seen != at);
        let present = self
            .tracks
            .iter()
            .take_while(|track| track.last_seen == at)
            .count();
        (&mut self.tracks, present)
    }

    /// Matches faces to tracks: first by overlap with where each track must be by now, then, for what is left, by how far
    /// somebody can have moved.
    fn match_faces(&mut self, at: Duration, faces: &[Rect], random: Random<'_>) {
        self.pairs.clear();
        for (t, track) in self.tracks.iter().enumerate() {
            for (f, face) in faces.iter().enumerate() {
                if let Some(likeness) = self.settings.likeness(track, at, face) {
                    self.pairs.push((likeness, t, f));
                }
            }
        }
        self.pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Greedy: the best pair takes its track and its face out of the game.
        let mut next = 0;
        while next < self.pairs.len() {
            let (_, t, f) = self.pairs[next];
            self.tracks[t].see(at, faces[f], random);
            next += 1;
            let mut kept = next;
            for i in next..self.pairs.len() {
                let pair = self.pairs[i];
                if pair.1 != t && pair.2 != f {
                    self.pairs[kept] = pair;
                    kept += 1;
                }
            }
            self.pairs.truncate(kept);
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
mod tests {
    use super::*;
    use crate::random::seeded;

    const SETTINGS: TrackSettings = TrackSettings {
        iou: 0.3,
        memory: Duration::from_secs(1),
    };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn face(x: f32) -> Rect {
        Rect {
            x,
            y: 0.0,
            w: 40.0,
            h: 40.0,
        }
    }

    fn ids(tracker: &mut Tracker, ms: u64, faces: &[Rect], random: Random<'_>) -> Vec<TrackId> {
        let (tracks, present) = tracker.update(at(ms), faces, random);
        let of = |rect: &Rect| tracks[..present].iter().find(|t| t.rect() == rect).unwrap().id();
        assert_eq!(present, faces.len());
        faces.iter().map(of).collect()
    }

    #[test]
    fn two_people_who_move_keep_their_tracks() {
        let mut random = seeded(1);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0), face(100.0)], &mut random);
        // The detector's order may change at any time.
        let second = ids(&mut tracker, 100, &[face(110.0), face(10.0)], &mut random);
        assert_eq!(second, [first[1], first[0]]);
        assert_ne!(first[0], first[1]);
    }

    #[test]
    fn the_best_overlap_wins() {
        let mut random = seeded(2);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0), face(20.0)], &mut random);
        let second = ids(&mut tracker, 100, &[face(18.0), face(2.0)], &mut random);
        assert_eq!(second, [first[1], first[0]]);
    }

    #[test]
    fn a_track_is_remembered_for_its_memory_and_no_longer() {
        let mut random = seeded(3);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0)], &mut random);
        ids(&mut tracker, 200, &[], &mut random);
        assert_eq!(ids(&mut tracker, 300, &[face(5.0)], &mut random), first);
        assert_eq!(tracker.tracks.len(), 1);
        assert_ne!(ids(&mut tracker, 1301, &[face(5.0)], &mut random), first);
    }

    #[test]
    fn who_is_found_again_after_a_while_may_be_somebody_else_and_has_another_name() {
        let mut random = seeded(6);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0)], &mut random);
        let (tracks, present) = tracker.update(at(600), &[face(0.0)], &mut random);
        assert_eq!(
            (tracks.len(), present),
            (1, 1),
            "it is the same track, which was read a moment ago"
        );
        assert_ne!(tracks[0].id(), first[0]);
        assert_eq!(tracks[0].before(), None);
    }

    #[test]
    fn who_has_settled_and_turns_away_is_the_same_if_nobody_moved_about() {
        for (moved, same) in [(false, true), (true, false)] {
            let mut random = seeded(7);
            let mut tracker = Tracker::new(SETTINGS);
            // A picture with something to see in it.
            let rgb: Vec<u8> = (0..120 * 120 * 3)
                .map(|i| if i / 3 % 120 / 15 % 2 == 0 { 40 } else { 160 })
                .collect();
            let other: Vec<u8> = rgb.iter().map(|level| 200 - level).collect();
            let mut name = None;
            for ms in (0..30_000).step_by(250) {
                let turned_away = (5_000..20_000).contains(&ms);
                let shown = if moved && ms == 10_000 { &other } else { &rgb };
                let picture = crate::preprocess::Picture::new(120, 120, shown).unwrap();
                tracker.watch(|surroundings, rect| surroundings.look(&picture, rect));
                let faces = if turned_away { vec![] } else { vec![face(40.0)] };
                let (tracks, present) = tracker.update(at(ms), &faces, &mut random);
                if present == 1 {
                    let now = tracks[0].id();
                    if ms == 29_750 {
                        assert_eq!(Some(now) == name, same, "moved: {moved}");
                    }
                    if ms < 5_000 {
                        name = Some(now);
                    }
                }
            }
        }
    }

    #[test]
    fn a_new_name_says_nothing_of_the_old_one_but_carries_it() {
        let mut random = seeded(4);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0)], &mut random)[0];
        tracker.rename(&mut random);
        let (tracks, _) = tracker.update(at(200), &[face(0.0), face(90.0)], &mut random);
        let of = |rect: Rect| tracks.iter().find(|track| *track.rect() == rect).unwrap();
        assert_ne!(of(face(0.0)).id(), first);
        assert_eq!(of(face(0.0)).before(), Some(first));
        assert_eq!(of(face(90.0)).before(), None, "who is new was nobody before");
    }

    #[test]
    fn a_name_that_nobody_has_seen_is_not_carried_on() {
        let mut random = seeded(8);
        let mut tracker = Tracker::new(SETTINGS);
        let first = ids(&mut tracker, 0, &[face(0.0)], &mut random)[0];
        tracker.rename(&mut random);
        tracker.rename(&mut random);
        let (tracks, _) = tracker.update(at(200), &[face(0.0)], &mut random);
        assert_eq!(tracks[0].before(), Some(first));
    }
}
