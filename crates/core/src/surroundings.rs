//! What moves around a face that is not seen: whether somebody who has turned away is still there, or may have gone.
//!
//! The picture is not kept: 64 grey levels of the last frame, and which of the cells have changed since the face was seen.

use std::time::Duration;

use crate::geometry::Rect;
use crate::preprocess::{GREY_CELLS, Picture};

/// From which part of the cells on that have changed somebody has moved about.
const DISTURBED: f32 = 0.35;
/// Change of a cell that counts, as a part of how much the cells differ among themselves, …
const PART_OF_CONTRAST: f32 = 0.25;
/// … but at least and at most so many grey levels.
const CHANGE: (f32, f32) = (3.0, 10.0);
/// How much the cells must differ among themselves (standard deviation, in grey levels) for a change to be seen at all: in the
/// dark, or before a wall in clothes of its colour, nobody can be told to be still there.
const LEAST_CONTRAST: f32 = 8.0;
/// By which factor a lamp may change the contrast.
const GAIN: f32 = 1.5;
/// Pixels along each side of a cell that are looked at.
const SAMPLES: usize = 4;
/// How often is looked while the face is seen, and while it is not: nobody gets up and leaves his place to another within that.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(200)];
/// All cells that are not of the head, which may turn.
const AROUND: u64 = around();

type Cells = [f32; GREY_CELLS * GREY_CELLS];
/// The cells around the head.
const CELLS_AROUND: usize = AROUND.count_ones() as usize;

/// What was seen at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    cells: Cells,
    contrast: f32,
}

/// The surroundings of one face: from a quarter of a face above it down to the chest, and half a face to either side.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// When the face was last seen, and in the last frame.
    with_face: Option<Look>,
    last: Option<Look>,
    looked: Option<Duration>,
    /// Whether the face has been seen since the last frame.
    is_seen: bool,
    changed: u64,
    /// Whether it is too dark, or too even, to see anything.
    blind: bool,
}

impl Surroundings {
    /// Whether nobody has moved about there since the face was last seen: neither from one frame to the next, nor, more slowly,
    /// since then. What was never looked at is not known.
    #[must_use]
    pub fn are_quiet(&self) -> bool {
        let Some(last) = self.last.as_ref().filter(|_| !self.blind) else {
            return false;
        };
        let slowly = self.with_face.map_or(0, |before| changes(&before, last));
        let part = |cells: u64| (cells & AROUND).count_ones() as f32 / AROUND.count_ones() as f32;
        part(self.changed | slowly) <= DISTURBED
    }

    /// What has moved until now does not matter: the face is seen.
    pub(crate) fn face_is_seen(&mut self) {
        self.changed = 0;
        self.with_face = self.last;
        self.is_seen = true;
    }

    /// Says that somebody moves about there.
    pub fn disturb(&mut self) {
        self.changed = u64::MAX;
    }

    /// Says that nobody moves about there, where there are no pictures.
    #[cfg(feature = "attack")]
    pub fn rest(&mut self) {
        self.last.get_or_insert(Look {
            cells: [0.0; GREY_CELLS * GREY_CELLS],
            contrast: 0.0,
        });
    }

    /// Looks at the surroundings of the face that was in `face`, in the frame at `at`, if it is time to. What cannot be seen
    /// counts as disturbed.
    pub fn look(&mut self, at: Duration, picture: &Picture<'_>, face: &Rect) {
        let [seen, unseen] = LOOK_EVERY;
        let every = if std::mem::take(&mut self.is_seen) {
            seen
        } else {
            unseen
        };
        if self
            .looked
            .is_some_and(|looked| at.saturating_sub(looked) < every)
        {
            return;
        }
        self.looked = Some(at);
        let part = Rect {
            x: face.x - 0.5 * face.w,
            y: face.y - 0.25 * face.h,
            w: 2.0 * face.w,
            h: 2.5 * face.h,
        };
        let Some((cells, _)) = picture.grey_cells(&part, SAMPLES) else {
            self.blind = true;
            return;
        };
        let now = Look {
            contrast: contrast(&cells),
            cells,
        };
        self.blind = now.contrast < LEAST_CONTRAST;
        if let Some(last) = &self.last {
            self.changed |= changes(last, &now);
        }
        self.last = Some(now);
        self.with_face.get_or_insert(now);
    }
}

/// Which cells have changed, but for light that changes all alike.
fn changes(before: &Look, now: &Look) -> u64 {
    let gain = (before.contrast / now.contrast.max(1.0)).clamp(1.0 / GAIN, GAIN);
    let mut differences = [0.0; CELLS_AROUND];
    let pairs = around_head(&before.cells).zip(around_head(&now.cells));
    for (difference, (before, now)) in differences.iter_mut().zip(pairs) {
        *difference = now * gain - before;
    }
    let middle = CELLS_AROUND / 2;
    let shift = *differences.select_nth_unstable_by(middle, f32::total_cmp).1;
    let limit = (PART_OF_CONTRAST * before.contrast).clamp(CHANGE.0, CHANGE.1);
    let mut changed = 0;
    for (i, (before, now)) in before.cells.iter().zip(&now.cells).enumerate() {
        changed |= u64::from((now * gain - before - shift).abs() > limit) << i;
    }
    changed
}

/// How much the cells differ among themselves: standard deviation. The head, which may turn, does not count.
fn contrast(cells: &Cells) -> f32 {
    let count = CELLS_AROUND as f32;
    let mean = around_head(cells).sum::<f32>() / count;
    (around_head(cells).map(|cell| (cell - mean).powi(2)).sum::<f32>() / count).sqrt()
}

fn around_head(cells: &Cells) -> impl Iterator<Item = f32> {
    let is_around = |i: &usize| AROUND >> i & 1 == 1;
    cells
        .iter()
        .enumerate()
        .filter(move |(i, _)| is_around(i))
        .map(|(_, cell)| *cell)
}

const fn around() -> u64 {
    let (mut cells, mut i) = (0, 0);
    while i < GREY_CELLS * GREY_CELLS {
        let (column, row) = (i % GREY_CELLS, i / GREY_CELLS);
        let is_head = column >= 2 && column < 6 && row < 4;
        if !is_head {
            cells |= 1 << i;
        }
        i += 1;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::seeded;

    const SIZE: usize = 240;
    const FACE: Rect = Rect {
        x: 90.0,
        y: 60.0,
        w: 60.0,
        h: 60.0,
    };

    /// A chair on which somebody sits, `x` pixels to the right of the middle: `body` is the grey of the clothes, if anybody is
    /// there, `head` that of the head.
    fn frame(body: Option<f32>, head: f32, x: f32, light: f32, seed: u64) -> Vec<u8> {
        let mut random = seeded(seed);
        let mut rgb = Vec::with_capacity(SIZE * SIZE * 3);
        for py in 0..SIZE {
            for px in 0..SIZE {
                let (u, v) = (px as f32 - x, py as f32);
                let level = match body {
                    Some(_) if (90.0..150.0).contains(&u) && (60.0..120.0).contains(&v) => head,
                    Some(body) if (65.0..175.0).contains(&u) && v >= 120.0 => body + 20.0 * (v / 9.0).sin(),
                    _ => 110.0 + 30.0 * (px as f32 / 40.0).sin(),
                };
                let noise = ((random() >> 40) as f32 / (1 << 24) as f32 - 0.5) * 16.0;
                let grey = (level * light + noise).clamp(0.0, 255.0) as u8;
                rgb.extend([grey; 3]);
            }
        }
        rgb
    }

    fn disturbed(frames: impl IntoIterator<Item = Vec<u8>>) -> bool {
        let mut surroundings = Surroundings::default();
        for (rgb, at) in frames.into_iter().zip(0..) {
            surroundings.look(
                Duration::from_millis(200 * at),
                &Picture::new(SIZE, SIZE, &rgb).unwrap(),
                &FACE,
            );
        }
        !surroundings.are_quiet()
    }

    #[test]
    fn who_turns_away_is_still_there_whatever_the_lamp_does() {
        let frames = (0..100u64).map(|i| {
            let head = 150.0 + 60.0 * (i as f32 / 5.0).sin();
            let light = if i > 50 { 1.2 } else { 1.0 };
            // He sways by two pixels.
            frame(Some(60.0), head, 2.0 * (i as f32 / 8.0).sin(), light, i)
        });
        assert!(!disturbed(frames));
    }

    #[test]
    fn who_gets_up_and_who_sits_down_are_seen() {
        // He moves out to the side, a third of a face at each look.
        for body in [30.0, 70.0, 200.0] {
            let leaves = (0..12u64).map(|i| frame(Some(body), 180.0, 20.0 * i as f32, 1.0, i));
            assert!(disturbed(leaves), "clothes of {body}");
        }
        // At one frame a second he is simply gone.
        let gone = [
            frame(Some(60.0), 150.0, 0.0, 1.0, 1),
            frame(None, 0.0, 0.0, 1.0, 2),
        ];
        assert!(disturbed(gone));
    }

    #[test]
    fn who_goes_slowly_is_seen_and_in_the_dark_nobody_is_trusted() {
        // A pixel at each frame, in clothes that are nearly as grey as the wall.
        for body in [80.0, 100.0, 130.0] {
            let leaves = (0..200u64).map(|i| frame(Some(body), 180.0, i as f32, 1.0, i));
            assert!(disturbed(leaves), "clothes of {body}");
        }
        let dark = (0..20u64).map(|i| frame(Some(60.0), 180.0, 0.0, 0.1, i));
        assert!(disturbed(dark), "nothing moves, but nothing could be seen to");
    }

    #[test]
    fn what_cannot_be_seen_is_disturbed_and_a_face_that_is_seen_ends_it() {
        let rgb = frame(None, 0.0, 0.0, 1.0, 1);
        let picture = Picture::new(SIZE, SIZE, &rgb).unwrap();
        let mut surroundings = Surroundings::default();
        assert!(!surroundings.are_quiet(), "never looked at");
        surroundings.look(Duration::ZERO, &picture, &Rect { x: 900.0, ..FACE });
        assert!(!surroundings.are_quiet(), "outside");
        surroundings.look(Duration::from_millis(200), &picture, &FACE);
        assert!(surroundings.are_quiet());
        surroundings.disturb();
        assert!(!surroundings.are_quiet());
        surroundings.face_is_seen();
        assert!(surroundings.are_quiet());
    }
}
