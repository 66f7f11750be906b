//! `[status]`: what affectd tells about the device, and when the device is too hot.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::duration;

/// What affectd tells about the device itself, and how hot it may become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Status {
    /// How often the device's health is published: frame rate, heat, power, waiting windows.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "10s", "x-maximum" = "1h"))]
    pub(crate) health_interval: Duration,
    /// Temperature of the processor in °C from which fewer frames are looked at, so that the board need not slow itself
    /// down (a Raspberry Pi does at 80).
    #[schemars(range(min = 40.0, max = 110.0))]
    pub(crate) hot_celsius: f64,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            health_interval: Duration::from_secs(60),
            hot_celsius: 75.0,
        }
    }
}
