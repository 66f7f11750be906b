//! `[detector]`: how faces are found and followed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::duration;

/// How faces are found in a frame and followed from frame to frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Detector {
    /// The detector: name of a folder in the models directory, or a path.
    #[schemars(length(min = 1))]
    pub(crate) model: String,
    /// Least score of a face. Higher: fewer false faces, more missed ones.
    #[schemars(
        range(min = 0.5, max = 1.0),
        extend("x-why" = "below, one person who moves may count as several")
    )]
    pub(crate) score_threshold: f64,
    /// Overlap (intersection over union) from which two boxes are taken for the same face.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) nms_iou: f64,
    /// Smallest face that is looked at: shorter side of its box, in pixels of the camera.
    #[schemars(range(min = 8, max = 1000))]
    pub(crate) min_face_px: u32,
    /// Processor threads of the detector.
    #[schemars(range(min = 1, max = 16))]
    pub(crate) threads: u32,
    /// Overlap with its last box from which a face is taken for the same person.
    #[schemars(
        range(min = 0.2, max = 1.0),
        extend("x-why" = "below, a face that takes another's place is taken for the same")
    )]
    pub(crate) track_iou: f64,
    /// How long a face that is not seen is waited for; at slow frame rates, for two frames and a half. Whoever is away for
    /// longer is taken for somebody else.
    #[serde(with = "duration::text")]
    #[schemars(
        with = "duration::Text",
        extend(
            "x-minimum" = "100ms",
            "x-maximum" = "3s",
            "x-why" = "within longer, somebody else can have taken the place"
        )
    )]
    pub(crate) track_memory: Duration,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            model: "yunet-320".to_owned(),
            score_threshold: 0.6,
            nms_iou: 0.3,
            min_face_px: 24,
            threads: 1,
            track_iou: 0.3,
            track_memory: Duration::from_secs(1),
        }
    }
}
