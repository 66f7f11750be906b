//! `[status]`: what affectd tells about the device, and when the device is too hot.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::{duration, optional};

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
    /// Whether there are metrics for Prometheus, at /metrics of `listen`. They tell of the device, not of people.
    pub(crate) metrics: bool,
    /// Whether there is a page for whoever sets the camera up, at / of `listen`: state, reach, the reports that were
    /// published, and, for ten minutes after it was asked for, where faces are, as plain boxes. Never a picture.
    pub(crate) page: bool,
    /// Address and port of metrics and page. 127.0.0.1 is for this device alone; where others can reach it, the page
    /// needs `password_file`, `tls_certificate` and `tls_key`.
    #[schemars(
        regex(pattern = r"^([0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$"),
        extend("x-form" = "an address and a port, such as 127.0.0.1:9464, 0.0.0.0:9464 or [::1]:9464")
    )]
    pub(crate) listen: String,
    /// Names by which browsers may ask for the page, beside `localhost`, addresses and the device's own name. Any other name
    /// is refused: it could be a foreign page's.
    #[schemars(
        length(max = 16),
        inner(regex(pattern = r"^[A-Za-z0-9.-]{1,253}$")),
        extend("x-form" = "a list of host names without a port: [\"door.example.org\"]")
    )]
    pub(crate) hosts: Vec<String>,
    /// File that holds the password of metrics and page in its first line, as [mqtt] password_file does for the broker: at
    /// least 12 characters. Any user name goes with it. Empty: none is asked for.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) password_file: Option<PathBuf>,
    /// The password that was read from `password_file`.
    #[serde(skip)]
    pub(crate) password: Option<Secret>,
    /// File with the certificate for HTTPS, and those of who signed it (PEM). Empty: plain HTTP.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// File with the certificate's key (PEM), readable by affectd alone.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            health_interval: Duration::from_secs(60),
            hot_celsius: 75.0,
            metrics: false,
            page: false,
            listen: "127.0.0.1:9464".to_owned(),
            hosts: Vec::new(),
            password_file: None,
            password: None,
            tls_certificate: None,
            tls_key: None,
        }
    }
}
