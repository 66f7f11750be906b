//! `[model]`: the network that reads expressions, and what it runs on.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{duration, optional};

/// The network that reads a face's expression, and what it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Model {
    /// The network: name of a folder in the models directory, or a path.
    #[schemars(length(min = 1))]
    pub(crate) path: String,
    /// Processor threads of the network.
    #[schemars(range(min = 1, max = 16))]
    pub(crate) threads: u32,
    /// What does the arithmetic.
    pub(crate) delegate: Delegate,
    /// The Edge TPU's library (libedgetpu.so.1), built for TensorFlow Lite 2.17. Empty: look in the usual places.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) delegate_library: Option<PathBuf>,
    /// How long the Edge TPU may take when it is tried at the start, for each network.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "1s", "x-maximum" = "40s"))]
    pub(crate) delegate_timeout: Duration,
    /// The TensorFlow Lite library (libtensorflowlite_c.so). Empty: look in the usual places.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) runtime: Option<PathBuf>,
    /// How often each person's expression is read, per second.
    #[schemars(
        range(min = 1.0, max = 30.0),
        extend("x-why" = "a face counts if it was read within a second")
    )]
    pub(crate) classify_hz: f64,
    /// How many expressions are read per second, all people together. With more people than that, everybody is
    /// read less often, evenly.
    #[schemars(range(min = 0.5, max = 1000.0))]
    pub(crate) classify_budget_hz: f64,
    /// Confidence under which an expression counts as unknown.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) unknown_below: f64,
    /// The models directory, for models given by name. Empty: look in the usual places.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) models_dir: Option<PathBuf>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            path: "emotion-mobilenet-v1".to_owned(),
            threads: 1,
            delegate: Delegate::Auto,
            delegate_library: None,
            delegate_timeout: Duration::from_secs(20),
            runtime: None,
            classify_hz: 2.0,
            classify_budget_hz: 40.0,
            unknown_below: 0.4,
            models_dir: None,
        }
    }
}

/// What does a network's arithmetic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delegate {
    /// the Edge TPU if its library and a model file for it are there; else XNNPACK
    #[default]
    Auto,
    /// XNNPACK, or do not start
    Xnnpack,
    /// the Edge TPU; while it does not work, the processor, and the device's info says why
    Edgetpu,
    /// TensorFlow Lite's plain kernels
    None,
}
