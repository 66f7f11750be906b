//! How many frames the board can stand: fewer when it becomes hot, before it slows itself down.
//!
//! A quarter less at a time while it is too hot, or about to be, and gets hotter; a little more at a time when it is
//! clearly cooler and what was given last has shown its whole effect; no change between. What keeps it from swinging: one
//! small step warms a board by less than the band is wide, so the rate comes to rest inside it, and a heavy heat sink is
//! waited for, however long it takes.

use std::time::Duration;

/// How often the rate is judged anew.
pub(super) const PERIOD: Duration = Duration::from_secs(5);
/// Width of the band under the limit in which the rate stays as it is, in K.
const BAND: f64 = 6.0;
/// Weight of the newest temperature in the mean of the last ones: sensors show steps of half a degree and noise.
const NEWEST: f64 = 0.6;
/// How many periods ahead a fast rise is thought on.
const AHEAD: f64 = 3.0;
/// Rising by more than this in a period is fast, in K; less may be noise.
const FAST: f64 = 0.5;
/// What is left of the rate when it is too hot.
const LESS: f64 = 0.75;
/// What is left of it when the board slows itself down already.
const MUCH_LESS: f64 = 0.5;
/// After a step down the next one comes if it becomes hotter by this, in K, or is still too hot after [`PATIENCE`].
const HOTTER: f64 = 0.5;
const PATIENCE: Duration = Duration::from_secs(120);
/// What is added to the rate when it is cool, after each [`REST`] in which it became hardly warmer.
const MORE: f64 = 0.05;
const REST: Duration = Duration::from_secs(180);
/// Hardly warmer, in K.
const STILL: f64 = 0.7;
/// Less than this part of the frames is never left.
const LEAST: f64 = 0.2;
/// Stands for the temperature of a board that has never told one, in °C.
const UNKNOWN: f64 = 0.0;

/// Decides on the part of the frames that is taken.
#[derive(Debug)]
pub(crate) struct Governor {
    /// Too hot from here, in °C.
    hot: f64,
    rate: f64,
    /// When it was last judged, and the mean temperature then.
    judged: Option<(Duration, f64)>,
    /// Whether the board has ever told its temperature.
    has_sensor: bool,
    /// When and at which temperature the rate was last lowered, until it is cool again.
    lowered: Option<(Duration, f64)>,
    /// Since when, and from which temperature, it is cool without a change of the rate.
    cool: Option<(Duration, f64)>,
}

impl Governor {
    /// Takes every frame until it is `hot`, in °C.
    pub(crate) fn new(hot: f64) -> Self {
        Self {
            hot,
            rate: 1.0,
            judged: None,
            has_sensor: false,
            lowered: None,
            cool: None,
        }
    }

    /// The part of the frames to take, 0..1, from the temperature in °C and whether the board slows itself down.
    /// Judges at most once in a [`PERIOD`].
    pub(crate) fn rate(&mut self, now: Duration, celsius: Option<f64>, throttled: bool) -> f64 {
        // A sensor that cannot be read for once says nothing, least of all that it is cold: nothing changes until it can.
        self.has_sensor |= celsius.is_some();
        if celsius.is_none() && self.has_sensor && !throttled {
            return self.rate;
        }
        let last = self.judged.map_or(UNKNOWN, |(_, mean)| mean);
        let newest = celsius.unwrap_or(if self.has_sensor { last } else { UNKNOWN });
        let (mean, rise) = match self.judged {
            Some((when, _)) if now.saturating_sub(when) < PERIOD => return self.rate,
            Some((_, before)) => (before + NEWEST * (newest - before), NEWEST * (newest - before)),
            None => (newest, 0.0),
        };
        self.judged = Some((now, mean));
        let expected = mean + if rise > FAST { AHEAD * rise } else { 0.0 };
        let cool = mean < self.hot - BAND;
        // A board that lacks power rather than cooling gains nothing from fewer frames.
        let throttled = throttled && (celsius.is_none() || !cool);
        if throttled || expected >= self.hot {
            self.lower(now, mean, if throttled { MUCH_LESS } else { LESS });
            self.cool = None;
        } else if cool {
            self.lowered = None;
            self.raise_after_a_rest(now, mean);
        } else {
            self.cool = None;
        }
        self.rate = self.rate.clamp(LEAST, 1.0);
        self.rate
    }

    fn lower(&mut self, now: Duration, mean: f64, part: f64) {
        let has_worked =
            |(when, then): (Duration, f64)| mean <= then + HOTTER && now.saturating_sub(when) < PATIENCE;
        if !self.lowered.is_some_and(has_worked) {
            self.rate *= part;
            self.lowered = Some((now, mean));
        }
    }

    fn raise_after_a_rest(&mut self, now: Duration, mean: f64) {
        let (since, then) = *self.cool.get_or_insert((now, mean));
        if now.saturating_sub(since) >= REST {
            if mean - then < STILL {
                self.rate += MORE;
            }
            self.cool = Some((now, mean));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: f64 = 75.0;
    const HOUR: usize = 3600;

    /// A board as physics has it: idle it is `idle` K above its surroundings, at full rate `load` K more, and it
    /// takes `inertia` seconds to get two thirds of the way there.
    struct Model {
        ambient: f64,
        idle: f64,
        load: f64,
        inertia: f64,
    }

    /// What the sensor shows: steps of half a degree, as on a Raspberry Pi, and a little noise.
    fn sensor(celsius: f64, second: usize) -> f64 {
        let noise = ((second * 7919) % 11) as f64 / 11.0 - 0.5;
        ((celsius + noise) / 0.487).round() * 0.487
    }

    /// Temperature and rate for each second of six hours.
    fn simulate(model: &Model) -> Vec<(f64, f64)> {
        let mut governor = Governor::new(HOT);
        let mut celsius = model.ambient + model.idle;
        (0..6 * HOUR)
            .map(|second| {
                let now = Duration::from_secs(second as u64);
                let throttled = celsius >= 82.0;
                let rate = governor.rate(now, Some(sensor(celsius, second)), throttled);
                let goal = model.ambient + model.idle + model.load * rate;
                celsius += (goal - celsius) / model.inertia;
                (celsius, rate)
            })
            .collect()
    }

    fn models() -> Vec<Model> {
        let mut models = Vec::new();
        for ambient in [10.0, 20.0, 30.0, 40.0, 45.0] {
            for load in [10.0, 25.0, 40.0, 60.0] {
                for inertia in [30.0, 90.0, 180.0, 400.0, 900.0] {
                    models.push(Model {
                        ambient,
                        idle: 12.0,
                        load,
                        inertia,
                    });
                }
            }
        }
        models
    }

    #[test]
    fn the_rate_comes_to_rest_and_the_board_stays_below_its_own_limit() {
        let mut slowed = 0;
        for model in models() {
            let run = simulate(&model);
            let words = format!(
                "ambient {} °C, load {} K, inertia {} s",
                model.ambient, model.load, model.inertia
            );
            let hottest = run.iter().map(|(celsius, _)| *celsius).fold(0.0, f64::max);
            assert!(hottest < 80.0, "{words}: {hottest:.1} °C");
            let last: Vec<f64> = run[5 * HOUR..].iter().map(|(_, rate)| *rate).collect();
            assert!(
                last.iter().all(|rate| (rate - last[0]).abs() < 1e-9),
                "{words}: the rate still moves in the sixth hour"
            );
            let changes: Vec<f64> = run
                .windows(2)
                .map(|pair| pair[1].1 - pair[0].1)
                .filter(|change| *change != 0.0)
                .collect();
            let turns = changes
                .windows(2)
                .filter(|pair| pair[0] < 0.0 && pair[1] > 0.0)
                .count();
            assert!(turns <= 2, "{words}: it swings, {turns} times");
            // Nothing is given away: what is left out was needed.
            let at_full = model.ambient + model.idle + model.load;
            if at_full < HOT - 1.0 {
                assert_eq!(last[0], 1.0, "{words}");
            } else if at_full > HOT + 1.0 {
                slowed += 1;
                let rest = model.ambient + model.idle + model.load * last[0];
                assert!(
                    (HOT - BAND - 1.5..HOT + 1.0).contains(&rest),
                    "{words}: rests at {rest:.1} °C"
                );
            }
        }
        assert!(slowed >= 20, "only {slowed} of the boards became hot at all");
    }

    #[test]
    fn without_a_governor_the_same_boards_throttle() {
        let hot = models()
            .iter()
            .filter(|m| m.ambient + m.idle + m.load >= 82.0)
            .count();
        assert!(hot >= 20, "the simulation proves something: {hot}");
    }

    #[test]
    fn a_board_that_slows_itself_down_loses_half_and_gets_it_back_slowly() {
        let mut governor = Governor::new(HOT);
        let second = Duration::from_secs(1);
        assert_eq!(governor.rate(second, None, true), 0.5);
        assert_eq!(
            governor.rate(second * 60, None, true),
            0.5,
            "the first step may still work"
        );
        assert_eq!(governor.rate(second * 121, None, true), 0.25);
        assert_eq!(governor.rate(second * 241, None, true), LEAST);
        let mut rates = (0..24).map(|n| governor.rate(second * (300 + 60 * n), None, false));
        assert!(rates.by_ref().take(3).all(|rate| rate == LEAST));
        let last = rates.last().expect("some");
        assert!(
            (last - (LEAST + 7.0 * MORE)).abs() < 1e-9,
            "{last} after 23 minutes"
        );
    }

    #[test]
    fn a_cool_board_with_a_weak_supply_takes_every_frame() {
        let mut governor = Governor::new(HOT);
        assert!((0..100).all(|n| governor.rate(PERIOD * n, Some(50.0), true) == 1.0));
    }

    #[test]
    fn a_board_without_a_sensor_takes_every_frame() {
        let mut governor = Governor::new(HOT);
        assert!((0..100).all(|n| governor.rate(PERIOD * n, None, false) == 1.0));
    }

    #[test]
    fn a_sensor_that_cannot_be_read_for_once_changes_nothing() {
        // Warm below the limit, and hot: at any rate, and with the sensor lost for one reading in seven, or for long.
        for celsius in [50.0, 66.0, 73.0, 80.0] {
            let run = |lost: fn(u32) -> bool| {
                let mut governor = Governor::new(HOT);
                let rate = |n: u32, governor: &mut Governor| {
                    governor.rate(PERIOD * n, (!lost(n)).then_some(celsius), false)
                };
                (1..400).map(|n| rate(n, &mut governor)).collect::<Vec<_>>()
            };
            let sound = run(|_| false);
            let holes = run(|n| n % 7 == 3);
            let falls = |rates: &[f64]| rates.windows(2).filter(|pair| pair[1] < pair[0]).count();
            let rises = |rates: &[f64]| rates.windows(2).filter(|pair| pair[1] > pair[0]).count();
            assert_eq!(falls(&holes), falls(&sound), "{celsius} °C");
            assert_eq!(rises(&holes), rises(&sound), "{celsius} °C");
            let dead = run(|n| n > 10);
            assert!(dead[10..].iter().all(|rate| *rate == dead[9]), "{celsius} °C");
        }
    }

    #[test]
    fn a_board_that_slows_itself_down_without_a_readable_sensor_is_believed() {
        let mut governor = Governor::new(HOT);
        assert_eq!(governor.rate(PERIOD, Some(60.0), false), 1.0);
        assert_eq!(governor.rate(PERIOD * 2, None, true), 0.5);
        assert_eq!(
            governor.rate(PERIOD * 3, None, false),
            0.5,
            "it is not known to be cool"
        );
        let readable = governor.rate(PERIOD * 4, Some(60.0), false);
        assert_eq!(
            readable, 0.5,
            "a temperature that is read again is no sudden heat"
        );
    }
}
