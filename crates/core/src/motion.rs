//! How a face moves: where it must be by now, and how sure that is.
//!
//! A Kalman filter for each of three axes: across and down, in widths of the face, so that near and far faces are alike, and
//! the logarithm of the width, which grows as a face comes nearer. Even motion, changed as people change it; boxes that tremble,
//! and heads that bob.

use crate::geometry::Rect;

/// What an axis varies by.
#[derive(Debug, Clone, Copy)]
struct Habit {
    /// How far a box lies from where the face would be if it went on evenly (standard deviation).
    tremble: f32,
    /// How fast the velocity changes (standard deviation, each second).
    acceleration: f32,
    /// How fast a face is of which nothing is known (standard deviation, each second; 12.5 widths are 2 m/s).
    speed: f32,
}

/// Across, down, and in size. People walk on a floor, which a camera sees more or less from the side, so they turn and stop across
/// the picture rather than up and down.
const HABITS: [Habit; 3] = [
    Habit {
        tremble: 0.1,
        acceleration: 3.0,
        speed: 7.0,
    },
    Habit {
        tremble: 0.1,
        acceleration: 0.7,
        speed: 2.5,
    },
    Habit {
        tremble: 0.06,
        acceleration: 0.2,
        speed: 0.3,
    },
];
/// How much of its new height, by its width, a face takes up.
const RESHAPE: f32 = 0.3;
/// The longest time that is predicted, in seconds.
const LONGEST: f32 = 3.0;
/// The sizes that a face can have, as logarithms of its width in pixels.
const SIZES: (f32, f32) = (-3.0, 14.0);

/// Place and velocity along one axis; their variances and covariance in squares of widths (and seconds).
#[derive(Debug, Clone, Copy)]
struct Axis {
    at: f32,
    velocity: f32,
    place: f32,
    both: f32,
    speed: f32,
}

/// Where a face is, and how it moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Motion {
    axes: [Axis; 3],
    /// Height by width.
    shape: f32,
}

/// Where a face must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) rect: Rect,
    /// Variances of where its box lies, in squares of widths, and of the logarithm of its width.
    variances: [f32; 3],
}

impl Axis {
    fn new(at: f32, habit: &Habit) -> Self {
        Self {
            at,
            velocity: 0.0,
            place: habit.tremble * habit.tremble,
            both: 0.0,
            speed: habit.speed * habit.speed,
        }
    }

    /// So many seconds on.
    fn ahead(&self, t: f32, habit: &Habit) -> Self {
        let noise = habit.acceleration * habit.acceleration;
        Self {
            at: self.at + self.velocity * t,
            place: self.place + 2.0 * t * self.both + t * t * self.speed + noise * t * t * t / 3.0,
            both: self.both + t * self.speed + noise * t * t / 2.0,
            speed: self.speed + noise * t,
            ..*self
        }
    }

    /// It is seen at `at`, so many seconds later.
    fn see(&mut self, t: f32, at: f32, habit: &Habit) {
        let ahead = self.ahead(t, habit);
        let variance = ahead.place + habit.tremble * habit.tremble;
        let (gain, speed_gain) = (ahead.place / variance, ahead.both / variance);
        let off = at - ahead.at;
        *self = Self {
            at: ahead.at + gain * off,
            velocity: ahead.velocity + speed_gain * off,
            place: (1.0 - gain) * ahead.place,
            both: (1.0 - gain) * ahead.both,
            speed: ahead.speed - speed_gain * ahead.both,
        };
    }
}

impl Motion {
    /// Of a face that is seen for the first time.
    pub(crate) fn new(face: &Rect) -> Self {
        let places = places(face);
        Self {
            axes: std::array::from_fn(|i| Axis::new(places[i], &HABITS[i])),
            shape: face.h / face.w,
        }
    }

    /// Where the face must be so many seconds after it was seen.
    pub(crate) fn expected(&self, seconds: f32) -> Expected {
        let t = seconds.clamp(0.0, LONGEST);
        let [across, down, size] = std::array::from_fn(|i| self.axes[i].ahead(t, &HABITS[i]));
        let w = size.at.clamp(SIZES.0, SIZES.1).exp();
        let h = w * self.shape;
        let variance = |axis: &Axis, habit: &Habit| axis.place + habit.tremble * habit.tremble;
        Expected {
            rect: Rect {
                x: across.at - w / 2.0,
                y: down.at - h / 2.0,
                w,
                h,
            },
            variances: [
                variance(&across, &HABITS[0]),
                variance(&down, &HABITS[1]),
                variance(&size, &HABITS[2]),
            ],
        }
    }

    /// The face is seen again, so many seconds later.
    pub(crate) fn see(&mut self, seconds: f32, face: &Rect) {
        let t = seconds.clamp(0.0, LONGEST);
        let axes = self.axes.iter_mut().zip(places(face));
        for ((axis, at), habit) in axes.zip(&HABITS) {
            axis.see(t, at, habit);
        }
        self.shape += RESHAPE * (face.h / face.w - self.shape);
    }
}

fn places(face: &Rect) -> [f32; 3] {
    let (cx, cy) = face.centre();
    [cx, cy, face.w.ln().clamp(SIZES.0, SIZES.1)]
}

impl Expected {
    /// Whether `face` lies so far from here, in so many standard deviations, that nothing else need be asked: they do not even
    /// touch.
    pub(crate) fn is_out_of_reach(&self, face: &Rect, gate: f32) -> bool {
        let ((x0, y0), (x1, y1)) = (self.rect.centre(), face.centre());
        let (dx, dy) = ((x1 - x0).abs(), (y1 - y0).abs());
        let reach = |variance: f32| gate * variance.sqrt() * self.rect.w;
        (dx > reach(self.variances[0]) && dx > (self.rect.w + face.w) / 2.0)
            || (dy > reach(self.variances[1]) && dy > (self.rect.h + face.h) / 2.0)
    }

    /// How far off, across, the face may well be (standard deviation, in widths).
    pub(crate) fn doubt(&self) -> f32 {
        self.variances[0].sqrt()
    }

    /// How far `face` lies from here, in standard deviations, squared; and the logarithm of how much room these leave.
    pub(crate) fn far(&self, face: &Rect) -> (f32, f32) {
        let ((x0, y0), (x1, y1)) = (self.rect.centre(), face.centre());
        let width = self.rect.w.min(face.w);
        let off = [(x1 - x0) / width, (y1 - y0) / width, (face.w / self.rect.w).ln()];
        let squares = off
            .iter()
            .zip(&self.variances)
            .map(|(off, variance)| off * off / variance);
        (squares.sum(), self.variances.iter().product::<f32>().ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32) -> Rect {
        Rect {
            x,
            y: 50.0,
            w: 40.0,
            h: 50.0,
        }
    }

    #[test]
    fn who_walks_evenly_is_expected_where_he_goes() {
        let mut motion = Motion::new(&face(0.0));
        let far = |motion: &Motion| motion.expected(0.1).far(&face(1000.0)).0;
        let fresh = far(&motion);
        for step in 1..=10 {
            motion.see(0.1, &face(20.0 * step as f32));
        }
        let next = motion.expected(0.5);
        assert!((next.rect.x - 300.0).abs() < 10.0, "{next:?}");
        assert!(
            far(&motion) > 2.0 * fresh,
            "what is known better is farther from elsewhere"
        );
    }

    #[test]
    fn time_that_stands_still_or_goes_on_for_ever_gives_numbers() {
        let mut motion = Motion::new(&face(0.0));
        for seconds in [0.0, 0.0, 1e9, 0.0, f32::MAX, -1.0] {
            motion.see(seconds, &face(30.0));
            let expected = motion.expected(seconds);
            let (far, room) = expected.far(&face(0.0));
            assert!(
                expected.rect.x.is_finite() && far.is_finite() && room.is_finite(),
                "{expected:?}"
            );
            assert!(far >= 0.0);
        }
    }
}
