//! What is published: the payloads of the MQTT topics, as types. Their JSON Schemas are generated from here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expression::Expression;
use crate::mood::MoodClass;

/// Schema name of [`WindowReport`].
pub const WINDOW_SCHEMA: &str = "affectd/window/2";
/// Schema name of [`Info`].
pub const INFO_SCHEMA: &str = "affectd/info/2";
/// Schema name of [`CameraState`].
pub const STATE_SCHEMA: &str = "affectd/state/2";

/// One window of one camera: topic `<base>/<camera>/window`. Complete in itself. A key that is missing was not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WindowReport {
    /// Always `affectd/window/2`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = WINDOW_SCHEMA)))]
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
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub start: String,
    /// End of the window, RFC 3339, UTC.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub end: String,
    /// Whether `start` and `end` come from a synchronised clock that was not set during the window.
    pub clock_synced: bool,
    /// Seconds from the begin of the run to the end of the window, by a clock that nobody sets. So the distance between two windows
    /// of one `boot_id` is known even if `clock_synced` is false: by one that has a date, the others get theirs.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub uptime_seconds: f64,
    /// Whether the window ends at an even time by the wall clock (with 15 s: at :00, :15, :30 or :45).
    pub aligned: bool,
    /// Whether the window is shorter than its length.
    pub partial: bool,
    /// What the frames came from.
    pub source: SourceWord,
    /// Numbers, or why there are none.
    #[serde(flatten)]
    pub body: ReportBody,
    /// The model that read the expressions.
    pub model: ModelName,
}

/// What frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceWord {
    /// A camera, or a command that stands for one.
    Camera,
    /// Pictures, a video or another file: nobody is in front of it now.
    Recording,
}

/// The part of a report that depends on the privacy gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ReportBody {
    /// Numbers.
    Released(Box<ReleasedBody>),
    /// Too few people at once: no number that depends on a face.
    Suppressed(SuppressedBody),
    /// Enough people, but too few of them came or went since the last report, or what happened since then was not seen: no
    /// number that depends on a face.
    Held(HeldBody),
}

/// Numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleasedBody {
    /// How many seconds before `end` the numbers cover: the window, or of a longer one the last minute.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 60.0)))]
    pub covers_seconds: f64,
    /// How much of that was seen.
    pub coverage: Coverage,
    /// Always null.
    pub suppressed: (),
    /// Always null.
    pub held: (),
    /// Why some numbers are less exact than they could be; empty if none is.
    pub coarsened: Vec<Coarsening>,
    /// How many people.
    pub people: People,
    /// What they show.
    pub emotion: Emotion,
    /// How the group feels as a whole.
    pub mood: Option<Mood>,
    /// Age and gender of the group; null unless configured.
    pub attributes: Option<Attributes>,
}

/// Too few people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("not" = {"anyOf": [
        {"required": ["people"]}, {"required": ["emotion"]}, {"required": ["mood"]}, {"required": ["attributes"]},
        {"required": ["coverage"]}, {"required": ["covers_seconds"]}, {"required": ["coarsened"]},
        {"required": ["held"]}
    ]})))]
pub struct SuppressedBody {
    /// How many a report needs.
    pub suppressed: Needed,
}

/// Too small a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("not" = {"anyOf": [
        {"required": ["people"]}, {"required": ["emotion"]}, {"required": ["mood"]}, {"required": ["attributes"]},
        {"required": ["coverage"]}, {"required": ["covers_seconds"]}, {"required": ["coarsened"]},
        {"required": ["suppressed"]}
    ]})))]
pub struct HeldBody {
    /// How many a report needs.
    pub held: Needed,
}

/// How many people a report needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Needed {
    /// That many seen at once; and that many come or gone, or none, since the last report.
    #[cfg_attr(feature = "schema", schemars(range(min = 3)))]
    pub min_group: u32,
}

/// The reasons for which a report says less than it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Coarsening {
    /// All but a `min_group`th part at most show the same expression: only that is told, as a lower bound.
    HomogeneousGroup,
    /// The group has fewer than twice `min_group` people: `std` is left out.
    SmallGroup,
    /// People could not be told apart well enough to weigh the same: every frame weighs the same instead.
    ByFrames,
}

/// How much of the covered time was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Part of the frames that the camera's rate promises, in steps of a quarter.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0), extend("multipleOf" = 0.25)))]
    pub frames: f64,
    /// Part of the classifications that the budget did not allow, in steps of a quarter.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0), extend("multipleOf" = 0.25)))]
    pub faces_skipped: f64,
}

/// How many people were seen at once. Nobody is counted over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Mean over the frames in which there were at least `min_group`, to a tenth.
    #[cfg_attr(feature = "schema", schemars(range(min = 3.0)))]
    pub mean: f64,
    /// Most in one frame.
    #[cfg_attr(feature = "schema", schemars(range(min = 3)))]
    pub peak: u32,
}

/// What a group shows. Every person weighs the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Emotion {
    /// Mean over persons of each person's mean score, 0..=1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(range(min = 0.0, max = 1.0))))]
    pub mean: BTreeMap<Expression, f64>,
    /// Standard deviation over persons, 0..=0.5; of large groups only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(range(min = 0.0, max = 0.5))))]
    pub std: BTreeMap<Expression, f64>,
    /// Part of the persons whose strongest expression it is, read with confidence or not, in steps of 0.05.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(range(min = 0.0, max = 1.0))))]
    pub share: BTreeMap<Expression, f64>,
    /// Part of the persons whose expression could not be read with confidence, rounded down to quarters; 0 if they are fewer
    /// than `min_group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub unknown_share: Option<f64>,
    /// Of a group that is all alike: its expression, and the part of the people who show it at least.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(range(min = 0.0, max = 1.0))))]
    pub at_least: BTreeMap<Expression, f64>,
}

/// How a group feels as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mood {
    /// How it is found: `expression_scores` (from the mean scores), `classifier` (from the paper's group descriptor), or
    /// `expression` (of a group that is all alike: from that alone).
    pub method: String,
    /// The class with the largest score.
    pub class: MoodClass,
    /// Scores in steps of 0.05; missing if the group is all alike.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(range(min = 0.0, max = 1.0))))]
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
    /// Always `affectd/state/2`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = STATE_SCHEMA)))]
    pub schema: String,
    /// The device's id.
    pub device: String,
    /// The site's name, from `[deployment]`.
    pub site: String,
    /// The camera's name.
    pub camera: String,
    /// A random name for this run of the daemon.
    pub boot_id: String,
    /// What the camera does.
    pub state: CameraStateWord,
    /// Since when, RFC 3339, UTC.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
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
    /// Always `affectd/info/2`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = INFO_SCHEMA)))]
    pub schema: String,
    /// The device's id.
    pub device: String,
    /// The site's name, from `[deployment]`.
    pub site: String,
    /// The camera's name.
    pub camera: String,
    /// A random name for this run of the daemon.
    pub boot_id: String,
    /// What the frames come from.
    pub source: SourceWord,
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
    /// What the privacy gate rests on.
    pub privacy: PrivacyInfo,
    /// Schema of the window reports.
    pub window_schema: String,
    /// How the mood is derived.
    pub mood: MoodInfo,
    /// What the operator declares about this deployment.
    pub deployment: DeploymentInfo,
}

/// What the privacy gate rests on. Of all this only `min_group`, `track_memory_seconds`, the detector's thresholds and `masks`
/// can be configured, within limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrivacyInfo {
    /// How many people a report needs: that many seen at once; and that many come or gone, or none, since the last.
    pub min_group: u32,
    /// In how many frames of a window they must have been seen at once.
    pub counted_frames: u32,
    /// How far the first and the last of these frames must lie apart, in seconds.
    pub counted_seconds: f64,
    /// How long ago a face that counts may have been read, in seconds.
    pub read_within_seconds: f64,
    /// Part of the counted frames in which somebody must have been seen to be in the numbers.
    pub least_presence: f64,
    /// How many times as many linked people as were seen at once are told apart.
    pub most_linked: f64,
    /// After a gap, for how long after the last report nothing is released, in seconds; and when a hold ends.
    pub silence_seconds: f64,
    /// The longest time that a report covers, in seconds.
    pub longest_cover_seconds: f64,
    /// The longest time without a frame that is no gap, in seconds.
    pub longest_gap_seconds: f64,
    /// How long a face counts as living after it has changed, in seconds.
    pub lives_for_seconds: f64,
    /// How long a face that is not seen is waited for, in seconds.
    pub track_memory_seconds: f64,
    /// How long a face that has settled is waited for, while nobody moves about there, in seconds.
    pub turned_away_seconds: f64,
    /// Least score of a face.
    pub score_threshold: f64,
    /// Overlap from which the detector takes two boxes for one face.
    pub nms_iou: f64,
    /// Overlap from which a face is taken for the one of the last frame.
    pub track_iou: f64,
    /// Number of areas in which nobody is looked at.
    pub masks: u32,
    /// SHA-256 of the configuration in effect, without its secrets.
    pub config_sha256: String,
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
