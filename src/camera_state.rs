//! What the camera does, told once per change: in the log, on MQTT, and to the board.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use affect_core::report::{CameraState, CameraStateWord, STATE_SCHEMA};

use crate::capture::{CaptureEvent, SourceError};
use crate::clock::rfc3339;
use crate::publish::Publisher;

/// The state of one camera.
pub(crate) struct CameraStates<'a> {
    publisher: &'a Publisher,
    camera: &'a str,
    last: Mutex<Option<CameraStateWord>>,
}

impl<'a> CameraStates<'a> {
    /// Of the camera called `camera`, which has not done anything yet.
    pub(crate) fn new(publisher: &'a Publisher, camera: &'a str) -> Self {
        Self {
            publisher,
            camera,
            last: Mutex::new(None),
        }
    }

    /// What the camera does; `None` before it has done anything.
    pub(crate) fn word(&self) -> Option<CameraStateWord> {
        *self.lock()
    }

    /// Publishes and logs the state when it changes; a single lost picture is only logged.
    pub(crate) fn tell(&self, event: CaptureEvent) {
        let (state, cause) = match event {
            CaptureEvent::Streaming => (CameraStateWord::Streaming, None),
            CaptureEvent::Silent => (
                CameraStateWord::NoData,
                Some("The source is open, but gives no picture.".to_owned()),
            ),
            CaptureEvent::Paused => (
                CameraStateWord::Paused,
                Some("The privacy button was pressed; pressed again, the camera goes on.".to_owned()),
            ),
            CaptureEvent::Trouble(error) if error.is_one_picture() => {
                log::warn!("{error}");
                return;
            }
            CaptureEvent::Trouble(error) => (word(&error), Some(error.to_string())),
        };
        let mut last = self.lock();
        if *last == Some(state) {
            return;
        }
        *last = Some(state);
        let camera = self.camera;
        match (&cause, state) {
            (Some(cause), CameraStateWord::Paused) => log::info!("Camera `{camera}` is paused: {cause}"),
            (Some(cause), _) => log::warn!("Camera `{camera}`: {cause} affectd keeps trying."),
            (None, _) => log::info!("Camera `{camera}` is streaming."),
        }
        let payload = CameraState {
            schema: STATE_SCHEMA.to_owned(),
            state,
            since: rfc3339(SystemTime::now()),
            cause,
        };
        match serde_json::to_vec(&payload) {
            Ok(payload) => self.publisher.camera_state(camera, payload),
            Err(error) => log::error!("A camera state cannot be written as JSON: {error}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<CameraStateWord>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn word(error: &SourceError) -> CameraStateWord {
    match error {
        SourceError::Missing { .. } => CameraStateWord::NoDevice,
        SourceError::Empty { .. } | SourceError::Picture { .. } => CameraStateWord::NoData,
        SourceError::Foreign { .. } | SourceError::NoFfmpeg { .. } | SourceError::Broken { .. } => {
            CameraStateWord::NoSignal
        }
    }
}
