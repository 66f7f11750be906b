//! Whether a face lives: a picture of a face keeps its place and its pixels, a person does not, however attentive.
//!
//! A face lives from the moment at which it is seen to change, and for [`LIVES_FOR`] after. The pixels of one place in the
//! frame are compared, not those of the detector's box, which trembles on a picture, too. Light that changes as a whole
//! counts as no change, and noise is told from movement by how many pixels a cell has. A screen with moving people, a
//! mirror, or a picture that somebody carries lives.

use std::time::Duration;

use crate::geometry::Rect;
use crate::preprocess::{GREY_CELLS, Picture};

/// How long a face that has changed counts as living without another change.
pub const LIVES_FOR: Duration = Duration::from_secs(30);
/// How often a face is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Most pixels along each side of a cell that are looked at.
const SAMPLES: usize = 8;
/// By which part of its width a face must have moved, or by which factor its size must have changed, to have moved.
const MOVED: f32 = 0.25;
/// Least change of the cells, in grey levels (root mean square), of a place with very many pixels …
const LEAST_CHANGE: f32 = 2.0;
/// … and how much more, in grey levels, for cells of one pixel; it falls with the square root of their number.
const NOISE: f32 = 20.0;

/// What is remembered of one track: a place in the frame, 64 grey levels of it, and when they last changed.
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    anchor: Option<Anchor>,
    looked: Option<Duration>,
    changed: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Anchor {
    rect: Rect,
    cells: [f32; GREY_CELLS * GREY_CELLS],
}

impl Liveness {
    /// Looks at the face in `rect` of the frame at `at`.
    pub fn look(&mut self, at: Duration, picture: &Picture<'_>, rect: &Rect) {
        if self
            .looked
            .is_some_and(|looked| at.saturating_sub(looked) < LOOK_EVERY)
        {
            return;
        }
        self.looked = Some(at);
        let changed = match &self.anchor {
            None => false,
            Some(anchor) => {
                has_moved(&anchor.rect, rect)
                    || picture
                        .grey_cells(&anchor.rect, SAMPLES)
                        .is_some_and(|(now, samples)| change(&anchor.cells, &now) > limit(samples))
            }
        };
        if changed {
            self.changed = Some(at);
        }
        if changed || self.anchor.is_none() {
            self.anchor = picture
                .grey_cells(rect, SAMPLES)
                .map(|(cells, _)| Anchor { rect: *rect, cells });
        }
    }

    /// Whether the face lives at `at`.
    #[must_use]
    pub fn lives(&self, at: Duration) -> bool {
        self.changed
            .is_some_and(|changed| at.saturating_sub(changed) <= LIVES_FOR)
    }
}

fn has_moved(before: &Rect, now: &Rect) -> bool {
    let ((x0, y0), (x1, y1)) = (before.centre(), now.centre());
    let far = (x1 - x0).hypot(y1 - y0) > MOVED * before.w;
    let (small, large) = (before.w.min(now.w), before.w.max(now.w));
    far || large > small * (1.0 + MOVED)
}

/// The least change that counts, for cells of so many pixels.
fn limit(samples: usize) -> f32 {
    LEAST_CHANGE + NOISE / (samples.max(1) as f32).sqrt()
}

/// How far two places differ, in grey levels, but for their brightness and contrast as a whole.
fn change(before: &[f32], now: &[f32]) -> f32 {
    let (mean0, spread0) = moments(before);
    let (mean1, spread1) = moments(now);
    // Of a place without contrast nothing can be told but its brightness, which may be the lamp's.
    let gain = if spread1 > 1.0 {
        (spread0 / spread1).clamp(0.5, 2.0)
    } else {
        1.0
    };
    let squares = before
        .iter()
        .zip(now)
        .map(|(a, b)| ((a - mean0) - (b - mean1) * gain).powi(2));
    (squares.sum::<f32>() / before.len() as f32).sqrt()
}

fn moments(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::seeded;

    const SIZE: usize = 160;

    /// A face-like pattern at (x, y), with noise of `sigma` grey levels per channel and a brightness factor.
    fn frame(x: f32, y: f32, sigma: f32, light: f32, seed: u64) -> Vec<u8> {
        let mut random = seeded(seed);
        let mut rgb = Vec::with_capacity(SIZE * SIZE * 3);
        for py in 0..SIZE {
            for px in 0..SIZE {
                let (u, v) = ((px as f32 - x) / 60.0, (py as f32 - y) / 60.0);
                let inside = (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v);
                let eye = |cx: f32| (u - cx).hypot(v - 0.4) < 0.1;
                let mouth = (0.3..0.7).contains(&u) && (0.72..0.8).contains(&v);
                let level = match inside {
                    _ if eye(0.3) || eye(0.7) || mouth => 60.0,
                    true => 180.0 - 40.0 * u,
                    false => 100.0,
                };
                for _ in 0..3 {
                    // The sum of four uniform numbers is near enough to a normal one.
                    let uniform: f32 = (0..4)
                        .map(|_| (random() >> 40) as f32 / (1 << 24) as f32 - 0.5)
                        .sum();
                    rgb.push((level * light + uniform * 1.73 * sigma).clamp(0.0, 255.0) as u8);
                }
            }
        }
        rgb
    }

    fn lives(frames: impl Iterator<Item = (Vec<u8>, Rect)>) -> bool {
        let mut liveness = Liveness::default();
        let mut lives = false;
        for (i, (rgb, rect)) in frames.enumerate() {
            let at = Duration::from_millis(500 * i as u64);
            let picture = Picture::new(SIZE, SIZE, &rgb).unwrap();
            liveness.look(at, &picture, &rect);
            lives |= liveness.lives(at);
        }
        lives
    }

    fn face(x: f32, y: f32) -> Rect {
        Rect {
            x,
            y,
            w: 60.0,
            h: 60.0,
        }
    }

    #[test]
    fn a_poster_does_not_live_whatever_the_noise_the_lamp_and_the_detector_do() {
        for sigma in [0.0, 3.0, 8.0, 12.0] {
            let frames = (0..60).map(|i| {
                let light = 1.0 + 0.15 * (i as f32 / 7.0).sin();
                // The detector's box trembles by a twentieth.
                let tremble = [0.0, 3.0, -2.0, 1.0][i % 4];
                (
                    frame(50.0, 50.0, sigma, light, i as u64),
                    face(50.0 + tremble, 50.0 - tremble),
                )
            });
            assert!(!lives(frames), "noise of {sigma}");
        }
    }

    #[test]
    fn somebody_who_sits_still_but_breathes_lives() {
        // Three pixels of sixty: a head is never stiller for half a minute.
        let sway = |i: usize| 50.0 + 3.0 * (i as f32 / 9.0).sin();
        for sigma in [0.0, 3.0, 8.0] {
            let frames = (0..60).map(|i| (frame(sway(i), 50.0, sigma, 1.0, i as u64), face(50.0, 50.0)));
            assert!(lives(frames), "noise of {sigma}");
        }
    }

    #[test]
    fn who_walks_lives_at_once_and_who_stops_changing_dies_after_half_a_minute() {
        let mut liveness = Liveness::default();
        let rgb = frame(50.0, 50.0, 0.0, 1.0, 0);
        let picture = Picture::new(SIZE, SIZE, &rgb).unwrap();
        let at = Duration::from_secs;
        liveness.look(at(0), &picture, &face(10.0, 50.0));
        assert!(!liveness.lives(at(0)), "nobody lives before having changed");
        liveness.look(at(1), &picture, &face(50.0, 50.0));
        assert!(liveness.lives(at(1)));
        for second in 2..=31 {
            liveness.look(at(second), &picture, &face(50.0, 50.0));
            assert!(liveness.lives(at(second)));
        }
        assert!(!liveness.lives(at(32)));
    }
}
