//! What the camera does, told once per change: in the log, on MQTT, and to the board.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use affect_core::report::{CameraState, CameraStateWord, STATE_SCHEMA};

use crate::capture::{CaptureEvent, Change, States};
use crate::clock::rfc3339;
use crate::identity::Names;
use crate::progress::PausedBy;
use crate::publish::Publisher;
use crate::redact;

/// The state of one camera.
pub(crate) struct CameraStates<'a> {
    publisher: &'a Publisher,
    names: &'a Names,
    camera: &'a str,
    states: Mutex<States>,
}

impl<'a> CameraStates<'a> {
    /// Of the camera called `camera`, which has not done anything yet.
    pub(crate) fn new(publisher: &'a Publisher, names: &'a Names, camera: &'a str) -> Self {
        Self {
            publisher,
            names,
            camera,
            states: Mutex::default(),
        }
    }

    /// What the camera does; `None` before it has done anything.
    pub(crate) fn word(&self) -> Option<CameraStateWord> {
        self.lock().word()
    }

    /// Publishes and logs the state when it changes; broken pictures are only logged.
    pub(crate) fn tell(&self, event: CaptureEvent) {
        let camera = self.camera;
        let (state, kind, cause) = match event {
            CaptureEvent::Streaming => (CameraStateWord::Streaming, "", None),
            CaptureEvent::Paused(PausedBy::Button) => {
                let cause = "The privacy button was pressed; pressed again, the camera goes on.";
                (CameraStateWord::Paused, "button", Some(cause.to_owned()))
            }
            CaptureEvent::Paused(PausedBy::Command) => {
                let cause = "A command over MQTT asked for it; the command `resume` ends it, or the privacy button, pressed twice.";
                (CameraStateWord::Paused, "command", Some(cause.to_owned()))
            }
            CaptureEvent::Trouble(error) if error.is_one_picture() => {
                log::warn!("{error}");
                return;
            }
            CaptureEvent::Broken(count, why) => {
                let more = "more are counted and logged by the thousand";
                log::warn!("Camera `{camera}`: a frame is dropped, because {why}; {count} so far, {more}.");
                return;
            }
            CaptureEvent::Trouble(error) => (
                error.state(),
                error.kind(),
                Some(redact::line(&error.to_string())),
            ),
        };
        let Some(change) = self.lock().enter(state, kind, SystemTime::now()) else {
            return;
        };
        match (&cause, state) {
            (Some(cause), CameraStateWord::Paused) => {
                log::info!(camera, state = "paused"; "Camera `{camera}` is paused: {cause}")
            }
            (Some(cause), _) => {
                log::warn!(camera, state = kind; "Camera `{camera}`: {cause} affectd keeps trying.")
            }
            (None, _) => log::info!(camera, state = "streaming"; "Camera `{camera}` is streaming."),
        }
        self.publish(&change, cause);
    }

    /// The daemon ends: nobody shall read later that the camera still streams.
    pub(crate) fn stopped(&self) {
        if let Some(change) = self.lock().enter(CameraStateWord::Stopped, "", SystemTime::now()) {
            self.publish(&change, None);
        }
    }

    fn publish(&self, change: &Change, cause: Option<String>) {
        let state = CameraState {
            schema: STATE_SCHEMA.to_owned(),
            device: self.names.device.clone(),
            site: self.names.site.clone(),
            camera: self.camera.to_owned(),
            boot_id: self.names.boot_id.clone(),
            state: change.state,
            since: rfc3339(change.since),
            cause,
        };
        self.publisher.camera_state(self.camera, state);
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
