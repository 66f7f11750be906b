//! A mailbox with one slot between capture and vision, and what vision makes of what it fetched.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Frame;

/// Holds at most one frame. A camera replaces a frame that was not fetched in time: the newest wins.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    frame: Option<Frame>,
    closed: bool,
    replaced: u64,
    verdict: Verdict,
}

/// What vision makes of the frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has not seen one yet.
    #[default]
    Unknown,
    /// The last one could be looked at.
    Usable,
    /// None could be looked at since then, and why the last one could not.
    Refused(Instant, String),
}

/// What the reader gets.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A frame.
    Frame(Frame),
    /// None came in time.
    Nothing,
    /// None will come any more.
    Closed,
}

impl Mailbox {
    /// Puts a frame in, in place of one that was not fetched.
    pub(crate) fn put_newest(&self, frame: Frame) {
        let mut slot = self.lock();
        if slot.frame.replace(frame).is_some() {
            slot.replaced += 1;
        }
        self.changed.notify_all();
    }

    /// Waits until the slot is free, then puts the frame in: no frame is lost. Gives up when closed.
    pub(crate) fn put_waiting(&self, frame: Frame) {
        let mut slot = self.lock();
        while slot.frame.is_some() && !slot.closed {
            slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        slot.frame = Some(frame);
        self.changed.notify_all();
    }

    /// Waits for a frame, up to `patience`.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let slot = self.lock();
        let waiting = |slot: &mut Slot| slot.frame.is_none() && !slot.closed;
        let waited = self.changed.wait_timeout_while(slot, patience, waiting);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
        match slot.frame.take() {
            Some(frame) => Taken::Frame(frame),
            None if slot.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// No frame will come any more; the one in the slot may still be fetched.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Says whether a frame could be looked at, or why not.
    pub(crate) fn judge(&self, frame: Result<(), &dyn std::error::Error>) {
        let mut slot = self.lock();
        slot.verdict = match (frame, &slot.verdict) {
            (Ok(()), _) => Verdict::Usable,
            (Err(why), Verdict::Refused(since, _)) => Verdict::Refused(*since, why.to_string()),
            (Err(why), _) => Verdict::Refused(Instant::now(), why.to_string()),
        };
    }

    /// What was said last.
    pub(crate) fn verdict(&self) -> Verdict {
        self.lock().verdict.clone()
    }

    /// Forgets what was said: other frames will come.
    pub(crate) fn forget_verdict(&self) {
        self.lock().verdict = Verdict::Unknown;
    }

    /// How many frames were replaced before they were fetched.
    pub(crate) fn replaced(&self) -> u64 {
        self.lock().replaced
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // A slot is whole at every moment, even if a thread died while it held the lock.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Image;
    use std::sync::Arc;

    fn frame(ms: u64) -> Frame {
        let image = Image::Rgb {
            width: 0,
            height: 0,
            rgb: Vec::new(),
        };
        Frame {
            at: Duration::from_millis(ms),
            taken: std::time::Instant::now(),
            image,
        }
    }

    fn taken(mailbox: &Mailbox) -> Option<u128> {
        match mailbox.take(Duration::ZERO) {
            Taken::Frame(frame) => Some(frame.at.as_millis()),
            _ => None,
        }
    }

    #[test]
    fn the_newest_frame_wins() {
        let mailbox = Mailbox::default();
        (1..=3).for_each(|ms| mailbox.put_newest(frame(ms)));
        assert_eq!(taken(&mailbox), Some(3));
        assert_eq!(taken(&mailbox), None);
        assert_eq!(mailbox.replaced(), 2);
    }

    #[test]
    fn a_waiting_writer_loses_nothing() {
        let mailbox = Arc::new(Mailbox::default());
        let writer = Arc::clone(&mailbox);
        let thread = std::thread::spawn(move || {
            (0..50).for_each(|ms| writer.put_waiting(frame(ms)));
            writer.close();
        });
        let mut times = Vec::new();
        while let Taken::Frame(frame) = mailbox.take(Duration::from_secs(5)) {
            times.push(frame.at.as_millis());
        }
        thread.join().unwrap();
        assert_eq!(times, (0..50).collect::<Vec<u128>>());
        assert!(matches!(mailbox.take(Duration::ZERO), Taken::Closed));
    }

    #[test]
    fn frames_are_refused_since_the_first_that_was() {
        let mailbox = Mailbox::default();
        let error = std::io::Error::other("no picture");
        assert_eq!(mailbox.verdict(), Verdict::Unknown);
        mailbox.judge(Err(&error));
        let Verdict::Refused(since, why) = mailbox.verdict() else {
            panic!()
        };
        assert_eq!(why, "no picture");
        std::thread::sleep(Duration::from_millis(2));
        mailbox.judge(Err(&error));
        assert_eq!(mailbox.verdict(), Verdict::Refused(since, why));
        mailbox.judge(Ok(()));
        assert_eq!(mailbox.verdict(), Verdict::Usable);
        mailbox.judge(Err(&error));
        let Verdict::Refused(anew, _) = mailbox.verdict() else {
            panic!()
        };
        assert!(anew > since);
        mailbox.forget_verdict();
        assert_eq!(mailbox.verdict(), Verdict::Unknown);
    }
}
