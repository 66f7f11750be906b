//! `affectd check`: would it run? Every part is tried, one line each, before anybody climbs a ladder.

use std::path::Path;

use super::columns::folded_problems;
use super::{ConfigFiles, Exit, Failure, print, say, spool};
use crate::board::{Sysfs, open_pins};
use crate::config::{Config, ConfigErrors, Level};
use crate::daemon;
use crate::golden;
use crate::logging;
use crate::memory;
use crate::publish::{self, Probe};
use crate::redact;
use crate::setup::{self, Setup, names};

mod machine;
mod permissions;
mod service;
mod view;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Look with the eyes of the service: its user, its credentials, its limits. Needs systemd, and root.
    #[arg(long)]
    service: bool,
    #[command(flatten)]
    config: ConfigFiles,
}

/// What was found.
#[derive(Debug)]
enum Finding {
    /// It works.
    Works(String),
    /// It works, and somebody should know something about it.
    Remark(String),
    /// It does not work; with this the command ends.
    Fails(Exit, String),
    /// It was not tried, because of this.
    Skipped(String),
}

impl Finding {
    /// Of something that works or does not.
    fn of(exit: Exit, result: anyhow::Result<String>) -> Self {
        match result {
            Ok(text) => Self::Works(text),
            Err(error) => Self::Fails(exit, format!("{error:#}")),
        }
    }

    /// The word that the line begins with.
    fn word(&self) -> &'static str {
        match self {
            Self::Works(_) => "ok",
            Self::Remark(_) => "warning",
            Self::Fails(..) => "error",
            Self::Skipped(_) => "skipped",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Works(text) | Self::Remark(text) | Self::Fails(_, text) | Self::Skipped(text) => text,
        }
    }
}

/// Prints lines, and remembers the gravest.
#[derive(Debug, Default)]
struct Lines {
    worst: Option<Exit>,
}

impl Lines {
    fn add(&mut self, what: &str, finding: &Finding) -> std::io::Result<()> {
        if let Finding::Fails(exit, _) = finding {
            // What is wrong for good counts more than what may come back.
            self.worst = match self.worst {
                Some(Exit::Config) => Some(Exit::Config),
                Some(before) if *exit != Exit::Config => Some(before),
                _ => Some(*exit),
            };
        }
        say(format_args!("{:<7} {what}: {}", finding.word(), finding.text()))
    }
}

/// The configuration, as far as it could be read.
struct Read {
    config: Option<Config>,
    errors: Option<ConfigErrors>,
}

impl Read {
    /// The configuration, if all of `tables` are as somebody wrote them; else what is to be said in place of a finding.
    fn with(&self, tables: &[&str]) -> Result<&Config, Finding> {
        let unsound = |errors: &ConfigErrors| tables.iter().find(|table| !errors.is_sound(table)).copied();
        let why = match (&self.config, &self.errors) {
            (Some(config), None) => return Ok(config),
            (Some(config), Some(errors)) => match unsound(errors) {
                None => return Ok(config),
                Some(table) => format!("not tried: [{table}] is wrong or missing, see above"),
            },
            (None, _) => "not tried: the configuration cannot be read".to_owned(),
        };
        Err(Finding::Skipped(why))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.service {
        return service::run(&arguments.config.files());
    }
    let mut lines = Lines::default();
    let read = match arguments.config.read() {
        Ok(config) => Read {
            config: Some(config),
            errors: None,
        },
        Err(errors) => Read {
            config: errors.rest().cloned(),
            errors: Some(errors),
        },
    };
    let mut log = read
        .config
        .as_ref()
        .map(|config| config.log.clone())
        .unwrap_or_default();
    // Below are the same words in better order; what goes on beside them is of interest if somebody asks for it.
    if log.level == Level::Info {
        log.level = Level::Error;
    }
    logging::start(&log);
    lines.add("configuration", &configuration(&read))?;
    if let Some(errors) = &read.errors {
        print(format_args!("\n{}\n", in_words(errors)))?;
    }
    for warning in read.config.iter().flat_map(Config::warnings) {
        lines.add("configuration", &Finding::Remark(warning))?;
    }
    let found = |tables: &[&str], look: &mut dyn FnMut(&Config) -> Finding| match read.with(tables) {
        Ok(config) => look(config),
        Err(skipped) => skipped,
    };
    lines.add("device id", &found(&["deployment"], &mut device))?;
    let mut setup = None;
    let models = found(&["model", "detector"], &mut |config| {
        Finding::of(Exit::Config, models(config, &mut setup))
    });
    lines.add("models", &models)?;
    let mut picture = None;
    let source = found(&["camera"], &mut |config| view::source(config, &mut picture));
    lines.add("source", &source)?;
    lines.add(
        "reach",
        &found(&["camera", "detector"], &mut |config| {
            view::reach(config, picture.as_ref(), setup.as_ref())
        }),
    )?;
    lines.add(
        "speed",
        &found(&["camera", "detector", "model"], &mut |config| {
            view::speed(config, picture.as_ref(), setup.as_ref())
        }),
    )?;
    let whole = read.with(&["deployment"]).is_ok();
    lines.add(
        "broker",
        &found(&["mqtt"], &mut |config| broker_line(config, whole)),
    )?;
    lines.add(
        "spool",
        &found(&["spool"], &mut |config| {
            Finding::of(Exit::Config, spool::place(config))
        }),
    )?;
    lines.add("clock", &machine::clock())?;
    lines.add("disk", &machine::disk())?;
    lines.add(
        "memory",
        &found(&["privacy", "camera"], &mut |config| {
            Finding::of(Exit::Config, memory(config))
        }),
    )?;
    lines.add(
        "pins",
        &found(&["indicator"], &mut |config| {
            Finding::of(Exit::Unavailable, pins(config))
        }),
    )?;
    let files = arguments.config.files();
    lines.add("permissions", &permissions::look(&files, read.config.as_ref()))?;
    let worst = match read.errors {
        Some(_) => Some(Exit::Config),
        None => lines.worst,
    };
    match worst {
        None => Ok(()),
        Some(exit) => Err(Failure::new(
            exit,
            anyhow::anyhow!("not ready: see the errors above."),
        )),
    }
}

/// What is wrong with the configuration.
fn in_words(errors: &ConfigErrors) -> String {
    folded_problems(&redact::text(&errors.to_string()))
}

fn configuration(read: &Read) -> Finding {
    match &read.errors {
        None => Finding::Works("every key is known, and every value possible".to_owned()),
        Some(_) => Finding::Fails(
            Exit::Config,
            "it is wrong; affectd does not start with it".to_owned(),
        ),
    }
}

fn device(config: &Config) -> Finding {
    let named = setup::device_id(config).map(|device| format!("`{}`, {}", device.name, device.origin));
    Finding::of(Exit::Config, named.map_err(Into::into))
}

/// Opens both models and runs what was recorded of them.
fn models(config: &Config, opened: &mut Option<Setup>) -> anyhow::Result<String> {
    let setup = Setup::open(config)?;
    let info = setup.info(config, &names(config));
    let one = |m: &affect_core::report::ModelInfo| {
        let taken = m
            .operators_delegated
            .map_or_else(|| "?".to_owned(), |n| n.to_string());
        format!(
            "{} ({taken} of {} operators on {})",
            m.id, m.operators, m.delegate
        )
    };
    let text = format!("{}, {}, {}", info.runtime, one(&info.detector), one(&info.model));
    let mut cases = 0;
    for (model, options) in setup.models(config) {
        let outcomes = golden::run(setup.runtime(), model, &options)?;
        cases += outcomes.len();
        if let Some(wrong) = outcomes.iter().find(|outcome| !outcome.differences.is_empty()) {
            anyhow::bail!(
                "{} does not compute on this machine what was recorded of it ({}: {}): do not use it here; `affectd model {}` shows all",
                model.manifest.id,
                wrong.image,
                wrong.differences.join("; "),
                model.folder.display()
            );
        }
    }
    *opened = Some(setup);
    Ok(format!("{text}; all {cases} golden vectors agree"))
}

/// Whether pictures could be swapped, and how much memory is left.
pub(super) fn memory(config: &Config) -> anyhow::Result<String> {
    let runs_command = setup::runs_command(&config.camera);
    let swap = memory::look(config.privacy.allow_swap, runs_command)?;
    let left = machine::memory_left()?;
    Ok(format!("{swap}; {left}"))
}

/// Opens the configured pins and lets them go again.
fn pins(config: &Config) -> anyhow::Result<String> {
    Ok(match open_pins(&config.indicator, &Sysfs::new(Path::new("/")))? {
        Some(_) => "lamp and button can be used".to_owned(),
        None => "none are configured, so none are touched".to_owned(),
    })
}

/// What the broker lets us do. `whole`: whether it is known under which topic.
fn broker_line(config: &Config, whole: bool) -> Finding {
    let settings = daemon::settings(config);
    match publish::probe(&settings, whole) {
        Ok(Probe { text, remark: false }) => Finding::Works(text),
        Ok(Probe { text, remark: true }) => Finding::Remark(text),
        Err(why) => Finding::Fails(Exit::Unavailable, unreached(&settings, &why)),
    }
}

/// Whether the broker lets us in, and what it takes; for `affectd doctor`.
pub(super) fn broker(config: &Config) -> anyhow::Result<String> {
    let settings = daemon::settings(config);
    match publish::probe(&settings, true) {
        Ok(probe) => Ok(probe.text),
        Err(why) => Err(anyhow::anyhow!(unreached(&settings, &why))),
    }
}

fn unreached(settings: &publish::Settings, why: &anyhow::Error) -> String {
    let why = why.to_string();
    format!(
        "{}: {}. affectd itself would keep trying",
        settings.address(),
        why.trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::columns::folded;
    use crate::config;
    use std::path::PathBuf;

    /// Each file of `tests/data/wrong` beside what is said about it. With `AFFECTD_GOLDEN=write` the texts are written anew,
    /// to be read by eye.
    #[test]
    fn wrong_configurations_are_explained() {
        // As tests are run, so that messages name files in the same way everywhere.
        let folder = Path::new("tests/data/wrong");
        let files = std::fs::read_dir(folder).expect("a folder").flatten();
        let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        files.sort();
        assert!(files.len() >= 20, "{files:?}");
        for file in files {
            let said = match config::load(std::slice::from_ref(&file), std::iter::empty()) {
                Err(errors) => in_words(&errors),
                Ok(config) => {
                    let warnings = config.warnings();
                    assert!(!warnings.is_empty(), "{}: nothing is wrong", file.display());
                    let lines = warnings
                        .iter()
                        .map(|text| folded(&format!("warning configuration: {text}"), 8));
                    lines.collect::<Vec<_>>().join("\n")
                }
            };
            for line in said.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", file.display());
            }
            assert!(!said.contains("hunter2"), "{said}");
            let text = file.with_extension("txt");
            if std::env::var_os("AFFECTD_GOLDEN").is_some_and(|what| what == "write") {
                std::fs::write(&text, format!("{said}\n")).expect("written");
            }
            let expected = std::fs::read_to_string(&text).unwrap_or_default();
            assert_eq!(said, expected.trim_end(), "{}", text.display());
        }
    }
}
