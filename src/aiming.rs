//! Aiming the camera: for ten minutes after somebody has asked for it on the page, where faces are and how light it is can be
//! seen there. Boxes alone: no picture, no expression, nobody's name or track. The lamp shows it, and the audit log tells it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use affect_core::geometry::Rect;
use serde::Serialize;

/// How long it lasts.
pub(crate) const LASTS: Duration = Duration::from_secs(600);
/// What was seen longer ago is not shown.
const FRESH: Duration = Duration::from_secs(3);
/// More boxes than these are not shown.
const MOST: usize = 64;

/// Whether somebody aims, and what was seen last. Times are since the run began.
#[derive(Debug, Default)]
pub(crate) struct Aiming {
    /// Until when, in milliseconds; 0: not at all.
    until: AtomicU64,
    /// What vision saw last. It never waits here: a view that cannot be put in at once is left out.
    seen: Mutex<Option<(Duration, Sight)>>,
}

/// What one frame looked like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sight {
    /// Width and height of the frame in pixels.
    pub(crate) size: [u32; 2],
    /// Its mean brightness, 0..=255.
    pub(crate) light: u8,
    /// Where faces are, from left to right.
    pub(crate) faces: Vec<FaceBox>,
}

/// Where a face is, in hundredths of the frame's width and height from its top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct FaceBox {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
    /// Its shorter side in pixels.
    px: u32,
}

impl Sight {
    /// Of a frame of `size` pixels with faces at `rects`. They are put in the order of their place, so that nothing tells
    /// who was there before.
    pub(crate) fn new(size: (f32, f32), light: u8, rects: impl Iterator<Item = Rect>) -> Self {
        let part = |length: f32, whole: f32| (length / whole.max(1.0) * 100.0).round() as i32;
        let mut faces: Vec<FaceBox> = rects
            .take(MOST)
            .map(|rect| FaceBox {
                x: part(rect.x, size.0),
                y: part(rect.y, size.1),
                width: part(rect.w, size.0),
                height: part(rect.h, size.1),
                px: rect.short_side().max(0.0).round() as u32,
            })
            .collect();
        faces.sort_by_key(|face| (face.x, face.y, face.width, face.height));
        Self {
            size: [size.0 as u32, size.1 as u32],
            light,
            faces,
        }
    }
}

impl Aiming {
    /// Somebody asks for it, or asks for more time.
    pub(crate) fn begin(&self, now: Duration) {
        self.until.store(millis(now + LASTS), Relaxed);
    }

    /// It is over. What was seen is forgotten.
    pub(crate) fn end(&self) {
        self.until.store(0, Relaxed);
        self.forget();
    }

    /// How long it still lasts; `None` if nobody aims.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        let left = self.until.load(Relaxed).saturating_sub(millis(now));
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Puts in what a frame looked like, if somebody aims.
    pub(crate) fn show(&self, now: Duration, sight: impl FnOnce() -> Sight) {
        if self.left(now).is_some()
            && let Ok(mut seen) = self.seen.try_lock()
        {
            *seen = Some((now, sight()));
        }
    }

    /// What was seen a moment ago, while somebody aims.
    pub(crate) fn sight(&self, now: Duration) -> Option<Sight> {
        self.left(now)?;
        let seen = self.seen.lock().ok()?;
        let (at, sight) = seen.as_ref()?;
        (now.saturating_sub(*at) < FRESH).then(|| sight.clone())
    }

    /// Forgets what was seen: nobody aims any more.
    pub(crate) fn forget(&self) {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = None;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sight(rects: &[(f32, f32)]) -> Sight {
        let rects = rects.iter().map(|(x, y)| Rect {
            x: *x,
            y: *y,
            w: 64.0,
            h: 80.4,
        });
        Sight::new((640.0, 480.0), 90, rects)
    }

    #[test]
    fn nothing_is_kept_unless_somebody_aims_and_nothing_after() {
        let aiming = Aiming::default();
        aiming.show(SECOND, || panic!("nobody asked"));
        assert_eq!(aiming.sight(SECOND), None);
        aiming.begin(SECOND);
        aiming.show(SECOND * 2, || sight(&[(64.0, 48.0)]));
        assert_eq!(aiming.sight(SECOND * 3), Some(sight(&[(64.0, 48.0)])));
        assert_eq!(aiming.sight(SECOND * 6), None, "too old");
        aiming.show(SECOND * 600, || sight(&[]));
        assert!(aiming.sight(SECOND * 600).is_some());
        assert_eq!(aiming.left(SECOND * 601), None, "ten minutes are over");
        assert_eq!(aiming.sight(SECOND * 601), None);
        aiming.begin(SECOND * 700);
        aiming.end();
        assert_eq!(aiming.left(SECOND * 700), None);
        assert!(aiming.seen.lock().expect("free").is_none());
    }

    #[test]
    fn a_sight_has_places_and_sizes_and_nothing_else() {
        // Whoever was seen first is not the first: the order is that of the places.
        let seen = sight(&[(320.0, 0.0), (64.0, 48.0)]);
        assert_eq!(seen, sight(&[(64.0, 48.0), (320.0, 0.0)]));
        let json = serde_json::to_value(&seen).expect("plain data");
        assert_eq!(
            json,
            serde_json::json!({"size": [640, 480], "light": 90, "faces": [
                {"x": 10, "y": 10, "width": 10, "height": 17, "px": 64},
                {"x": 50, "y": 0, "width": 10, "height": 17, "px": 64},
            ]})
        );
        assert_eq!(sight(&[(0.0, 0.0); 100]).faces.len(), MOST);
    }
}
