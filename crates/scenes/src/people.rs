//! People in front of a camera, in metres and seconds: where each is, which way, and when the face is turned away.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp};

/// Metres to the right of the camera's axis, and away from it.
pub(crate) type Place = (f64, f64);

/// Where the camera sees people: nearest and farthest, in metres.
pub(crate) const DEPTH: (f64, f64) = (2.5, 8.0);
/// Half of what it sees, in metres for each metre away (70° across).
pub(crate) const HALF_WIDTH: f64 = 0.7;
/// Fastest walk, in metres per second.
const FASTEST: f64 = 2.0;
/// How long turning the head takes, in seconds.
const TURN: f64 = 0.4;

/// How long stopping, starting and turning take, in seconds.
const STOP: f64 = 0.6;

/// What the people of a scene do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// They sit in rows and turn away now and then.
    Seated,
    /// They stand in groups, turn to one another, and change their place now and then.
    Standing,
    /// They cross the picture at 0.5 to 2 m/s from both sides; some stop on the way, some turn round.
    Walking,
    /// The same, and everybody has to pass behind a pillar.
    Pillar,
    /// They come towards a camera that looks down at 30°.
    Coming,
    /// Half of them sit, a quarter stands, the others walk by in front of and behind them.
    Mixed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Seated,
        Self::Standing,
        Self::Walking,
        Self::Pillar,
        Self::Coming,
        Self::Mixed,
    ];
}

/// A straight way, or a stop.
#[derive(Debug, Clone, Copy)]
struct Leg {
    until: f64,
    from: Place,
    to: Place,
}

/// Somebody, from coming to going.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    from: f64,
    legs: Vec<Leg>,
    /// Height of the face above the floor, in metres.
    pub(crate) height: f64,
    /// How far he sways, in metres, how fast, and where in it he begins.
    sway: (f64, f64, f64),
    /// When the head turns away, and back.
    away: Vec<(f64, f64)>,
}

impl Person {
    /// Where he is at `time`, and how fast; `None` if not there. Who stops or turns takes a moment: the way is smoothed.
    pub(crate) fn at(&self, time: f64) -> Option<(Place, f64)> {
        const STEPS: i32 = 4;
        let end = self.legs.last()?.until;
        if time < self.from || time >= end {
            return None;
        }
        let mut mean = (0.0, 0.0);
        for step in -STEPS..=STEPS {
            let (x, z) = self.on_way(time + STOP / 2.0 * f64::from(step) / f64::from(STEPS));
            mean = (mean.0 + x, mean.1 + z);
        }
        let count = f64::from(2 * STEPS + 1);
        let (before, after) = (self.on_way(time - STOP / 2.0), self.on_way(time + STOP / 2.0));
        let (far, rate, phase) = self.sway;
        let place = (mean.0 / count + far * (rate * time + phase).sin(), mean.1 / count);
        Some((place, length(before, after) / STOP))
    }

    fn on_way(&self, time: f64) -> Place {
        let mut start = self.from;
        for leg in &self.legs {
            if time < leg.until {
                let part = ((time - start) / (leg.until - start)).max(0.0);
                let along = |from: f64, to: f64| from + (to - from) * part;
                return (along(leg.from.0, leg.to.0), along(leg.from.1, leg.to.1));
            }
            start = leg.until;
        }
        self.legs.last().map_or((0.0, 0.0), |leg| leg.to)
    }

    /// How much of the face is turned to the camera, 0..=1.
    pub(crate) fn frontal(&self, time: f64) -> f64 {
        let away = self.away.iter().map(|(from, to)| {
            let turned = ((time - from) / TURN).min((to - time) / TURN);
            turned.clamp(0.0, 1.0)
        });
        1.0 - away.fold(0.0, f64::max)
    }

    /// How high above his height the head is at `time`: who walks bobs.
    pub(crate) fn bob(&self, time: f64, speed: f64) -> f64 {
        let walks = (speed / 1.4).min(1.0);
        0.025 * walks * (2.0 * std::f64::consts::PI * 1.8 * time + self.sway.2).sin()
    }

    fn turns_away(&mut self, on: f64, off: f64, until: f64, random: &mut ChaCha8Rng) {
        let mut time = self.from + exponential(on, random);
        while time < until {
            let end = time + 2.0 * TURN + exponential(off, random);
            self.away.push((time, end));
            time = end + exponential(on, random);
        }
    }
}

fn length(from: Place, to: Place) -> f64 {
    (from.0 - to.0).hypot(from.1 - to.1)
}

fn exponential(mean: f64, random: &mut ChaCha8Rng) -> f64 {
    Exp::new(1.0 / mean).map_or(mean, |exp| exp.sample(random))
}

/// Everybody of a scene with `count` people at any time, over so many seconds.
pub(crate) fn people(kind: Kind, count: usize, seconds: f64, random: &mut ChaCha8Rng) -> Vec<Person> {
    match kind {
        Kind::Seated => (0..count).map(|i| sits(i, count, seconds, random)).collect(),
        Kind::Standing => (0..count).map(|i| stands(i, seconds, random)).collect(),
        Kind::Walking | Kind::Pillar => walk(count, seconds, walker, random),
        Kind::Coming => walk(count, seconds, comer, random),
        Kind::Mixed => {
            let (seated, standing) = (count / 2, count / 4);
            let mut all: Vec<Person> = (0..seated).map(|i| sits(i, seated, seconds, random)).collect();
            all.extend((0..standing).map(|i| stands(i, seconds, random)));
            all.extend(walk(count - seated - standing, seconds, walker, random));
            all
        }
    }
}

/// Somebody on seat `number` of `count`, in rows, each row between the heads of the one in front.
fn sits(number: usize, count: usize, seconds: f64, random: &mut ChaCha8Rng) -> Person {
    let columns = count.min(10);
    let (row, column) = (number / columns, number % columns);
    let z = 3.2 + 0.8 * row as f64;
    let shift = if row % 2 == 0 { 0.25 } else { 0.75 };
    let x = HALF_WIDTH * 0.92 * 3.2 * (2.0 * (column as f64 + shift) / columns as f64 - 1.0);
    let place = (x, z);
    let mut person = Person {
        from: 0.0,
        legs: vec![Leg {
            until: f64::INFINITY,
            from: place,
            to: place,
        }],
        height: random.random_range(1.1..1.3) + 0.12 * row as f64,
        sway: (
            random.random_range(0.005..0.03),
            random.random_range(0.5..2.0),
            random.random_range(0.0..6.0),
        ),
        away: Vec::new(),
    };
    person.legs[0].until = seconds + 1.0;
    person.turns_away(20.0, 3.5, seconds, random);
    person
}

/// Somebody who stands in a group of up to five, and takes another place every half minute or so.
fn stands(number: usize, seconds: f64, random: &mut ChaCha8Rng) -> Person {
    let group = number / 5;
    let middle = |group: usize| {
        // Groups are spread over the room by the golden ratio, so that no two are at one place.
        let z = 3.0 + 4.5 * (group as f64 * 0.618).fract();
        let x = HALF_WIDTH * 0.8 * z * (2.0 * (0.3 + group as f64 * 0.377).fract() - 1.0);
        (x, z)
    };
    let place = |random: &mut ChaCha8Rng| {
        let (x, z) = middle(group);
        (
            x + random.random_range(-0.7..0.7),
            (z + random.random_range(-0.7..0.7)).max(DEPTH.0),
        )
    };
    let mut here = place(random);
    let (mut legs, mut time) = (Vec::new(), 0.0);
    while time < seconds {
        time += exponential(30.0, random).max(1.0);
        legs.push(Leg {
            until: time,
            from: here,
            to: here,
        });
        let there = place(random);
        time += (length(here, there) / 0.8).max(0.1);
        legs.push(Leg {
            until: time,
            from: here,
            to: there,
        });
        here = there;
    }
    let mut person = Person {
        from: 0.0,
        legs,
        height: random.random_range(1.5..1.8),
        sway: (
            random.random_range(0.02..0.06),
            random.random_range(0.4..1.5),
            random.random_range(0.0..6.0),
        ),
        away: Vec::new(),
    };
    person.turns_away(8.0, 3.0, seconds, random);
    person
}

/// People who pass through the picture, `count` at any time: when one has gone, another comes.
fn walk(
    count: usize,
    seconds: f64,
    walker: fn(f64, &mut ChaCha8Rng) -> Person,
    random: &mut ChaCha8Rng,
) -> Vec<Person> {
    let mut all = Vec::new();
    for _ in 0..count {
        let first = walker(0.0, random);
        let end = first.legs.last().map_or(0.0, |leg| leg.until);
        // At the start everybody is somewhere on his way.
        let shift = random.random_range(0.0..0.9) * end;
        let mut person = first;
        person.from -= shift;
        person.legs.iter_mut().for_each(|leg| leg.until -= shift);
        let mut time = end - shift;
        all.push(person);
        while time < seconds {
            time += random.random_range(0.0..0.5);
            let next = walker(time, random);
            time = next.legs.last().map_or(time, |leg| leg.until);
            all.push(next);
        }
    }
    all
}

fn walker(from: f64, random: &mut ChaCha8Rng) -> Person {
    let speed = random.random_range(0.5..FASTEST);
    let side = if random.random::<bool>() { 1.0 } else { -1.0 };
    let edge = |side: f64, random: &mut ChaCha8Rng| {
        let z = random.random_range(DEPTH.0 + 0.3..DEPTH.1);
        (side * (HALF_WIDTH * z + 0.1), z)
    };
    let (start, far) = (edge(-side, random), edge(side, random));
    let on = |part: f64| {
        (
            start.0 + (far.0 - start.0) * part,
            start.1 + (far.1 - start.1) * part,
        )
    };
    let turn = on(random.random_range(0.25..0.75));
    let ways = match random.random::<f64>() {
        // Stops on the way.
        part if part < 0.2 => vec![(turn, 0.0), (turn, random.random_range(2.0..6.0)), (far, 0.0)],
        // Turns round.
        part if part < 0.3 => vec![(turn, 0.0), (start, 0.0)],
        // Goes another way.
        part if part < 0.5 => {
            let other = edge(side, random);
            vec![(turn, 0.0), (other, 0.0)]
        }
        _ => vec![(far, 0.0)],
    };
    let (mut time, mut here, mut legs) = (from, start, Vec::new());
    for (to, rest) in ways {
        time += rest + length(here, to) / speed;
        legs.push(Leg {
            until: time,
            from: here,
            to,
        });
        here = to;
    }
    Person {
        from,
        legs,
        height: random.random_range(1.45..1.8),
        sway: (0.02, 5.6, random.random_range(0.0..6.0)),
        away: Vec::new(),
    }
}

/// Somebody who comes towards the camera and passes under it.
fn comer(from: f64, random: &mut ChaCha8Rng) -> Person {
    let speed = random.random_range(0.5..FASTEST);
    let side = |z: f64, random: &mut ChaCha8Rng| (random.random_range(-0.8..0.8) * HALF_WIDTH * z, z);
    let (start, end) = (side(DEPTH.1, random), side(1.2, random));
    Person {
        from,
        legs: vec![Leg {
            until: from + length(start, end) / speed,
            from: start,
            to: end,
        }],
        height: random.random_range(1.45..1.8),
        sway: (0.02, 5.6, random.random_range(0.0..6.0)),
        away: Vec::new(),
    }
}
