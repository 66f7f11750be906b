//! Where frames come from. A [`Source`] gives one frame after the other; [`pace`] brings them to the
//! [`mailbox`], in which the newest frame wins.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod files;
mod mailbox;
mod mjpeg;
mod pace;
mod video;

pub(crate) use mailbox::{Mailbox, Taken};
pub(crate) use pace::{CaptureEvent, Pace, capture_loop};

/// One picture and its time.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Time since the stream began.
    pub(crate) at: Duration,
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
}

/// A stream of frames: files for now, a V4L2 camera by the same trait later.
pub(crate) trait Source: Send {
    /// The next picture; `None` when the stream has ended. Blocks until there is one.
    fn next(&mut self) -> Result<Option<Image>, SourceError>;

    /// Starts from the beginning again, where a source can.
    fn rewind(&mut self) -> Result<(), SourceError>;
}

/// Why a source gives no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// This one picture cannot be read; the next may.
    #[error("`{}` cannot be read: {cause}; the picture is left out.", path.display())]
    Picture { path: PathBuf, cause: std::io::Error },
    /// There is nothing at the path.
    #[error("There is no `{}`: give a folder of pictures, a picture (.jpg, .png), an .mjpeg or a video file that exists and that this user may read ({cause}).", path.display())]
    Missing { path: PathBuf, cause: std::io::Error },
    /// The folder has no picture.
    #[error("The folder `{}` has no picture: affectd reads .jpg, .jpeg and .png files in it.", path.display())]
    Empty { path: PathBuf },
    /// The file is not of a kind that affectd reads.
    #[error("`{}` is not a picture, an .mjpeg or a video file that affectd knows: {why}.", path.display())]
    Foreign { path: PathBuf, why: String },
    /// A video needs ffmpeg.
    #[error("`{}` is a video, which affectd reads through ffmpeg, but ffmpeg cannot be started ({cause}): install it (`apt-get install ffmpeg`), or give an .mjpeg file or a folder of pictures.", path.display())]
    NoFfmpeg { path: PathBuf, cause: std::io::Error },
    /// The stream broke off.
    #[error("Reading `{}` broke off: {why}.", path.display())]
    Broken { path: PathBuf, why: String },
}

impl SourceError {
    /// Whether the source itself is still sound, and only one picture was lost.
    pub(crate) fn is_one_picture(&self) -> bool {
        matches!(self, Self::Picture { .. })
    }
}

/// File name endings of pictures.
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];
/// File name endings of a stream of JPEGs, one after the other.
const MJPEG: [&str; 2] = ["mjpeg", "mjpg"];
/// File name endings that are left to ffmpeg.
const VIDEOS: [&str; 9] = ["mp4", "mkv", "mov", "avi", "webm", "m4v", "ts", "mpg", "ogv"];

/// Opens what lies at `path`. Videos are asked for `fps` frames per second; pictures and MJPEG are played
/// at that rate.
pub(crate) fn open(path: &Path, fps: f64) -> Result<Box<dyn Source>, SourceError> {
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

/// Whether what lies at `path` is a set of pictures, each of its own, so that nobody can be followed from one
/// to the next.
pub(crate) fn is_stills(path: &Path) -> bool {
    path.is_dir() || has_ending(path, &PICTURES)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| endings.contains(&e.to_ascii_lowercase().as_str()))
}
