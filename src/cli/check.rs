//! `affectd check`: would it run? Every finding at once, before anybody climbs a ladder.

use std::path::Path;

use super::{ConfigFiles, Exit, Failure, say, start_log};
use crate::board::{Sysfs, open_pins};
use crate::capture::Next;
use crate::config::Config;
use crate::daemon;
use crate::memory;
use crate::publish;
use crate::setup::{self, Setup, names};
use crate::vision::Decoder;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    start_log(config.log.level);
    say("ok      configuration")?;
    for warning in config.warnings() {
        say(format_args!("warning {warning}"))?;
    }
    // The gravest finding gives the exit code.
    let mut worst: Option<Exit> = None;
    let findings = [
        ("device id", Exit::Config, device(&config)),
        ("models", Exit::Config, models(&config)),
        ("source", Exit::NoInput, source(&config)),
        ("broker", Exit::Unavailable, broker(&config)),
        ("spool", Exit::Config, super::spool::place(&config)),
        ("pins", Exit::Unavailable, pins(&config)),
        ("memory", Exit::Config, memory(&config)),
    ];
    for (what, exit, finding) in findings {
        match finding {
            Ok(text) => say(format_args!("ok      {what}: {text}"))?,
            Err(error) => {
                say(format_args!("error   {what}: {error:#}"))?;
                worst = worst.or(Some(exit));
            }
        }
    }
    match worst {
        None => Ok(()),
        Some(exit) => Err(Failure::new(
            exit,
            anyhow::anyhow!("not ready: see the errors above."),
        )),
    }
}

fn device(config: &Config) -> anyhow::Result<String> {
    let device = setup::device_id(config)?;
    Ok(format!("`{}`, {}", device.name, device.origin))
}

fn models(config: &Config) -> anyhow::Result<String> {
    let info = Setup::open(config)?.info(config, &names(config));
    let one = |m: &affect_core::report::ModelInfo| {
        let taken = m
            .operators_delegated
            .map_or_else(|| "?".to_owned(), |n| n.to_string());
        format!(
            "{} ({taken} of {} operators on {})",
            m.id, m.operators, m.delegate
        )
    };
    Ok(format!(
        "{}, {}, {}",
        info.runtime,
        one(&info.detector),
        one(&info.model)
    ))
}

/// Whether pictures could be swapped.
pub(super) fn memory(config: &Config) -> anyhow::Result<String> {
    let runs_command = setup::runs_command(&config.camera);
    Ok(memory::look(config.privacy.allow_swap, runs_command)?)
}

/// Opens the configured pins and lets them go again.
fn pins(config: &Config) -> anyhow::Result<String> {
    Ok(match open_pins(&config.indicator, &Sysfs::new(Path::new("/")))? {
        Some(_) => "lamp and button can be used".to_owned(),
        None => "none are configured, so none are touched".to_owned(),
    })
}

fn source(config: &Config) -> anyhow::Result<String> {
    let Some(settings) = setup::source(&config.camera) else {
        anyhow::bail!(
            "[camera] source is not set: give a camera (`affectd cameras` lists them), a folder of pictures, a picture, an .mjpeg or a video file, or a [camera] command."
        );
    };
    let mut source = settings.open(false)?;
    loop {
        // A live source that stays silent ends this with its own error.
        match source.next()? {
            Next::Picture(image) | Next::Taken(image, _) => {
                Decoder::default().decode(image)?;
                return Ok(format!("{settings} gives pictures"));
            }
            Next::Broken(..) | Next::NotYet => {}
            Next::End => anyhow::bail!("{settings} gives no picture."),
        }
    }
}

/// Whether the broker lets us in, and what it takes.
pub(super) fn broker(config: &Config) -> anyhow::Result<String> {
    let (host, port) = (config.mqtt.host.as_str(), config.mqtt.port);
    publish::probe(&daemon::settings(config))
        .map_err(|why| anyhow::anyhow!("{host}:{port}: {why}. affectd itself would keep trying."))
}
