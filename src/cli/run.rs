//! `affectd run`: the daemon.

use super::{ConfigFiles, Exit, Failure, start_log, stop_flag};
use crate::daemon::{self, DaemonError};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        let exit = match &error {
            DaemonError::Setup(_) | DaemonError::NoSource => Exit::Config,
            DaemonError::Source(_) => Exit::NoInput,
            DaemonError::Thread(_) => Exit::Software,
        };
        Self::new(exit, error)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    start_log(config.log.level);
    config
        .warnings()
        .iter()
        .for_each(|warning| log::warn!("{warning}"));
    let stop = stop_flag()?;
    let done = daemon::run(&config, &stop, |_| {})?;
    log::info!(
        "Stopped: {} frames looked at, {} left out, {} replaced by newer ones; {} windows acknowledged, {} dropped, {} undelivered.",
        done.flow.frames,
        done.flow.broken,
        done.flow.replaced,
        done.published.acknowledged,
        done.published.dropped,
        done.published.undelivered
    );
    Ok(())
}
