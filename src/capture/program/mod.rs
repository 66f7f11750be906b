//! A program that writes frames to its standard output: a camera's command, or `ffmpeg` with a video.
//!
//! It runs in a process group of its own, so that stopping it stops its children, too. What it says on standard error is
//! always taken off it, in a thread of its own: a program that has much to say would otherwise wait for ever, and we for
//! its frames.

mod ending;
mod listen;

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affect_child::ends_with_us;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

pub(super) use ending::ending;
use ending::wait;
pub(super) use listen::LINES;
use listen::listen;
#[cfg(test)]
pub(super) use listen::{LINE, printable};

/// The longest wait before the caller is asked whether to go on.
const NAP: Duration = Duration::from_millis(100);
/// How long a program may take to end when it is asked to, or when it has closed its output.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes that are read at once: what a pipe holds.
const PIECE: usize = 64 << 10;

/// A running program. Dropping it ends it with all of its children.
pub(super) struct Program {
    child: Child,
    stdout: ChildStdout,
    /// The last line of its standard error.
    last_line: Arc<Mutex<String>>,
    /// Who hears its standard error.
    listener: Option<JoinHandle<()>>,
    /// For reading into.
    piece: Vec<u8>,
}

/// What was read.
pub(super) enum Output<'a> {
    /// Some bytes.
    Piece(&'a [u8]),
    /// Nothing came within a nap.
    Nothing,
    /// The program has closed its output.
    End,
}

impl Program {
    /// Starts it. It reads `input`, a few lines, which fit into a pipe, from its standard input. Its first `lines_to_tell`
    /// lines on standard error go to the log for everybody, the others for those who look for a fault.
    pub(super) fn start(
        command: &mut Command,
        input: Option<&str>,
        lines_to_tell: usize,
    ) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = ends_with_us(command)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program that does not read it has ended, and says why itself.
            let _ = stdin.write_all(input.as_bytes());
        }
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("it has no output"));
        };
        let last_line = Arc::new(Mutex::new(String::new()));
        let last = Arc::clone(&last_line);
        let mut program = Self {
            child,
            stdout,
            last_line,
            listener: None,
            piece: vec![0; PIECE],
        };
        // It ends with the program's last process. Nobody waits for it: a child that has left the group may live on.
        // If there is no thread to be had, the program is dropped here, and so is ended.
        let listener = std::thread::Builder::new()
            .name("program-log".to_owned())
            .spawn(move || listen(stderr, &name, &last, lines_to_tell))?;
        program.listener = Some(listener);
        Ok(program)
    }

    /// Waits for output, up to a nap.
    pub(super) fn read(&mut self) -> io::Result<Output<'_>> {
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: NAP.subsec_nanos().into(),
        };
        let mut events = [PollFd::new(&self.stdout, PollFlags::IN)];
        match poll(&mut events, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Output::Nothing),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.stdout.read(&mut self.piece) {
            Ok(0) => Ok(Output::End),
            Ok(count) => Ok(Output::Piece(&self.piece[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Output::Nothing),
            Err(error) => Err(error),
        }
    }

    /// How it ended, if it has or does so in a moment. What it said last has been heard then, too.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        let status = wait(&mut self.child, GRACE);
        let deadline = Instant::now() + GRACE;
        let listens = |listener: &JoinHandle<()>| !listener.is_finished() && Instant::now() < deadline;
        while self.listener.as_ref().is_some_and(listens) {
            std::thread::sleep(Duration::from_millis(5));
        }
        status
    }

    /// The last line that it wrote to standard error; empty if there is none.
    pub(super) fn last_words(&self) -> String {
        self.last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The group lives on while any of its processes does, even if the program itself has ended.
        let Some(group) = Pid::from_raw(self.child.id().cast_signed()) else {
            return;
        };
        // A group that has ended already is no error.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = wait(&mut self.child, GRACE);
        let _ = kill_process_group(group, Signal::KILL);
        // Also what has been killed may take its time, in the kernel.
        let _ = wait(&mut self.child, GRACE);
    }
}
