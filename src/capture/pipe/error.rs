//! Why a command gives no frames.

use std::io;
use std::time::Duration;

use affect_core::report::CameraStateWord;

use crate::capture::v4l2::system_state;

/// Why a command gives no frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipeError {
    /// It cannot be started.
    #[error(
        "The camera's command `{program}` cannot be started: {cause}. Install it, or correct [camera] command."
    )]
    Start { program: String, cause: io::Error },
    /// It ended.
    #[error("The camera's command `{program}` {how}{}. It is started again.", said(last))]
    Ended {
        program: String,
        how: String,
        /// The last line that it wrote to standard error.
        last: String,
    },
    /// It runs and writes no frames.
    #[error(
        "The camera's command `{program}` gave no frame within {patience:?}{}. It is ended and started again; [camera] frame_timeout sets how long is waited.",
        said(last)
    )]
    Silent {
        program: String,
        patience: Duration,
        last: String,
    },
    /// It writes something else.
    #[error(
        "The camera's command `{program}` writes no JPEGs: let it write MJPEG, or say in [camera] format, width and height what it writes{}.",
        said(last)
    )]
    Foreign { program: String, last: String },
    /// It writes JPEGs where raw frames are expected.
    #[error(
        "The camera's command `{program}` writes JPEGs, but [camera] format says {format}: set it to \"mjpg\", or let the command write raw frames."
    )]
    Jpegs { program: String, format: &'static str },
    /// Its raw frames have another size than is configured.
    #[error(
        "The camera's command `{program}` writes frames of {bytes} bytes, but one of {expected} has {expected_bytes}: it may be {likely}. Correct [camera] width, height and format, or let the command write just these, rows without padding."
    )]
    Shape {
        program: String,
        bytes: usize,
        expected: String,
        expected_bytes: usize,
        /// What has so many bytes.
        likely: String,
    },
}

/// The last words of a command, as a part of a sentence.
fn said(last: &str) -> String {
    if last.is_empty() {
        String::new()
    } else if last.contains("401") {
        format!("; its last words: {last} (is the login right? See [camera] username and password_file)")
    } else {
        format!("; its last words: {last}")
    }
}

impl PipeError {
    /// The state in which this leaves the camera.
    pub(crate) fn state(&self) -> CameraStateWord {
        match self {
            Self::Start { cause, .. } => system_state(cause),
            Self::Silent { .. } => CameraStateWord::NoData,
            Self::Ended { .. } | Self::Foreign { .. } | Self::Jpegs { .. } | Self::Shape { .. } => {
                CameraStateWord::NoSignal
            }
        }
    }

    /// What kind of trouble it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Ended { .. } => "ended",
            Self::Silent { .. } => "silent",
            Self::Foreign { .. } | Self::Jpegs { .. } => "foreign",
            Self::Shape { .. } => "shape",
        }
    }
}
