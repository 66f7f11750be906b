//! The daemon's configuration: strict TOML, every problem reported at once.
//!
//! The types in [`tables`] are the only place where a key is written down; the rest is made from their JSON Schema:
//!
//! ```text
//! (an old file ──> migrate ──> a file of today)
//! tables ──> schema ──┬──> template            `affectd config --defaults`, config/affectd.toml
//!                     ├──> effective           `affectd config --effective`
//!                     └──> check
//! source ──> syntax ──> entry ──> check ──> merge ──> required, rules ──> Config
//!                         problem <── whatever any of them finds
//! ```

mod broker;
mod check;
mod duration;
mod entry;
mod load;
mod migrate;
mod optional;
mod origins;
mod problem;
mod rules;
mod secret;
mod size;
mod source;
mod strange;
mod suggest;
mod syntax;
mod tables;
mod template;
#[cfg(test)]
mod tests;
mod variables;
mod warnings;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use broker::BrokerAddress;
pub(crate) use load::{files, from_str, load, load_with_origins};
pub(crate) use migrate::{Migrated, migrate};
pub(crate) use origins::Origins;
pub(crate) use problem::ConfigErrors;
pub(crate) use secret::Secret;
pub(crate) use tables::{
    Basis, BoardKind, Camera, Delegate, Deployment, Detector, Format, Indicator, Level, Log, LogFormat,
    Model, Mqtt, Pace, Place, Privacy, Protocol, Spool, Status, Window,
};
#[cfg(test)]
pub(crate) use tables::{Mask, MaskKind};
pub(crate) use variables::environment;

/// The version of the configuration's format that this affectd reads.
pub(crate) const CONFIG_VERSION: u32 = 1;

/// Configuration of affectd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Version of this file's format.
    #[schemars(extend("const" = CONFIG_VERSION))]
    pub(crate) config_version: u32,
    // The tables describe themselves: a doc comment here would take the place of theirs in the template.
    pub(crate) deployment: Deployment,
    #[serde(default)]
    pub(crate) camera: Camera,
    #[serde(default)]
    pub(crate) detector: Detector,
    #[serde(default)]
    pub(crate) model: Model,
    #[serde(default)]
    pub(crate) window: Window,
    #[serde(default)]
    pub(crate) privacy: Privacy,
    #[serde(default)]
    pub(crate) mqtt: Mqtt,
    #[serde(default)]
    pub(crate) spool: Spool,
    #[serde(default)]
    pub(crate) indicator: Indicator,
    #[serde(default)]
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) log: Log,
    /// The files that were read, and the variables, in the order in which they win.
    #[serde(skip)]
    pub(crate) read: Vec<String>,
    /// What looks like configuration and was not read, and why.
    #[serde(skip)]
    pub(crate) unread: Vec<String>,
}

impl Config {
    /// The defaults, for a deployment. (Without a deployment there are none.)
    #[must_use]
    pub(crate) fn new(deployment: Deployment) -> Self {
        Self {
            config_version: CONFIG_VERSION,
            deployment,
            camera: Camera::default(),
            detector: Detector::default(),
            model: Model::default(),
            window: Window::default(),
            privacy: Privacy::default(),
            mqtt: Mqtt::default(),
            spool: Spool::default(),
            indicator: Indicator::default(),
            status: Status::default(),
            log: Log::default(),
            read: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The configuration of `affectd replay` where no file is given: it reads recordings and publishes nothing.
    #[must_use]
    pub(crate) fn for_replay() -> Self {
        Self::new(Deployment {
            site: "replay".to_owned(),
            place: Place::Other,
            purpose: "Replay of recorded pictures on this machine; nothing is published.".to_owned(),
            controller: "whoever runs affectd replay".to_owned(),
            basis: Basis::None,
            room: String::new(),
            device: Some("replay".to_owned()),
        })
    }

    /// The values in effect, as TOML that can be read again. The password is not in it.
    #[must_use]
    pub(crate) fn effective_toml(&self) -> String {
        // Plain data under text keys: there is nothing in it that could not become JSON.
        let values = serde_json::to_value(self).unwrap_or_default();
        template::effective(&schema(), &values, None)
    }

    /// The same, and behind each value where it was written.
    #[must_use]
    pub(crate) fn effective_toml_with(&self, origins: &Origins) -> String {
        let values = serde_json::to_value(self).unwrap_or_default();
        template::effective(&schema(), &values, Some(origins))
    }

    /// SHA-256 of the values in effect, by which an auditor sees that they have changed. The password is not in it.
    #[must_use]
    pub(crate) fn sha256(&self) -> String {
        affect_vision::hex(&Sha256::digest(self.effective_toml()))
    }

    /// What is allowed but unwise, each as a sentence for the log.
    #[must_use]
    pub(crate) fn warnings(&self) -> Vec<String> {
        warnings::warnings(self)
    }
}

/// The JSON Schema of the configuration file.
#[must_use]
pub(crate) fn schema() -> serde_json::Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// The commented template of the configuration file.
#[must_use]
pub(crate) fn template() -> String {
    template::template(&schema())
}
