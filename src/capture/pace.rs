//! The capture thread: reads a source at its pace and fills the mailbox; opens it again when it was lost.

use std::time::{Duration, Instant};

use super::mailbox::Verdict;
use super::{Frame, Image, Mailbox, Next, Source, SourceError, SourceSettings};
use crate::progress::{PausedBy, Progress, Stage};

/// A source that was open for this long is opened again after a short wait.
const STEADY: Duration = Duration::from_secs(10);
/// The longest sleep before the stop flag is looked at again.
const NAP: Duration = Duration::from_millis(50);

/// A frame of a file may come so late; the group thread waits as long. If it comes later, the file is played later.
const LATE: Duration = Duration::from_millis(500);

/// Broken frames are told of when the first comes, and then each time so many have come.
const MANY: u64 = 1000;

/// How a source is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Frames per second.
    pub(crate) fps: f64,
    /// Whether frames come when their time has come, or as soon as the last one was looked at.
    pub(crate) realtime: bool,
    /// Whether the source starts again at its end.
    pub(crate) repeat: bool,
    /// Whether a source that is lost or not there yet is waited for.
    pub(crate) wait_for_source: bool,
}

/// What the capture thread tells, each once per change.
#[derive(Debug)]
pub(crate) enum CaptureEvent {
    /// Frames come, and can be looked at. (Told again and again.)
    Streaming,
    /// The source is closed until a privacy pause is over. (Told again and again.)
    Paused(PausedBy),
    /// The source is lost, or one picture of it.
    Trouble(SourceError),
    /// Broken frames were dropped: how many since the run began, and why the last one is broken.
    Broken(u64, &'static str),
}

/// Plays the source into the mailbox until it ends, fails or the run stops, then closes the mailbox.
/// Frame times count from `origin`.
///
/// # Errors
/// [`SourceError`] of a source that is lost, unless the pace says to wait for it.
pub(crate) fn capture_loop(
    source: &SourceSettings,
    pace: Pace,
    origin: Instant,
    mailbox: &Mailbox,
    progress: &Progress,
    mut tell: impl FnMut(CaptureEvent),
) -> Result<(), SourceError> {
    let mut player = Player {
        source,
        pace,
        origin,
        mailbox,
        progress,
        number: 0,
        broken: 0,
        slip: Duration::ZERO,
        gave: true,
        told_unusable: false,
    };
    let (first_wait, longest_wait) = source.waits();
    let mut wait = first_wait;
    let result = loop {
        if progress.is_paused() {
            player.sit_out_the_pause(&mut tell);
        }
        let began = Instant::now();
        // What was opened is closed again before anybody waits.
        let again = !std::mem::take(&mut player.gave);
        player.told_unusable = false;
        mailbox.forget_verdict();
        let played = source
            .open(again)
            .and_then(|mut source| player.play(source.as_mut(), &mut tell));
        match played {
            Err(error) if pace.wait_for_source && !error.is_final() && !player.stopping() => {
                tell(CaptureEvent::Trouble(error));
                if began.elapsed() > STEADY {
                    wait = first_wait;
                }
                player.sleep_until(Instant::now() + wait);
                player.catch_up();
                wait = (wait * 2).min(longest_wait);
            }
            Ok(End::Paused) => {}
            other => break other.map(|_| ()),
        }
        if player.stopping() {
            break Ok(());
        }
    };
    mailbox.close();
    result
}

/// Why a source is no longer played.
enum End {
    Source,
    Paused,
}

struct Player<'a> {
    source: &'a SourceSettings,
    pace: Pace,
    origin: Instant,
    mailbox: &'a Mailbox,
    progress: &'a Progress,
    /// Number of the next frame since the stream began, lost ones included.
    number: u64,
    /// Frames that came broken.
    broken: u64,
    /// How much later than it should be a file is played, because it is read too slowly.
    slip: Duration,
    /// Whether the source has given anything since it was opened.
    gave: bool,
    /// Whether it was told that nothing can be made of the frames.
    told_unusable: bool,
}

impl Player<'_> {
    fn play(
        &mut self,
        source: &mut dyn Source,
        tell: &mut impl FnMut(CaptureEvent),
    ) -> Result<End, SourceError> {
        let mut given_in_this_round = false;
        while !self.stopping() {
            if self.progress.is_paused() {
                return Ok(End::Paused);
            }
            self.progress.beat(Stage::Capture);
            self.heed_verdict(tell);
            match source.next() {
                Ok(Next::Picture(image)) => {
                    self.gave = true;
                    self.progress.captured.add_one();
                    given_in_this_round = true;
                    self.give(image, tell);
                }
                Ok(Next::Taken(image, taken)) => {
                    self.gave = true;
                    self.progress.captured.add_one();
                    self.number += 1;
                    if self.progress.takes(self.number) {
                        let at = taken.saturating_duration_since(self.origin);
                        self.mailbox.put_newest(Frame { at, taken, image });
                    }
                }
                Ok(Next::Broken(count, why)) => {
                    let before = self.broken;
                    self.broken += count;
                    self.progress.damaged.add(count);
                    if before == 0 || before / MANY != self.broken / MANY {
                        tell(CaptureEvent::Broken(self.broken, why));
                    }
                }
                Ok(Next::NotYet) => {}
                // A source without a single picture is not repeated: that would spin for ever.
                Ok(Next::End) if self.pace.repeat && given_in_this_round => {
                    given_in_this_round = false;
                    source.rewind()?;
                    self.progress.set_rewound(self.time());
                }
                Ok(Next::End) => break,
                Err(error) if error.is_one_picture() => {
                    self.number += 1;
                    self.progress.damaged.add_one();
                    self.progress.set_played(self.time());
                    tell(CaptureEvent::Trouble(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(End::Source)
    }

    fn stopping(&self) -> bool {
        self.progress.ends()
    }

    fn sit_out_the_pause(&mut self, tell: &mut impl FnMut(CaptureEvent)) {
        while self.progress.is_paused() && !self.stopping() {
            // Again and again: the button may take over what a command began.
            tell(CaptureEvent::Paused(
                match self.progress.is_paused_by(PausedBy::Button) {
                    true => PausedBy::Button,
                    false => PausedBy::Command,
                },
            ));
            self.sleep_until(Instant::now() + NAP);
        }
        self.catch_up();
    }

    /// The time of the next frame, since the stream began.
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.number as f64 / self.pace.fps) + self.slip
    }

    fn give(&mut self, image: Image, tell: &mut impl FnMut(CaptureEvent)) {
        if self.pace.realtime {
            self.slip_if_late();
        }
        let at = self.time();
        self.number += 1;
        self.progress.set_played(self.time());
        if !self.progress.takes(self.number) {
            return;
        }
        if self.pace.realtime {
            let when = self.origin + at;
            while !self.stopping() && Instant::now() < when {
                self.heed_verdict(tell);
                self.sleep_until(when.min(Instant::now() + NAP));
            }
        }
        let taken = Instant::now();
        let frame = Frame { at, taken, image };
        if self.pace.realtime {
            self.mailbox.put_newest(frame);
        } else {
            self.mailbox.put_waiting(frame);
        }
    }

    /// A frame that comes too late for its time is given the present one, and the frames for which there was time are
    /// counted: else a file that is read too slowly would fall behind until its frames belong to no window any more.
    fn slip_if_late(&mut self) {
        let behind = self.origin.elapsed().saturating_sub(self.time());
        if behind < LATE {
            return;
        }
        let frames = |time: Duration| (time.as_secs_f64() * self.pace.fps) as u64;
        let more = frames(self.slip + behind) - frames(self.slip);
        if self.slip.is_zero() {
            log::warn!(
                "{} is read too slowly to be played at {} frames per second: it is played later, and the frames for which there was time are counted as late. Give it fewer frames per second, or a smaller picture.",
                self.source,
                self.pace.fps
            );
        }
        self.slip += behind;
        self.progress.late.add(more);
    }

    /// After a pause, goes on at the frame whose time is now.
    fn catch_up(&mut self) {
        if self.pace.realtime {
            let now = self.origin.elapsed().saturating_sub(self.slip);
            self.number = self.number.max((now.as_secs_f64() * self.pace.fps).ceil() as u64);
        }
    }

    /// Tells what vision makes of the frames: a source streams if they can be looked at.
    fn heed_verdict(&mut self, tell: &mut impl FnMut(CaptureEvent)) {
        if !self.gave {
            return;
        }
        let patience = self.source.patience();
        match self.mailbox.verdict() {
            Verdict::Usable => {
                self.told_unusable = false;
                tell(CaptureEvent::Streaming);
            }
            Verdict::Refused(since, why) if since.elapsed() > patience && !self.told_unusable => {
                self.told_unusable = true;
                let what = self.source.to_string();
                tell(CaptureEvent::Trouble(SourceError::Unusable {
                    what,
                    patience,
                    why,
                }));
            }
            _ => {}
        }
    }

    fn sleep_until(&self, when: Instant) {
        while !self.stopping() {
            self.progress.beat(Stage::Capture);
            let left = when.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
