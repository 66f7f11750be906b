//! A scene through a tracker.

use affect_core::geometry::Rect;
use affect_core::tracker::{Boxes, TrackSettings, Tracker};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::earlier::{Earlier, Way};
use crate::scene::{SIZE, SURE, SceneFrame};
use crate::score::Labelled;

/// Who is there, frame by frame.
#[must_use]
pub fn truth(frames: &[SceneFrame]) -> Vec<Vec<Labelled>> {
    let label = |truth: &crate::scene::Truth| Labelled {
        id: truth.person,
        rect: truth.rect,
    };
    frames
        .iter()
        .map(|frame| frame.truth.iter().map(label).collect())
        .collect()
}

/// The daemon's tracker, with its settings as they are by default, and the names that it gives: those that the privacy gate
/// sees.
#[must_use]
pub fn ours(frames: &[SceneFrame]) -> Vec<Vec<Labelled>> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut tracker = Tracker::new(TrackSettings::default());
    frames
        .iter()
        .map(|frame| {
            tracker.watch(|surroundings, place| {
                surroundings.rest();
                if is_disturbed(frame, place) {
                    surroundings.disturb();
                }
            });
            let sure = frame.boxes.partition_point(|one| one.score >= SURE);
            let rects: Vec<Rect> = frame.boxes.iter().map(|one| one.rect).collect();
            let boxes = Boxes {
                at: frame.at,
                size: SIZE,
                faces: &rects[..sure],
                doubtful: &rects[sure..],
            };
            tracker.update(&boxes, &mut || random.next_u64());
            tracker
                .followed()
                .map(|track| Labelled {
                    id: track.id().0,
                    rect: *track.rect(),
                })
                .collect()
        })
        .collect()
}

/// One of the earlier trackers, which knew only boxes that surely are faces.
#[must_use]
pub fn earlier(frames: &[SceneFrame], way: Way) -> Vec<Vec<Labelled>> {
    let mut tracker = Earlier::new(way);
    frames
        .iter()
        .map(|frame| {
            let sure = frame.boxes.partition_point(|one| one.score >= SURE);
            tracker.update(frame.at, &frame.boxes[..sure], |place| is_disturbed(frame, place))
        })
        .collect()
}

/// Whether somebody walks by where a face is or was: the part of the picture that the daemon watches around it.
fn is_disturbed(frame: &SceneFrame, face: &Rect) -> bool {
    let (left, right) = (face.x - 0.5 * face.w, face.x + 1.5 * face.w);
    let (top, bottom) = (face.y - 0.25 * face.h, face.y + 2.25 * face.h);
    frame.walkers.iter().any(|walker| {
        let (x, y) = (walker.x, walker.y);
        x < right && x + walker.w > left && y < bottom && y + walker.h > top
    })
}

/// What nobody can do better: every box on a face is given to whose face it is. Misses and hidden faces remain.
#[must_use]
pub fn known(frames: &[SceneFrame]) -> Vec<Vec<Labelled>> {
    frames
        .iter()
        .map(|frame| {
            let mut taken = vec![false; frame.boxes.len()];
            let mut given = Vec::new();
            for truth in &frame.truth {
                let overlap = |place: &usize| frame.boxes[*place].rect.iou(&truth.rect);
                let best = (0..frame.boxes.len())
                    .filter(|place| !taken[*place] && overlap(place) >= 0.5)
                    .max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
                if let Some(place) = best {
                    taken[place] = true;
                    given.push(Labelled {
                        id: truth.person,
                        rect: frame.boxes[place].rect,
                    });
                }
            }
            given
        })
        .collect()
}

/// The faces on which there was a box: those that no tracker can be blamed for having missed are left out.
#[must_use]
pub fn found(truth: &[Vec<Labelled>], known: &[Vec<Labelled>]) -> Vec<Vec<Labelled>> {
    let has_box = |known: &[Labelled], face: &Labelled| known.iter().any(|one| one.id == face.id);
    truth
        .iter()
        .zip(known)
        .map(|(truth, known)| {
            truth
                .iter()
                .filter(|face| has_box(known, face))
                .copied()
                .collect()
        })
        .collect()
}
