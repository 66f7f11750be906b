//! What the gate costs: reports per hour of typical rooms, with perfect identities and with the daemon's own tracker.

use std::time::Duration;

use affect_core::expression::{EXPRESSIONS, Expression};
use affect_core::gate::{Gate, GateSettings, Origin, Verdict};
use affect_core::geometry::Rect;
use affect_core::tracker::{Boxes, TrackId, TrackSettings, Tracker};
use affect_core::window::{FrameFaces, Reading, SeenFace, Span};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp};

use crate::trial::MIN_GROUP;

const WINDOW: f64 = 15.0;
const FPS: f64 = 10.0;
const SIZE: (f32, f32) = (1280.0, 720.0);
/// Width of a face in pixels.
const FACE: f32 = 40.0;
/// Pixels per second of somebody who walks: a metre a second.
const WALK: f64 = 250.0;

/// Seconds in which a face is seen, and in which it is not, on average.
const VISIBLE: [(&str, f64, f64); 3] = [
    ("100 %", f64::INFINITY, 0.0),
    ("85 %", 20.0, 3.5),
    ("60 %", 6.0, 4.0),
];

/// Somebody's visit, in seconds.
#[derive(Debug, Clone)]
struct Visit {
    person: u64,
    from: f64,
    to: f64,
    place: (f32, f32),
    /// Whether he crosses the picture without stopping.
    crosses: bool,
    /// When the face is hidden.
    hidden: Vec<(f64, f64)>,
}

impl Visit {
    /// Where the body is, if it walks.
    fn walks_at(&self, time: f64) -> Option<Rect> {
        let comes = self.from > 0.0 && (time - self.from) * WALK < f64::from(self.place.0) + 50.0;
        let walks = self.crosses || comes || time > self.to;
        self.place_at(time, 0.0).filter(|_| walks)
    }

    /// Where the face is, if it is seen.
    fn at(&self, time: f64, tremble: f32) -> Option<Rect> {
        let is_hidden = self.hidden.iter().any(|(a, b)| (*a..*b).contains(&time));
        self.place_at(time, tremble).filter(|_| !is_hidden)
    }

    fn place_at(&self, time: f64, tremble: f32) -> Option<Rect> {
        let out = self.to + f64::from(SIZE.0) / WALK;
        if time < self.from || time > out {
            return None;
        }
        let walked = ((time - self.from) * WALK) as f32;
        let x = match self.crosses {
            true => walked - FACE,
            // In from the left, and out to the left again.
            false if self.from > 0.0 && walked < self.place.0 => walked - FACE / 2.0,
            false if time > self.to => self.place.0 - ((time - self.to) * WALK) as f32,
            false => self.place.0,
        };
        let rect = Rect {
            x: x + tremble,
            y: self.place.1,
            w: FACE,
            h: FACE,
        };
        let middle = x + FACE / 2.0;
        (0.0..SIZE.0).contains(&middle).then_some(rect)
    }
}

/// The rooms, as visits over so many seconds.
fn visits(room: &str, seconds: f64, random: &mut ChaCha8Rng) -> Vec<Visit> {
    let mut next = 0;
    let mut visit = |from: f64, to: f64, number: usize| {
        next += 1;
        Visit {
            person: next,
            from,
            to,
            place: (
                150.0 + 95.0 * (number % 12) as f32,
                40.0 + 85.0 * (number / 12 % 8) as f32,
            ),
            crosses: false,
            hidden: Vec::new(),
        }
    };
    let mut all = Vec::new();
    match room {
        "museum hall, 8 to 15, a change every 20 s" => {
            come_and_go(8, 15, 11, 20.0, seconds, &mut visit, &mut all, random)
        }
        "shop, 4 to 8, a change every 30 s" => {
            come_and_go(4, 8, 6, 30.0, seconds, &mut visit, &mut all, random)
        }
        "street, 5 to 6 at once, each for 6 s" => {
            let mut time = 0.0;
            while time < seconds {
                time += exponential(6.0 / 5.5, random);
                let mut walker = visit(time, time + 6.0, 0);
                walker.crosses = true;
                walker.place.1 = random.random_range(20.0..640.0);
                all.push(walker);
            }
        }
        "lecture of 40, four go out for five minutes" => {
            all.extend((0..36).map(|i| visit(0.0, f64::INFINITY, i)));
            for i in 36..40 {
                let out = random.random_range(300.0..seconds - 900.0);
                let mut first = visit(0.0, out, i);
                let mut second = visit(out + 300.0, f64::INFINITY, i);
                second.person = first.person;
                first.to = out;
                all.extend([first, second]);
            }
        }
        room => {
            let count = if room.starts_with("8 ") {
                8
            } else if room.starts_with("15") {
                15
            } else {
                30
            };
            all.extend((0..count).map(|i| visit(0.0, f64::INFINITY, i)));
        }
    }
    all
}

#[allow(clippy::too_many_arguments)] // a room in one line
fn come_and_go(
    least: usize,
    most: usize,
    start: usize,
    every: f64,
    seconds: f64,
    visit: &mut impl FnMut(f64, f64, usize) -> Visit,
    all: &mut Vec<Visit>,
    random: &mut ChaCha8Rng,
) {
    let mut present: Vec<Visit> = (0..start).map(|i| visit(0.0, f64::INFINITY, 5 * i)).collect();
    let mut time = 0.0;
    let mut seat = start;
    loop {
        time += exponential(every, random);
        if time >= seconds {
            break;
        }
        let comes = match present.len() {
            n if n <= least => true,
            n if n >= most => false,
            _ => random.random::<bool>(),
        };
        if comes {
            seat += 1;
            present.push(visit(time, f64::INFINITY, 5 * seat));
        } else {
            let mut leaver = present.swap_remove(random.random_range(0..present.len()));
            leaver.to = time;
            all.push(leaver);
        }
    }
    all.append(&mut present);
}

fn exponential(mean: f64, random: &mut ChaCha8Rng) -> f64 {
    Exp::new(1.0 / mean).map_or(mean, |exp| exp.sample(random))
}

/// Hides every face now and then, `on` seconds seen and `off` not, on average.
fn hide(visits: &mut [Visit], on: f64, off: f64, seconds: f64, random: &mut ChaCha8Rng) {
    if off == 0.0 {
        return;
    }
    for visit in visits {
        let mut time = visit.from;
        let mut seen = random.random::<f64>() < on / (on + off);
        while time < (visit.to + 10.0).min(seconds) {
            let span = exponential(if seen { on } else { off }, random);
            if !seen {
                visit.hidden.push((time, time + span));
            }
            time += span;
            seen = !seen;
        }
    }
}

/// What was said in so many seconds.
struct Said {
    reports: u32,
    enough: u32,
    windows: u32,
    longest: f64,
}

fn run(visits: &[Visit], perfect: bool, seconds: f64, random: &mut ChaCha8Rng) -> Said {
    let mut gate = Gate::new(GateSettings {
        min_group: MIN_GROUP,
        origin: Origin::Live,
        labels: Expression::ALL.to_vec(),
        classifier: None,
    });
    if perfect {
        gate = gate.with_perfect_identities();
    }
    let mut tracker = Tracker::new(TrackSettings::default());
    let mut said = Said {
        reports: 0,
        enough: 0,
        windows: 0,
        longest: 0.0,
    };
    let mut last = 0.0;
    let mut start = 0.0;
    let mut names = ChaCha8Rng::seed_from_u64(9);
    let frames = (seconds * FPS) as u64;
    for frame in 0..frames {
        let time = frame as f64 / FPS;
        if time >= start + WINDOW {
            let span = Span {
                start: Duration::from_secs_f64(start),
                end: Duration::from_secs_f64(start + WINDOW),
                partial: false,
                aligned: true,
            };
            start += WINDOW;
            said.windows += 1;
            match gate.close(&span) {
                Verdict::Released(_) => {
                    said.reports += 1;
                    said.enough += 1;
                    said.longest = said.longest.max(start - last);
                    last = start;
                }
                Verdict::Held => said.enough += 1,
                Verdict::Suppressed => {}
            }
        }
        let seen: Vec<(u64, Rect)> = visits
            .iter()
            .filter_map(|visit| Some((visit.person, visit.at(time, random.random_range(-2.0..2.0))?)))
            .collect();
        let at = Duration::from_secs_f64(time);
        let faces = if perfect {
            seen.iter()
                .map(|(person, rect)| face(TrackId(*person), None, *rect))
                .collect()
        } else {
            let rects: Vec<Rect> = seen.iter().map(|(_, rect)| *rect).collect();
            // A place is disturbed where somebody walks by or away, seen or not.
            let bodies: Vec<Rect> = visits.iter().filter_map(|visit| visit.walks_at(time)).collect();
            tracker.watch(|surroundings, place| {
                surroundings.rest();
                if bodies.iter().any(|body| near(body, place)) {
                    surroundings.disturb();
                }
            });
            let boxes = Boxes {
                at,
                size: SIZE,
                faces: &rects,
                doubtful: &[],
            };
            let (tracks, present) = tracker.update(&boxes, &mut || names.random());
            tracks[..present]
                .iter()
                .map(|track| face(track.id(), track.before(), *track.rect()))
                .collect()
        };
        gate.see(
            &FrameFaces {
                at,
                size: SIZE,
                faces,
                skipped: 0,
            },
            true,
        );
    }
    said.longest = said.longest.max(seconds - last);
    said
}

/// Whether somebody's body is where somebody's face was.
fn near(body: &Rect, place: &Rect) -> bool {
    (body.x - place.x).abs() < 1.5 * FACE && (body.y - place.y).abs() < 2.0 * FACE
}

fn face(track: TrackId, before: Option<TrackId>, rect: Rect) -> SeenFace {
    SeenFace {
        track,
        before,
        rect,
        reading: Some(Reading {
            scores: [1.0 / EXPRESSIONS as f32; EXPRESSIONS],
            confident: true,
        }),
        since_read: Some(Duration::ZERO),
        lives: true,
    }
}

/// The rooms, and how many reports an hour each must have with perfect identities and faces that are seen 85 % of the time.
const ROOMS: [(&str, f64); 7] = [
    ("museum hall, 8 to 15, a change every 20 s", 15.0),
    ("shop, 4 to 8, a change every 30 s", 10.0),
    ("street, 5 to 6 at once, each for 6 s", 150.0),
    ("lecture of 40, four go out for five minutes", 150.0),
    ("8 who sit", 220.0),
    ("15 who sit", 220.0),
    ("30 who sit", 220.0),
];

/// Prints the table; gives the rooms that have too few reports.
pub(crate) fn print(hours: u64, seed: u64) -> Vec<&'static str> {
    println!(
        "| room | faces seen | windows with enough people | reports, perfect identities | longest silence | reports, our tracker | longest silence |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut poor = Vec::new();
    for (room, least) in ROOMS {
        for (seen, on, off) in VISIBLE {
            let mut sums = [[0.0; 2]; 3];
            let rounds = hours.div_ceil(2).max(1);
            let seconds = 7200.0;
            for round in 0..rounds {
                let mut random = ChaCha8Rng::seed_from_u64(seed ^ round << 8);
                let mut visits = visits(room, seconds, &mut random);
                hide(&mut visits, on, off, seconds, &mut random);
                for (i, perfect) in [true, false].into_iter().enumerate() {
                    let said = run(&visits, perfect, seconds, &mut random);
                    sums[0][i] += f64::from(said.reports) / 2.0 / rounds as f64;
                    sums[1][i] = f64::max(sums[1][i], said.longest / 60.0);
                    sums[2][i] += f64::from(said.enough) / f64::from(said.windows) * 240.0 / rounds as f64;
                }
            }
            let [reports, longest, enough] = sums;
            println!(
                "| {room} | {seen} | {:.0} | {:.0} | {:.1} min | {:.0} | {:.1} min |",
                enough[0], reports[0], longest[0], reports[1], longest[1]
            );
            // Who sits is silent for a hold at most; elsewhere people may be too few for longer.
            let is_silent = room.ends_with("sit") && longest[0] > 10.3;
            if seen == "85 %" && (reports[0] < least || is_silent) {
                poor.push(room);
            }
        }
    }
    poor
}
