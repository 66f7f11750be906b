//! `[mqtt]`: the broker, and how messages reach it.

use std::path::PathBuf;
use std::time::Duration;

use affect_core::command::CommandWord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::{duration, optional};

/// The MQTT broker that reports are published to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mqtt {
    /// Where the broker is, with the way that leads to it: mqtt:// is plain MQTT, mqtts:// MQTT over TLS, ws:// and wss://
    /// the same over WebSocket. Without a port: 1883, 8883, 80 and 443. Without a path behind ws:// and wss://: /mqtt.
    /// Empty: `host` and `port`, without TLS.
    #[serde(with = "optional")]
    #[schemars(
        with = "String",
        length(max = 512),
        extend("x-form" = "an address such as \"mqtts://broker.example\"")
    )]
    pub(crate) url: Option<String>,
    /// Host name or address of the broker, if there is no `url`.
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9._:-]{1,253}$"),
        extend("x-form" = "a host name or an address, without mqtt:// and without the port; a whole address goes into `url`")
    )]
    pub(crate) host: String,
    /// TCP port of the broker, if there is no `url`.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) port: u16,
    /// User name. Empty: log in without one.
    #[serde(with = "optional")]
    #[schemars(with = "String", length(max = 256))]
    pub(crate) username: Option<String>,
    /// File that holds the password in its first line, readable by affectd alone. The password itself never stands
    /// in the configuration. A systemd credential is such a file. A path without / at its start counts from the
    /// working directory. Empty: no password.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) password_file: Option<PathBuf>,
    /// The password that was read from `password_file`.
    #[serde(skip)]
    pub(crate) password: Option<Secret>,
    /// MQTT client id. Empty: the device's name.
    #[serde(with = "optional")]
    #[schemars(
        with = "String",
        regex(pattern = "^[A-Za-z0-9._:-]{0,64}$"),
        extend("x-form" = "1 to 64 of the characters A-Z, a-z, 0-9, . _ : and -")
    )]
    pub(crate) client_id: Option<String>,
    /// Version of MQTT.
    pub(crate) protocol: Protocol,
    /// Longest silence after which the broker is asked whether it is still there.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "5s", "x-maximum" = "18h"))]
    pub(crate) keep_alive: Duration,
    /// First level (or levels) of every topic.
    #[schemars(
        regex(pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"),
        length(max = 64),
        extend("x-form" = "levels of A-Z, a-z, 0-9, - and _, with / only between them")
    )]
    pub(crate) base: String,
    /// Longest wait between two attempts to reach the broker.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) retry_max: Duration,
    /// Commands that are obeyed, from whoever may write to `<base>/<site>/<device>/cmd/…` at the broker. Empty: none, and
    /// nothing is listened to.
    #[schemars(
        length(max = 4),
        extend("x-form" = "a list of texts, such as [\"pause\", \"resume\", \"reload\", \"identify\"]")
    )]
    pub(crate) commands: Vec<CommandWord>,
    /// Whether Home Assistant is told what is published here, so that the device appears there by itself (MQTT device
    /// discovery).
    pub(crate) homeassistant: bool,
    /// First level of Home Assistant's discovery topics.
    #[schemars(
        regex(pattern = "^[A-Za-z0-9_-]{1,64}$"),
        extend("x-form" = "1 to 64 of the characters A-Z, a-z, 0-9, - and _")
    )]
    pub(crate) homeassistant_prefix: String,
    pub(crate) tls: Tls,
}

/// Encryption on the way to the broker, with `url = "mqtts://…"` or `"wss://…"`. The broker's certificate is always
/// verified; nothing switches that off. The files are PEM, and are read anew for each connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// File of the CAs that may have signed the broker's certificate. Empty: those that the system trusts.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) ca: Option<PathBuf>,
    /// File of this device's certificate, for brokers that demand one, followed by those between it and its CA.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) certificate: Option<PathBuf>,
    /// File of the key that belongs to `certificate`, without a passphrase, readable by affectd alone: best a systemd
    /// credential.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) key: Option<PathBuf>,
    /// Name that the broker's certificate is for, if `url` names the broker otherwise, by its address for instance.
    #[serde(with = "optional")]
    #[schemars(
        with = "String",
        regex(pattern = "^[A-Za-z0-9._:-]{0,253}$"),
        extend("x-form" = "a host name or an address")
    )]
    pub(crate) server_name: Option<String>,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            url: None,
            host: "127.0.0.1".to_owned(),
            port: 1883,
            username: None,
            password_file: None,
            password: None,
            client_id: None,
            protocol: Protocol::V5,
            keep_alive: Duration::from_secs(30),
            base: "affectd".to_owned(),
            retry_max: Duration::from_secs(60),
            commands: Vec::new(),
            homeassistant: false,
            homeassistant_prefix: "homeassistant".to_owned(),
            tls: Tls::default(),
        }
    }
}

/// Version of MQTT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Protocol {
    /// MQTT 5
    #[default]
    #[serde(rename = "5")]
    V5,
    /// for older brokers: no message expiry, and no word of messages that access rules drop
    #[serde(rename = "3.1.1")]
    V311,
}
