//! Why a source gives no frame.

use std::path::PathBuf;
use std::time::Duration;

use affect_core::report::CameraStateWord;

use super::pipe::PipeError;
use super::v4l2::{CameraError, system_state};

/// Why a source gives no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// This one picture cannot be read; the next may.
    #[error("`{}` cannot be read: {cause}; the picture is left out.", path.display())]
    Picture { path: PathBuf, cause: std::io::Error },
    /// There is nothing at the path, or nothing that can be opened.
    #[error("{} `{}`: give a folder of pictures, a picture (.jpg, .png), an .mjpeg or a video file that exists and that this user may read ({cause}).", if cause.kind() == std::io::ErrorKind::NotFound { "There is no" } else { "Nothing can be read from" }, path.display())]
    Missing { path: PathBuf, cause: std::io::Error },
    /// The folder has no picture.
    #[error("The folder `{}` has no picture: affectd reads .jpg, .jpeg and .png files in it.{others}", path.display())]
    Empty {
        path: PathBuf,
        /// What else it has, as a sentence.
        others: String,
    },
    /// The file is not of a kind that affectd reads.
    #[error("`{}` is not a picture, an .mjpeg or a video file that affectd knows: {why}.", path.display())]
    Foreign { path: PathBuf, why: String },
    /// A video needs ffmpeg.
    #[error("`{}` is a video, which affectd reads through ffmpeg, but ffmpeg cannot be started ({cause}): install it (`apt-get install ffmpeg`), or give an .mjpeg file or a folder of pictures.", path.display())]
    NoFfmpeg { path: PathBuf, cause: std::io::Error },
    /// A camera does not work.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A command gives no frames.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The system gives no thread for reading it.
    #[error("{what} cannot be read, because the system gives no thread for it ({cause}).")]
    NoThread { what: String, cause: String },
    /// Frames come, and none can be looked at.
    #[error("{what} gives frames, but none of the last {} s could be looked at; the last: {why}", patience.as_secs())]
    Unusable {
        what: String,
        patience: Duration,
        why: String,
    },
    /// The stream broke off.
    #[error("Reading `{}` broke off: {why}.", path.display())]
    Broken { path: PathBuf, why: String },
}

impl SourceError {
    /// Whether the source itself is still sound, and only one picture was lost.
    pub(crate) fn is_one_picture(&self) -> bool {
        matches!(self, Self::Picture { .. })
    }

    /// Whether it stays so until the daemon is started anew: waiting is of no use.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Camera(error) if error.is_final())
    }

    /// The state in which this leaves the source.
    pub(crate) fn state(&self) -> CameraStateWord {
        match self {
            Self::Missing { cause, .. } => system_state(cause),
            Self::Empty { .. } | Self::Picture { .. } => CameraStateWord::NoData,
            Self::Foreign { .. }
            | Self::NoFfmpeg { .. }
            | Self::NoThread { .. }
            | Self::Unusable { .. }
            | Self::Broken { .. } => CameraStateWord::NoSignal,
            Self::Camera(error) => error.state(),
            Self::Pipe(error) => error.state(),
        }
    }

    /// What kind of trouble it is. Two of a kind in a row are told once, even if their words differ a little.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Camera(error) => error.kind(),
            Self::Pipe(error) => error.kind(),
            Self::Missing { .. } => "missing",
            Self::Empty { .. } => "empty",
            Self::Picture { .. } => "picture",
            Self::Foreign { .. } => "foreign",
            Self::NoFfmpeg { .. } => "no ffmpeg",
            Self::NoThread { .. } => "no thread",
            Self::Unusable { .. } => "unusable",
            Self::Broken { .. } => "broken",
        }
    }
}
