//! What the board thread is told while it runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Config;

/// What of the configuration the board can take over while it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BoardSettings {
    pub(crate) health_interval: Duration,
    pub(crate) hot_celsius: f64,
    /// Frames per second that the configuration asks for.
    pub(crate) fps: f64,
    /// The broker's host and port, for people.
    pub(crate) broker: String,
}

impl BoardSettings {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            health_interval: config.status.health_interval,
            hot_celsius: config.status.hot_celsius,
            fps: config.camera.fps,
            broker: format!("{}:{}", config.mqtt.host, config.mqtt.port),
        }
    }
}

/// Where the board looks for news several times a second.
#[derive(Debug, Default)]
pub(crate) struct Bulletin {
    posted: Mutex<Posted>,
}

#[derive(Debug, Default)]
struct Posted {
    settings: Option<BoardSettings>,
    trouble: Option<String>,
}

impl Bulletin {
    /// From now on by these settings.
    pub(crate) fn post(&self, settings: BoardSettings) {
        self.lock().settings = Some(settings);
    }

    /// What is wrong with the configuration on the disk, in a sentence; `None`: nothing any more.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.lock().trouble = trouble;
    }

    pub(super) fn take_settings(&self) -> Option<BoardSettings> {
        self.lock().settings.take()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
