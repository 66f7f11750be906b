//! The payload of the topic `<base>/health`: how the device itself is doing. Nothing about people.

use serde::{Deserialize, Serialize};

use crate::report::CameraStateWord;

/// Schema name of [`Health`].
pub const HEALTH_SCHEMA: &str = "affectd/health/2";

/// How the device is doing: topic `<base>/health`, once a minute, QoS 0, not retained. Counts are since the start of
/// this run of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// Always `affectd/health/2`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = HEALTH_SCHEMA)))]
    pub schema: String,
    /// The device's id.
    pub device: String,
    /// The site's name, from `[deployment]`.
    pub site: String,
    /// The camera's name.
    pub camera: String,
    /// A random name for this run of the daemon.
    pub boot_id: String,
    /// When this was measured, RFC 3339, UTC.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub at: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// How often the daemon started, and why it did this time; null where nothing can be remembered: without a state
    /// directory, and of recordings.
    pub starts: Option<Starts>,
    /// What the camera does; null before it has done anything.
    pub state: Option<CameraStateWord>,
    /// How many frames come through.
    pub frames: FrameHealth,
    /// Frames that were not looked at, by reason.
    pub drops: Drops,
    /// How long frames took, from the moment they were taken until every face in them that was due was classified: a
    /// histogram, every bucket in the order of its end. It has the frames of windows that were published with numbers,
    /// those without a face too, so that its sum is the sum of their `coverage.frames`. A suppressed window adds
    /// nothing: a frame with nobody in it takes less time than one with somebody, so its frames would tell of people of
    /// whom the window does not.
    pub latency: Vec<LatencyBucket>,
    /// Heat and power of the board.
    pub board: BoardHealth,
    /// When the certificates end that the encrypted connection to the broker rests on; none without TLS.
    pub certificates: Vec<CertificateHealth>,
    /// Windows on their way to the broker.
    pub spool: SpoolHealth,
    /// The disk that has the state directory; null where there is none.
    pub disk: Option<DiskHealth>,
}

/// How often the daemon started, counted in the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Starts {
    /// Starts so far, this one included.
    pub count: u64,
    /// How many of them followed an end that nobody had asked for: `failed`, `killed` or `power`.
    pub unexpected: u64,
    /// Why it started this time.
    pub cause: StartCause,
}

/// What went before a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartCause {
    /// Nothing: there was no earlier start, or what was remembered of it cannot be read.
    First,
    /// It was stopped, and started again.
    Stopped,
    /// It was stopped, and the system was started anew.
    Reboot,
    /// It ended with an error, which its log tells.
    Failed,
    /// It was killed while it ran: by systemd's watchdog, for want of memory, or by somebody; or it crashed.
    Killed,
    /// The system was started anew without having stopped it: a power cut, or a crash of the system.
    Power,
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskHealth {
    /// What is free, in MiB.
    pub free_mib: u64,
    /// Its size, in MiB.
    pub total_mib: u64,
    /// Whether it cannot be written, as a card that is at its end.
    pub read_only: bool,
}

/// How many frames the camera gives. How many of them there is time to look at depends on who is in them, so that is told
/// of windows with numbers only, as their `coverage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FrameHealth {
    /// Frames per second that the camera gave since the last health message.
    pub per_second: f64,
    /// Frames per second that the configuration asks for.
    pub configured_per_second: f64,
    /// Part of the frames that heat leaves, 0..1: 1 while the board is cool enough.
    pub rate: f64,
    /// Frames that the camera gave.
    pub captured: u64,
}

/// Frames that were not looked at, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drops {
    /// The frame came broken from the camera.
    pub broken: u64,
    /// Left out to keep the board cool.
    pub heat: u64,
    /// A file that is played in real time could not be read fast enough for it.
    pub late: u64,
}

/// Frames that took about the same time. A camera's frame begins at its buffer's timestamp, if that is by the monotonic
/// clock; any other frame when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencyBucket {
    /// The longest time in milliseconds; the shortest is the end of the bucket before. Null: no end.
    pub up_to_ms: Option<u64>,
    /// How many frames.
    pub frames: u64,
}

/// Heat and power of the board. What the board does not tell is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BoardHealth {
    /// Temperature of the processor in °C, in steps of 5: work heats it, and how much work there is depends on who is there.
    pub celsius: Option<f64>,
    /// Whether the board slows its processor down now, because of heat or power.
    pub throttled: Option<bool>,
    /// Whether the supply's voltage is too low now.
    pub under_voltage: Option<bool>,
    /// Whether the supply's voltage was too low at any time since the board was switched on.
    pub under_voltage_since_boot: Option<bool>,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateHealth {
    /// Whose it is.
    pub of: CertificateOf,
    /// Its end, RFC 3339, UTC.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub expires: String,
    /// Whether it ends within 14 days or has ended, so that somebody has to renew it.
    pub expires_soon: bool,
}

/// Whose a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CertificateOf {
    /// The broker's: of those that it sends the one that ends first.
    Broker,
    /// This device's own.
    Client,
    /// The CA's in `[mqtt.tls] ca`: of several the one that ends last.
    Ca,
}

/// Windows on their way to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpoolHealth {
    /// Windows that wait for the broker, those of before a restart too.
    pub waiting: u64,
    /// How long the oldest of them has waited, in seconds; null if none waits.
    pub oldest_seconds: Option<u64>,
    /// Whether windows that wait outlive a restart and a power cut: whether the disk takes them.
    pub on_disk: bool,
    /// Windows that were dropped because too many waited, or they were too old.
    pub dropped: u64,
    /// Windows that were set aside because the broker would never have taken them.
    pub refused: u64,
    /// Windows that could not be read from the disk any more.
    pub damaged: u64,
    /// Windows that the broker has acknowledged.
    pub acknowledged: u64,
}
