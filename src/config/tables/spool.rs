//! `[spool]`: where windows wait for the broker.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{duration, size};

/// Windows that wait for the broker. They are kept on the disk, in `spool` below the state directory (with systemd
/// /var/lib/affectd), so that they outlive a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spool {
    /// Age at which a window that nobody has fetched yet is worthless: it is dropped then, here and by the broker (MQTT 5
    /// only).
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "1s", "x-maximum" = "720h"))]
    pub(crate) max_age: Duration,
    /// How much of the disk they may take. When it is full, the oldest go first. A day of windows of 15 s takes 7 MiB at
    /// most. 0MiB: nothing is written to the disk, and what waits is lost with a restart.
    #[serde(with = "size")]
    #[schemars(with = "size::Text")]
    pub(crate) max_size: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(72 * 3600),
            max_size: 32 << 20,
        }
    }
}
