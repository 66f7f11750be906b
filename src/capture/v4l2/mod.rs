//! A V4L2 camera as a source of frames.
//!
//! Opening is a list of steps, each with an error of its own ([`CameraError`]). Whatever goes wrong later closes the
//! camera whole, descriptors and maps included, before anybody waits: only so does the system give the camera the
//! same name again when it comes back.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod choose;
mod device;
mod error;
pub(crate) mod find;
mod source;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use choose::{Mode, Offer, Size, Wish, choose};
pub(crate) use device::V4l2;
pub(crate) use error::{CameraError, Fault, Step, system_state};
pub(crate) use source::CameraSource;

use super::pixels::PixelFormat;

/// What opening says after a stream could not be stopped: the device stays open as long as this process lives.
pub(crate) const STUCK: &str =
    "the driver did not stop the stream before, so only a new start of affectd frees the camera";
/// A frame's time that lies further back is not believed.
const OLDEST: Duration = Duration::from_secs(10);
/// Drivers of CSI cameras that only hand on what the sensor gives, and the preset that makes pictures of it.
const CSI: [(&str, &str); 3] = [
    ("unicam", "rpicam-vid.toml"),
    ("rp1-cfe", "rpicam-vid.toml"),
    ("tegra-video", "jetson-argus.toml"),
];

/// What is needed of a camera; [`V4l2`] is the real one. Dropping it must release all that it holds.
pub(crate) trait Camera: Sized + Send {
    /// Opens the device file.
    fn open(path: &Path) -> io::Result<Self>;
    /// Asks what it is.
    fn identify(&self) -> io::Result<Identity>;
    /// Asks what it offers: what affectd reads of it, and the codes of all its formats.
    fn list(&self) -> io::Result<(Vec<Offer>, Vec<String>)>;
    /// Sets format and size; what the driver made of it.
    fn set_format(&self, mode: &Mode) -> io::Result<Agreed>;
    /// Asks for a rate. Not every driver can.
    fn set_rate(&self, fps: f64) -> io::Result<()>;
    /// Maps buffers.
    fn map(&mut self) -> io::Result<()>;
    /// Starts the stream.
    fn start(&mut self) -> io::Result<()>;
    /// Waits until a frame is there, up to `patience`; whether one is. May return early.
    fn wait(&mut self, patience: Duration) -> io::Result<bool>;
    /// Shows the oldest frame that waits.
    fn read(&mut self, look: &mut dyn FnMut(Shot<'_>)) -> io::Result<()>;
}

/// What a device says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name for people.
    pub(crate) name: String,
    pub(crate) driver: String,
    /// Where it is plugged in.
    pub(crate) bus: String,
    /// Whether it streams pictures in single pieces.
    pub(crate) captures: bool,
    /// Whether it captures pictures in several pieces, which affectd does not read.
    pub(crate) multi_planar: bool,
}

impl Identity {
    /// Why this is no camera for affectd, if it is none.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let csi = CSI.iter().find(|(driver, _)| self.driver == *driver);
        match csi {
            Some((driver, preset)) if self.captures || self.multi_planar => Some(Fault::NeedsPipe {
                driver: (*driver).to_owned(),
                preset,
            }),
            _ if self.captures => None,
            _ if self.multi_planar => Some(Fault::MultiPlanar {
                name: self.name.clone(),
            }),
            _ => Some(Fault::NotACamera {
                name: self.name.clone(),
            }),
        }
    }
}

/// What the driver agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The format, if affectd reads it.
    pub(crate) format: Option<PixelFormat>,
    /// Its code.
    pub(crate) code: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes per row; some drivers say 0.
    pub(crate) stride: u32,
}

/// A frame in the camera's own memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shot<'a> {
    pub(crate) bytes: &'a [u8],
    /// How long ago it was taken, if the driver says.
    pub(crate) age: Option<Duration>,
    /// Whether the driver says that it is broken.
    pub(crate) damaged: bool,
}

/// Which camera to use, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CameraSettings {
    pub(crate) path: PathBuf,
    pub(crate) wish: Wish,
    /// How long a stream may be silent.
    pub(crate) frame_timeout: Duration,
}
