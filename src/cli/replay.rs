//! `affectd replay`: files through the pipeline, one JSON report per line.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use affect_core::report::WindowReport;

use super::playing::Playing;
use super::{ConfigFiles, Failure, print, stop_flag};
use crate::capture::{CaptureEvent, SourceSettings};
use crate::config::{self, Config};
use crate::last_report::LastReport;
use crate::logging;
use crate::pipeline;
use crate::progress::Progress;
use crate::setup::{self, Setup};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A folder of pictures, a picture, an .mjpeg or a video file.
    path: PathBuf,
    /// Frames per second at which it is played; overrides [camera] fps.
    #[arg(long)]
    fps: Option<f64>,
    /// Judge it as if it came from a camera: faces must live, people must be seen for a while, and a gap or a hold lasts ten
    /// minutes.
    #[arg(long)]
    as_camera: bool,
    /// Play at real-time pace instead of as fast as possible.
    #[arg(long)]
    realtime: bool,
    #[command(flatten)]
    config: ConfigFiles,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut config = if arguments.config.config.is_empty() {
        Config::for_replay()
    } else {
        arguments.config.load()?
    };
    config.camera.source = Some(arguments.path.clone());
    config.camera.command = Vec::new();
    config.camera.url = None;
    config.camera.username = None;
    config.camera.repeat = false;
    config.camera.as_camera = arguments.as_camera;
    config.camera.pace = if arguments.realtime {
        config::Pace::Realtime
    } else {
        config::Pace::Fast
    };
    if let Some(fps) = arguments.fps {
        config.camera.fps = checked_fps(fps)?;
    }
    logging::start(&config.log);
    let setup = Setup::open(&config)?;
    let names = setup::names(&config);
    let (vision, reporter) = (
        setup.vision(&config)?,
        setup.reporter(&config, &names, LastReport::of_recording()),
    );
    let progress = Progress::new(stop_flag()?);
    let mut written = Ok(());
    let playing = Playing::of(&arguments.path, config.camera.fps);
    let log_trouble = |event| {
        if let CaptureEvent::Trouble(error) = event {
            playing.clear();
            log::warn!("{error}");
        }
    };
    let print_report = |report: WindowReport| {
        playing.clear();
        if written.is_ok() {
            written = serde_json::to_string(&report)
                .map_err(std::io::Error::from)
                .and_then(print);
        }
        if written.is_err() {
            progress.ended().store(true, Ordering::Relaxed);
        }
    };
    let source = SourceSettings::files(&arguments.path, config.camera.fps);
    let pace = setup::pace(&config);
    let flow = std::thread::scope(|scope| {
        let teller = std::thread::Builder::new().name("playing".to_owned());
        // Without a thread for it, nobody is told; the pipeline says what is missing.
        let _ = teller.spawn_scoped(scope, || playing.tell(&progress));
        let _over = playing.until();
        pipeline::run(
            &source,
            pace,
            vision,
            reporter,
            &progress,
            log_trouble,
            print_report,
        )
    })?;
    written?;
    log::info!("{} frames looked at, {} left out.", flow.frames, flow.broken);
    if flow.frames == 0 && flow.broken > 0 {
        let (path, count) = (arguments.path.display(), flow.broken);
        let nothing = anyhow::anyhow!(
            "Nothing of `{path}` could be looked at ({count} left out, each for a reason told above)."
        );
        return Err(Failure::new(super::Exit::Data, nothing));
    }
    Ok(())
}

/// The same range as `[camera] fps`.
fn checked_fps(fps: f64) -> Result<f64, Failure> {
    if (0.1..=60.0).contains(&fps) {
        Ok(fps)
    } else {
        Err(Failure::new(
            super::Exit::Usage,
            anyhow::anyhow!("--fps {fps} is out of range: give 0.1 to 60."),
        ))
    }
}
