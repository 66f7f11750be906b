//! A video file, decoded by an `ffmpeg` child process to a stream of PPM pictures.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;

use affect_tflite::regular;

use super::ppm::Ppms;
use super::program::{self, Program, ending};
use super::{Image, Next, Source, SourceError};

/// So many naps of ffmpeg in a row are its end: half a minute.
const MOST_NAPS: u32 = 300;

/// A running ffmpeg.
pub(super) struct Video {
    path: PathBuf,
    fps: f64,
    ffmpeg: Program,
    ppms: Ppms,
    /// Pictures that are complete and not given yet.
    ready: VecDeque<Image>,
    gave: bool,
    /// How often in a row ffmpeg gave nothing.
    naps: u32,
}

impl Video {
    pub(super) fn open(path: &Path, fps: f64) -> Result<Self, SourceError> {
        // ffmpeg would wait for whoever writes into a FIFO.
        regular::open(path).map_err(|cause| SourceError::Missing {
            path: path.to_owned(),
            cause,
        })?;
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-loglevel", "error", "-i"])
            // Whatever its name looks like, it is a file.
            .arg(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
            .args(["-an", "-sn", "-r", &fps.to_string()])
            .args(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]);
        let ffmpeg = Program::start(&mut command, None, 0).map_err(|cause| SourceError::NoFfmpeg {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: path.to_owned(),
            fps,
            ffmpeg,
            ppms: Ppms::default(),
            ready: VecDeque::new(),
            gave: false,
            naps: 0,
        })
    }

    fn broken(&self, why: impl ToString) -> SourceError {
        SourceError::Broken {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }

    /// How ffmpeg ended, once its pictures have.
    fn end(&mut self) -> Result<Next, SourceError> {
        match self.ffmpeg.status() {
            Some(status) if !status.success() => {
                let (how, said) = (ending(status), self.ffmpeg.last_words());
                Err(self.broken(format!("ffmpeg {how}: {said}")))
            }
            _ if self.ppms.has_rest() => Err(self.broken("ffmpeg ended within a picture")),
            None => Err(self.broken("ffmpeg has closed its output but runs on")),
            Some(_) if !self.gave => Err(self.broken("ffmpeg found no picture in it")),
            Some(_) => Ok(Next::End),
        }
    }
}

impl Source for Video {
    fn next(&mut self) -> Result<Next, SourceError> {
        if let Some(image) = self.ready.pop_front() {
            return Ok(Next::Picture(image));
        }
        let piece = match self.ffmpeg.read() {
            Ok(program::Output::Piece(piece)) => piece,
            Ok(program::Output::Nothing) => {
                self.naps += 1;
                return match self.naps {
                    MOST_NAPS.. => {
                        Err(self.broken(format!("ffmpeg gives nothing; {}", self.ffmpeg.last_words())))
                    }
                    _ => Ok(Next::NotYet),
                };
            }
            Ok(program::Output::End) => return self.end(),
            Err(error) => return Err(self.broken(error)),
        };
        self.naps = 0;
        let mut pictures = Vec::new();
        if let Err(error) = self.ppms.push(piece, &mut pictures) {
            return Err(self.broken(error));
        }
        self.gave |= !pictures.is_empty();
        self.ready.extend(pictures);
        Ok(self.ready.pop_front().map_or(Next::NotYet, Next::Picture))
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        *self = Self::open(&self.path, self.fps)?;
        Ok(())
    }
}
