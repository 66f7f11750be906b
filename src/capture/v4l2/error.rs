//! Why a camera gives no frames: at which step, what the system said, and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use affect_core::report::CameraStateWord;
use rustix::io::Errno;

use super::STUCK;
use super::choose::Wish;

/// So many of a camera's formats are told at most.
const MOST_LISTED: usize = 12;

/// The steps from a path to frames, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Opening the device file.
    Open,
    /// Asking what it is.
    Identify,
    /// Asking which formats, sizes and rates it has.
    List,
    /// Finding one among them.
    Choose,
    /// Setting format and size.
    SetFormat,
    /// Asking for buffers and mapping them.
    Buffers,
    /// Starting the stream.
    Start,
    /// Reading a frame.
    Read,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Open => "opening it",
            Self::Identify => "asking what it is",
            Self::List => "listing its formats",
            Self::Choose => "choosing a format",
            Self::SetFormat => "setting its format",
            Self::Buffers => "mapping its buffers",
            Self::Start => "starting its stream",
            Self::Read => "reading a frame",
        })
    }
}

/// A camera's trouble.
#[derive(Debug, thiserror::Error)]
#[error("Camera `{}`: {step} failed: {fault}", path.display())]
pub(crate) struct CameraError {
    pub(crate) path: PathBuf,
    pub(crate) step: Step,
    pub(crate) fault: Fault,
}

/// What went wrong at a step. Each is a part of a sentence and says what to do.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system refused.
    System(io::Error),
    /// There is a device, but it does not capture pictures.
    NotACamera { name: String },
    /// Its buffers lie in several pieces.
    MultiPlanar { name: String },
    /// A CSI camera that needs a program of its own: name of the driver, and the preset that runs it.
    NeedsPipe { driver: String, preset: &'static str },
    /// It has no format that affectd reads: what it has.
    NoFormat { listed: Vec<String>, wish: Wish },
    /// The driver agreed to a format that was not asked for.
    OtherFormat { asked: String, got: String },
    /// The stream is open, and no frame came for this long.
    Silent { patience: Duration },
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(cause) => write!(out, "{cause}. {}", advice(cause)),
            Self::NotACamera { name } => write!(
                out,
                "{name} captures no pictures. `affectd cameras` lists the cameras; one device often has several files, of which the first is the camera."
            ),
            Self::MultiPlanar { name } => write!(
                out,
                "{name} has buffers of several planes, which affectd does not read. Use a pipe instead: [camera] command."
            ),
            Self::NeedsPipe { driver, preset } => write!(
                out,
                "it is a CSI camera (driver `{driver}`), which gives no ready pictures over V4L2 alone. Use the preset `{preset}` from config/presets instead of [camera] source."
            ),
            Self::NoFormat { listed, wish } => {
                let wanted = wish.format.map_or_else(
                    || "MJPG, YUYV, NV12, GREY, RGB3".to_owned(),
                    |format| format!("only {}, because [camera] format says so", format.name()),
                );
                let listed = match listed.len() {
                    0 => "nothing".to_owned(),
                    1..=MOST_LISTED => listed.join(", "),
                    more => {
                        let shown = listed[..MOST_LISTED].join(", ");
                        format!("{shown} and {} more", more - MOST_LISTED)
                    }
                };
                write!(
                    out,
                    "it offers {listed}, and affectd reads {wanted}. Use another camera, or a program that converts: [camera] command."
                )
            }
            Self::OtherFormat { asked, got } => write!(
                out,
                "the driver took {got} instead of {asked}. Another program may hold the camera in that format; or set [camera] format, width and height to what it gives."
            ),
            Self::Silent { patience } => write!(
                out,
                "no frame came within {patience:?}. Check its cable, power and USB bandwidth; [camera] frame_timeout sets how long is waited."
            ),
        }
    }
}

/// What to do about an error of the system.
fn advice(cause: &io::Error) -> &'static str {
    match Errno::from_io_error(cause) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            "It is not there: check its cable; `affectd cameras` lists what is."
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            "This user may not use it, but the group `video` may: the service is in it (SupplementaryGroups of its unit), and who starts affectd by hand gets into it by `sudo usermod -aG video $USER`."
        }
        Some(Errno::BUSY) => "Another program uses it: end that program (`fuser -v /dev/video*` names it).",
        Some(Errno::NOSPC) => {
            "The USB bus has no bandwidth left for it: use another port, or [camera] format = \"mjpg\"."
        }
        Some(Errno::NOTTY) => "It is no camera: `affectd cameras` lists the cameras.",
        Some(Errno::NOLINK) => "It gets no signal from its sensor or its input: check the cable behind it.",
        _ => "It is opened anew.",
    }
}

impl CameraError {
    /// The state in which this leaves the camera.
    pub(crate) fn state(&self) -> CameraStateWord {
        match &self.fault {
            Fault::System(cause) => system_state(cause),
            Fault::Silent { .. } => CameraStateWord::NoData,
            _ => CameraStateWord::NoSignal,
        }
    }

    /// What kind of trouble it is, by the step and the fault.
    pub(crate) fn kind(&self) -> &'static str {
        match (&self.fault, self.step) {
            (Fault::Silent { .. }, _) => "silent",
            (Fault::NotACamera { .. } | Fault::MultiPlanar { .. } | Fault::NeedsPipe { .. }, _) => {
                "no camera"
            }
            (Fault::NoFormat { .. } | Fault::OtherFormat { .. }, _) => "format",
            // Lost while reading and not there when opened again: one event.
            (Fault::System(_), _) if self.state() == CameraStateWord::NoDevice => "gone",
            (Fault::System(_), Step::Open) => "open",
            (Fault::System(_), Step::Read) => "read",
            (Fault::System(_), _) => "start",
        }
    }

    /// Whether it stays so until the daemon is started anew.
    pub(crate) fn is_final(&self) -> bool {
        matches!(&self.fault, Fault::System(cause) if cause.get_ref().is_some_and(|why| why.to_string() == STUCK))
    }

    /// Whether the bus has no room for the mode that was asked for.
    pub(crate) fn is_lack_of_bandwidth(&self) -> bool {
        matches!(&self.fault, Fault::System(cause) if Errno::from_io_error(cause) == Some(Errno::NOSPC))
    }
}

/// The state that an error of the system means for a source.
pub(crate) fn system_state(cause: &io::Error) -> CameraStateWord {
    match Errno::from_io_error(cause) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => CameraStateWord::NoDevice,
        Some(Errno::ACCESS | Errno::PERM) => CameraStateWord::Denied,
        Some(Errno::BUSY) => CameraStateWord::Busy,
        _ => CameraStateWord::NoSignal,
    }
}
