//! A video file, decoded by an `ffmpeg` child process to a stream of PPM pictures: each has its size in its
//! header, so nothing must be known about the video beforehand.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use affect_child::ends_with_us;

use super::{Image, Next, Source, SourceError};

/// More pixels than this are taken for a broken stream.
const MOST_PIXELS: usize = 64_000_000;

/// A running ffmpeg.
pub(super) struct Video {
    path: PathBuf,
    fps: f64,
    child: Child,
    pictures: BufReader<ChildStdout>,
    given: u64,
}

impl Video {
    pub(super) fn open(path: &Path, fps: f64) -> Result<Self, SourceError> {
        let no_ffmpeg = |cause| SourceError::NoFfmpeg {
            path: path.to_owned(),
            cause,
        };
        let mut child = ends_with_us(&mut Command::new("ffmpeg"))
            .args(["-nostdin", "-loglevel", "error", "-i"])
            .arg(path)
            .args(["-an", "-sn", "-r", &fps.to_string()])
            .args(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(no_ffmpeg)?;
        let Some(stdout) = child.stdout.take() else {
            return Err(no_ffmpeg(std::io::Error::other("it has no output")));
        };
        Ok(Self {
            path: path.to_owned(),
            fps,
            child,
            pictures: BufReader::new(stdout),
            given: 0,
        })
    }

    fn broken(&self, why: impl Into<String>) -> SourceError {
        SourceError::Broken {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    /// Reads one PPM header: `P6`, width, height and 255, each followed by white space. `None` at the end.
    fn header(&mut self) -> Result<Option<(usize, usize)>, SourceError> {
        let mut fields = Vec::new();
        while fields.len() < 4 {
            let mut line = String::new();
            let got = (&mut self.pictures).take(64).read_line(&mut line);
            match got {
                Ok(0) if fields.is_empty() => return Ok(None),
                Ok(0) => return Err(self.broken("ffmpeg ended within a picture")),
                Ok(_) => fields.extend(line.split_ascii_whitespace().map(str::to_owned)),
                Err(e) => return Err(self.broken(e.to_string())),
            }
        }
        match fields.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["P6", width, height, "255"] => match (width.parse::<usize>(), height.parse::<usize>()) {
                (Ok(width), Ok(height)) if width.saturating_mul(height) <= MOST_PIXELS => {
                    Ok(Some((width, height)))
                }
                _ => Err(self.broken(format!("a picture of {width}×{height} px is too large"))),
            },
            _ => Err(self.broken("ffmpeg wrote something that is not a picture")),
        }
    }

    /// How ffmpeg ended, once its pictures have.
    fn end(&mut self) -> Result<(), SourceError> {
        let said = self.child.stderr.take().map(last_line).unwrap_or_default();
        match self.child.wait() {
            Ok(status) if status.success() && self.given > 0 => Ok(()),
            Ok(status) if status.success() => Err(self.broken("ffmpeg found no picture in it")),
            Ok(status) => Err(self.broken(format!("ffmpeg ended with {status}: {said}"))),
            Err(e) => Err(self.broken(e.to_string())),
        }
    }
}

fn last_line(stderr: ChildStderr) -> String {
    let lines = BufReader::new(stderr.take(64 << 10)).lines();
    lines
        .map_while(Result::ok)
        .filter(|line| !line.trim().is_empty())
        .last()
        .unwrap_or_default()
}

impl Source for Video {
    fn next(&mut self) -> Result<Next, SourceError> {
        let Some((width, height)) = self.header()? else {
            return self.end().map(|()| Next::End);
        };
        let mut rgb = vec![0; width * height * 3];
        let read = self.pictures.read_exact(&mut rgb);
        read.map_err(|_| self.broken("ffmpeg ended within a picture"))?;
        self.given += 1;
        Ok(Next::Picture(Image::Rgb { width, height, rgb }))
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        let again = Self::open(&self.path, self.fps)?;
        *self = again;
        Ok(())
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill, and nothing to say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
