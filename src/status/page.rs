//! The page and what it asks for. It has no pictures, no fonts and nothing from elsewhere.

use affect_core::report::CameraStateWord;
use serde::Serialize;
use serde_json::json;

use super::Shown;
use crate::aiming::Sight;

pub(super) const HTML: &str = include_str!("page.html");
pub(super) const CSS: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// What the page shows while somebody aims.
#[derive(Serialize)]
struct Aim {
    seconds_left: u64,
    sight: Option<Sight>,
}

/// The state as JSON, with the reports numbered above `after`, or all that are kept.
pub(super) fn state(shown: &Shown, after: Option<u64>) -> String {
    let progress = &shown.progress;
    let now = progress.elapsed();
    let aim = progress.aiming.left(now).map(|left| Aim {
        seconds_left: u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX),
        sight: progress.aiming.sight(now),
    });
    let fixed = &shown.fixed;
    let (reports, counts) = {
        let history = shown.history();
        (history.after(after), history.counts())
    };
    let device = shown.snapshot().map(|snapshot| {
        let mut health = serde_json::to_value(&snapshot.health).unwrap_or_default();
        // The page has no use for it.
        if let Some(health) = health.as_object_mut() {
            health.remove("latency");
        }
        json!({
            "health": health,
            "connected": snapshot.connected,
            "line": snapshot.line,
            "streaming": snapshot.health.state == Some(CameraStateWord::Streaming),
        })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": device,
        "paused": progress.is_paused(),
        "aiming": aim,
        "setup": {
            "min_group": fixed.min_group,
            "window_seconds": fixed.window_seconds,
            "min_face_px": fixed.min_face_px,
            "reach_metres": (fixed.reach_metres * 10.0).round() / 10.0,
            "field_of_view": fixed.field_of_view,
            "accelerator": fixed.accelerator,
        },
        "reports": reports,
        "counts": counts,
    })
    .to_string()
}
