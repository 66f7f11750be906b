//! The daemon's configuration.

mod duration;
mod optional;
mod secret;
mod tables;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use secret::Secret;
pub(crate) use tables::{
    Basis, Camera, Delegate, Deployment, Detector, Level, Log, Mask, MaskKind, Model, Mqtt, Pace, Place,
    Privacy, Protocol, Window,
};

/// The version of the configuration that this affectd reads.
pub(crate) const CONFIG_VERSION: u32 = 1;

/// Configuration of affectd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Version of this file's format.
    #[schemars(extend("const" = CONFIG_VERSION))]
    pub(crate) config_version: u32,
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
    pub(crate) log: Log,
}

/// The JSON Schema of the configuration file. Every other rule about keys is made from it.
#[must_use]
pub(crate) fn schema() -> serde_json::Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}
