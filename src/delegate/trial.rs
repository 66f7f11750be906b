//! The Edge TPU tried in a process of its own, which may crash or hang without harm to the daemon.
//!
//! The parent starts its own program with a hidden subcommand and a time limit ([`Request::run`]); the child opens the
//! model with the delegate, runs it once on a fixed picture and prints one line of JSON ([`perform`]).

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use affect_child::ends_with_us;
use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_tflite::{Options, Runtime};
use affect_vision::{Engine, LoadedModel, hex};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Share, external};

/// The program that is running, even if its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// How long a killed child may take to end. One that the kernel holds fast is left to the kernel.
const GRACE: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes. The library may write lines of its own before it.
const LONGEST: u64 = 1 << 20;

/// What is to be tried.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Request {
    /// The TensorFlow Lite library.
    #[arg(long)]
    pub(crate) runtime: PathBuf,
    /// The delegate's library.
    #[arg(long)]
    pub(crate) library: PathBuf,
    /// The model's folder.
    #[arg(long)]
    pub(crate) model: PathBuf,
}

/// What a trial that went well has shown.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) share: Share,
    /// SHA-256 of all outputs for the fixed picture, as little-endian 32-bit floating point.
    pub(crate) output_sha256: String,
}

/// The child's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Works(Shown),
    Problem(String),
}

/// Why the delegate is not to be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    #[error("A process to try the Edge TPU in cannot be started: {0}.")]
    Start(#[from] io::Error),
    #[error(
        "The Edge TPU gave no answer within {0:?} when it was tried. Unplug it and plug it in again; [model] delegate_timeout sets how long is waited."
    )]
    Hangs(Duration),
    #[error(
        "The Edge TPU's library `{}` {how} when it was tried. Install a libedgetpu that was built for TensorFlow Lite 2.17: Google's own is for an older one.",
        library.display()
    )]
    Dies { library: PathBuf, how: String },
    #[error("The Edge TPU does not work: {0}")]
    Refused(String),
}

impl Request {
    /// Tries it in a child process, which is killed after `limit`.
    ///
    /// # Errors
    /// [`TrialError`] with what happened instead of an answer.
    pub(crate) fn run(&self, limit: Duration) -> Result<Shown, TrialError> {
        let deadline = Instant::now() + limit;
        let mut command = Command::new(OURSELVES);
        command.arg("try-delegate");
        for (flag, path) in [
            ("--runtime", &self.runtime),
            ("--library", &self.library),
            ("--model", &self.model),
        ] {
            command.arg(flag).arg(path);
        }
        let mut child = ends_with_us(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let answer = listen(child.stdout.take());
        // The pipe ends when the child does, so a child that hangs at its end counts as hanging, too.
        let text = answer.recv_timeout(limit).unwrap_or_default();
        let Some(status) = end(&mut child, deadline)? else {
            return Err(TrialError::Hangs(limit));
        };
        let text = String::from_utf8_lossy(&text);
        let answer = text
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok());
        match answer {
            Some(Answer::Works(shown)) if status.success() => Ok(shown),
            Some(Answer::Problem(why)) => Err(TrialError::Refused(why)),
            _ => Err(TrialError::Dies {
                library: self.library.clone(),
                how: how_it_ended(status),
            }),
        }
    }
}

/// Gives what comes out of the pipe, at its end.
fn listen(pipe: Option<ChildStdout>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            let mut text = Vec::new();
            // Whatever cannot be read is missing in the answer, which is told there.
            let _ = pipe.take(LONGEST).read_to_end(&mut text);
            let _ = sender.send(text);
        });
    }
    receiver
}

/// Waits for the child's end until `deadline`, then kills it; `None` if it had to be killed.
fn end(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    if let Some(status) = wait(child, deadline)? {
        return Ok(Some(status));
    }
    // It may have ended just now, which is no error.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    if wait(child, Instant::now() + GRACE)?.is_none() {
        log::error!(
            "The process {} in which the Edge TPU was tried cannot be ended: its driver holds it. Unplug the Edge TPU.",
            child.id()
        );
    }
    Ok(None)
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            ended => return Ok(ended),
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("crashed (signal {signal})"),
        (None, Some(code)) => format!("ended the program (exit code {code})"),
        (None, None) => "ended the program".to_owned(),
    }
}

/// The child's part: opens the model with the delegate and runs it once.
pub(crate) fn perform(request: &Request) -> Answer {
    match show(request) {
        Ok(shown) => Answer::Works(shown),
        Err(error) => Answer::Problem(format!("{error:#}")),
    }
}

fn show(request: &Request) -> anyhow::Result<Shown> {
    let runtime = Runtime::load(&request.runtime)?;
    let model = LoadedModel::open(&request.model)?;
    let model = match model.for_edge_tpu() {
        Some(compiled) => compiled?,
        None => anyhow::bail!(
            "The model `{}` has no file for the Edge TPU.",
            request.model.display()
        ),
    };
    let options = Options {
        threads: 1,
        delegate: external(&request.library),
    };
    let mut engine = Engine::new(&runtime, &model, &options)?;
    let share = Share::new(model.file.operators(), engine.delegation());
    let (width, height) = (model.manifest.input.width, model.manifest.input.height);
    let pixels: Vec<u8> = (0..width * height * 3)
        .map(|place| (place * 31 % 251) as u8)
        .collect();
    let picture = Picture::new(width, height, &pixels)?;
    engine.fill(&picture, &Rect::of_image(width, height))?;
    engine.invoke()?;
    let mut sum = Sha256::new();
    for (place, output) in model.file.outputs().iter().enumerate() {
        let mut values = vec![0.0; output.len()];
        engine.read(place, &mut values)?;
        values.iter().for_each(|value| sum.update(value.to_le_bytes()));
    }
    Ok(Shown {
        share,
        output_sha256: hex(&sum.finalize()),
    })
}
