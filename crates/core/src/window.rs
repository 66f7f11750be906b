//! Tumbling windows: what was seen of whom, from one fixed moment to the next. No clock: time comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::descriptor::GroupDescriptor;
use crate::expression::{EXPRESSIONS, Scores};
use crate::tracker::TrackId;

/// One classification of one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The confidence was below the threshold.
    Unknown,
    /// The scores of a confident reading.
    Known(Scores),
}

/// One person in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenFace {
    /// Who, for this window.
    pub track: TrackId,
    /// Whether this person's expression was part of the previous window ([`crate::tracker::Track::carried`]).
    pub carried: bool,
    /// The classification, if it was this face's turn.
    pub reading: Option<Reading>,
}

/// What vision says of one frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrameFaces {
    /// Time since the stream began.
    pub at: Duration,
    /// Everybody in the frame.
    pub faces: Vec<SeenFace>,
    /// Classifications that the budget did not allow.
    pub skipped: u32,
}

/// What one window knows of one person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Person {
    /// Frames in which the person was seen.
    pub frames: u32,
    /// Readings below the confidence threshold.
    pub unknown: u32,
    /// Confident readings.
    pub known: u32,
    /// Sum of the scores of the confident readings.
    pub sum: [f64; EXPRESSIONS],
    /// Whether the person's expression was part of the previous window.
    pub carried: bool,
    /// The last confident reading.
    latest: Option<[f64; EXPRESSIONS]>,
    /// This person's weight in the group descriptor: one frame is shared by the faces in it.
    weight: f64,
}

impl Person {
    /// The mean of the confident readings; `None` without one.
    #[must_use]
    pub fn mean(&self) -> Option<[f64; EXPRESSIONS]> {
        (self.known > 0).then(|| self.sum.map(|s| s / f64::from(self.known)))
    }
}

/// A window, open or closed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// Number of the window since the stream began.
    pub index: u64,
    /// Time since the stream began.
    pub start: Duration,
    /// Time since the stream began; earlier than `start + length` for a partial window.
    pub end: Duration,
    /// Whether the window was closed before its time.
    pub partial: bool,
    /// Frames that vision has seen.
    pub frames: u32,
    /// Classifications made, confident or not.
    pub classified: u32,
    /// Classifications that the budget did not allow.
    pub skipped: u32,
    /// Most faces in one frame.
    pub peak: u32,
    /// Everybody seen.
    pub people: BTreeMap<TrackId, Person>,
    /// The paper's group descriptor, over expression scores.
    pub descriptor: GroupDescriptor,
}

impl Window {
    fn starting(index: u64, length: Duration) -> Self {
        let start = length.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
        Self {
            index,
            start,
            end: start + length,
            ..Self::default()
        }
    }

    fn add(&mut self, frame: &FrameFaces) {
        self.frames += 1;
        self.skipped += frame.skipped;
        self.peak = self
            .peak
            .max(u32::try_from(frame.faces.len()).unwrap_or(u32::MAX));
        let mut any_reading = false;
        for face in &frame.faces {
            let person = self.people.entry(face.track).or_default();
            person.frames += 1;
            person.carried |= face.carried;
            let Some(reading) = face.reading else { continue };
            any_reading = true;
            self.classified += 1;
            match reading {
                Reading::Unknown => person.unknown += 1,
                Reading::Known(scores) => {
                    let scores = scores.map(f64::from);
                    person.known += 1;
                    person
                        .sum
                        .iter_mut()
                        .zip(scores)
                        .for_each(|(sum, score)| *sum += score);
                    person.latest = Some(scores);
                }
            }
        }
        if any_reading {
            self.describe(frame);
        }
    }

    /// Adds the frame to the group descriptor: the latest scores of everybody in it. Frames in which nobody
    /// was classified say nothing new and are left out.
    fn describe(&mut self, frame: &FrameFaces) {
        let readable = |face: &&SeenFace| self.people[&face.track].latest.is_some();
        let present: Vec<TrackId> = frame
            .faces
            .iter()
            .filter(readable)
            .map(|face| face.track)
            .collect();
        let scores = present
            .iter()
            .filter_map(|track| self.people[track].latest.as_ref());
        self.descriptor
            .add_frame(scores.map(<[f64; EXPRESSIONS]>::as_slice));
        for track in &present {
            if let Some(person) = self.people.get_mut(track) {
                person.weight += 1.0 / present.len() as f64;
            }
        }
    }

    /// The part of the group descriptor that rests on the person who weighs most in it, 0..=1.
    #[must_use]
    pub fn largest_weight(&self) -> f64 {
        let all: f64 = self.people.values().map(|p| p.weight).sum();
        let most = self.people.values().map(|p| p.weight).fold(0.0, f64::max);
        if all > 0.0 { most / all } else { 0.0 }
    }
}

/// The windows of one stream, one after the other without a gap or an overlap.
#[derive(Debug)]
pub struct Windows {
    length: Duration,
    open: Window,
}

impl Windows {
    /// The first window opens at time 0. `length` must be greater than 0.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            length,
            open: Window::starting(0, length),
        }
    }

    /// The number of the window that `at` belongs to: the tracker ends its identities when it changes.
    #[must_use]
    pub fn index(length: Duration, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / length.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    /// When the open window ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.open.end
    }

    /// Closes the open window if `at` is at or past its end, and opens the next. Call it until it gives
    /// `None`, before [`Windows::add`] with the same time.
    pub fn advance(&mut self, at: Duration) -> Option<Window> {
        (at >= self.open.end).then(|| {
            let next = Window::starting(self.open.index + 1, self.length);
            std::mem::replace(&mut self.open, next)
        })
    }

    /// Takes a frame in; whether it did. A frame from before the open window comes too late and is left out.
    pub fn add(&mut self, frame: &FrameFaces) -> bool {
        let in_time = frame.at >= self.open.start;
        if in_time {
            self.open.add(frame);
        }
        in_time
    }

    /// Closes the open window before its time, at `at`; `None` if it has just begun and saw nothing.
    #[must_use]
    pub fn close(mut self, at: Duration) -> Option<Window> {
        if at >= self.open.end {
            return Some(self.open);
        }
        self.open.end = at.max(self.open.start);
        self.open.partial = true;
        (self.open.frames > 0).then_some(self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;

    const LENGTH: Duration = Duration::from_secs(10);

    fn happy(track: u64) -> SeenFace {
        let mut scores = [0.0; EXPRESSIONS];
        scores[Expression::Happiness.index()] = 1.0;
        SeenFace {
            track: TrackId(track),
            carried: false,
            reading: Some(Reading::Known(scores)),
        }
    }

    fn frame(ms: u64, faces: Vec<SeenFace>) -> FrameFaces {
        FrameFaces {
            at: Duration::from_millis(ms),
            faces,
            skipped: 1,
        }
    }

    #[test]
    fn windows_tumble_without_gap_or_overlap() {
        let mut windows = Windows::new(LENGTH);
        assert_eq!(windows.advance(Duration::from_millis(9_999)), None);
        let first = windows.advance(Duration::from_secs(31)).unwrap();
        let second = windows.advance(Duration::from_secs(31)).unwrap();
        let third = windows.advance(Duration::from_secs(31)).unwrap();
        assert_eq!(windows.advance(Duration::from_secs(31)), None);
        assert_eq!((first.start, first.end), (Duration::ZERO, LENGTH));
        assert_eq!(first.end, second.start);
        assert_eq!(second.end, third.start);
        assert!(!third.partial);
        assert_eq!(Windows::index(LENGTH, third.end), 3);
    }

    #[test]
    fn a_window_sums_up_per_person() {
        let mut windows = Windows::new(LENGTH);
        windows.add(&frame(0, vec![happy(1), happy(2)]));
        windows.add(&frame(500, vec![happy(1)]));
        windows.add(&frame(
            900,
            vec![SeenFace {
                reading: Some(Reading::Unknown),
                ..happy(2)
            }],
        ));
        windows.add(&frame(
            950,
            vec![SeenFace {
                reading: None,
                ..happy(2)
            }],
        ));
        let window = windows.advance(LENGTH).unwrap();
        assert_eq!(
            (window.frames, window.classified, window.skipped, window.peak),
            (4, 4, 4, 2)
        );
        let (first, second) = (&window.people[&TrackId(1)], &window.people[&TrackId(2)]);
        assert_eq!((first.frames, first.known, first.unknown), (2, 2, 0));
        assert_eq!((second.frames, second.known, second.unknown), (3, 1, 1));
        assert_eq!(second.mean().unwrap()[Expression::Happiness.index()], 1.0);
        // Frames shared by both: 0.5 + 0.5; alone: 1 for the first, 1 for the second.
        assert_eq!(window.largest_weight(), 0.5);
    }

    #[test]
    fn a_late_frame_is_left_out() {
        let mut windows = Windows::new(LENGTH);
        windows.advance(LENGTH);
        assert!(!windows.add(&frame(9_000, vec![happy(1)])));
        assert_eq!(windows.close(Duration::from_secs(12)), None);
    }

    #[test]
    fn a_window_closed_early_is_partial() {
        let mut windows = Windows::new(LENGTH);
        windows.add(&frame(0, vec![happy(1)]));
        let window = windows.close(Duration::from_secs(4)).unwrap();
        assert!(window.partial);
        assert_eq!(window.end, Duration::from_secs(4));
        assert_eq!(Windows::new(LENGTH).close(Duration::from_secs(4)), None);
    }
}
