//! The output of a command as a source: `rpicam-vid` for a CSI camera, `gst-launch-1.0` on a Jetson, `ffmpeg` for RTSP.
//!
//! The command writes JPEGs one after the other, or raw frames of one size, to its standard output. It runs in a
//! process group of its own, so that stopping it stops its children, too. What it says on standard error goes to our
//! log.

mod ending;
mod error;
mod listen;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affect_child::ends_with_us;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::jpegs::Jpegs;
use super::pixels::Layout;
use super::rate::Pacer;
use super::{Image, Next, Source, SourceError};
use crate::config::Secret;
use ending::{ending, wait};
pub(crate) use error::PipeError;
use listen::{LINES, listen};

/// The longest wait before the caller is asked whether to go on.
const NAP: Duration = Duration::from_millis(100);
/// How long a command may take to end when it is asked to.
const GRACE: Duration = Duration::from_millis(500);
/// The variable in which a command finds a network camera's address.
const URL: &str = "AFFECTD_CAMERA_URL";
/// Bytes that are read at once: what a pipe holds.
const PIECE: usize = 64 << 10;

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
    child: Child,
    stdout: ChildStdout,
    /// The last line of its standard error.
    last_line: Arc<Mutex<String>>,
    /// Who hears its standard error.
    listener: Option<JoinHandle<()>>,
    buffer: Buffer,
    /// For reading into.
    piece: Vec<u8>,
    began: Instant,
    last_frame: Instant,
    pacer: Pacer,
}

/// What was read and is no whole frame yet.
enum Buffer {
    Jpegs(Jpegs),
    Raw(Layout, Vec<u8>),
}

impl Buffer {
    fn new(output: Output) -> Self {
        match output {
            Output::Jpegs => Self::Jpegs(Jpegs::default()),
            Output::Raw(layout) => Self::Raw(layout, Vec::new()),
        }
    }

    fn push(&mut self, piece: &[u8]) {
        match self {
            Self::Jpegs(jpegs) => jpegs.push(piece),
            Self::Raw(_, bytes) => bytes.extend_from_slice(piece),
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
            Self::Raw(layout, bytes) => {
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

    fn is_too_large(&self) -> bool {
        matches!(self, Self::Jpegs(jpegs) if jpegs.is_too_large())
    }
}

impl Pipe {
    pub(super) fn open(settings: &PipeSettings, again: bool) -> Result<Self, PipeError> {
        let start = |cause| PipeError::Start {
            program: settings.program().to_owned(),
            cause,
        };
        let mut command = Command::new(settings.program());
        command.args(settings.command.iter().skip(1)).env_remove(URL);
        if let Some(url) = &settings.url {
            command.env(URL, url.reveal());
        }
        let stdin = if settings.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = ends_with_us(&mut command)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(start)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), &settings.input) {
            // A program that does not read it has ended, and says why itself.
            let _ = stdin.write_all(input.reveal().as_bytes());
        }
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(start(io::Error::other("it has no output")));
        };
        let last_line = Arc::new(Mutex::new(String::new()));
        let (program, last) = (settings.program().to_owned(), Arc::clone(&last_line));
        // It ends with the command's last process. Nobody waits for it: a child that has left the group may live on.
        let listener = std::thread::Builder::new().name("camera-log".to_owned());
        let listening =
            listener.spawn(move || listen(stderr, &program, &last, if again { 0 } else { LINES }));
        let now = Instant::now();
        let mut pipe = Self {
            child,
            stdout,
            last_line,
            listener: None,
            buffer: Buffer::new(settings.output),
            piece: vec![0; PIECE],
            began: now,
            last_frame: now,
            pacer: Pacer::new(settings.fps),
            settings: settings.clone(),
        };
        // Whoever is dropped here ends the command.
        pipe.listener = Some(listening.map_err(start)?);
        log::debug!("The camera's command `{}` is started.", settings.program());
        Ok(pipe)
    }

    /// Waits for output, up to a nap; how many bytes came, `None` if none did.
    fn read(&mut self) -> io::Result<Option<usize>> {
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: NAP.subsec_nanos().into(),
        };
        let mut events = [PollFd::new(&self.stdout, PollFlags::IN)];
        match poll(&mut events, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.stdout.read(&mut self.piece) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ended(&mut self, how: Option<String>) -> PipeError {
        let how = how.unwrap_or_else(|| match wait(&mut self.child, GRACE) {
            Some(status) => ending(status),
            None => "has closed its output but runs on".to_owned(),
        });
        // What it said last may still be on its way.
        let deadline = Instant::now() + GRACE;
        let listens = || {
            self.listener
                .as_ref()
                .is_some_and(|listener| !listener.is_finished())
        };
        while listens() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        PipeError::Ended {
            program: self.settings.program().to_owned(),
            how,
            last: self.last_words(),
        }
    }

    fn last_words(&self) -> String {
        self.last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Source for Pipe {
    fn next(&mut self) -> Result<Next, SourceError> {
        let patience = self.settings.frame_timeout;
        match self.read() {
            Ok(Some(0)) => return Err(self.ended(None).into()),
            Ok(Some(count)) => self.buffer.push(&self.piece[..count]),
            Ok(None) => {}
            Err(error) => return Err(self.ended(Some(format!("cannot be read: {error}"))).into()),
        }
        let program = self.settings.program();
        if let Some(image) = self.buffer.newest(program) {
            let now = Instant::now();
            self.last_frame = now;
            if self.pacer.take(now - self.began) {
                return Ok(Next::Taken(image, now));
            }
        } else if self.buffer.is_too_large() {
            let program = program.to_owned();
            return Err(PipeError::Foreign { program }.into());
        } else if self.last_frame.elapsed() > patience {
            return Err(PipeError::Silent {
                program: program.to_owned(),
                patience,
                last: self.last_words(),
            }
            .into());
        }
        Ok(Next::NotYet)
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        // A command has no beginning to go back to.
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The group lives on while any of its processes does, even if the command itself has ended.
        let Some(group) = Pid::from_raw(self.child.id().cast_signed()) else {
            return;
        };
        // A group that has ended already is no error.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = wait(&mut self.child, GRACE);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}
