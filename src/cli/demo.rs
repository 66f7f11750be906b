//! `affectd demo`: the whole daemon on a clip of real faces, with a broker of its own and the local page.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use affect_core::report::{ReportBody, WindowReport};

use super::{Exit, Failure, bars, print, stop_flag};
use crate::capture::SourceSettings;
use crate::config::{self, Config, Level};
use crate::daemon::{self, Control, topic_base};
use crate::logging;
use crate::place;
use crate::publish::broker;

/// The demo's configuration: a file like any other.
const CONFIG: &str = include_str!("../../config/demo.toml");

/// What to do next.
const NEXT: &str = "\
Next, with a camera of yours:
  affectd cameras                             what is plugged in
  affectd config --defaults > affectd.toml    fill in [deployment], set [camera]
  affectd check -c affectd.toml               what is wrong, and where
  affectd run -c affectd.toml                 the daemon";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Play the clip once and end.
    #[arg(long)]
    once: bool,
    /// Another clip: a folder of pictures, an .mjpeg or a video file.
    #[arg(long, value_name = "PATH")]
    clip: Option<PathBuf>,
    /// Port of the demo's broker on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 18830)]
    port: u16,
    /// Port of the local page on 127.0.0.1; 0, or one that is taken, picks a free one.
    #[arg(long, default_value_t = 18880)]
    page_port: u16,
    /// Least important messages of the log on standard error: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log: Option<Level>,
}

/// A level as it is written in the configuration.
fn level(word: &str) -> Result<Level, String> {
    serde_json::from_value(word.into()).map_err(|_| "it is error, warn, info, debug or trace".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut config = config::from_str(CONFIG).map_err(|e| Failure::new(Exit::Software, e))?;
    config.log.level = arguments.log.unwrap_or(config.log.level);
    logging::start(&config.log);
    let clip = match &arguments.clip {
        Some(clip) => clip.clone(),
        None => place::clip().map_err(|e| Failure::new(Exit::NoInput, e))?,
    };
    // A mistyped path shall end the demo; only a daemon waits for its source.
    SourceSettings::files(&clip, config.camera.fps).open(false)?;
    let port = broker::start(arguments.port).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    config.mqtt.port = port;
    config.status.listen = page_address(arguments.page_port).to_string();
    config.camera.repeat = !arguments.once;
    config.camera.source = Some(clip.clone());
    introduce(&config, &clip.display().to_string())?;
    let stop = stop_flag()?;
    let told = Mutex::new(Told::default());
    let control = Control { stop, reader: None };
    let open = |address: SocketAddr| {
        // If nobody reads the lines any more, the demo still runs for its subscribers.
        let _ = print(format_args!(
            "  page      http://{address}/\n  metrics   http://{address}/metrics\nCtrl-C ends it.\n"
        ));
    };
    let done = daemon::run(&config, &control, open, |report| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = print(told.lines(report));
    })?;
    let [released, suppressed, held] = told.lock().unwrap_or_else(PoisonError::into_inner).counts;
    print(format_args!(
        "\n{} frames looked at; {} windows: {released} with numbers, {suppressed} suppressed,\n{held} held; {} acknowledged by the broker, {} undelivered.\n\n{NEXT}",
        done.flow.frames,
        released + suppressed + held,
        done.published.acknowledged,
        done.published.undelivered
    ))?;
    Ok(())
}

/// The wanted port on this machine's loopback, or any if that is taken.
fn page_address(port: u16) -> SocketAddr {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(at(port)) {
        Ok(_) => at(port),
        Err(_) => at(0),
    }
}

fn introduce(config: &Config, clip: &str) -> std::io::Result<()> {
    let seconds = config.window.length.as_secs_f64();
    print(format_args!(
        "affectd demo: {clip}\nReal faces of a recording, no camera. One report every {seconds} s; of fewer than {}\npeople nothing is said. While it runs:",
        config.privacy.min_group
    ))?;
    print(format_args!(
        "  messages  mosquitto_sub -h 127.0.0.1 -p {} -v -t '{}/#'",
        config.mqtt.port,
        topic_base(config)
    ))
}

/// What was told of the reports so far.
#[derive(Default)]
struct Told {
    /// With numbers, suppressed, held.
    counts: [u32; 3],
}

impl Told {
    /// A report for people.
    fn lines(&mut self, report: &WindowReport) -> String {
        let kind = match report.body {
            ReportBody::Released(_) => 0,
            ReportBody::Suppressed(_) => 1,
            ReportBody::Held(_) => 2,
        };
        self.counts[kind] += 1;
        bars::lines(report, self.counts[kind] == 1)
    }
}
