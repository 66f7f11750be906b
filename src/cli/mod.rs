//! The command line: one file per subcommand. Data goes to standard output, the log to standard error.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand};
use signal_hook::consts::TERM_SIGNALS;

use crate::capture::SourceError;
use crate::config::{self, Config};
use crate::delegate::Request;
use crate::logging;
use crate::redact;
use crate::setup::{SetupError, device_id};

mod bars;
mod bench;
mod cameras;
mod check;
mod columns;
mod configuration;
mod demo;
mod doctor;
mod homeassistant;
mod migrate;
mod model;
mod playing;
mod replay;
mod retire;
mod run;
mod spool;
mod try_delegate;

/// How a group of people feels, from a camera, over MQTT: never an image, an identity or one person.
#[derive(Debug, Parser)]
#[command(name = "affectd", version, max_term_width = 80, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(run::Arguments),
    /// Play the bundled clip through the whole daemon, with an MQTT broker of its own on this machine.
    Demo(demo::Arguments),
    /// Play pictures or a video and print one report per line.
    Replay(replay::Arguments),
    /// List the cameras by names that stay the same, what they offer, and what would be chosen.
    Cameras(cameras::Arguments),
    /// Check configuration, models, source and broker.
    Check(check::Arguments),
    /// Show which windows wait for the broker, and which it refused for good.
    Spool(spool::Arguments),
    /// Write one report on this device for a support ticket: no faces, no secrets.
    Doctor(doctor::Arguments),
    /// Print the configuration template, the configuration in effect, or a JSON Schema.
    Config(configuration::Arguments),
    /// Print what Home Assistant is told of this device, or take it back.
    Homeassistant(homeassistant::Arguments),
    /// Take away what the broker keeps of a device that was renamed or is no more.
    Retire(retire::Arguments),
    /// Time every stage on this machine.
    Bench(bench::Arguments),
    /// Show a model, check its file against its manifest and run its golden vectors.
    Model(model::Arguments),
    /// Try an Edge TPU in this process, whatever becomes of it.
    #[command(hide = true)]
    TryDelegate(Request),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, clap::Args)]
struct ConfigFiles {
    /// Configuration file; may be given several times, later ones win. [default: /etc/affectd/affectd.toml]
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
}

impl ConfigFiles {
    /// The files that were given, or the usual one.
    fn files(&self) -> Vec<PathBuf> {
        match self.config.as_slice() {
            [] => vec![PathBuf::from("/etc/affectd/affectd.toml")],
            given => given.to_vec(),
        }
    }

    fn read(&self) -> Result<Config, config::ConfigErrors> {
        config::load(&self.files(), config::environment())
    }

    fn load(&self) -> Result<Config, Failure> {
        self.read().map_err(|error| Failure::new(Exit::Config, error))
    }
}

/// What [`Exit`] means, for people.
const EXIT_CODES: &str = "\
Exit status (sysexits.h):
  0   done, or stopped when asked to
  64  the command line is wrong
  65  the source is there, and nothing of it could be looked at
  66  the source cannot be read
  69  something that is needed is not there now: broker, pins, Edge TPU
  70  a fault of affectd itself
  74  reading or writing failed
  78  the configuration or a model is wrong, or the system is not set up for it:
      it stays so until somebody mends it, and systemd does not start it again";

/// Exit codes of sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Usage = 64,
    /// What was given is there, and nothing of it could be read.
    Data = 65,
    NoInput = 66,
    Unavailable = 69,
    Software = 70,
    Io = 74,
    Config = 78,
}

impl Exit {
    /// The meaning of the exit status of another affectd.
    fn of(code: i32) -> Option<Self> {
        let all = [
            Self::Usage,
            Self::Data,
            Self::NoInput,
            Self::Unavailable,
            Self::Software,
            Self::Io,
            Self::Config,
        ];
        all.into_iter().find(|exit| *exit as i32 == code)
    }
}

/// Why a command ended early.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let exit = match error {
            SetupError::Lost(_) => Exit::Unavailable,
            _ => Exit::Config,
        };
        Self::new(exit, error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let exit = match error {
            SourceError::NoThread { .. } => Exit::Unavailable,
            _ => Exit::NoInput,
        };
        Self::new(exit, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Io, error)
    }
}

/// Reads the arguments, runs the command and gives the exit code.
pub(crate) fn main() -> ExitCode {
    redact::watch_panics();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors.
            let exit = if error.use_stderr() { Exit::Usage as u8 } else { 0 };
            // It repeats what was typed.
            let words = redact::text(&error.render().to_string());
            let _ = match error.use_stderr() {
                true => std::io::stderr().write_all(words.as_bytes()),
                false => std::io::stdout().write_all(words.as_bytes()),
            };
            return ExitCode::from(exit);
        }
    };
    let run = move || match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Cameras(arguments) => cameras::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Spool(arguments) => spool::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Config(arguments) => configuration::run(&arguments),
        Command::Homeassistant(arguments) => homeassistant::run(&arguments),
        Command::Retire(arguments) => retire::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Model(arguments) => model::run(&arguments),
        Command::TryDelegate(request) => try_delegate::run(&request),
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    logging::finish();
    // What went wrong is told already, as it went wrong.
    let Ok(result) = result else {
        return ExitCode::from(Exit::Software as u8);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, .. }) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure { exit, error }) => {
            // Nothing is left to be done if even standard error is closed.
            let _ = writeln!(std::io::stderr(), "affectd: {}", in_words(&error));
            ExitCode::from(exit as u8)
        }
    }
}

/// The error as it may be shown. Only what is wrong with a configuration has several lines, with what it quotes in
/// them made harmless already.
fn in_words(error: &anyhow::Error) -> String {
    let words = format!("{error:#}");
    if error.is::<config::ConfigErrors>() {
        redact::text(&words)
    } else {
        redact::line(&words)
    }
}

/// Whoever reads our output has seen enough (`affectd replay … | head -1`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes words for people to standard output: without secrets, in 80 columns, moved in behind a first word such as `error`.
fn say(words: impl Display) -> std::io::Result<()> {
    const INDENT: usize = 8;
    print(columns::folded(&redact::line(&words.to_string()), INDENT))
}

/// Writes data to standard output.
fn print(line: impl Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The device that was named, or else this one.
fn device_or_own(named: Option<&str>, config: &Config) -> Result<String, Failure> {
    match named {
        Some(device) => Ok(device.to_owned()),
        None => device_id(config)
            .map(|device| device.name)
            .map_err(|error| Failure::new(Exit::Config, error)),
    }
}

/// The longest time from a signal to the end. systemd waits six seconds; whoever started the program by hand waits for ever.
const LONGEST_END: Duration = Duration::from_millis(5500);

/// A flag that SIGTERM, SIGINT and SIGQUIT set. A second signal ends the program at once, and so does [`LONGEST_END`] after
/// the first: a thread may wait for somebody who does not read what it writes.
fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        signal_hook::flag::register_conditional_shutdown(*signal, 128 + *signal, Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    let asked = Arc::clone(&stop);
    let watch = move || {
        // The flag is also set by whatever else ends the run; then it ends as soon.
        while !asked.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(LONGEST_END);
        signal_hook::low_level::exit(Exit::Io as i32);
    };
    // Without it everything works, but for this.
    let _ = std::thread::Builder::new().name("stop".to_owned()).spawn(watch);
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_exit_code_is_told() {
        let all = [
            Exit::Usage,
            Exit::Data,
            Exit::NoInput,
            Exit::Unavailable,
            Exit::Software,
            Exit::Io,
            Exit::Config,
        ];
        for exit in all {
            // Whoever adds one is reminded to tell it.
            match exit {
                Exit::Usage
                | Exit::Data
                | Exit::NoInput
                | Exit::Unavailable
                | Exit::Software
                | Exit::Io
                | Exit::Config => {}
            }
            let code = format!("\n  {}  ", exit as u8);
            assert!(EXIT_CODES.contains(&code), "{exit:?}");
        }
        assert_eq!(EXIT_CODES.matches("\n  ").count(), all.len() + 2);
    }

    #[test]
    fn help_fits_into_eighty_columns() {
        let mut command = Arguments::command();
        command.build();
        let of = |command: &mut clap::Command| {
            let help = command.render_long_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        };
        of(&mut command);
        command
            .get_subcommands_mut()
            .filter(|command| !command.is_hide_set())
            .for_each(of);
    }
}
