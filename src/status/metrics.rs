//! Metrics for Prometheus. They tell of the device: no emotions, no counts of people or faces, and nothing that depends on
//! who was in a window without numbers, such as processor time or how many frames there was time for.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::history::KINDS;
use super::{Shown, Snapshot};

/// The media type of what [`Metrics::text`] gives.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one daemon.
#[derive(Debug)]
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn of(shown: Arc<Shown>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Device(shown)));
        Self(registry)
    }

    /// As they are now, in the text format of OpenMetrics.
    pub(super) fn text(&self) -> Result<String, Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0)?;
        Ok(out)
    }
}

/// What the device tells when it is asked.
#[derive(Debug)]
struct Device(Arc<Shown>);

impl Collector for Device {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        // Before the board has looked once there is nothing to tell.
        let Some(snapshot) = self.0.snapshot() else {
            return Ok(());
        };
        let mut family = Family(encoder);
        family.about(&self.0, &snapshot)?;
        family.frames(&snapshot)?;
        family.windows(&snapshot, self.0.history().counts())?;
        family.board(&snapshot)
    }
}

struct Family<'a>(DescriptorEncoder<'a>);

impl Family<'_> {
    fn about(&mut self, shown: &Shown, snapshot: &Snapshot) -> Result<(), Error> {
        let health = &snapshot.health;
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("device", health.device.as_str()),
            ("site", health.site.as_str()),
            ("camera", health.camera.as_str()),
        ];
        self.with("build", "Version and names", MetricType::Info, |mut metric| {
            metric.encode_info(&labels)
        })?;
        self.gauge(
            "uptime_seconds",
            "Time since the daemon started",
            health.uptime_seconds as f64,
        )?;
        if let Some(starts) = health.starts {
            self.counter("starts", "Starts of the daemon on this device", starts.count)?;
            self.counter(
                "unexpected_starts",
                "Starts after an end that nobody had asked for",
                starts.unexpected,
            )?;
        }
        self.gauge(
            "camera_streaming",
            "Whether the camera gives frames",
            on(health.state == Some(affect_core::report::CameraStateWord::Streaming)),
        )?;
        self.gauge(
            "paused",
            "Whether a privacy pause is on",
            on(shown.progress.is_paused()),
        )?;
        self.gauge(
            "aiming",
            "Whether the page shows where faces are",
            on(shown.progress.aiming.left(shown.progress.elapsed()).is_some()),
        )?;
        let kinds = ["edgetpu", "xnnpack", "none"];
        let running = kinds.map(|kind| (kind, on(shown.fixed.accelerator == kind)));
        self.gauges("accelerator_active", "What runs the networks", "kind", running)
    }

    fn frames(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let health = &snapshot.health;
        self.counter(
            "frames_captured",
            "Frames that the camera gave",
            health.frames.captured,
        )?;
        let drops = &health.drops;
        self.counters(
            "frames_dropped",
            "Frames that were not looked at",
            "reason",
            [
                ("broken", drops.broken),
                ("heat", drops.heat),
                ("late", drops.late),
            ],
        )?;
        self.gauge(
            "frame_rate",
            "Frames per second from the camera",
            health.frames.per_second,
        )?;
        self.gauge(
            "frame_rate_configured",
            "Frames per second that are asked for",
            health.frames.configured_per_second,
        )?;
        self.gauge(
            "frame_rate_ratio",
            "Part of the frames that heat leaves",
            health.frames.rate,
        )?;
        // The sum is made of the buckets' middles: exact times would tell more than the buckets do.
        let (mut from, mut sum, mut count, mut buckets) = (0.0, 0.0, 0, Vec::new());
        for bucket in &health.latency {
            let end = bucket.up_to_ms.map_or(f64::INFINITY, |ms| ms as f64 / 1000.0);
            let middle = if end.is_finite() { (from + end) / 2.0 } else { from };
            sum += middle * bucket.frames as f64;
            count += bucket.frames;
            buckets.push((end, bucket.frames));
            from = end;
        }
        let help =
            "From the camera to the last face that was due, of windows with numbers; the sum is estimated";
        self.with(
            "frame_duration_seconds",
            help,
            MetricType::Histogram,
            |mut metric| metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None),
        )
    }

    fn windows(&mut self, snapshot: &Snapshot, counts: [u64; 3]) -> Result<(), Error> {
        let spool = &snapshot.health.spool;
        let kinds = [0, 1, 2].map(|kind| (KINDS[kind], counts[kind]));
        self.counters("windows", "Reports that were published", "kind", kinds)?;
        self.counter(
            "windows_delivered",
            "Reports that the broker has taken",
            spool.acknowledged,
        )?;
        self.counter(
            "windows_dropped",
            "Reports that were too many or too old",
            spool.dropped,
        )?;
        self.counter(
            "windows_refused",
            "Reports that the broker would never have taken",
            spool.refused,
        )?;
        self.gauge(
            "spool_messages",
            "Reports that wait for the broker",
            spool.waiting as f64,
        )?;
        self.gauge(
            "mqtt_connected",
            "Whether the broker is reached",
            on(snapshot.connected),
        )
    }

    fn board(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let board = &snapshot.health.board;
        if let Some(celsius) = board.celsius {
            self.gauge(
                "soc_temperature_celsius",
                "Temperature of the processor, in steps of 5",
                celsius,
            )?;
        }
        for (name, help, value) in [
            (
                "throttled",
                "Whether the board slows its processor down",
                board.throttled,
            ),
            (
                "under_voltage",
                "Whether the supply's voltage is too low",
                board.under_voltage,
            ),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, on(value))?;
            }
        }
        if let Some(disk) = &snapshot.health.disk {
            let mib = (1u64 << 20) as f64;
            self.gauge(
                "disk_free_bytes",
                "Free space where the state directory lies",
                disk.free_mib as f64 * mib,
            )?;
            self.gauge(
                "disk_size_bytes",
                "Size of the disk where the state directory lies",
                disk.total_mib as f64 * mib,
            )?;
            self.gauge(
                "disk_read_only",
                "Whether that disk cannot be written",
                on(disk.read_only),
            )?;
        }
        Ok(())
    }

    fn with(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        encode: impl FnOnce(MetricEncoder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        encode(
            self.0
                .encode_descriptor(&format!("affectd_{name}"), &format!("{help}."), None, kind)?,
        )
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.with(name, help, MetricType::Gauge, |mut metric| {
            metric.encode_gauge(&value)
        })
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.with(name, help, MetricType::Counter, |mut metric| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: [(&str, f64); 3]) -> Result<(), Error> {
        self.with(name, help, MetricType::Gauge, |mut metric| {
            values
                .iter()
                .try_for_each(|(of, value)| metric.encode_family(&[(label, *of)])?.encode_gauge(value))
        })
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: [(&str, u64); 3],
    ) -> Result<(), Error> {
        self.with(name, help, MetricType::Counter, |mut metric| {
            values.iter().try_for_each(|(of, value)| {
                metric
                    .encode_family(&[(label, *of)])?
                    .encode_counter::<NoLabelSet, _, u64>(value, None)
            })
        })
    }
}

fn on(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
