//! What moves around a face that is not seen: whether somebody who has turned away is still there, or may have gone.
//!
//! The picture is not kept: 64 grey levels of the last frame, and which of the cells have changed since the face was seen.

use crate::geometry::Rect;
use crate::preprocess::{GREY_CELLS, Picture};

/// From which part of the cells on that have changed somebody has moved about.
const DISTURBED: f32 = 0.35;
/// Least change of a cell from one frame to the next, in grey levels.
const LEAST_CHANGE: f32 = 10.0;
/// Pixels along each side of a cell that are looked at.
const SAMPLES: usize = 4;
/// All cells that are not of the head, which may turn.
const AROUND: u64 = around();

/// The surroundings of one face: from a quarter of a face above it down to the chest, and half a face to either side.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    last: Option<[f32; GREY_CELLS * GREY_CELLS]>,
    changed: u64,
}

impl Surroundings {
    /// Whether somebody has moved about there since the face was last seen.
    #[must_use]
    pub fn are_disturbed(&self) -> bool {
        (self.changed & AROUND).count_ones() as f32 / AROUND.count_ones() as f32 > DISTURBED
    }

    /// What has moved until now does not matter: the face is seen.
    pub(crate) fn face_is_seen(&mut self) {
        self.changed = 0;
    }

    /// Says that somebody moves about there.
    pub fn disturb(&mut self) {
        self.changed = u64::MAX;
    }

    /// Looks at the surroundings of the face that was in `face`. What cannot be seen counts as disturbed.
    pub fn look(&mut self, picture: &Picture<'_>, face: &Rect) {
        let part = Rect {
            x: face.x - 0.5 * face.w,
            y: face.y - 0.25 * face.h,
            w: 2.0 * face.w,
            h: 2.5 * face.h,
        };
        let Some((now, _)) = picture.grey_cells(&part, SAMPLES) else {
            return self.disturb();
        };
        if let Some(last) = self.last {
            // A lamp that is switched on changes all cells alike.
            let shift = median(std::array::from_fn(|i| now[i] - last[i]));
            for (i, (before, now)) in last.iter().zip(&now).enumerate() {
                if (now - before - shift).abs() > LEAST_CHANGE {
                    self.changed |= 1 << i;
                }
            }
        }
        self.last = Some(now);
    }
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

fn median(mut values: [f32; GREY_CELLS * GREY_CELLS]) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
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
        for rgb in frames {
            surroundings.look(&Picture::new(SIZE, SIZE, &rgb).unwrap(), &FACE);
        }
        surroundings.are_disturbed()
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
        // He moves out to the side, a third of a face at each frame.
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
    fn what_cannot_be_seen_is_disturbed_and_a_face_that_is_seen_ends_it() {
        let rgb = frame(None, 0.0, 0.0, 1.0, 1);
        let picture = Picture::new(SIZE, SIZE, &rgb).unwrap();
        let mut surroundings = Surroundings::default();
        surroundings.look(&picture, &Rect { x: 900.0, ..FACE });
        assert!(surroundings.are_disturbed());
        surroundings.face_is_seen();
        assert!(!surroundings.are_disturbed());
    }
}
