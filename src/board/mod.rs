//! The board thread: minds heat, pins and systemd's watchdog, and publishes the device's health.
//!
//! It only looks at what the others tell in [`Progress`] and never waits for them; it asks two things of the camera
//! there, a pause and a lower frame rate. The watchdog is fed if all the others come round, and by nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use affect_core::health::{
    BoardHealth, CertificateHealth, CertificateOf, DiskHealth, Drops, FrameHealth, HEALTH_SCHEMA, Health,
    SpoolHealth, Starts,
};
use affect_core::report::CameraStateWord;

use crate::audit::Audit;
use crate::camera_state::CameraStates;
use crate::clock::rfc3339;
use crate::command::{CommandWord, Order, result};
use crate::config::Config;
use crate::delegate::Probation;
use crate::identity::Names;
use crate::progress::{PausedBy, Progress, Stage};
use crate::publish::{Outlook, Publisher};
use crate::status::{Shown, Snapshot};
use crate::tls::{Expiry, Whose};

mod bulletin;
mod button;
mod heat;
mod notify;
mod panel;
mod pins;
mod sign;
mod sysfs;
mod watch;

pub(crate) use bulletin::{BoardSettings, Bulletin};
use button::Pauses;
use heat::Governor;
pub(crate) use notify::Notify;
use panel::Panel;
pub(crate) use pins::{PinError, open as open_pins};
use sign::{Facts, Sign};
pub(crate) use sysfs::{Heat, Sysfs};
use watch::Watch;

/// How often the button is looked at and the lamp set.
const FAST: Duration = Duration::from_millis(20);
/// How often the rest is looked at.
const SLOW: Duration = Duration::from_millis(250);
/// How often the line for systemd is written anew.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// The steps in which temperature is published, in °C.
const CELSIUS_STEP: f64 = 5.0;
/// The frame rate on the page and in the metrics is that of so long.
const RATE_OVER: Duration = Duration::from_secs(5);
/// How long the start waits for a first frame. Without one the daemon is ready, too: a camera that is unplugged must
/// not hold up the boot, nor be an endless restart.
const FIRST_FRAME: Duration = Duration::from_secs(20);
/// How long the lamp blinks for somebody who looks for the device.
const TO_BE_FOUND: Duration = Duration::from_secs(10);
/// Who can ask for a pause.
const PAUSED_BY: [PausedBy; 2] = [PausedBy::Button, PausedBy::Command];

/// The board with what hangs on it.
pub(crate) struct Board {
    notify: Arc<Notify>,
    sysfs: Sysfs,
    pauses: Pauses,
    panel: Option<Panel>,
    has_lamp: bool,
    /// Until when the lamp blinks for somebody who looks for the device.
    found_until: Duration,
    governor: Governor,
    heat: Heat,
    /// So many of the board's sensors could be read at once.
    sensors: usize,
    settings: BoardSettings,
    names: Names,
    camera: String,
    audit: Audit,
    /// The state directory, whose disk is looked at.
    state: Option<PathBuf>,
    /// While the Edge TPU has not proved itself.
    probation: Option<Probation>,
}

/// What the board thread looks at.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) progress: &'a Progress,
    pub(crate) publisher: &'a Publisher,
    pub(crate) camera: &'a CameraStates<'a>,
    pub(crate) bulletin: &'a Bulletin,
    /// Where metrics and page find what they tell.
    pub(crate) shown: &'a Shown,
    /// How often the daemon started.
    pub(crate) starts: Option<Starts>,
}

impl Board {
    /// Opens the pins and takes up a pause from before. `state` is the state directory, if there is one.
    ///
    /// # Errors
    /// [`PinError`] if a configured pin cannot be had.
    pub(crate) fn open(
        config: &Config,
        names: &Names,
        sysfs: Sysfs,
        notify: Arc<Notify>,
        state: Option<PathBuf>,
        probation: Option<Probation>,
        progress: &Progress,
    ) -> Result<Self, PinError> {
        let panel = open_pins(&config.indicator, &sysfs)?.map(Panel::new);
        if config.indicator.button().is_some() && state.is_none() {
            log::warn!(
                "There is no state directory, so a privacy pause would end with the daemon: run it by systemd, or set STATE_DIRECTORY."
            );
        }
        let audit = Audit::kept_in(state.clone());
        audit.configuration(config);
        let pauses = Pauses::new(state.clone());
        PAUSED_BY
            .into_iter()
            .for_each(|by| progress.set_paused(by, pauses.is_on(by)));
        let has_button = config.indicator.button().is_some();
        if progress.is_paused_by(PausedBy::Button) && !has_button {
            log::warn!(
                "A privacy pause is on, but [indicator] names no button to end it: delete the file `paused` in the state directory, then start affectd anew."
            );
        }
        if progress.is_paused_by(PausedBy::Command)
            && !has_button
            && !config.mqtt.commands.contains(&CommandWord::Resume)
        {
            log::warn!(
                "A pause is on that a command began, but [mqtt] commands does not allow `resume` to end it: allow it, or delete the file `paused-by-command` in the state directory and start affectd anew."
            );
        }
        Ok(Self {
            notify,
            heat: sysfs.heat(),
            sensors: 0,
            sysfs,
            pauses,
            panel,
            has_lamp: config.indicator.led().is_some(),
            found_until: Duration::ZERO,
            governor: Governor::new(config.status.hot_celsius),
            settings: BoardSettings::of(config),
            names: names.clone(),
            camera: config.camera.name.clone(),
            audit,
            state,
            probation,
        })
    }

    /// Looks after the board until `over` is set.
    pub(crate) fn watch(&mut self, view: View<'_>, over: &AtomicBool) {
        let progress = view.progress;
        Stage::ALL.into_iter().for_each(|stage| progress.beat(stage));
        let mut watch = Watch::new(self.notify.watchdog());
        let slow = self.notify.watchdog().map_or(SLOW, |time| (time / 4).min(SLOW));
        let began = progress.elapsed();
        let (mut look, mut heat) = (Every::new(slow), Every::new(heat::PERIOD));
        let (mut status, mut health) = (
            Every::new(STATUS_EVERY),
            Every::new(self.settings.health_interval),
        );
        health.is_due(began);
        let (mut since_health, mut lately) = (Rate::since(began, progress), Rate::since(began, progress));
        let mut rates = Every::new(RATE_OVER);
        rates.is_due(began);
        let mut aiming = false;
        let mut audited = [false; PAUSED_BY.len()];
        let (mut ready, mut stopping) = (false, false);
        let mut sign = Sign::Starting;
        while !over.load(Relaxed) {
            let now = progress.elapsed();
            if let Some(panel) = &mut self.panel {
                panel.turn(now, (sign, now < self.found_until), &self.pauses, progress);
            }
            while let Some(order) = view.publisher.desk().order(|word| word != CommandWord::Reload) {
                self.obey(&order, view, now);
            }
            for (by, was) in PAUSED_BY.into_iter().zip(&mut audited) {
                if *was != progress.is_paused_by(by) {
                    *was = !*was;
                    self.audit.pause(by, *was);
                }
            }
            if aiming != progress.aiming.left(now).is_some() {
                aiming = !aiming;
                if !aiming {
                    progress.aiming.forget();
                }
                self.audit.aiming(aiming);
            }
            if look.is_due(now) {
                if watch.moves(progress) {
                    self.notify.alive();
                }
                if let Some(probation) = &mut self.probation {
                    probation.look(now, progress.read.get());
                }
                if let Some(settings) = view.bulletin.take_settings() {
                    health.period = settings.health_interval;
                    if settings.hot_celsius != self.settings.hot_celsius {
                        self.governor = Governor::new(settings.hot_celsius);
                    }
                    self.settings = settings;
                }
                let facts = self.facts(view);
                let before = std::mem::replace(&mut sign, Sign::of(&facts));
                if stopping {
                    // The last line stays.
                } else if progress.is_ending() {
                    stopping = true;
                    self.tell_stopping();
                } else if status.is_due(now) || sign != before {
                    self.notify.status(&self.line(view, sign));
                }
                if rates.is_due(now) {
                    lately.next(now, progress);
                }
                view.shown.tell(Snapshot {
                    health: self.health(view, lately.per_second),
                    connected: view.publisher.outlook().connected,
                    line: self.line(view, sign),
                });
                if !ready && (facts.first_frame || facts.paused || now - began > FIRST_FRAME) {
                    ready = true;
                    self.notify.ready();
                }
            }
            if heat.is_due(now) {
                self.heat = self.sysfs.heat();
                let throttled = self.heat.throttled().unwrap_or(false);
                self.adapt(now, throttled, progress);
            }
            if health.is_due(now) {
                since_health.next(now, progress);
                self.publish_health(view, since_health.per_second);
            }
            std::thread::sleep(if self.panel.is_some() { FAST } else { slow });
        }
        // The rest may have ended before the board has looked.
        if !stopping {
            self.tell_stopping();
        }
    }

    /// Carries a command out, and says what became of it.
    fn obey(&mut self, order: &Order, view: View<'_>, now: Duration) {
        let progress = view.progress;
        let by_button = progress.is_paused_by(PausedBy::Button);
        let (ok, message) = match order.word {
            CommandWord::Pause => {
                self.pauses.set(PausedBy::Command, true, progress);
                (true, "Nobody is looked at until `resume`.")
            }
            CommandWord::Resume => {
                let was = progress.is_paused_by(PausedBy::Command);
                if was {
                    self.pauses.set(PausedBy::Command, false, progress);
                }
                match (by_button, was) {
                    (true, _) => (
                        false,
                        "The privacy button has a pause on, which only the button ends.",
                    ),
                    (false, true) => (
                        true,
                        "The camera looks again; no numbers are published for ten minutes.",
                    ),
                    (false, false) => (true, "No pause was on."),
                }
            }
            CommandWord::Identify if self.has_lamp => {
                self.found_until = now + TO_BE_FOUND;
                (true, "The lamp blinks for ten seconds.")
            }
            CommandWord::Identify => (false, "This device has no lamp ([indicator] led_pin)."),
            CommandWord::Reload => return,
        };
        log::info!("Command `{}`: {message}", order.word.name());
        view.publisher.answer(&result(&self.names, order, ok, message));
    }

    fn tell_stopping(&self) {
        self.notify.stopping();
        self.notify.status("Stopping: the open window is published.");
    }

    fn adapt(&mut self, now: Duration, throttled: bool, progress: &Progress) {
        let before = progress.rate();
        // If one of several sensors cannot be read, the others may lie far from it: that is no change of temperature.
        self.sensors = self.sensors.max(self.heat.sensors());
        let celsius = (self.heat.sensors() == self.sensors)
            .then(|| self.heat.celsius())
            .flatten();
        progress.set_rate(self.governor.rate(now, celsius, throttled));
        if (before == 1.0) != (progress.rate() == 1.0) {
            let celsius = celsius.map_or_else(|| "unknown".to_owned(), |celsius| format!("{celsius:.0} °C"));
            match before == 1.0 {
                true => log::warn!(
                    "The board is hot ({celsius}), so fewer frames are looked at until it is cooler; [status] hot_celsius sets the limit. A heat sink or a fan helps."
                ),
                false => log::info!("The board is cool again ({celsius}): every frame is looked at."),
            }
        }
    }

    fn facts(&self, view: View<'_>) -> Facts {
        Facts {
            paused: view.progress.is_paused(),
            aiming: view.progress.aiming.left(view.progress.elapsed()).is_some(),
            first_frame: view.progress.looked_at.get() > 0,
            camera: view.camera.word(),
            connected: view.publisher.outlook().connected,
        }
    }

    /// The line for `systemctl status`.
    fn line(&self, view: View<'_>, sign: Sign) -> String {
        let outlook = view.publisher.outlook();
        let frames = view.progress.captured.get();
        let rate = match view.progress.rate() {
            1.0 => String::new(),
            rate => format!(", frame rate lowered to {:.0} % for heat", rate * 100.0),
        };
        let heat = self
            .heat
            .celsius()
            .map_or_else(String::new, |celsius| format!(", {celsius:.0} °C"));
        let camera = view.camera.word().map(state_name).unwrap_or_default();
        let line = match sign {
            Sign::Starting => "Starting: no frame was looked at yet.".to_owned(),
            Sign::Streaming => {
                let refused = match (outlook.refuses, outlook.refused) {
                    (true, _) => format!(
                        ", {} wait because the broker refuses them (the log says why)",
                        outlook.waiting
                    ),
                    (false, 1..) => format!(", {} refused by the broker (the log says why)", outlook.refused),
                    (false, 0) => String::new(),
                };
                format!(
                    "Streaming: {frames} frames from the camera, {} windows delivered{refused}{rate}{heat}.",
                    outlook.acknowledged
                )
            }
            Sign::Aiming => {
                "Streaming, and the local page shows where faces are, since somebody aims the camera."
                    .to_owned()
            }
            Sign::Paused if view.progress.is_paused_by(PausedBy::Button) => {
                "Paused by the privacy button: nobody is looked at.".to_owned()
            }
            Sign::Paused => "Paused by a command over MQTT: nobody is looked at.".to_owned(),
            Sign::NoCamera => format!("No frames from the camera ({camera}); affectd keeps trying."),
            Sign::NoBroker => format!(
                "Streaming, but the MQTT broker {} is not reached; {} windows wait{rate}{heat}.",
                self.settings.broker, outlook.waiting
            ),
        };
        match view.bulletin.trouble() {
            Some(trouble) => format!("{line} {trouble}"),
            None => line,
        }
    }

    fn publish_health(&self, view: View<'_>, per_second: f64) {
        match serde_json::to_vec(&self.health(view, per_second)) {
            Ok(payload) => view.publisher.health(payload),
            Err(error) => log::error!("The health cannot be written as JSON: {error}"),
        }
    }

    fn health(&self, view: View<'_>, per_second: f64) -> Health {
        let progress = view.progress;
        Health {
            schema: HEALTH_SCHEMA.to_owned(),
            device: self.names.device.clone(),
            site: self.names.site.clone(),
            camera: self.camera.clone(),
            boot_id: self.names.boot_id.clone(),
            at: rfc3339(SystemTime::now()),
            uptime_seconds: progress.elapsed().as_secs(),
            starts: view.starts,
            state: view.camera.word(),
            frames: FrameHealth {
                per_second: (per_second * 100.0).round() / 100.0,
                configured_per_second: self.settings.fps,
                rate: progress.rate(),
                captured: progress.captured.get(),
            },
            drops: Drops {
                broken: progress.damaged.get(),
                heat: progress.left_out.get(),
                late: progress.late.get(),
            },
            latency: progress.latency.buckets(),
            board: coarse(board_health(&self.heat)),
            certificates: certificates(&view.publisher.certificates()),
            spool: spool_health(view.publisher.outlook()),
            disk: self.state.as_deref().and_then(disk),
        }
    }
}

/// When certificates end, as it is published.
fn certificates(expiries: &[Expiry]) -> Vec<CertificateHealth> {
    let now = SystemTime::now();
    let one = |expiry: &Expiry| CertificateHealth {
        of: match expiry.whose {
            Whose::Broker => CertificateOf::Broker,
            Whose::Client => CertificateOf::Client,
            Whose::Ca => CertificateOf::Ca,
        },
        expires: rfc3339(expiry.end),
        expires_soon: expiry.is_soon(now),
    };
    expiries.iter().map(one).collect()
}

/// How heat is published: a degree more or less may come of work, and how much work there is depends on who is there.
fn coarse(board: BoardHealth) -> BoardHealth {
    let step = |celsius: f64| (celsius / CELSIUS_STEP).round() * CELSIUS_STEP;
    BoardHealth {
        celsius: board.celsius.map(step),
        ..board
    }
}

fn spool_health(outlook: Outlook) -> SpoolHealth {
    SpoolHealth {
        waiting: outlook.waiting,
        oldest_seconds: outlook.oldest.map(|oldest| oldest.as_secs()),
        on_disk: outlook.on_disk,
        dropped: outlook.dropped,
        refused: outlook.refused,
        damaged: outlook.damaged,
        acknowledged: outlook.acknowledged,
    }
}

/// Room on the disk where `folder` lies.
fn disk(folder: &Path) -> Option<DiskHealth> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(DiskHealth {
        free_mib: disk.f_bavail.saturating_mul(disk.f_frsize) >> 20,
        total_mib: disk.f_blocks.saturating_mul(disk.f_frsize) >> 20,
        read_only: disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Frames per second from the camera.
struct Rate {
    at: Duration,
    frames: u64,
    per_second: f64,
}

impl Rate {
    fn since(now: Duration, progress: &Progress) -> Self {
        Self {
            at: now,
            frames: progress.captured.get(),
            per_second: 0.0,
        }
    }

    /// What it was since the last time.
    fn next(&mut self, now: Duration, progress: &Progress) {
        let frames = progress.captured.get();
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        self.per_second = (frames - self.frames) as f64 / seconds.max(1e-3);
        (self.at, self.frames) = (now, frames);
    }
}

/// Heat and power as they are published.
pub(crate) fn board_health(heat: &Heat) -> BoardHealth {
    BoardHealth {
        celsius: heat.celsius().map(|celsius| (celsius * 10.0).round() / 10.0),
        throttled: heat.throttled(),
        under_voltage: heat.under_voltage(),
        under_voltage_since_boot: heat.under_voltage_since_boot(),
    }
}

/// The word under which a state is published.
fn state_name(word: CameraStateWord) -> String {
    serde_json::to_value(word)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Something that is due at even times.
struct Every {
    period: Duration,
    next: Duration,
}

impl Every {
    /// Due at once, and then again and again.
    fn new(period: Duration) -> Self {
        Self {
            period,
            next: Duration::ZERO,
        }
    }

    fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_told_in_steps() {
        let at = |celsius| {
            let board = BoardHealth {
                celsius: Some(celsius),
                throttled: Some(false),
                under_voltage: None,
                under_voltage_since_boot: None,
            };
            coarse(board).celsius
        };
        assert_eq!([at(52.6), at(55.0), at(57.4)], [Some(55.0); 3]);
        assert_eq!(at(57.6), Some(60.0));
    }
}
