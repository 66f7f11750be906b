//! One unbroken track of a face, from its first sight to its last, and whether another one could be its continuation.

use std::time::Duration;

use crate::expression::EXPRESSIONS;
use crate::geometry::Rect;
use crate::tracker::{SPEED, TrackId};
use crate::window::Reading;

/// How far boxes of a face that keeps still may lie apart, in widths of it.
const SLACK: f32 = 1.0;
/// By which factor boxes of a face that keeps its distance may differ …
const SIZE_SLACK: f32 = 1.3;
/// … and by how much more for each second: somebody leans to a camera that is near.
const SIZE_SPEED: f32 = 3.0;
/// Whoever was seen to walk out of the picture may come back within this time, where he went or where he must be by now;
/// after it, who walks in is taken for somebody else. Whoever was not seen to walk out may be anybody who comes later.
const TURN_ROUND: Duration = Duration::from_secs(5);
/// How far from where he went somebody comes back, in widths of a face.
const TURNED: f32 = 3.0;
/// Where a face was at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sight {
    pub(crate) at: Duration,
    pub(crate) rect: Rect,
}

/// One unbroken track.
#[derive(Debug, Clone)]
pub(crate) struct Stay {
    pub(crate) name: TrackId,
    pub(crate) first: Sight,
    pub(crate) last: Sight,
    /// Where it was within a second of its first sight, and about a second before its last.
    early: Rect,
    late: [Sight; 2],
    /// Width and height of the frame.
    size: (f32, f32),
    /// Counted frames of the open window in which it was seen.
    pub(crate) frames: u32,
    /// The same of the windows before, each counting half as much as the next.
    pub(crate) earlier: f64,
    /// Readings of the open window: how many, how many confident ones, and the sum of their scores.
    pub(crate) read: u32,
    pub(crate) confident: u32,
    pub(crate) sum: [f64; EXPRESSIONS],
}

impl Stay {
    pub(crate) fn new(name: TrackId, at: Duration, rect: Rect, size: (f32, f32)) -> Self {
        let sight = Sight { at, rect };
        Self {
            name,
            first: sight,
            last: sight,
            early: rect,
            late: [sight; 2],
            size,
            frames: 0,
            earlier: 0.0,
            read: 0,
            confident: 0,
            sum: [0.0; EXPRESSIONS],
        }
    }

    pub(crate) fn see(&mut self, at: Duration, rect: Rect, size: (f32, f32)) {
        const SECOND: Duration = Duration::from_secs(1);
        self.last = Sight { at, rect };
        self.size = size;
        if at.saturating_sub(self.first.at) <= SECOND {
            self.early = rect;
        }
        if at.saturating_sub(self.late[1].at) >= SECOND {
            self.late = [self.late[1], self.last];
        }
    }

    /// Where it would be so many seconds after its end, had it gone on.
    fn expected(&self, seconds: f32) -> Rect {
        let (from, to) = (&self.late[0], &self.last);
        let time = to.at.saturating_sub(from.at).as_secs_f32().max(0.1);
        let by = |from: f32, to: f32| to + (to - from) / time * seconds;
        Rect {
            x: by(from.rect.x, to.rect.x),
            y: by(from.rect.y, to.rect.y),
            ..to.rect
        }
    }

    pub(crate) fn add(&mut self, reading: Reading) {
        let scores = reading.scores.map(f64::from);
        self.read += 1;
        add(&mut self.sum, &scores);
        self.confident += u32::from(reading.confident);
    }

    pub(crate) fn begin_window(&mut self) {
        self.earlier = (self.earlier + f64::from(self.frames)) / 2.0;
        (self.frames, self.read, self.confident) = (0, 0, 0);
        self.sum = [0.0; EXPRESSIONS];
    }

    /// Whether it was seen to walk out of the picture: it ended at an edge, towards which it had moved.
    pub(crate) fn walked_out(&self) -> bool {
        passes_edge(&self.late[0].rect, &self.last.rect, self.size)
    }

    /// Whether it was seen to walk into the picture.
    pub(crate) fn walked_in(&self) -> bool {
        passes_edge(&self.early, &self.first.rect, self.size)
    }

    /// Whether whoever ended this stay could be who began `later`.
    pub(crate) fn could_become(&self, later: &Self) -> bool {
        if later.first.at <= self.last.at {
            return false; // both in one frame are two people
        }
        let gap = later.first.at - self.last.at;
        let width = self.last.rect.w.max(later.first.rect.w).max(1.0);
        let distance = self.last.rect.distance(&later.first.rect) / width;
        let ratio = size_ratio(&self.last.rect, &later.first.rect);
        let seconds = gap.as_secs_f32();
        if self.walked_out() && later.walked_in() {
            // He has turned round, or gone on unseen.
            let back = distance <= TURNED * SLACK;
            let on = self.expected(seconds).distance(&later.first.rect) / width;
            return gap <= TURN_ROUND
                && ratio <= SIZE_SLACK + SIZE_SPEED * seconds
                && (back || on <= SLACK + 2.0 * seconds);
        }
        distance <= SLACK + SPEED * seconds && ratio <= SIZE_SLACK + SIZE_SPEED * seconds
    }
}

pub(crate) fn add(sums: &mut [f64; EXPRESSIONS], more: &[f64; EXPRESSIONS]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// Whether `outer` lies at an edge of the frame, and further out than `inner` by half a face.
fn passes_edge(inner: &Rect, outer: &Rect, size: (f32, f32)) -> bool {
    let near = 0.75 * outer.w;
    let far = 0.5 * outer.w;
    let edges = [
        (outer.x, inner.x),
        (outer.y, inner.y),
        (size.0 - outer.x - outer.w, size.0 - inner.x - inner.w),
        (size.1 - outer.y - outer.h, size.1 - inner.y - inner.h),
    ];
    edges
        .iter()
        .any(|(outer, inner)| *outer <= near && inner - outer >= far)
}

fn size_ratio(a: &Rect, b: &Rect) -> f32 {
    let (small, large) = (a.w.min(b.w).max(1.0), a.w.max(b.w).max(1.0));
    large / small
}

/// Mean scores of a person over `stays`; `None` without a reading.
pub(crate) fn mean_scores(stays: &[&Stay]) -> Option<[f64; EXPRESSIONS]> {
    let mut sum = [0.0; EXPRESSIONS];
    stays.iter().for_each(|stay| add(&mut sum, &stay.sum));
    let read: u32 = stays.iter().map(|stay| stay.read).sum();
    (read > 0).then(|| sum.map(|s| s / f64::from(read)))
}
