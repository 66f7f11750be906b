//! What is published: the payloads of the MQTT topics, as types. Their JSON Schemas are generated from here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expression::Expression;
use crate::mood::MoodClass;

/// Schema name of [`WindowReport`].
pub const WINDOW_SCHEMA: &str = "affectd/window/1";
/// Schema name of [`Info`].
pub const INFO_SCHEMA: &str = "affectd/info/1";
/// Schema name of [`CameraState`].
pub const STATE_SCHEMA: &str = "affectd/state/1";

/// One window of one camera: topic `<base>/<camera>/window`. Complete in itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WindowReport {
    /// Always `affectd/window/1`.
    pub schema: String,
    /// The device's id.
    pub device: String,
    /// The site's name, from `[deployment]`.
    pub site: String,
    /// The camera's name.
    pub camera: String,
    /// Number of the report since `boot_id` began, without gaps.
    pub seq: u64,
    /// A random name for this run of the daemon.
    pub boot_id: String,
    /// Start of the window, RFC 3339, UTC.
    pub start: String,
    /// End of the window, RFC 3339, UTC.
    pub end: String,
    /// Whether `start` and `end` come from a synchronised clock that was not set during the window.
    pub clock_synced: bool,
    /// Whether the window was closed before its time.
    pub partial: bool,
    /// Suppressed or not.
    #[serde(flatten)]
    pub body: ReportBody,
    /// The model that read the expressions.
    pub model: ModelName,
}

/// The part of a report that depends on the privacy gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ReportBody {
    /// The group was large enough.
    Released {
        /// How much of the window was seen.
        coverage: Coverage,
        /// Always null.
        suppressed: (),
        /// Why some numbers are less exact than they could be; empty if none is.
        coarsened: Vec<Coarsening>,
        /// How many people.
        people: People,
        /// What they show.
        emotion: Emotion,
        /// How the group feels as a whole; null if one person dominates it.
        mood: Option<Mood>,
        /// Age and gender of the group; null unless configured.
        attributes: Option<Attributes>,
    },
    /// The group was too small: no number that depends on a face.
    Suppressed {
        /// How much of the window was seen.
        coverage: FrameCoverage,
        /// Why.
        suppressed: Suppressed,
    },
}

/// The reasons for which a window is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// Fewer distinct people than `min_group`.
    GroupTooSmall,
    /// Enough people, but too few whose expression could be read with confidence.
    TooFewReadings,
}

/// The reasons for which a report says less than it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Coarsening {
    /// Fewer than `min_group` people came or went since the last report: `mean` and the mood carry random
    /// noise of about one person, `std` and `share` are left out.
    SmallChange,
    /// Everybody, or everybody but one, shows the same expression: only the dominant expression is given, as
    /// a lower bound.
    HomogeneousGroup,
}

/// How much of a window was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coverage {
    /// Frames looked at.
    pub frames: u32,
    /// Frames that the camera's rate promises.
    pub frames_expected: u32,
    /// Classifications made.
    pub faces_classified: u32,
    /// Classifications that the budget did not allow.
    pub faces_skipped: u32,
}

/// How much of a suppressed window was seen: face counts would tell of the people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FrameCoverage {
    /// Frames looked at.
    pub frames: u32,
    /// Frames that the camera's rate promises.
    pub frames_expected: u32,
}

/// Why a window is suppressed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suppressed {
    /// The reason.
    pub reason: SuppressionReason,
    /// How many people a report needs.
    pub min_group: u32,
}

/// How many people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct People {
    /// Different people in the window.
    pub distinct: u32,
    /// Mean number of people in a frame.
    pub mean: f64,
    /// Most people in one frame.
    pub peak: u32,
}

/// What a group shows. Every person weighs the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Emotion {
    /// Mean over persons of each person's mean score, 0..=1.
    pub mean: BTreeMap<Expression, f64>,
    /// Standard deviation over persons; empty where a report is coarsened.
    pub std: BTreeMap<Expression, f64>,
    /// Part of the persons whose dominant expression it is, 0..=1.
    pub share: BTreeMap<Expression, f64>,
    /// Part of the persons whose expression could not be read with confidence, 0..=1.
    pub unknown_share: f64,
}

/// How a group feels as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mood {
    /// The class with the largest score.
    pub class: MoodClass,
    /// Scores, 0..=1.
    pub score: BTreeMap<MoodClass, f64>,
}

/// Age and gender of a group, as histograms. The place is kept; no model fills it yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attributes {}

/// Which model it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelName {
    /// From the manifest.
    pub id: String,
    /// Of the model file.
    pub sha256: String,
}

/// Bare words on the topic `<base>/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Connected.
    Online,
    /// Ended cleanly.
    Stopped,
    /// Gone without a word: the last will.
    Offline,
}

impl Status {
    /// The payload.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stopped => "stopped",
            Self::Offline => "offline",
        }
    }
}

/// The state of a camera: topic `<base>/<camera>/state`, retained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CameraState {
    /// Always `affectd/state/1`.
    pub schema: String,
    /// What the camera does.
    pub state: CameraStateWord,
    /// Since when, RFC 3339, UTC.
    pub since: String,
    /// Why, in a sentence; null while all is well.
    pub cause: Option<String>,
}

/// What a camera does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CameraStateWord {
    /// Frames come.
    Streaming,
    /// The source is not there.
    NoDevice,
    /// The source is there but cannot be read.
    NoSignal,
    /// The source is open and gives nothing.
    NoData,
    /// Another program uses the source.
    Busy,
    /// The daemon's user may not use the source.
    Denied,
    /// Stopped on purpose.
    Paused,
    /// The daemon ended cleanly and looks at nothing.
    Stopped,
}

/// What the device is: topic `<base>/info`, retained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Info {
    /// Always `affectd/info/1`.
    pub schema: String,
    /// Version of affectd.
    pub version: String,
    /// Version of the TensorFlow Lite library.
    pub runtime: String,
    /// The expression model.
    pub model: ModelInfo,
    /// The face detector.
    pub detector: ModelInfo,
    /// Length of a window in seconds.
    pub window_seconds: f64,
    /// How many people a report needs.
    pub min_group: u32,
    /// Schema of the window reports.
    pub window_schema: String,
    /// How the mood is derived.
    pub mood: MoodInfo,
    /// What the operator declares about this deployment.
    pub deployment: DeploymentInfo,
}

/// A model in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelInfo {
    /// From the manifest.
    pub id: String,
    /// Of the model file that is run.
    pub sha256: String,
    /// Whether it only holds the place of a better one.
    pub stand_in: bool,
    /// What runs it: `edgetpu`, `xnnpack`, or `none` for TensorFlow Lite's plain kernels.
    pub delegate: String,
    /// Operators of the model.
    pub operators: u32,
    /// Operators that the delegate took; null if it does not say.
    pub operators_delegated: Option<u32>,
    /// The kinds of operators that the delegate took, and how many of each.
    #[serde(default)]
    pub operators_taken: BTreeMap<String, u32>,
    /// Why it does not run on what was asked for; null if it does.
    pub fallback: Option<String>,
}

/// How the mood is derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MoodInfo {
    /// The method's name in the manifest.
    pub method: String,
    /// Whether it only holds the place of a trained classifier.
    pub interim: bool,
}

/// What the operator declares, from `[deployment]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentInfo {
    /// Kind of place.
    pub place: String,
    /// What it is for.
    pub purpose: String,
    /// Who answers for it.
    pub controller: String,
    /// Declared medical or safety basis, or `none`.
    pub basis: String,
}
