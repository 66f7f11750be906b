//! Where frames come from. A [`Source`] gives one frame after the other; [`pace`] brings them to the
//! [`mailbox`], in which the newest frame wins.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod error;
mod files;
mod mailbox;
mod mjpeg;
mod network;
mod pace;
mod pipe;
mod pixels;
mod ppm;
mod program;
mod rate;
mod state;
pub(crate) mod v4l2;
mod video;

pub(crate) use error::SourceError;
pub(crate) use mailbox::{Mailbox, Taken};
pub(crate) use network::network_camera;
pub(crate) use pace::{CaptureEvent, Pace, capture_loop};
pub(crate) use pipe::{Output, PipeSettings};
pub(crate) use pixels::{Layout, PixelFormat};
pub(crate) use state::{Change, States};
use v4l2::CameraSettings;

/// One picture and its time.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Time since the stream began.
    pub(crate) at: Duration,
    /// When it was taken, as far as the source says, or else when it arrived: from here on latency counts.
    pub(crate) taken: Instant,
    /// The picture.
    pub(crate) image: Image,
}

/// A picture as the source gives it.
#[derive(Debug)]
pub(crate) enum Image {
    /// A JPEG or PNG file's bytes, and what to call it in a message.
    Encoded { bytes: Vec<u8>, name: String },
    /// 8-bit RGB, rows from the top, `width · height · 3` bytes.
    Rgb {
        width: usize,
        height: usize,
        rgb: Vec<u8>,
    },
    /// Pixels as a camera gives them. They become RGB in the vision thread, so that a frame that is replaced by a
    /// newer one costs nothing.
    Raw { layout: Layout, bytes: Vec<u8> },
}

/// What a source has.
#[derive(Debug)]
pub(crate) enum Next {
    /// A picture that has no time of its own: the source is a file.
    Picture(Image),
    /// A frame of a live source, and when it was taken.
    Taken(Image, Instant),
    /// So many frames were broken and dropped; why the last one was.
    Broken(u64, &'static str),
    /// Nothing within a moment: ask again.
    NotYet,
    /// The source has come to its end.
    End,
}

/// A stream of frames.
pub(crate) trait Source: Send {
    /// What comes next. A live source does not block for longer than a moment; a file may.
    fn next(&mut self) -> Result<Next, SourceError>;

    /// Starts from the beginning again, where a source can.
    fn rewind(&mut self) -> Result<(), SourceError>;
}

/// Which source to open, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SourceSettings {
    /// Files, played at so many frames per second.
    Files { path: PathBuf, fps: f64 },
    /// A V4L2 camera.
    Camera(CameraSettings),
    /// The output of a command.
    Pipe(PipeSettings),
}

impl SourceSettings {
    /// What lies at `path`, to be played at `fps`: everything but a camera.
    pub(crate) fn files(path: &Path, fps: f64) -> Self {
        let path = path.to_owned();
        Self::Files { path, fps }
    }

    /// Opens it. With `again` it was opened before and gave nothing: then what it says of itself is logged less.
    pub(crate) fn open(&self, again: bool) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Self::Files { path, fps } => open_files(path, *fps)?,
            Self::Camera(settings) => Box::new(v4l2::CameraSource::<v4l2::V4l2>::open(settings)?),
            Self::Pipe(settings) => Box::new(pipe::Pipe::open(settings, again)?),
        })
    }

    /// Whether its frames come when they come, whatever the pace says.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self, Self::Files { .. })
    }

    /// Whether it is a set of pictures, each of its own, so that nobody can be followed from one to the next.
    pub(crate) fn is_stills(&self) -> bool {
        match self {
            Self::Files { path, .. } => path.is_dir() || has_ending(path, &PICTURES),
            _ => false,
        }
    }

    /// How long its frames may be unusable before that is told.
    fn patience(&self) -> Duration {
        match self {
            Self::Files { fps, .. } => patience(Duration::from_secs(5), *fps),
            Self::Camera(settings) => patience(settings.frame_timeout, settings.wish.fps),
            Self::Pipe(settings) => patience(settings.frame_timeout, settings.fps),
        }
    }

    /// The first wait before it is opened again, and the longest. A device that is back is noticed at once; a program
    /// that keeps ending is not started over and over.
    fn waits(&self) -> (Duration, Duration) {
        match self {
            Self::Pipe(_) => (Duration::from_millis(500), Duration::from_secs(4)),
            _ => (Duration::from_secs(1), Duration::from_secs(1)),
        }
    }
}

impl std::fmt::Display for SourceSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files { path, .. } => write!(out, "`{}`", path.display()),
            Self::Camera(settings) => write!(out, "`{}`", settings.path.display()),
            Self::Pipe(settings) => write!(out, "`{}`", settings.program()),
        }
    }
}

/// How long a source may give no frame: as long as is configured, but a source of `fps` frames per second that gives less
/// than one in that time is not silent.
fn patience(frame_timeout: Duration, fps: f64) -> Duration {
    frame_timeout.max(Duration::from_secs_f64(2.5 / fps))
}

/// Whether `path` is that of a device, there or not. (In /dev/shm are files that lie in memory.)
pub(crate) fn is_device(path: &Path) -> bool {
    path.starts_with("/dev") && !path.starts_with("/dev/shm")
}

/// File name endings of pictures.
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];
/// File name endings of a stream of JPEGs, one after the other.
const MJPEG: [&str; 2] = ["mjpeg", "mjpg"];
/// File name endings that are left to ffmpeg.
const VIDEOS: [&str; 9] = ["mp4", "mkv", "mov", "avi", "webm", "m4v", "ts", "mpg", "ogv"];

/// Opens what lies at `path`. Videos are asked for `fps` frames per second; pictures and MJPEG are played
/// at that rate.
fn open_files(path: &Path, fps: f64) -> Result<Box<dyn Source>, SourceError> {
    let missing = |cause| SourceError::Missing {
        path: path.to_owned(),
        cause,
    };
    let kind = std::fs::metadata(path).map_err(missing)?;
    if kind.is_dir() || has_ending(path, &PICTURES) {
        Ok(Box::new(files::Pictures::open(path)?))
    } else if has_ending(path, &MJPEG) {
        Ok(Box::new(mjpeg::Mjpeg::open(path)?))
    } else if has_ending(path, &VIDEOS) {
        Ok(Box::new(video::Video::open(path, fps)?))
    } else {
        let why = format!(
            "its name ends in none of .{}, .{}, .{}",
            PICTURES.join(", ."),
            MJPEG.join(", ."),
            VIDEOS.join(", .")
        );
        Err(SourceError::Foreign {
            path: path.to_owned(),
            why,
        })
    }
}

/// Plays what ffmpeg would write, in pieces of `size` bytes, and looks at the pictures.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn play_ppms(stream: &[u8], size: usize) {
    let (mut ppms, mut pictures) = (ppm::Ppms::default(), Vec::new());
    for piece in stream.chunks(size) {
        if ppms.push(piece, &mut pictures).is_err() {
            return;
        }
    }
    for picture in pictures {
        if let Image::Rgb { width, height, rgb } = picture {
            assert_eq!(rgb.len(), width * height * 3);
        }
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| endings.contains(&e.to_ascii_lowercase().as_str()))
}
