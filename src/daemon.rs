//! The whole daemon: pipeline and publisher together, as `run` and `demo` use it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use affect_core::report::{CameraState, CameraStateWord, STATE_SCHEMA, WindowReport};

use crate::capture::{CaptureEvent, Pace, SourceError, States};
use crate::clock::rfc3339;
use crate::config::Config;
use crate::pipeline::{self, Flow};
use crate::publish::{Publisher, Settings, Summary};
use crate::setup::{Setup, SetupError, device, pace, source};

/// How long publishing may take to end.
const GOODBYE: Duration = Duration::from_secs(4);

/// Why the daemon ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// It could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The source is lost.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no source to begin with.
    #[error(
        "[camera] source is not set, so there is nothing to look at: give a camera (`affectd cameras` lists them), a folder of pictures, a picture, an .mjpeg or a video file, or a [camera] command."
    )]
    NoSource,
    /// The publishing thread could not be started.
    #[error("The publishing thread cannot be started: {0}.")]
    Thread(#[from] std::io::Error),
}

/// What the daemon did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) flow: Flow,
    pub(crate) published: Summary,
}

/// The base of all topics.
pub(crate) fn topic_base(config: &Config) -> String {
    format!(
        "{}/{}/{}",
        config.mqtt.base,
        config.deployment.site,
        device(config)
    )
}

/// Runs until the source ends or `stop` is set, then publishes what is left and says goodbye. `show` sees every
/// report as it is queued.
pub(crate) fn run(
    config: &Config,
    stop: &AtomicBool,
    mut show: impl FnMut(&WindowReport) + Send,
) -> Result<Done, DaemonError> {
    let source = source(&config.camera).ok_or(DaemonError::NoSource)?;
    let setup = Setup::open(config)?;
    let info = serde_json::to_vec(&setup.info(config)?).map_err(std::io::Error::from)?;
    let (vision, reporter) = (setup.vision(config)?, setup.reporter(config));
    let publisher = Publisher::start(settings(config), info)?;
    let camera = config.camera.name.clone();
    let states = Mutex::new(States::default());
    let tell = |event| tell_state(event, &publisher, &camera, &states);
    // A daemon waits for a source that is not there; a file's end is the end.
    let pace = Pace {
        wait_for_source: true,
        ..pace(config)
    };
    let flow = pipeline::run(&source, pace, vision, reporter, stop, tell, |report| {
        match serde_json::to_vec(&report) {
            Ok(payload) => publisher.window(&camera, payload),
            Err(error) => log::error!("A report cannot be written as JSON: {error}"),
        }
        show(&report);
    });
    let published = publisher.stop(GOODBYE);
    Ok(Done {
        flow: flow?,
        published,
    })
}

/// Publishes and logs a camera's state when it changes; broken pictures are only logged.
fn tell_state(event: CaptureEvent, publisher: &Publisher, camera: &str, states: &Mutex<States>) {
    let (state, kind, cause) = match event {
        CaptureEvent::Streaming => (CameraStateWord::Streaming, "", None),
        CaptureEvent::Trouble(error) if error.is_one_picture() => {
            log::warn!("{error}");
            return;
        }
        CaptureEvent::Broken(count, why) => {
            let more = "more are counted and logged by the thousand";
            log::warn!("Camera `{camera}`: a frame is dropped, because {why}; {count} so far, {more}.");
            return;
        }
        CaptureEvent::Trouble(error) => (error.state(), error.kind(), Some(error.to_string())),
    };
    let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(change) = states.enter(state, kind, SystemTime::now()) else {
        return;
    };
    match &cause {
        Some(cause) => log::warn!("Camera `{camera}`: {cause} affectd keeps trying."),
        None => log::info!("Camera `{camera}` is streaming."),
    }
    let payload = CameraState {
        schema: STATE_SCHEMA.to_owned(),
        state: change.state,
        since: rfc3339(change.since),
        cause,
    };
    match serde_json::to_vec(&payload) {
        Ok(payload) => publisher.camera_state(camera, payload),
        Err(error) => log::error!("A camera state cannot be written as JSON: {error}"),
    }
}

fn settings(config: &Config) -> Settings {
    let mqtt = &config.mqtt;
    Settings {
        host: mqtt.host.clone(),
        port: mqtt.port,
        username: mqtt.username.clone(),
        password: mqtt.password.clone(),
        client_id: mqtt.client_id.clone().unwrap_or_else(|| device(config)),
        protocol: mqtt.protocol,
        keep_alive: mqtt.keep_alive,
        base: topic_base(config),
        queue: mqtt.queue as usize,
        retry_max: mqtt.retry_max,
        message_expiry: mqtt.message_expiry,
    }
}
