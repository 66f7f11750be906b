//! The payload of the topics `<base>/cmd/<name>/result`: what became of a command.

use serde::{Deserialize, Serialize};

/// Schema name of [`CommandResult`].
pub const RESULT_SCHEMA: &str = "affectd/result/1";

/// What became of a command: topic `<base>/cmd/<name>/result`, QoS 1, not retained. Commands that are ignored (retained,
/// too large, not understood, too many) get none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandResult {
    /// Always `affectd/result/1`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = RESULT_SCHEMA)))]
    pub schema: String,
    /// The device's id.
    pub device: String,
    /// The site's name, from `[deployment]`.
    pub site: String,
    /// A random name for this run of the daemon.
    pub boot_id: String,
    /// When this was answered, RFC 3339, UTC.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub at: String,
    /// The command.
    pub command: CommandWord,
    /// What the sender gave as `id`; null if nothing.
    pub id: Option<String>,
    /// Whether things are now as the command wants them.
    pub ok: bool,
    /// What was done, or why not, for people.
    pub message: String,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommandWord {
    /// nobody is looked at until `resume`
    Pause,
    /// ends a pause that a command began; never one of the privacy button
    Resume,
    /// reads the configuration again
    Reload,
    /// the lamp blinks for ten seconds
    Identify,
}

impl CommandWord {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Reload, Self::Identify];

    /// The level of its topic below `cmd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reload => "reload",
            Self::Identify => "identify",
        }
    }
}
