//! Wires the threads: capture → mailbox → vision → channel → group → whoever takes the reports.
//!
//! Stopping drains from the left: capture closes the mailbox, vision ends and hangs up the channel, the group
//! thread closes the open window as partial and hands it on. Whichever thread ends, the others follow.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use affect_core::report::WindowReport;
use affect_vision::EngineError;

use crate::aiming::Sight;
use crate::capture::{CaptureEvent, Mailbox, Pace, SourceError, SourceSettings, Taken, capture_loop};
use crate::clock::StreamClock;
use crate::group::{Reporter, Seen, group_loop};
use crate::progress::{Progress, Stage};
use crate::vision::{FrameError, Vision};

/// Frames between vision and the group thread.
const IN_FLIGHT: usize = 8;
/// How often vision looks whether it is still wanted.
const PATIENCE: Duration = Duration::from_millis(200);

/// What went through, and what was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Flow {
    /// Frames that the source gave.
    pub(crate) captured: u64,
    /// Frames that vision looked at.
    pub(crate) frames: u64,
    /// Frames that could not be read, decoded or looked at.
    pub(crate) broken: u64,
}

/// Runs the pipeline until the source ends, is lost, or it is told to stop.
///
/// # Errors
/// [`SourceError`] if the source is lost and the pace says not to wait for it.
pub(crate) fn run(
    source: &SourceSettings,
    pace: Pace,
    mut vision: Vision,
    reporter: Reporter,
    progress: &Progress,
    tell: impl FnMut(CaptureEvent) + Send,
    publish: impl FnMut(WindowReport) + Send,
) -> Result<Flow, SourceError> {
    let mailbox = &Mailbox::default();
    let origin = Instant::now();
    let clock = if pace.realtime {
        StreamClock::Real(origin)
    } else {
        StreamClock::Frames(SystemTime::now())
    };
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    thread::scope(|scope| {
        let capture = thread::Builder::new()
            .name("capture".to_owned())
            .spawn_scoped(scope, move || {
                let _ended = EndsAll { progress, mailbox };
                capture_loop(source, pace, origin, mailbox, progress, tell)
            });
        let group = thread::Builder::new()
            .name("group".to_owned())
            .spawn_scoped(scope, move || {
                let _ended = EndsAll { progress, mailbox };
                group_loop(&receiver, clock, reporter, progress, publish);
            });
        if capture.is_err() || group.is_err() {
            // The system gives no more threads: whoever was started comes to its end.
            drop(EndsAll { progress, mailbox });
        }
        vision_loop(&mut vision, mailbox, progress, sender);
        mailbox.close();
        let captured = match capture {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(cause) => Err(no_thread(source, &cause)),
        };
        match group {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(cause) => return Err(no_thread(source, &cause)),
        }
        captured.map(|()| Flow {
            captured: progress.captured.get(),
            frames: progress.looked_at.get(),
            broken: progress.broken.get() + progress.damaged.get(),
        })
    })
}

fn no_thread(source: &SourceSettings, cause: &std::io::Error) -> SourceError {
    let (what, cause) = (source.to_string(), cause.to_string());
    SourceError::NoThread { what, cause }
}

/// When it is dropped, every loop comes to its end: whatever ends a thread, a panic too, ends the pipeline.
struct EndsAll<'a> {
    progress: &'a Progress,
    mailbox: &'a Mailbox,
}

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.progress.halt();
        self.mailbox.close();
    }
}

/// Looks at frames until none comes any more. During a pause it looks at none. A network that fails to run is like a
/// standstill: vision tells no progress until one has run again, so that systemd starts the daemon anew.
fn vision_loop(vision: &mut Vision, mailbox: &Mailbox, progress: &Progress, sender: SyncSender<Seen>) {
    let mut fails = false;
    loop {
        if !fails {
            progress.beat(Stage::Vision);
        }
        progress.replaced.set(mailbox.replaced());
        let frame = match mailbox.take(PATIENCE) {
            Taken::Frame(_) if progress.is_paused() => {
                fails = false;
                continue;
            }
            Taken::Frame(frame) => frame,
            Taken::Nothing => continue,
            Taken::Closed => break,
        };
        let taken = frame.taken;
        match vision.look(frame) {
            Ok(faces) => {
                mailbox.judge(Ok(()));
                let took = taken.elapsed();
                fails = false;
                progress.looked_at.add_one();
                progress.aiming.show(progress.elapsed(), || {
                    let rects = faces.faces.iter().map(|face| face.rect);
                    Sight::new(faces.size, vision.light(), rects)
                });
                if faces.faces.iter().any(|face| face.reading.is_some()) {
                    progress.read.add_one();
                }
                if sender.send(Seen { faces, took }).is_err() {
                    break;
                }
            }
            Err(error) => {
                if let FrameError::Decode(error) = &error {
                    mailbox.judge(Err(error));
                }
                fails |= matches!(error, FrameError::Engine(EngineError::Interpreter(_)));
                progress.broken.add_one();
                log_now_and_then(progress.broken.get(), &error);
            }
        }
    }
}

/// A camera that gives broken pictures gives many: they are logged ten times, then by the thousand.
fn log_now_and_then(count: u64, error: &dyn std::error::Error) {
    match count {
        0..10 => log::warn!("{error}"),
        10 => log::warn!("{error} More pictures like this are counted and logged by the thousand."),
        _ if count.is_multiple_of(1000) => {
            log::warn!("{count} pictures were left out so far; the last: {error}")
        }
        _ => {}
    }
}
