//! What following sixty people and the privacy gate cost, per frame.

use std::time::Duration;

use affect_core::expression::{EXPRESSIONS, Expression};
use affect_core::gate::{Gate, GateSettings, Origin};
use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_core::tracker::{Boxes, TrackSettings, Tracker};
use affect_core::window::{FrameFaces, Reading, SeenFace, Windows};

use super::cpu_ms;
use crate::identity::system_random;

/// How many people sit there, and how many of them are read in one frame: the default budget of 40 a second.
const PEOPLE: usize = 60;
pub(super) const READ: usize = 4;
/// Frames per second, and how many of them a face is read in.
const FPS: u64 = 10;
const READ_EVERY: u64 = (PEOPLE / READ) as u64;
const WINDOW: Duration = Duration::from_secs(15);

/// CPU time in milliseconds per frame, on average over ten windows: of the tracker with liveness and surroundings, and of the
/// gate, its windows' ends included.
pub(super) fn per_frame(picture: &Picture<'_>) -> (f64, f64) {
    let mut random = system_random();
    let mut tracker = Tracker::new(TrackSettings::default());
    let mut gate = Gate::new(GateSettings {
        min_group: 5,
        origin: Origin::Live,
        labels: Expression::ALL.to_vec(),
        classifier: None,
    });
    let mut windows = Windows::new(WINDOW, None);
    let frames = 10 * WINDOW.as_secs() * FPS;
    let (mut following, mut judging) = (0.0, 0.0);
    for number in 0..frames {
        let at = Duration::from_millis(number * 1000 / FPS);
        // Everybody sways, each in a way of his own.
        let rects: Vec<Rect> = (0..PEOPLE)
            .map(|i| Rect {
                x: 62.0 * (i % 10) as f32 + 2.0 * (number as f32 / 5.0 + i as f32).sin(),
                y: 70.0 * (i / 10) as f32,
                w: 48.0,
                h: 60.0,
            })
            .collect();
        let began = cpu_ms();
        tracker.watch(|surroundings, face| surroundings.look(at, picture, face));
        let boxes = Boxes {
            at,
            size: (640.0, 480.0),
            faces: &rects,
            doubtful: &[],
        };
        let (tracks, present) = tracker.update(&boxes, &mut random);
        let faces = tracks[..present].iter_mut().enumerate().map(|(i, track)| {
            let rect = *track.rect();
            track.liveness.look(at, picture, &rect);
            SeenFace {
                track: track.id(),
                before: track.before(),
                rect,
                reading: (number + i as u64).is_multiple_of(READ_EVERY).then_some(Reading {
                    scores: [1.0 / EXPRESSIONS as f32; EXPRESSIONS],
                    confident: true,
                }),
                since_read: Some(Duration::from_millis(400)),
                lives: true,
            }
        });
        let frame = FrameFaces {
            at,
            size: (640.0, 480.0),
            faces: faces.collect(),
            skipped: 0,
        };
        let seen = cpu_ms();
        following += seen - began;
        if let Some(span) = windows.advance(at, None) {
            gate.close(&span);
        }
        gate.see(&frame, true);
        judging += cpu_ms() - seen;
    }
    (following / frames as f64, judging / frames as f64)
}
