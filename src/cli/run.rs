//! `affectd run`: the daemon.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signal_hook::consts::SIGHUP;

use super::{ConfigFiles, Exit, Failure, stop_flag};
use crate::board::Notify;
use crate::config;
use crate::daemon::{self, Control, DaemonError};
use crate::logging;
use crate::memory;
use crate::reload::Reader;
use crate::setup::{self, SetupError};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        let exit = match &error {
            DaemonError::Pins(_) | DaemonError::Room(_) => Exit::Unavailable,
            DaemonError::Setup(error) if matches!(**error, SetupError::Lost(_)) => Exit::Unavailable,
            DaemonError::Setup(_) | DaemonError::NoSource | DaemonError::Nameless(_) => Exit::Config,
            DaemonError::Source(_) => Exit::NoInput,
            DaemonError::Thread(_)
            | DaemonError::Publisher(_)
            | DaemonError::Board
            | DaemonError::Steward => Exit::Software,
        };
        Self::new(exit, error)
    }
}

/// Runs the daemon. If it cannot run, `systemctl status` says why.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let done = run_daemon(arguments);
    if let Err(Failure { exit, error }) = &done {
        let words = format!("{error:#}");
        let first = words.lines().next().unwrap_or_default();
        let what = match exit {
            Exit::Config => "Not started, and not tried again until it is mended",
            _ => "Failed",
        };
        Notify::from_environment().status(&format!("{what}: {first}"));
    }
    done
}

fn run_daemon(arguments: &Arguments) -> Result<(), Failure> {
    // Pictures lie in this memory: no core dump of it, and no look into it by other programs of the same user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(std::io::Error::from)?;
    let config = arguments.config.load()?;
    logging::start(&config.log);
    log::info!(
        version = env!("CARGO_PKG_VERSION"), topics = daemon::topic_base(&config);
        "affectd {} starts with the configuration of {}; its topics begin with {}/.",
        env!("CARGO_PKG_VERSION"),
        config.read.join(", "),
        daemon::topic_base(&config)
    );
    config
        .warnings()
        .iter()
        .for_each(|warning| log::warn!("{warning}"));
    memory::keep_from_swap(config.privacy.allow_swap, setup::runs_command(&config.camera))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let stop = stop_flag()?;
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&asked))?;
    let files = arguments.config.clone();
    let reader = Reader {
        asked,
        read: Box::new(move || config::load(&files.files(), config::environment())),
    };
    let control = Control {
        stop,
        reader: Some(reader),
    };
    let done = daemon::run(&config, &control, |_| {}, |_| {})?;
    log::info!(
        "Stopped: {} frames from the camera; {} windows acknowledged, {} dropped, {} refused, {} damaged, {} undelivered{}.",
        done.flow.captured,
        done.published.acknowledged,
        done.published.dropped,
        done.published.refused,
        done.published.damaged,
        done.published.undelivered,
        match (done.published.undelivered, done.published.kept) {
            (0, _) => "",
            (_, true) => ", which wait on the disk for the next start",
            (_, false) => " and lost",
        }
    );
    Ok(())
}
