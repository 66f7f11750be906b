//! The steward's thread: reads the configuration again when it is asked to (SIGHUP, or the command `reload`), and lets the
//! part of the daemon that a change concerns take it over. All or nothing: whatever is wrong with the new configuration, the
//! old one stays.
//!
//! ```text
//! SIGHUP, cmd/reload ──> steward ──> publisher, board      take over while they run
//!                                └─> Handover ──> the pipeline ends and begins anew, or everything does
//! ```

mod plan;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use affect_core::command::CommandWord;

use crate::audit::Audit;
use crate::board::{BoardSettings, Bulletin, Notify};
use crate::capture::{Pace, SourceSettings};
use crate::command::{Order, result};
use crate::config::{Config, ConfigErrors};
use crate::group::Reporter;
use crate::homeassistant;
use crate::identity::Names;
use crate::last_report::LastReport;
use crate::memory;
use crate::place::{state_dir, state_dir_or_home};
use crate::progress::Progress;
use crate::publish::Publisher;
use crate::setup::{self, Setup};
use crate::vision::Vision;
pub(crate) use plan::{Plan, Room};

/// How often it is looked whether somebody asks.
const NAP: Duration = Duration::from_millis(100);

/// How the configuration is read again.
pub(crate) struct Reader {
    /// Set by whoever wants it read.
    pub(crate) asked: Arc<AtomicBool>,
    /// Reads it from where it was read at the start.
    #[allow(clippy::type_complexity)]
    pub(crate) read: Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>,
}

/// What the pipeline is made of.
pub(crate) struct Parts {
    pub(crate) source: SourceSettings,
    pub(crate) pace: Pace,
    pub(crate) vision: Vision,
    pub(crate) reporter: Reporter,
}

/// With what the daemon goes on.
pub(crate) enum Next {
    /// Another pipeline.
    Pipeline(Box<Parts>),
    /// Another configuration, from the start.
    Everything(Box<Config>),
}

/// Where the steward puts what the pipeline's thread goes on with.
#[derive(Default)]
pub(crate) struct Handover(Mutex<Option<Next>>);

impl Handover {
    fn put(&self, next: Next, progress: &Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        progress.halt();
    }

    /// What was put there last; `None` if the pipeline has ended by itself.
    pub(crate) fn take(&self) -> Option<Next> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads the configuration again, and hands out what has changed.
pub(crate) struct Steward<'a> {
    pub(crate) reader: &'a Reader,
    /// In effect now.
    pub(crate) config: Config,
    pub(crate) setup: Setup,
    pub(crate) names: &'a Names,
    pub(crate) progress: &'a Progress,
    pub(crate) publisher: &'a Publisher,
    pub(crate) bulletin: &'a Bulletin,
    pub(crate) notify: Arc<Notify>,
    pub(crate) handover: &'a Handover,
}

/// What became of a reading.
struct Outcome {
    ok: bool,
    message: String,
}

impl Steward<'_> {
    /// Looks whether somebody asks until `over` is set.
    pub(crate) fn watch(&mut self, over: &AtomicBool) {
        while !over.load(Relaxed) {
            let order = self.publisher.desk().order(|word| word == CommandWord::Reload);
            let signal = self.reader.asked.swap(false, Relaxed);
            if signal || order.is_some() {
                self.reload(order);
            }
            std::thread::sleep(NAP);
        }
    }

    fn reload(&mut self, order: Option<Order>) {
        self.notify.reloading();
        let outcome = match (self.reader.read)() {
            Ok(new) => self.take_over(new),
            Err(errors) => Err(format!("{errors}")),
        };
        let outcome = match outcome {
            Ok(message) => {
                log::info!("The configuration was read again. {message}");
                self.bulletin.set_trouble(None);
                Outcome { ok: true, message }
            }
            Err(why) => {
                log::error!(
                    "The configuration was read again and is not used; the one of before stays:\n{why}"
                );
                let first = why.lines().next().unwrap_or_default().to_owned();
                self.bulletin.set_trouble(Some(format!(
                    "The configuration on the disk is wrong and not used: {first}"
                )));
                let message = format!("Not used; the configuration of before stays: {first}");
                Outcome { ok: false, message }
            }
        };
        self.notify.ready();
        if let Some(order) = order {
            let Outcome { ok, message } = outcome;
            self.publisher.answer(&result(self.names, &order, ok, &message));
        }
    }

    /// Lets every room take over what concerns it; what was done, or why nothing was.
    fn take_over(&mut self, new: Config) -> Result<String, String> {
        new.warnings().iter().for_each(|warning| log::warn!("{warning}"));
        let plan = Plan::of(&self.config, &new);
        if plan.changed.is_empty() {
            return Ok("Nothing has changed.".to_owned());
        }
        let source = setup::source(&new.camera).ok_or("[camera] source is not set.")?;
        memory::keep_from_swap(new.privacy.allow_swap, setup::runs_command(&new.camera))
            .map_err(|error| error.to_string())?;
        let was_live = setup::source(&self.config.camera).is_some_and(|source| source.is_live());
        let on_edge_tpu = self.setup.is_on_edge_tpu() && plan.concerns(Room::Pipeline);
        // A room's lock, pins and an Edge TPU are had once: they must be let go of before they are taken.
        if plan.concerns(Room::Everything) || was_live != source.is_live() || on_edge_tpu {
            self.handover.put(Next::Everything(Box::new(new)), self.progress);
            return Ok(plan.in_words());
        }
        if plan.concerns(Room::Pipeline) {
            let setup = match plan.concerns_networks() {
                true => Some(Setup::open(&new).map_err(|error| error.to_string())?),
                false => None,
            };
            let opened = setup.as_ref().unwrap_or(&self.setup);
            if opened.is_on_edge_tpu() {
                drop(setup);
                self.handover.put(Next::Everything(Box::new(new)), self.progress);
                return Ok(plan.in_words());
            }
            let parts = parts(&new, opened, self.names, source).map_err(|error| error.to_string())?;
            if let Some(setup) = setup {
                self.setup = setup;
            }
            self.handover.put(Next::Pipeline(Box::new(parts)), self.progress);
        }
        self.take_over_live(&plan, &new);
        self.config = new;
        Ok(plan.in_words())
    }

    /// What can be taken over while everything runs.
    fn take_over_live(&self, plan: &Plan, new: &Config) {
        log::set_max_level(new.log.level.into());
        self.bulletin.post(BoardSettings::of(new));
        Audit::kept_in(state_dir()).configuration(new);
        self.publisher.change(crate::daemon::settings(new));
        let info = self.setup.info(new, self.names);
        match serde_json::to_vec(&info) {
            Ok(info) => self.publisher.info(info),
            Err(error) => log::error!("The info cannot be written as JSON: {error}"),
        }
        self.publisher
            .discovery(homeassistant::discovery(new, &self.setup.labels(), self.names));
        if plan.changed.iter().any(|key| key == "mqtt.homeassistant") && !new.mqtt.homeassistant {
            log::info!(
                "Home Assistant keeps the device until `affectd homeassistant --remove` takes it away."
            );
        }
    }
}

/// The pipeline's parts by this configuration, with a memory of the last report as after a start.
pub(crate) fn parts(
    config: &Config,
    setup: &Setup,
    names: &Names,
    source: SourceSettings,
) -> Result<Parts, setup::SetupError> {
    let last_report = match source.is_live() {
        true => LastReport::kept_in(state_dir_or_home()),
        false => LastReport::of_recording(),
    };
    Ok(Parts {
        vision: setup.vision(config)?,
        reporter: setup.reporter(config, names, last_report),
        // A daemon waits for a source that is not there; a file's end is the end.
        pace: Pace {
            wait_for_source: true,
            ..setup::pace(config)
        },
        source,
    })
}
