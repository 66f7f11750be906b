//! What vision tells of a frame, and tumbling windows of time. No clock: time comes in.

use std::time::Duration;

use crate::expression::Scores;
use crate::geometry::Rect;
use crate::tracker::TrackId;

/// One classification of one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The scores, confident or not.
    pub scores: Scores,
    /// Whether the largest score reaches the model's threshold.
    pub confident: bool,
}

/// One face in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenFace {
    /// The track's present name.
    pub track: TrackId,
    /// The name that the track had before, if it was given a new one since it began.
    pub before: Option<TrackId>,
    /// Where the face is, in pixels of the frame.
    pub rect: Rect,
    /// The classification, if it was this face's turn.
    pub reading: Option<Reading>,
    /// Time since the last classification was attempted, 0 if in this frame; `None` before the first.
    pub since_read: Option<Duration>,
    /// Whether its pixels or its place have changed lately ([`crate::liveness`]): a picture on the wall does not.
    pub lives: bool,
}

/// What vision says of one frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrameFaces {
    /// Time since the stream began.
    pub at: Duration,
    /// Width and height of the frame in pixels.
    pub size: (f32, f32),
    /// Every face in the frame.
    pub faces: Vec<SeenFace>,
    /// Classifications that the budget did not allow.
    pub skipped: u32,
}

/// From when to when a window lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Time since the stream began.
    pub start: Duration,
    /// Time since the stream began; earlier than planned for a partial window.
    pub end: Duration,
    /// Whether the window is shorter than its length: the first one before an even time, or one that a stop has cut.
    pub partial: bool,
    /// Whether it ends at an even time by the wall clock.
    pub aligned: bool,
}

impl Span {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }

    /// When the part begins that a report covers: the last minute at most ([`crate::gate::LONGEST_COVER`]).
    #[must_use]
    pub fn covered_from(&self) -> Duration {
        self.start
            .max(self.end.saturating_sub(crate::gate::LONGEST_COVER))
    }
}

/// The windows of one stream, one after the other without a gap or an overlap.
///
/// With a wall clock they end at multiples of their length by it (at 10:00:00, 10:00:15, …), so the first is shorter;
/// when the clock is set, one window is up to half a length longer or shorter, and the next ones fit again.
#[derive(Debug)]
pub struct Windows {
    length: Duration,
    open: Span,
}

impl Windows {
    /// The first window opens at time 0. `length` must be greater than 0. `wall` is the wall time at time 0, as time since
    /// any whole day, if windows are to be aligned to it.
    #[must_use]
    pub fn new(length: Duration, wall: Option<Duration>) -> Self {
        let into = wall.map(|wall| rest(wall, length));
        let end = match into {
            Some(into) => length.saturating_sub(into),
            None => length,
        };
        Self {
            length,
            open: Span {
                start: Duration::ZERO,
                end,
                partial: end != length,
                aligned: into.is_some(),
            },
        }
    }

    /// The open window, as it is planned.
    #[must_use]
    pub fn open(&self) -> Span {
        self.open
    }

    /// Closes the open window if `at` is at or past its end, and opens the next. Call it until it gives `None`, before a
    /// frame of that time is counted. `wall` is the wall time at stream time 0, as for [`Windows::new`].
    pub fn advance(&mut self, at: Duration, wall: Option<Duration>) -> Option<Span> {
        (at >= self.open.end).then(|| {
            let start = self.open.end;
            let next = Span {
                start,
                end: self.next_end(start, wall),
                partial: false,
                aligned: wall.is_some(),
            };
            std::mem::replace(&mut self.open, next)
        })
    }

    /// The end nearest to one length after `start` that is even by the wall clock.
    fn next_end(&self, start: Duration, wall: Option<Duration>) -> Duration {
        let end = start + self.length;
        let Some(wall) = wall else { return end };
        let over = rest(wall + end, self.length);
        if over <= self.length / 2 {
            end.saturating_sub(over)
        } else {
            end + (self.length - over)
        }
    }

    /// Closes the open window before its time, at `at`.
    #[must_use]
    pub fn close(self, at: Duration) -> Span {
        if at >= self.open.end {
            return self.open;
        }
        Span {
            end: at.max(self.open.start),
            partial: true,
            aligned: false,
            ..self.open
        }
    }
}

/// How far `time` is into its period.
fn rest(time: Duration, period: Duration) -> Duration {
    let period = period.as_nanos().max(1);
    Duration::from_nanos(u64::try_from(time.as_nanos() % period).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn windows_tumble_without_gap_or_overlap() {
        let mut windows = Windows::new(LENGTH, None);
        assert_eq!(windows.advance(Duration::from_millis(9_999), None), None);
        let first = windows.advance(seconds(31), None).unwrap();
        let second = windows.advance(seconds(31), None).unwrap();
        let third = windows.advance(seconds(31), None).unwrap();
        assert_eq!(windows.advance(seconds(31), None), None);
        assert_eq!((first.start, first.end), (Duration::ZERO, LENGTH));
        assert_eq!(first.end, second.start);
        assert_eq!(second.end, third.start);
        assert!(!third.partial && !third.aligned);
    }

    #[test]
    fn with_a_wall_clock_windows_end_at_even_times() {
        let day = seconds(86_400);
        let wall = Some(day + seconds(7));
        let mut windows = Windows::new(LENGTH, wall);
        let first = windows.advance(seconds(60), wall).unwrap();
        assert_eq!(
            (first.end, first.partial, first.aligned),
            (seconds(3), true, true)
        );
        let second = windows.advance(seconds(60), wall).unwrap();
        assert_eq!(
            (second.start, second.end, second.partial),
            (seconds(3), seconds(13), false)
        );
    }

    #[test]
    fn a_clock_that_is_set_moves_one_window_by_at_most_half_a_length() {
        for set in 0..200 {
            let clock = seconds(1_000) + Duration::from_millis(set * 100);
            let wall = Some(clock);
            let mut windows = Windows::new(LENGTH, None);
            let before = windows.advance(LENGTH, wall).unwrap();
            let moved = windows.advance(seconds(40), wall).unwrap();
            assert_eq!(moved.start, before.end);
            assert!((seconds(5)..=seconds(15)).contains(&moved.length()), "{moved:?}");
            assert_eq!(rest(clock + moved.end, LENGTH), Duration::ZERO);
            let next = windows.advance(seconds(40), wall).unwrap();
            assert_eq!(next.length(), LENGTH);
        }
    }

    #[test]
    fn a_window_closed_early_is_partial() {
        let span = Windows::new(LENGTH, None).close(seconds(4));
        assert!(span.partial);
        assert_eq!(span.end, seconds(4));
        assert!(!Windows::new(LENGTH, None).close(seconds(11)).partial);
    }

    #[test]
    fn a_report_covers_a_minute_at_most() {
        let mut hours = Windows::new(seconds(3600), None);
        let span = hours.advance(seconds(3600), None).unwrap();
        assert_eq!(span.covered_from(), seconds(3540));
        let mut short = Windows::new(LENGTH, None);
        assert_eq!(
            short.advance(LENGTH, None).unwrap().covered_from(),
            Duration::ZERO
        );
    }
}
