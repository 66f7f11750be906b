//! Simulated people in front of a gate: where each sits, who walks in and out, and what the gate says of every window.

use std::time::Duration;

use affect_core::expression::Expression;
use affect_core::gate::{Gate, GateSettings, Origin, Rule, SILENCE, Verdict};
use affect_core::geometry::Rect;
use affect_core::tracker::TrackId;
use affect_core::window::{FrameFaces, Reading, SeenFace, Span};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::people::{Moods, Scores};

/// Length of a window.
pub(crate) const WINDOW: Duration = Duration::from_secs(15);
/// Frames in a window.
pub(crate) const FRAMES: usize = 15;
/// Width and height of the picture.
const SIZE: (f32, f32) = (1280.0, 960.0);
/// Confidence from which a reading counts as known.
const CONFIDENT: f32 = 0.4;

/// Somebody in the room.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The usual expression.
    pub(crate) usual: usize,
    /// What is read in the present window.
    pub(crate) scores: Scores,
    /// The present track; a broken one goes on under a new number.
    track: u64,
    seat: usize,
    /// Whether it is more than a picture.
    lives: bool,
    /// Whether it is read with confidence, where the scores do not say so.
    pub(crate) sure: Option<bool>,
}

/// A room with people, and the gate that looks at them.
pub(crate) struct Scene<'a> {
    gate: Gate,
    moods: &'a Moods,
    pub(crate) random: &'a mut ChaCha8Rng,
    /// Everybody who was ever there.
    pub(crate) people: Vec<Person>,
    at: Duration,
    next_track: u64,
    /// What was said, window by window.
    pub(crate) said: Vec<Verdict>,
}

/// How somebody is there in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// In every frame.
    Whole,
    /// In the frames from the first to before the second.
    From(usize, usize),
    /// In every frame before this one, at which he walks out at the edge.
    WalksOut(usize),
    /// From this frame on, in which he walks in from the edge.
    WalksIn(usize),
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        min_group: u32,
        without: Option<Rule>,
        moods: &'a Moods,
        random: &'a mut ChaCha8Rng,
    ) -> Self {
        let gate = Gate::new(GateSettings {
            min_group,
            origin: Origin::Live,
            labels: Expression::ALL.to_vec(),
            classifier: None,
        });
        Self {
            gate: match without {
                Some(rule) => gate.without(rule),
                None => gate,
            },
            moods,
            random,
            people: Vec::new(),
            at: Duration::ZERO,
            next_track: 0,
            said: Vec::new(),
        }
    }

    /// Somebody new; gives his number.
    pub(crate) fn add(&mut self, seat: usize) -> usize {
        let usual = self.moods.usual(self.random);
        self.next_track += 1;
        self.people.push(Person {
            usual,
            scores: self.moods.scores(usual, self.random),
            track: self.next_track,
            seat,
            lives: true,
            sure: None,
        });
        self.people.len() - 1
    }

    /// So many people, on seats of their own.
    pub(crate) fn add_group(&mut self, count: usize) -> Vec<usize> {
        let first = self.people.len();
        (0..count).map(|i| self.add(first + i)).collect()
    }

    /// A picture of somebody.
    pub(crate) fn add_picture(&mut self) -> usize {
        let person = self.add(self.people.len());
        self.people[person].lives = false;
        person
    }

    /// The tracker loses somebody: he goes on as a new track.
    pub(crate) fn breaks(&mut self, person: usize) {
        self.next_track += 1;
        self.people[person].track = self.next_track;
    }

    /// Takes a seat of somebody else.
    pub(crate) fn moves(&mut self, person: usize, seat: usize) {
        self.people[person].seat = seat;
    }

    /// Everybody's mood of a new window.
    pub(crate) fn new_moods(&mut self) {
        for person in &mut self.people {
            person.scores = self.moods.scores(person.usual, self.random);
        }
    }

    /// Some people's usual moods become others.
    pub(crate) fn change_moods(&mut self, people: &[usize], part: f64) {
        for person in people {
            if self.random.random::<f64>() < part {
                self.people[*person].usual = self.moods.usual(self.random);
            }
        }
        self.new_moods();
    }

    /// A window in which these people are there.
    pub(crate) fn window(&mut self, present: &[(usize, Presence)]) {
        let is_still = present.iter().all(|(_, presence)| *presence == Presence::Whole);
        // Where nobody comes or goes, every third frame says the same.
        self.show((0..FRAMES).step_by(if is_still { 3 } else { 1 }), present);
        self.close();
    }

    /// Frames of the open window.
    pub(crate) fn frames(&mut self, frames: std::ops::Range<usize>, present: &[(usize, Presence)]) {
        self.show(frames, present);
    }

    fn show(&mut self, frames: impl Iterator<Item = usize>, present: &[(usize, Presence)]) {
        for frame in frames {
            let faces = present
                .iter()
                .filter_map(|(person, presence)| self.face(*person, *presence, frame))
                .collect();
            let at = self.at + WINDOW * frame as u32 / FRAMES as u32;
            let frame = FrameFaces {
                at,
                size: SIZE,
                faces,
                skipped: 0,
            };
            self.gate.see(&frame, true);
        }
    }

    /// The window's end.
    pub(crate) fn close(&mut self) {
        self.stops(FRAMES);
    }

    /// The window ends after so many frames, because the daemon stops.
    pub(crate) fn stops(&mut self, frames: usize) {
        let span = Span {
            start: self.at,
            end: self.at + WINDOW * frames as u32 / FRAMES as u32,
            partial: frames < FRAMES,
            aligned: true,
        };
        self.at = span.end;
        self.said.push(self.gate.close(&span));
    }

    /// A pause, or a gap.
    pub(crate) fn interrupts(&mut self) {
        self.gate.interrupt();
    }

    /// The daemon starts anew, with the same or another configuration, and knows when it last reported.
    pub(crate) fn restarts(&mut self, min_group: u32, without: Option<Rule>) {
        let fresh = Scene::new(min_group, without, self.moods, self.random);
        let mut gate = fresh.gate;
        if self.said.iter().any(|said| matches!(said, Verdict::Released(_))) {
            gate.keep_silent(self.at + SILENCE);
        }
        self.gate = gate;
    }

    fn face(&self, number: usize, presence: Presence, frame: usize) -> Option<SeenFace> {
        let person = &self.people[number];
        let mut rect = seat(person.seat);
        // Where somebody who walks is, so many frames from the edge.
        let walking = match presence {
            Presence::Whole => None,
            Presence::From(first, end) => {
                if !(first..end).contains(&frame) {
                    return None;
                }
                None
            }
            Presence::WalksOut(at) => Some(at.checked_sub(frame)?),
            Presence::WalksIn(at) => Some(frame.checked_sub(at)?),
        };
        match walking {
            Some(0) => rect.x = 0.0,
            Some(1) => rect.x = rect.x.min(200.0 + (rect.x - 200.0).max(0.0) / 2.0),
            _ => {}
        }
        Some(SeenFace {
            track: TrackId(person.track),
            before: None,
            rect,
            reading: Some(Reading {
                scores: person.scores,
                confident: person
                    .sure
                    .unwrap_or_else(|| person.scores.iter().any(|score| *score >= CONFIDENT)),
            }),
            since_read: Some(Duration::ZERO),
            lives: person.lives,
        })
    }
}

fn seat(number: usize) -> Rect {
    Rect {
        x: 200.0 + 90.0 * (number % 11) as f32,
        y: 60.0 + 85.0 * (number / 11 % 10) as f32,
        w: 40.0,
        h: 40.0,
    }
}
