//! The output of a command as a source: `rpicam-vid` for a CSI camera, `gst-launch-1.0` on a Jetson, `ffmpeg` for RTSP.
//!
//! The command writes JPEGs one after the other, or raw frames of one size, to its standard output.

mod error;
mod shape;
#[cfg(test)]
mod tests;

use std::process::Command;
use std::time::{Duration, Instant};

use super::pixels::Layout;
use super::program::{self, LINES, Program, ending};
use super::rate::Pacer;
use super::{Image, Next, Source, SourceError, patience};
use crate::config::Secret;
use crate::jpeg;
pub(crate) use error::PipeError;
use shape::{Found, ShapeWatch};

/// The variable in which a command finds a network camera's address.
const URL: &str = "AFFECTD_CAMERA_URL";

/// Which command to run, and what it writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PipeSettings {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// The network camera's address, with user name and password: it goes into the program's environment, which only its
    /// own user can read, never into its arguments.
    pub(crate) url: Option<Secret>,
    /// What it reads from its standard input: a few lines, which fit into a pipe.
    pub(crate) input: Option<Secret>,
    pub(crate) output: Output,
    /// Frames per second to take; more are dropped.
    pub(crate) fps: f64,
    /// How long it may be silent.
    pub(crate) frame_timeout: Duration,
}

/// What a command writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Output {
    /// JPEGs, one directly after the other.
    Jpegs,
    /// Raw frames without padding.
    Raw(Layout),
}

impl PipeSettings {
    /// The program's name, for messages. (Its arguments may hold a password.)
    pub(crate) fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

/// A running command.
pub(super) struct Pipe {
    settings: PipeSettings,
    program: Program,
    buffer: Buffer,
    began: Instant,
    last_frame: Instant,
    /// Bytes that came since.
    since_then: u64,
    pacer: Pacer,
}

/// What was read and is no whole frame yet.
enum Buffer {
    Jpegs(jpeg::Stream),
    Raw(Layout, Vec<u8>, ShapeWatch),
}

impl Buffer {
    fn new(output: Output) -> Self {
        match output {
            Output::Jpegs => Self::Jpegs(jpeg::Stream::default()),
            Output::Raw(layout) => Self::Raw(layout, Vec::new(), ShapeWatch::new(layout)),
        }
    }

    /// Takes in what was read; what is wrong with it, if that is certain.
    fn push(&mut self, piece: &[u8]) -> Option<Found> {
        match self {
            Self::Jpegs(jpegs) => {
                jpegs.push(piece);
                None
            }
            Self::Raw(_, bytes, watch) => {
                bytes.extend_from_slice(piece);
                watch.push(piece)
            }
        }
    }

    /// The newest whole frame. Older ones that came in the same piece are of no use any more.
    fn newest(&mut self, program: &str) -> Option<Image> {
        match self {
            Self::Jpegs(jpegs) => std::iter::from_fn(|| jpegs.next())
                .last()
                .map(|bytes| Image::Encoded {
                    bytes,
                    name: format!("a frame of {program}"),
                }),
            Self::Raw(layout, bytes, _) => {
                let size = layout.least_bytes();
                let whole = bytes.len() / size.max(1) * size;
                if whole == 0 {
                    return None;
                }
                let rest = bytes.split_off(whole);
                let mut frames = std::mem::replace(bytes, rest);
                frames.drain(..whole - size);
                Some(Image::Raw {
                    layout: *layout,
                    bytes: frames,
                })
            }
        }
    }

    /// Whether its frames may be used.
    fn lets_through(&self) -> bool {
        match self {
            Self::Jpegs(_) => true,
            Self::Raw(.., watch) => watch.lets_through(),
        }
    }

    fn is_too_large(&self) -> bool {
        matches!(self, Self::Jpegs(jpegs) if jpegs.is_too_large())
    }
}

impl Pipe {
    pub(super) fn open(settings: &PipeSettings, again: bool) -> Result<Self, PipeError> {
        let mut command = Command::new(settings.program());
        command.args(settings.command.iter().skip(1)).env_remove(URL);
        if let Some(url) = &settings.url {
            command.env(URL, url.reveal());
        }
        let input = settings.input.as_ref().map(Secret::reveal);
        let program = Program::start(&mut command, input, if again { 0 } else { LINES });
        let now = Instant::now();
        let pipe = Self {
            program: program.map_err(|cause| PipeError::Start {
                program: settings.program().to_owned(),
                cause,
            })?,
            buffer: Buffer::new(settings.output),
            began: now,
            last_frame: now,
            since_then: 0,
            pacer: Pacer::new(settings.fps),
            settings: settings.clone(),
        };
        log::debug!("The camera's command `{}` is started.", settings.program());
        Ok(pipe)
    }

    /// What is told of a command that writes something else than is configured.
    fn wrong(&self, wrong: Found) -> PipeError {
        let program = self.settings.program().to_owned();
        let Output::Raw(layout) = self.settings.output else {
            let last = self.program.last_words();
            return PipeError::Foreign { program, last };
        };
        match wrong {
            Found::Other(bytes, likely) => PipeError::Shape {
                program,
                bytes,
                expected: format!(
                    "{}×{} px in {}",
                    layout.width,
                    layout.height,
                    layout.format.name()
                ),
                expected_bytes: layout.least_bytes(),
                likely,
            },
            _ => PipeError::Jpegs {
                program,
                format: layout.format.name(),
            },
        }
    }

    fn ended(&mut self, how: Option<String>) -> PipeError {
        let how = how.unwrap_or_else(|| match self.program.status() {
            Some(status) => ending(status),
            None => "has closed its output but runs on".to_owned(),
        });
        PipeError::Ended {
            program: self.settings.program().to_owned(),
            how,
            last: self.program.last_words(),
        }
    }
}

impl Source for Pipe {
    fn next(&mut self) -> Result<Next, SourceError> {
        let patience = patience(self.settings.frame_timeout, self.settings.fps);
        let wrong = match self.program.read() {
            Ok(program::Output::Piece(piece)) => {
                self.since_then += piece.len() as u64;
                self.buffer.push(piece)
            }
            Ok(program::Output::Nothing) => None,
            Ok(program::Output::End) => return Err(self.ended(None).into()),
            Err(error) => return Err(self.ended(Some(format!("cannot be read: {error}"))).into()),
        };
        if let Some(wrong) = wrong {
            return Err(self.wrong(wrong).into());
        }
        let program = self.settings.program();
        if let Some(image) = self.buffer.newest(program) {
            let now = Instant::now();
            (self.last_frame, self.since_then) = (now, 0);
            self.pacer.note(now - self.began);
            if self.buffer.lets_through() && self.pacer.take(now - self.began) {
                return Ok(Next::Taken(image, now));
            }
        } else if self.buffer.is_too_large() || self.last_frame.elapsed() > patience {
            let (program, last) = (program.to_owned(), self.program.last_words());
            // It is not silent, but what it says is no picture.
            let is_foreign = matches!(self.buffer, Buffer::Jpegs(_)) && self.since_then > 0;
            return Err(match is_foreign {
                true => PipeError::Foreign { program, last }.into(),
                false => PipeError::Silent {
                    program,
                    patience,
                    last,
                }
                .into(),
            });
        }
        Ok(Next::NotYet)
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        // A command has no beginning to go back to.
        Ok(())
    }
}
