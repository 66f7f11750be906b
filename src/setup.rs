//! From the configuration to everything that runs: library, models, vision, reports.

use std::path::Path;
use std::time::Duration;

use affect_core::expression::Expression;
use affect_core::gate::{
    COUNTED_FRAMES, COUNTED_TIME, Gate, GateSettings, LEAST_PRESENCE, LONGEST_COVER, LONGEST_GAP,
    MOST_LINKED, Origin, READ_WITHIN, SILENCE,
};
use affect_core::liveness::LIVES_FOR;
use affect_core::manifest::{Mood, Task};
use affect_core::report::{
    DeploymentInfo, INFO_SCHEMA, Info, ModelName, MoodInfo, PrivacyInfo, SourceWord, WINDOW_SCHEMA,
};
use affect_core::sampling::SamplingSettings;
use affect_core::tracker::{TURNED_AWAY, TrackSettings};
use affect_tflite::{Options, Runtime};

use crate::capture::v4l2::{CameraSettings, Wish};
use crate::capture::{
    Layout, Output, Pace, PipeSettings, PixelFormat, SourceSettings, is_device, network_camera,
};
use crate::config::{self, Config};
use crate::delegate::{ChoiceError, Chooser, Failures, Network};
use crate::group::{GroupSettings, Header, Reporter};
use crate::identity::{DeviceId, Nameless, Names, boot_id, system_random};
use crate::last_report::LastReport;
use crate::place::{self, NotFound};
use crate::redact;
use crate::vision::{Vision, VisionSettings};
use affect_vision::{Classifier, Detector, DetectorSettings, LoadedModel, ModelError, OpenError};

/// Why the daemon cannot be set up from its configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// A file is nowhere.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The library or an interpreter does not work.
    #[error(transparent)]
    TensorFlow(#[from] affect_tflite::Error),
    /// A network cannot be run on anything.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// The Edge TPU was there a moment ago.
    #[error(
        "The Edge TPU worked when it was tried, but not a moment later: {0} It is tried again at the next start."
    )]
    Lost(affect_tflite::Error),
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model is not of the right kind.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The library and both models, opened.
#[derive(Debug)]
pub(crate) struct Setup {
    runtime: Runtime,
    detector: Network,
    expression: Network,
}

impl Setup {
    /// Opens everything that the configuration names. An Edge TPU is tried on the way, which may take seconds.
    pub(crate) fn open(config: &Config) -> Result<Self, SetupError> {
        let runtime_path = place::runtime(config.model.runtime.as_deref())?;
        let runtime = Runtime::load(&runtime_path)?;
        let models_dir = config.model.models_dir.as_deref();
        let open = |name: &str, task| -> Result<LoadedModel, SetupError> {
            Ok(LoadedModel::open_as(&place::model(name, models_dir)?, task)?)
        };
        let detector = open(&config.detector.model, Task::Detector)?;
        let expression = open(&config.model.path, Task::Expression)?;
        let chooser = Chooser {
            config: &config.model,
            runtime: &runtime,
            runtime_path: &runtime_path,
            failures: Failures::read(&place::state_dir_of_service()),
        };
        Ok(Self {
            detector: chooser.network(detector)?,
            expression: chooser.network(expression)?,
            runtime,
        })
    }

    /// Whether a network runs on the Edge TPU.
    pub(crate) fn is_on_edge_tpu(&self) -> bool {
        self.detector.is_on_edge_tpu() || self.expression.is_on_edge_tpu()
    }

    /// The library.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Both models, with how they are run.
    pub(crate) fn models(&self, config: &Config) -> [(&LoadedModel, Options); 2] {
        [
            (
                &self.detector.model,
                self.detector.options(config.detector.threads),
            ),
            (
                &self.expression.model,
                self.expression.options(config.model.threads),
            ),
        ]
    }

    /// The side of the detector's input, in pixels.
    pub(crate) fn detector_input(&self) -> usize {
        self.detector.model.manifest.input.width
    }

    /// What runs the expression network, as it is published.
    pub(crate) fn accelerator(&self) -> String {
        self.expression.info().delegate
    }

    /// The part that looks at frames.
    pub(crate) fn vision(&self, config: &Config) -> Result<Vision, SetupError> {
        let settings = DetectorSettings {
            score_threshold: config.detector.score_threshold as f32,
            nms_iou: config.detector.nms_iou as f32,
            min_face_px: config.detector.min_face_px as f32,
        };
        // Of the Edge TPU one knows that it worked a moment ago.
        let lost = |network: &Network, error| match error {
            OpenError::Interpreter(error) if network.is_on_edge_tpu() => SetupError::Lost(error),
            error => error.into(),
        };
        let detector = Detector::new(
            &self.runtime,
            &self.detector.model,
            &self.detector.options(config.detector.threads),
            settings,
        )
        .map_err(|error| lost(&self.detector, error))?;
        let classifier = Classifier::new(
            &self.runtime,
            &self.expression.model,
            &self.expression.options(config.model.threads),
            config.model.unknown_below as f32,
        )
        .map_err(|error| lost(&self.expression, error))?;
        let stills = plays_stills(config);
        let settings = VisionSettings {
            masks: config.camera.mask.iter().map(Into::into).collect(),
            track: track_settings(config),
            sampling: SamplingSettings {
                hz: config.model.classify_hz,
                budget_hz: (!stills).then_some(config.model.classify_budget_hz),
            },
            rename_every: config.window.length,
        };
        Ok(Vision::new(detector, classifier, settings, system_random()))
    }

    /// The part that turns windows into reports.
    pub(crate) fn reporter(&self, config: &Config, names: &Names, last_report: LastReport) -> Reporter {
        let header = Header {
            names: names.clone(),
            camera: config.camera.name.clone(),
            model: ModelName {
                id: self.expression.model.manifest.id.clone(),
                sha256: self.expression.model.sha256.clone(),
            },
        };
        let settings = GroupSettings {
            length: config.window.length,
            fps: config.camera.fps,
            origin: origin(config),
            source: source_word(config),
        };
        let gate = Gate::new(GateSettings {
            min_group: config.privacy.min_group,
            origin: origin(config),
            labels: self.labels(),
            classifier: self.expression.model.mood.clone(),
        });
        Reporter::new(header, settings, gate, last_report)
    }

    /// The expressions that the network knows.
    pub(crate) fn labels(&self) -> Vec<Expression> {
        self.expression
            .model
            .manifest
            .expression
            .as_ref()
            .map(|head| head.labels.clone())
            .unwrap_or_default()
    }

    /// What is published about this device.
    pub(crate) fn info(&self, config: &Config, names: &Names) -> Info {
        let mood = self.expression.model.manifest.mood.as_ref();
        Info {
            schema: INFO_SCHEMA.to_owned(),
            device: names.device.clone(),
            site: names.site.clone(),
            camera: config.camera.name.clone(),
            boot_id: names.boot_id.clone(),
            source: source_word(config),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime: format!("TensorFlow Lite {}", self.runtime.version()),
            model: self.expression.info(),
            detector: self.detector.info(),
            window_seconds: config.window.length.as_secs_f64(),
            privacy: privacy_info(config),
            window_schema: WINDOW_SCHEMA.to_owned(),
            mood: mood.map_or(
                MoodInfo {
                    method: "none".to_owned(),
                    interim: true,
                },
                mood_info,
            ),
            deployment: DeploymentInfo {
                place: word(config.deployment.place),
                purpose: redact::line(&config.deployment.purpose),
                controller: redact::line(&config.deployment.controller),
                basis: word(config.deployment.basis),
            },
        }
    }
}

/// What every message of this run says of its sender.
pub(crate) fn names(config: &Config) -> Names {
    Names {
        device: device(config),
        site: config.deployment.site.clone(),
        boot_id: boot_id(),
    }
}

/// What this device is called, and by what.
pub(crate) fn device_id(config: &Config) -> Result<DeviceId, Nameless> {
    DeviceId::of(config.deployment.device.as_deref(), Path::new("/"))
}

/// The device's name: configured, or the board's. Whoever publishes has made sure that there is one.
pub(crate) fn device(config: &Config) -> String {
    device_id(config).map_or_else(|_| String::new(), |id| id.name)
}

/// The configured source; `None` if there is none.
pub(crate) fn source(camera: &config::Camera) -> Option<SourceSettings> {
    let (fps, frame_timeout) = (camera.fps, camera.frame_timeout);
    if !camera.command.is_empty() {
        let size = (camera.width as usize, camera.height as usize);
        let output = match pixel_format(camera.format) {
            None | Some(PixelFormat::Mjpg) => Output::Jpegs,
            Some(format) => Output::Raw(Layout::packed(format, size.0, size.1)),
        };
        return Some(SourceSettings::Pipe(PipeSettings {
            command: camera.command.clone(),
            url: camera.address(),
            input: None,
            output,
            fps,
            frame_timeout,
        }));
    }
    if let Some(address) = camera.address() {
        let size = (camera.width, camera.height);
        return Some(SourceSettings::Pipe(network_camera(
            &address,
            size,
            fps,
            frame_timeout,
        )));
    }
    let path = camera.source.as_deref()?;
    if !is_device(path) {
        return Some(SourceSettings::files(path, fps));
    }
    Some(SourceSettings::Camera(CameraSettings {
        path: path.to_owned(),
        wish: wish(camera),
        frame_timeout,
    }))
}

/// Whether frames go through the memory of another program.
pub(crate) fn runs_command(camera: &config::Camera) -> bool {
    matches!(source(camera), Some(SourceSettings::Pipe(_)))
}

/// What is wanted of a V4L2 camera.
pub(crate) fn wish(camera: &config::Camera) -> Wish {
    Wish {
        width: camera.width,
        height: camera.height,
        fps: camera.fps,
        format: pixel_format(camera.format),
    }
}

fn pixel_format(format: config::Format) -> Option<PixelFormat> {
    match format {
        config::Format::Auto => None,
        config::Format::Mjpg => Some(PixelFormat::Mjpg),
        config::Format::Yuyv => Some(PixelFormat::Yuyv),
        config::Format::Nv12 => Some(PixelFormat::Nv12),
        config::Format::Grey => Some(PixelFormat::Grey),
        config::Format::Rgb3 => Some(PixelFormat::Rgb3),
    }
}

/// How the configured source is played. What is live comes in real time.
pub(crate) fn pace(config: &Config) -> Pace {
    let live = source(&config.camera).is_some_and(|source| source.is_live());
    Pace {
        fps: config.camera.fps,
        realtime: live || config.camera.pace == config::Pace::Realtime,
        repeat: config.camera.repeat,
        wait_for_source: false,
    }
}

fn plays_stills(config: &Config) -> bool {
    origin(config) == Origin::Stills
}

/// How the gate takes the frames: as a camera's, or as a recording's.
fn origin(config: &Config) -> Origin {
    match source(&config.camera) {
        _ if config.camera.as_camera => Origin::Live,
        Some(source) if source.is_stills() => Origin::Stills,
        Some(source) if !source.is_live() => Origin::Recording,
        _ => Origin::Live,
    }
}

/// What reports say of their source. It cannot be configured.
fn source_word(config: &Config) -> SourceWord {
    match source(&config.camera) {
        Some(source) if source.is_live() => SourceWord::Camera,
        _ => SourceWord::Recording,
    }
}

/// How faces are followed.
fn track_settings(config: &Config) -> TrackSettings {
    TrackSettings {
        iou: config.detector.track_iou as f32,
        memory: match plays_stills(config) {
            true => Duration::ZERO,
            false => config.detector.track_memory,
        },
    }
}

/// How long a face that is not seen is waited for, at the configured frame rate.
fn track_memory(config: &Config) -> Duration {
    track_settings(config).memory_at(Duration::from_secs_f64(1.0 / config.camera.fps))
}

fn privacy_info(config: &Config) -> PrivacyInfo {
    PrivacyInfo {
        min_group: config.privacy.min_group,
        counted_frames: COUNTED_FRAMES,
        counted_seconds: COUNTED_TIME.as_secs_f64(),
        read_within_seconds: READ_WITHIN.as_secs_f64(),
        least_presence: LEAST_PRESENCE,
        most_linked: MOST_LINKED,
        silence_seconds: SILENCE.as_secs_f64(),
        longest_cover_seconds: LONGEST_COVER.as_secs_f64(),
        longest_gap_seconds: LONGEST_GAP.as_secs_f64(),
        lives_for_seconds: LIVES_FOR.as_secs_f64(),
        track_memory_seconds: track_memory(config).as_secs_f64(),
        turned_away_seconds: TURNED_AWAY.as_secs_f64(),
        score_threshold: config.detector.score_threshold,
        nms_iou: config.detector.nms_iou,
        track_iou: config.detector.track_iou,
        masks: u32::try_from(config.camera.mask.len()).unwrap_or(u32::MAX),
        config_sha256: config.sha256(),
    }
}

fn mood_info(mood: &Mood) -> MoodInfo {
    MoodInfo {
        method: word(mood.method),
        interim: mood.interim,
    }
}

/// The word by which a plain enum is written in files.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a plain enum is written as a word, not as {other:?}"),
    }
}
