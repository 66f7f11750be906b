//! What affectd shows of itself over HTTP: metrics for Prometheus, and a page for whoever sets the camera up.
//!
//! ```text
//! board ──> Snapshot ──┐
//! group ──> History ───┼──> Shown ──> metrics, page ──> site ──> server ──> a browser, Prometheus
//! vision ──> Aiming ───┘                                access
//! ```
//! Whoever looks at these can learn nothing of a window without numbers that its report does not say. What there is instead,
//! for ten minutes after it was asked for, is in [`crate::aiming`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use affect_core::health::Health;
use affect_core::report::WindowReport;

use crate::config::Config;
use crate::progress::Progress;

mod access;
mod history;
mod metrics;
mod page;
mod server;
mod site;
mod tls;

use history::History;
pub(crate) use server::start;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use server::tests_only;

/// How wide a face is, in metres.
const FACE_METRES: f64 = 0.15;

/// What does not change while the daemon runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) min_group: u32,
    pub(crate) window_seconds: f64,
    /// Shorter side of the smallest face that is looked at, in pixels.
    pub(crate) min_face_px: u32,
    /// How far away a face may be, in metres, for a lens of `field_of_view` degrees.
    pub(crate) reach_metres: f64,
    pub(crate) field_of_view: f64,
    /// What runs the networks: `xnnpack`, `edgetpu` or `none`.
    pub(crate) accelerator: String,
}

impl Fixed {
    pub(crate) fn of(config: &Config, accelerator: String) -> Self {
        let camera = &config.camera;
        Self {
            min_group: config.privacy.min_group,
            window_seconds: config.window.length.as_secs_f64(),
            min_face_px: config.detector.min_face_px,
            reach_metres: reach(
                camera.width.into(),
                camera.field_of_view,
                config.detector.min_face_px.into(),
            ),
            field_of_view: camera.field_of_view,
            accelerator,
        }
    }
}

/// How far from the camera a face is `pixels` wide, in metres, where `width` pixels see `degrees` of the room.
pub(crate) fn reach(width: f64, degrees: f64, pixels: f64) -> f64 {
    let pixels_per_unit = width / 2.0 / (degrees.to_radians() / 2.0).tan();
    FACE_METRES * pixels_per_unit / pixels
}

/// How the device is doing, as the board thread told last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// The same as is published.
    pub(crate) health: Health,
    /// Whether the broker is reached.
    pub(crate) connected: bool,
    /// What the lamp shows, in words.
    pub(crate) line: String,
}

/// What may be shown: put in by the daemon's threads, read by the server's.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) fixed: Fixed,
    pub(crate) progress: Arc<Progress>,
    snapshot: Mutex<Option<Snapshot>>,
    history: Mutex<History>,
}

impl Shown {
    pub(crate) fn new(fixed: Fixed, progress: Arc<Progress>) -> Self {
        Self {
            fixed,
            progress,
            snapshot: Mutex::default(),
            history: Mutex::default(),
        }
    }

    /// The board tells how the device is doing.
    pub(crate) fn tell(&self, snapshot: Snapshot) {
        *lock(&self.snapshot) = Some(snapshot);
    }

    /// A report is published.
    pub(crate) fn published(&self, report: &WindowReport) {
        lock(&self.history).add(report);
    }

    fn snapshot(&self) -> Option<Snapshot> {
        lock(&self.snapshot).clone()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }
}

/// Every change is whole, even if a thread died while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_seen_as_far_as_its_pixels_go() {
        // 640 px over 62 degrees: a face of 15 cm has 24 px at 3.3 m; twice the pixels see twice as far.
        let near = reach(640.0, 62.0, 24.0);
        assert!((3.2..3.4).contains(&near), "{near}");
        assert!((reach(1280.0, 62.0, 24.0) - 2.0 * near).abs() < 1e-9);
        assert!(reach(640.0, 120.0, 24.0) < near / 2.0);
    }
}
