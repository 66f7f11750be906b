//! What a camera and a detector make of people: where each face really is, and the boxes that a detector gives, with its
//! misses, its trembling, its doubles, and low scores for what is half hidden.
//!
//! All of it is fixed by the seed. The figures of the detector are those that the tracker has to bear: 10 % misses, boxes
//! that tremble by 5 % of their width in place and size, 2 % doubles.

use std::time::Duration;

use affect_core::detection::{Face, suppress_overlaps};
use affect_core::geometry::Rect;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::people::{DEPTH, HALF_WIDTH, Kind, Person, people};

/// Width and height of the picture.
pub const SIZE: (f32, f32) = (1920.0, 1080.0);
/// Pixels for a metre that is a metre away.
const FOCAL: f64 = 1920.0 / 2.0 / HALF_WIDTH;
/// Where in the picture the camera's axis is, from the top, and how far it looks down, in radians: level, or down.
const LEVEL: (f64, f64) = (60.0, 0.0);
const DOWN: (f64, f64) = (540.0, 0.52);
/// How high the camera hangs, in metres.
const CAMERA: f64 = 2.5;
/// Width of a face in metres.
const FACE: f64 = 0.16;
/// Least part of a face that must be seen, and turned to the camera, to be a face at all.
const LEAST_SEEN: f64 = 0.25;
/// The detector's score of a face that is wholly seen, of one that is not, and how it varies.
const SCORE: (f64, f64, f64) = (0.25, 0.9, 0.05);
/// Score from which a box is a face, as the daemon has it, and from which it is a box at all.
pub const SURE: f32 = 0.6;
/// Least score of a box.
pub const DOUBTFUL: f32 = 0.3;
const MISSES: f64 = 0.1;
const TREMBLE: f64 = 0.05;
const DOUBLES: f64 = 0.02;
/// Boxes that overlap by more are one to the detector.
const NMS_IOU: f32 = 0.3;

/// Which scene.
#[derive(Debug, Clone, Copy)]
pub struct SceneSettings {
    /// What people do.
    pub kind: Kind,
    /// How many there are at any time.
    pub people: usize,
    /// Frames per second.
    pub fps: f64,
    /// How long it lasts.
    pub seconds: f64,
    /// Fixes all that is drawn.
    pub seed: u64,
}

/// A face that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Whose.
    pub person: u64,
    /// Where.
    pub rect: Rect,
}

/// A box that the detector gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where.
    pub rect: Rect,
    /// How sure it is, 0..=1.
    pub score: f32,
}

/// One frame of a scene.
#[derive(Debug, Clone)]
pub struct SceneFrame {
    /// Time since the start.
    pub at: Duration,
    /// The faces that are there.
    pub truth: Vec<Truth>,
    /// What the detector gives, best first.
    pub boxes: Vec<Detection>,
    /// Heads and bodies of those who walk, seen or not.
    pub walkers: Vec<Rect>,
}

/// A person in the picture.
struct Shape {
    person: usize,
    away: f64,
    face: Rect,
    speed: f64,
}

/// The frames of a scene.
#[must_use]
pub fn frames(settings: &SceneSettings) -> Vec<SceneFrame> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let people = people(settings.kind, settings.people, settings.seconds, &mut random);
    let pillar = (settings.kind == Kind::Pillar).then(|| {
        let (x, w) = project((0.0, DEPTH.0), 0.4);
        Rect {
            x: (x - w / 2.0) as f32,
            y: 0.0,
            w: w as f32,
            h: SIZE.1,
        }
    });
    let view = if settings.kind == Kind::Coming {
        DOWN
    } else {
        LEVEL
    };
    let count = (settings.seconds * settings.fps) as u64;
    (0..count)
        .map(|number| {
            let time = number as f64 / settings.fps;
            frame(time, &people, view, pillar, &mut random)
        })
        .collect()
}

fn frame(
    time: f64,
    people: &[Person],
    view: (f64, f64),
    pillar: Option<Rect>,
    random: &mut ChaCha8Rng,
) -> SceneFrame {
    let mut shapes: Vec<Shape> = people
        .iter()
        .enumerate()
        .filter_map(|(number, person)| shape(number, person, view, time))
        .collect();
    shapes.sort_by(|a, b| a.away.total_cmp(&b.away));
    let (mut truth, mut found) = (Vec::new(), Vec::new());
    for (place, shape) in shapes.iter().enumerate() {
        let hides = |point: (f32, f32)| {
            let nearer = shapes[..place].iter().any(|other| other.hides(point));
            nearer || pillar.is_some_and(|pillar| holds(&pillar, point))
        };
        let seen = seen_part(&shape.face, hides) * people[shape.person].frontal(time);
        if seen >= LEAST_SEEN {
            truth.push(Truth {
                person: shape.person as u64,
                rect: shape.face,
            });
        }
        detect(shape, seen, random, &mut found);
    }
    suppress_overlaps(&mut found, NMS_IOU);
    SceneFrame {
        at: Duration::from_secs_f64(time),
        truth,
        boxes: found
            .iter()
            .map(|face| Detection {
                rect: face.rect,
                score: face.score,
            })
            .collect(),
        walkers: shapes
            .iter()
            .filter(|shape| shape.speed > 0.2)
            .map(Shape::whole)
            .collect(),
    }
}

/// Middle in pixels from the left, and length in pixels, of `length` metres at a place.
fn project((x, z): (f64, f64), length: f64) -> (f64, f64) {
    (f64::from(SIZE.0) / 2.0 + FOCAL * x / z, FOCAL * length / z)
}

fn shape(number: usize, person: &Person, (axis, down): (f64, f64), time: f64) -> Option<Shape> {
    let ((x, z), speed) = person.at(time)?;
    let below = CAMERA - person.height - person.bob(time, speed);
    // How far he is along the camera's axis, and below it.
    let away = z * down.cos() + below * down.sin();
    let under = below * down.cos() - z * down.sin();
    if away < 0.5 {
        return None;
    }
    let (middle, width) = project((x, away), FACE);
    let height = 1.25 * width;
    let face = Rect {
        x: (middle - width / 2.0) as f32,
        y: (axis + FOCAL * under / away - height / 2.0) as f32,
        w: width as f32,
        h: height as f32,
    };
    let (cx, cy) = face.centre();
    let inside = (0.0..SIZE.0).contains(&cx) && (0.0..SIZE.1).contains(&cy);
    inside.then_some(Shape {
        person: number,
        away,
        face,
        speed,
    })
}

impl Shape {
    /// Whether head or body lie before `point`. A head is a little narrower than its box.
    fn hides(&self, (x, y): (f32, f32)) -> bool {
        let face = &self.face;
        let (cx, cy) = face.centre();
        let head = ((x - cx) / (0.5 * face.w)).hypot((y - cy) / (0.55 * face.h)) <= 1.0;
        let body = (x - cx).abs() <= 1.4 * face.w && y >= face.y + 1.15 * face.h;
        head || body
    }

    /// Head and body.
    fn whole(&self) -> Rect {
        Rect {
            x: self.face.x - self.face.w,
            y: self.face.y,
            w: 3.0 * self.face.w,
            h: 8.0 * self.face.h,
        }
    }
}

fn holds(rect: &Rect, (x, y): (f32, f32)) -> bool {
    (rect.x..rect.x + rect.w).contains(&x) && (rect.y..rect.y + rect.h).contains(&y)
}

/// The part of a face that nothing hides, and that is in the picture.
fn seen_part(face: &Rect, hides: impl Fn((f32, f32)) -> bool) -> f64 {
    const GRID: usize = 6;
    let seen = (0..GRID * GRID).filter(|i| {
        let point = (
            face.x + face.w * ((i % GRID) as f32 + 0.5) / GRID as f32,
            face.y + face.h * ((i / GRID) as f32 + 0.5) / GRID as f32,
        );
        let inside = (0.0..SIZE.0).contains(&point.0) && (0.0..SIZE.1).contains(&point.1);
        inside && !hides(point)
    });
    seen.count() as f64 / (GRID * GRID) as f64
}

/// What the detector makes of a face of which so much is seen.
fn detect(shape: &Shape, seen: f64, random: &mut ChaCha8Rng, found: &mut Vec<Face>) {
    let (missed, doubled): (f64, f64) = (random.random(), random.random());
    let draws: [f64; 5] = std::array::from_fn(|_| normal(random));
    let second: [f64; 3] = std::array::from_fn(|_| random.random());
    let score = SCORE.0 + (SCORE.1 - SCORE.0) * seen + SCORE.2 * draws[4];
    if missed < MISSES || seen < 0.1 || score < f64::from(DOUBTFUL) {
        return;
    }
    let face = &shape.face;
    let by = |length: f32, draw: f64| length * (TREMBLE * draw) as f32;
    let (w, h) = (face.w + by(face.w, draws[2]), face.h + by(face.h, draws[3]));
    let (cx, cy) = face.centre();
    let rect = Rect {
        x: cx + by(face.w, draws[0]) - w / 2.0,
        y: cy + by(face.h, draws[1]) - h / 2.0,
        w,
        h,
    };
    let score = score.clamp(0.0, 1.0) as f32;
    let mut give = |rect: Rect, score: f32| {
        found.push(Face {
            rect,
            score,
            landmarks: [[0.0; 2]; 5],
        });
    };
    give(rect, score);
    if doubled < DOUBLES {
        let less = 0.05 + 0.25 * second[0] as f32;
        let other = match second[1] < 0.5 {
            // A box about head and shoulders.
            true => Rect {
                x: rect.x - 0.5 * w,
                y: rect.y - 0.4 * h,
                w: 2.0 * w,
                h: 2.0 * h,
            },
            // A box beside the face.
            false => Rect {
                x: rect.x + if second[2] < 0.5 { 0.6 * w } else { -0.6 * w },
                y: rect.y + 0.1 * h,
                ..rect
            },
        };
        if score - less >= DOUBTFUL {
            give(other, score - less);
        }
    }
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    Normal::new(0.0, 1.0).map_or(0.0, |normal| normal.sample(random))
}
