//! The tables of the configuration file, one module each.
//!
//! These types are the only place where a key is written down. The checks, the commented template and the JSON
//! Schema are all made from them: a doc comment is what the technician reads, `Default` is what an absent key
//! means, and the `schemars` attributes carry the limits. Three of ours travel in the schema beside the standard
//! ones: `x-minimum` and `x-maximum` (limits of a duration), `x-form` (a pattern, in words) and `x-why` (the
//! reason for a limit, for the message).

mod camera;
mod deployment;
mod detector;
mod indicator;
mod model;
mod mqtt;
mod spool;
mod status;

use std::time::Duration;

use affect_core::gate::MIN_GROUP_FLOOR;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use camera::MaskKind;
pub(crate) use camera::{Camera, Format, Mask, Pace};
pub(crate) use deployment::{Basis, Deployment, Place};
pub(crate) use detector::Detector;
pub(crate) use indicator::{BoardKind, Indicator};
pub(crate) use model::{Delegate, Model};
pub(crate) use mqtt::{Mqtt, Protocol, Tls};
pub(crate) use spool::Spool;
pub(crate) use status::Status;

use super::duration;

/// One level of an MQTT topic, as we allow it.
const NAME: &str = "^[a-z0-9_-]{1,32}$";
/// The same, or nothing.
const NAME_OR_EMPTY: &str = "^[a-z0-9_-]{0,32}$";
/// [`NAME`] in words.
const NAME_FORM: &str = "1 to 32 of the characters a-z, 0-9, - and _ (it becomes part of the MQTT topic)";

/// Time windows: one report is published for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Window {
    /// How long a window lasts. Windows follow one another without gap or overlap, and end at even times by the clock. A
    /// camera's windows last at least five seconds; of one longer than a minute the report covers the last minute.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) length: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            length: Duration::from_secs(15),
        }
    }
}

/// The privacy gate every report has to pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Privacy {
    /// Fewest people, seen at once, whose statistics may be published. A window with fewer is published as suppressed,
    /// without counts or scores. After a report, the next one waits until nobody or at least so many have left, and nobody
    /// or at least so many have joined. At least 5 where strangers come and go, at least 3 elsewhere.
    #[schemars(
        range(min = MIN_GROUP_FLOOR, max = 1000),
        extend("x-why" = "in a group of two, each could work out the other's expression from the group's")
    )]
    pub(crate) min_group: u32,
    /// Whether to run although the system could write pictures from memory to swap space on a disk. affectd locks its own
    /// memory; that of a camera's command it cannot, so with one it only starts where there is no swap, or none for it.
    pub(crate) allow_swap: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            min_group: 5,
            allow_swap: false,
        }
    }
}

/// What is written to the log (standard error, which systemd keeps in the journal).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// The least important messages that are still written. No level ever writes about a single face.
    pub(crate) level: Level,
    /// How messages are written.
    pub(crate) format: LogFormat,
}

/// How log messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// to systemd's journal with fields, where that is where they go; else as lines of text
    #[default]
    Auto,
    /// as lines of text
    Text,
    /// as lines of JSON: time, level, target, message, and what the message is about
    Json,
}

/// Importance of a log message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// only what stops the work
    Error,
    /// and what needs somebody's attention
    Warn,
    /// and what normally happens: start, connection, stop
    #[default]
    Info,
    /// and what helps to find a fault
    Debug,
    /// everything
    Trace,
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}
