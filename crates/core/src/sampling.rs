//! Which faces are classified in a frame: every track at a set rate, within a budget for all together.
//!
//! Each track has a slot every `1 / hz` seconds, from the second frame on in which it is seen: what is seen once is often no
//! face, and who walks past so quickly that every frame finds a new track costs no reading. If the budget does not reach, those
//! go first whose reading is most overdue, whoever they are: whoever has just come has to wait as all the others do. A slot
//! that passes unserved is counted as skipped.

use std::time::Duration;

use crate::tracker::Track;

/// How long the budget may be saved up.
const BURST: Duration = Duration::from_millis(250);
/// How much of it one frame may take, if frames come more slowly than that.
const SLOWEST: Duration = Duration::from_secs(1);
/// How often a face must have been seen before it is read, unless every picture stands alone.
const SECOND_FRAME: u32 = 2;

/// The rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingSettings {
    /// Classifications per second of one track, greater than 0.
    pub hz: f64,
    /// Classifications per second of all tracks together; `None` for no limit (stills).
    pub budget_hz: Option<f64>,
}

/// Chooses the faces to classify, frame by frame.
#[derive(Debug)]
pub struct Sampling {
    period: Duration,
    budget_hz: Option<f64>,
    /// Classifications that may be made now.
    tokens: f64,
    last: Option<Duration>,
    chosen: Vec<usize>,
}

impl Sampling {
    /// A schedule with a full budget.
    #[must_use]
    pub fn new(settings: SamplingSettings) -> Self {
        Self {
            period: Duration::from_secs_f64(1.0 / settings.hz),
            budget_hz: settings.budget_hz,
            tokens: 0.0,
            last: None,
            chosen: Vec::new(),
        }
    }

    /// Chooses among the `present` tracks of the frame at `at`. Returns the places of the chosen ones in the
    /// slice, and how many slots have passed unserved since the last frame.
    pub fn choose(&mut self, at: Duration, present: &mut [Track]) -> (&[usize], u32) {
        let first = if self.budget_hz.is_some() { SECOND_FRAME } else { 1 };
        self.chosen.clear();
        for (place, track) in present.iter_mut().enumerate() {
            if track.sights() <= first && track.last_read.is_none() {
                track.due = at;
            }
            if track.sights() >= first && track.due <= at {
                self.chosen.push(place);
            }
        }
        self.chosen
            .sort_unstable_by_key(|place| (present[*place].due, present[*place].last_read, *place));
        let mut skipped = 0;
        for track in present.iter_mut() {
            let late = at.saturating_sub(track.due).as_nanos() / self.period.as_nanos().max(1);
            let left_out = u32::try_from(late).unwrap_or(u32::MAX);
            skipped += left_out.saturating_sub(track.left_out);
            track.left_out = track.left_out.max(left_out);
        }
        let allowance = self.allowance(at);
        self.chosen.truncate(allowance);
        for place in &self.chosen {
            let track = &mut present[*place];
            let next = track.due + self.period;
            // Who is read within a slot keeps the beat; after that it begins anew, so that nobody stays overdue for ever.
            track.due = if next > at { next } else { at + self.period };
            track.last_read = Some(at);
            track.left_out = 0;
        }
        self.tokens -= self.chosen.len() as f64;
        (&self.chosen, skipped)
    }

    /// How many classifications the budget allows now.
    fn allowance(&mut self, at: Duration) -> usize {
        let Some(hz) = self.budget_hz else {
            return usize::MAX;
        };
        let gap = self.last.map_or(BURST, |last| at.saturating_sub(last));
        self.last = Some(at);
        // Of slow frames each has a second's worth at most.
        let most = (hz * gap.clamp(BURST, SLOWEST).as_secs_f64()).max(1.0);
        let gained = hz * gap.as_secs_f64();
        self.tokens = (self.tokens.max(0.0) + gained).min(most);
        self.tokens as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use crate::random::seeded;
    use crate::tracker::{Boxes, TrackSettings, Tracker};
    use std::collections::HashMap;

    fn face(x: f32, y: f32) -> Rect {
        Rect {
            x,
            y,
            w: 40.0,
            h: 40.0,
        }
    }

    /// Runs ten frames a second with the faces that `faces` gives, each with its number; returns how often each was read, how
    /// often it was seen, and how many slots were skipped.
    fn watch(
        settings: SamplingSettings,
        seconds: u64,
        faces: impl Fn(f32) -> Vec<(u32, Rect)>,
    ) -> (HashMap<u32, (u32, u32)>, u32) {
        let mut tracker = Tracker::new(TrackSettings::default());
        let (mut sampling, mut random) = (Sampling::new(settings), seeded(7));
        let (mut counts, mut skipped) = (HashMap::new(), 0);
        for frame in 0..seconds * 10 {
            let people = faces(frame as f32 / 10.0);
            let rects: Vec<Rect> = people.iter().map(|(_, rect)| *rect).collect();
            let boxes = Boxes {
                at: Duration::from_millis(frame * 100),
                size: (1e5, 1e5),
                faces: &rects,
                doubtful: &[],
            };
            let (tracks, present) = tracker.update(&boxes, &mut random);
            let tracks = &mut tracks[..present];
            let (chosen, missed) = sampling.choose(boxes.at, tracks);
            skipped += missed;
            for (i, track) in tracks.iter().enumerate() {
                let whose = people.iter().find(|(_, rect)| rect == track.rect()).unwrap().0;
                let count = counts.entry(whose).or_insert((0, 0));
                count.0 += u32::from(chosen.contains(&i));
                count.1 += 1;
            }
        }
        (counts, skipped)
    }

    fn sits(number: u32) -> (u32, Rect) {
        (number, face(60.0 * number as f32, 0.0))
    }

    /// Runs `seconds` with `people` standing still; returns how often each was read, and how many slots were skipped.
    fn run(people: u32, settings: SamplingSettings, seconds: u64) -> (Vec<u32>, u32) {
        let (counts, skipped) = watch(settings, seconds, |_| (0..people).map(sits).collect());
        (counts.into_values().map(|(read, _)| read).collect(), skipped)
    }

    #[test]
    fn within_the_budget_everyone_is_classified_at_the_rate() {
        let (counts, skipped) = run(
            4,
            SamplingSettings {
                hz: 2.0,
                budget_hz: Some(40.0),
            },
            10,
        );
        // Ten seconds from the second frame on.
        assert_eq!(counts, [20, 20, 20, 20]);
        assert_eq!(skipped, 0);
    }

    #[test]
    fn beyond_the_budget_everyone_is_sampled_evenly_and_the_rest_is_counted() {
        let (counts, skipped) = run(
            30,
            SamplingSettings {
                hz: 2.0,
                budget_hz: Some(20.0),
            },
            15,
        );
        assert_eq!(counts.len(), 30);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "between {least} and {most} each");
        let classified: u32 = counts.iter().sum();
        assert!(
            (295..=305).contains(&classified),
            "20 a second for 15 s: {classified}"
        );
        // 30 people × 2 Hz × 15 s = 900 slots; the open slot of each may still be served.
        assert!((570..=605).contains(&skipped), "{skipped}");
    }

    #[test]
    fn stills_have_no_budget() {
        let (counts, skipped) = run(
            50,
            SamplingSettings {
                hz: 10.0,
                budget_hz: None,
            },
            1,
        );
        assert_eq!(counts, [10; 50]);
        assert_eq!(skipped, 0);
    }

    #[test]
    fn a_frame_rate_below_the_rate_reads_every_frame() {
        let (counts, _) = run(
            1,
            SamplingSettings {
                hz: 30.0,
                budget_hz: Some(100.0),
            },
            1,
        );
        assert_eq!(counts, [9], "all but the first");
    }

    #[test]
    fn who_is_seen_in_one_frame_alone_is_not_read() {
        // Everybody is somewhere else in every frame.
        let settings = SamplingSettings {
            hz: 2.0,
            budget_hz: Some(40.0),
        };
        let (counts, skipped) = watch(settings, 5, |time| {
            (0..4)
                .map(|i| (i, face(8_000.0 * time, 300.0 * i as f32)))
                .collect()
        });
        assert!(counts.values().all(|(read, _)| *read == 0), "{counts:?}");
        assert_eq!(skipped, 0, "nobody was there for long enough");
    }

    #[test]
    fn walkers_do_not_starve_people_who_sit_and_everybody_is_read_equally_often() {
        // 20 sit, and 10 walk by, each for four seconds: 60 readings a second are due, 20 are allowed.
        let settings = SamplingSettings {
            hz: 2.0,
            budget_hz: Some(20.0),
        };
        let (counts, skipped) = watch(settings, 60, |time| {
            let walks = (0..10).map(|lane| {
                let (lap, into) = ((time / 4.0) as u32, time % 4.0);
                (
                    1000 + 100 * lap + lane,
                    face(100.0 + 250.0 * into, 200.0 + 90.0 * lane as f32),
                )
            });
            (0..20).map(sits).chain(walks).collect()
        });
        let rate = |who: &dyn Fn(u32) -> bool| {
            let (mut read, mut seen) = (0, 0);
            for (_, count) in counts.iter().filter(|(number, _)| who(**number)) {
                (read, seen) = (read + count.0, seen + count.1);
            }
            10.0 * f64::from(read) / f64::from(seen)
        };
        let (sitting, walking) = (rate(&|number| number < 1000), rate(&|number| number >= 1000));
        assert!(
            (0.6..=0.75).contains(&sitting),
            "{sitting} a second each of those who sit"
        );
        assert!(
            (0.8..=1.25).contains(&(walking / sitting)),
            "{walking} to {sitting}"
        );
        let each: Vec<u32> = (0..20).map(|number| counts[&number].0).collect();
        let (least, most) = (each.iter().min().unwrap(), each.iter().max().unwrap());
        assert!(most - least <= 3, "between {least} and {most} of those who sit");
        let due = 60.0 * 60.0;
        let read: u32 = counts.values().map(|count| count.0).sum();
        let told = f64::from(skipped) / due;
        assert!(
            (0.5..=0.7).contains(&told),
            "{skipped} skipped of {due}, {read} read"
        );
    }

    #[test]
    fn who_was_away_has_missed_no_reading() {
        let settings = SamplingSettings {
            hz: 2.0,
            budget_hz: Some(20.0),
        };
        // Away for ten seconds of thirty; nobody moves about, so it is the same track.
        let (counts, skipped) = watch(settings, 30, |time| match (10.0..20.0).contains(&time) {
            true => vec![],
            false => vec![sits(0)],
        });
        assert_eq!(skipped, 0);
        assert!((38..=41).contains(&counts[&0].0), "{counts:?}");
    }
}
