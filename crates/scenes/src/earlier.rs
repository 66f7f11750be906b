//! What the tracker is measured beside: following by the overlap of boxes alone, and with a prediction by constant velocity
//! and a second pass by distance, as affectd did before ([table](../../../docs/measurements.md)). Neither is in the daemon.

use std::time::Duration;

use affect_core::geometry::Rect;

use crate::scene::Detection;
use crate::score::Labelled;

const MEMORY: Duration = Duration::from_secs(1);
const IOU: f32 = 0.3;
const SURELY_SAME: Duration = Duration::from_millis(350);
const SPEED: f32 = 12.5;
const FARTHEST: f32 = 1.5;
const SIZE_CHANGE: f32 = 1.3;
const TURN: f32 = 0.5;
const SETTLED: Duration = Duration::from_secs(2);
const TURNED_AWAY: Duration = Duration::from_secs(30);
const SAME_PLACE: f32 = 0.5;
const STRAY: f32 = 0.5;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By overlap with the last box.
    Overlap,
    /// By overlap with where the face must be by now, then by distance; who sits is waited for.
    Prediction,
}

#[derive(Debug, Clone)]
struct Track {
    id: u64,
    rect: Rect,
    seen: Duration,
    velocity: (f32, f32),
    settled: (Rect, Duration),
    is_disturbed: bool,
}

/// One of the earlier trackers.
#[derive(Debug)]
pub struct Earlier {
    way: Way,
    tracks: Vec<Track>,
    next: u64,
}

impl Earlier {
    /// Without tracks.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self {
            way,
            tracks: Vec::new(),
            next: 0,
        }
    }

    /// Takes the faces of a frame in; `disturbed` says whether somebody moves about where a face was.
    pub fn update(
        &mut self,
        at: Duration,
        boxes: &[Detection],
        disturbed: impl Fn(&Rect) -> bool,
    ) -> Vec<Labelled> {
        for track in &mut self.tracks {
            track.is_disturbed |= disturbed(&track.rect);
        }
        let way = self.way;
        self.tracks.retain(|track| {
            let unseen = at.saturating_sub(track.seen);
            let waits = way == Way::Prediction && track.has_settled() && !track.is_disturbed;
            unseen <= MEMORY || (waits && unseen <= TURNED_AWAY)
        });
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            for (b, one) in boxes.iter().enumerate() {
                pairs.extend(
                    track
                        .likeness(way, at, &one.rect)
                        .map(|likeness| (likeness, t, b)),
                );
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut owner = vec![None; boxes.len()];
        let mut taken = vec![false; self.tracks.len()];
        for (_, t, b) in pairs {
            if owner[b].is_none() && !taken[t] {
                (owner[b], taken[t]) = (Some(t), true);
            }
        }
        for (one, owner) in boxes.iter().zip(&mut owner) {
            let place = *owner.get_or_insert_with(|| {
                self.tracks.push(Track {
                    id: 0,
                    rect: one.rect,
                    seen: at,
                    velocity: (0.0, 0.0),
                    settled: (one.rect, at),
                    is_disturbed: false,
                });
                self.tracks.len() - 1
            });
            let track = &mut self.tracks[place];
            if track.id == 0 || way == Way::Prediction && !track.is_surely(at, &one.rect) {
                self.next += 1;
                track.id = self.next;
            }
            track.see(at, one.rect);
        }
        let named = boxes.iter().zip(owner);
        named
            .filter_map(|(one, owner)| {
                Some(Labelled {
                    id: self.tracks[owner?].id,
                    rect: one.rect,
                })
            })
            .collect()
    }
}

impl Track {
    fn expected(&self, at: Duration) -> Rect {
        let seconds = at.saturating_sub(self.seen).as_secs_f32();
        Rect {
            x: self.rect.x + self.velocity.0 * seconds,
            y: self.rect.y + self.velocity.1 * seconds,
            ..self.rect
        }
    }

    fn has_settled(&self) -> bool {
        self.seen.saturating_sub(self.settled.1) >= SETTLED
    }

    fn is_surely(&self, at: Duration, face: &Rect) -> bool {
        let stays = self.has_settled() && self.rect.iou(face) >= SAME_PLACE && !self.is_disturbed;
        at.saturating_sub(self.seen) <= SURELY_SAME || stays
    }

    fn likeness(&self, way: Way, at: Duration, face: &Rect) -> Option<f32> {
        let overlap = self.rect.iou(face);
        if way == Way::Overlap {
            return Some(overlap).filter(|overlap| *overlap >= IOU);
        }
        let unseen = at.saturating_sub(self.seen);
        if unseen > MEMORY {
            return Some(overlap).filter(|overlap| *overlap >= SAME_PLACE);
        }
        let expected = self.expected(at);
        let overlap = expected.iou(face).max(overlap);
        if overlap >= IOU {
            return Some(overlap);
        }
        let (small, large) = (self.rect.w.min(face.w), self.rect.w.max(face.w));
        let reach = (SPEED * unseen.as_secs_f32()).min(FARTHEST) * small;
        let far = expected.distance(face);
        (far < reach && large <= small * SIZE_CHANGE).then(|| -far / reach)
    }

    fn see(&mut self, at: Duration, face: Rect) {
        let seconds = at.saturating_sub(self.seen).as_secs_f32();
        if seconds > 0.0 {
            let ((x0, y0), (x1, y1)) = (self.rect.centre(), face.centre());
            self.velocity.0 += TURN * ((x1 - x0) / seconds - self.velocity.0);
            self.velocity.1 += TURN * ((y1 - y0) / seconds - self.velocity.1);
        }
        if self.settled.0.distance(&face) > STRAY * face.w {
            self.settled = (face, at);
        }
        (self.rect, self.seen, self.is_disturbed) = (face, at, false);
    }
}
