//! `affectd demo`: the whole daemon on a clip of real faces, with a broker of its own.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use affect_core::expression::Expression;
use affect_core::report::{Coarsening, ReportBody, WindowReport};

use super::{Exit, Failure, print, start_log, stop_flag};
use crate::capture::SourceSettings;
use crate::config;
use crate::daemon::{self, Control, topic_base};
use crate::place;
use crate::publish::broker;

/// The demo's configuration: a file like any other.
const CONFIG: &str = include_str!("../../config/demo.toml");

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
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut config = config::from_str(CONFIG).map_err(|e| Failure::new(Exit::Software, e))?;
    start_log(config.log.level);
    let clip = match &arguments.clip {
        Some(clip) => clip.clone(),
        None => place::clip().map_err(|e| Failure::new(Exit::NoInput, e))?,
    };
    // A mistyped path shall end the demo; only a daemon waits for its source.
    SourceSettings::files(&clip, config.camera.fps).open(false)?;
    let port = broker::start(arguments.port).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    config.mqtt.port = port;
    config.camera.repeat = !arguments.once;
    config.camera.source = Some(clip.clone());
    let seconds = config.window.length.as_secs_f64();
    print(format_args!("affectd demo: {}", clip.display()))?;
    print(format_args!(
        "One window every {seconds} s; at least {} people, or nothing is said.",
        config.privacy.min_group
    ))?;
    print(format_args!(
        "Broker on 127.0.0.1:{port}; every message is under {}/#:",
        topic_base(&config)
    ))?;
    print(format_args!(
        "  mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'affectd/#'"
    ))?;
    print("Ctrl-C ends it.\n")?;
    let stop = stop_flag()?;
    let counts = Mutex::new([0u32; 3]);
    let control = Control { stop, reader: None };
    let done = daemon::run(&config, &control, |report| {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        match report.body {
            ReportBody::Released(_) => counts[0] += 1,
            ReportBody::Suppressed(_) => counts[1] += 1,
            ReportBody::Held(_) => counts[2] += 1,
        }
        // If nobody reads the lines any more, the demo still runs for its subscribers.
        let _ = print(line(report));
    })?;
    let [released, suppressed, held] = *counts.lock().unwrap_or_else(PoisonError::into_inner);
    print(format_args!(
        "\n{} frames looked at; {} windows: {released} with numbers, {suppressed} suppressed, {held} held; {} acknowledged by the broker, {} undelivered.",
        done.flow.frames,
        released + suppressed + held,
        done.published.acknowledged,
        done.published.undelivered
    ))?;
    Ok(())
}

/// A report for people: time, number of people, mood, and the expressions that most show.
fn line(report: &WindowReport) -> String {
    let time = report.end.get(11..19).unwrap_or(&report.end);
    let head = format!("{time}  window {:>3}", report.seq);
    let released = match &report.body {
        ReportBody::Released(released) => released,
        ReportBody::Suppressed(_) => return format!("{head}  suppressed: too few people at once"),
        ReportBody::Held(_) => return format!("{head}  held: too few came or went since the last report"),
    };
    let (people, emotion) = (&released.people, &released.emotion);
    let mood = released.mood.as_ref().map_or("no mood", |mood| mood.class.name());
    let is_alike = released.coarsened.contains(&Coarsening::HomogeneousGroup);
    let shown = if is_alike {
        &emotion.at_least
    } else {
        &emotion.mean
    };
    let mut strongest: Vec<(&Expression, &f64)> = shown.iter().filter(|(_, mean)| **mean >= 0.05).collect();
    strongest.sort_by(|a, b| b.1.total_cmp(a.1));
    let shown: Vec<String> = strongest
        .iter()
        .take(4)
        .map(|(e, mean)| format!("{} {mean:.2}", e.name()))
        .collect();
    let note = if is_alike { "  (all alike: at least)" } else { "" };
    format!(
        "{head}  {:>2} people at once  mood {mood:<8}  {}{note}",
        people.peak,
        shown.join("  ")
    )
}
