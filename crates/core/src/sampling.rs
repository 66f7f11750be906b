//! Which faces are classified in a frame: every track at a set rate, within a budget for all together.
//!
//! Each track has a slot every `1 / hz` seconds. If the budget does not reach, the tracks that have
//! waited longest go first, so everyone is sampled evenly; a slot that passes unserved is counted as skipped.

use std::time::Duration;

use crate::tracker::Track;

/// How long the budget may be saved up.
const BURST: Duration = Duration::from_millis(250);

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
        self.chosen.clear();
        self.chosen
            .extend((0..present.len()).filter(|&i| present[i].due <= at));
        // The one who waited longest first; who was never read has waited for ever.
        self.chosen.sort_by_key(|&i| present[i].last_read);
        let allowance = self.allowance(at);
        self.chosen.truncate(allowance);
        for &i in &self.chosen {
            let track = &mut present[i];
            track.last_read = Some(at);
            track.due = (track.due + self.period).max(at);
        }
        let mut skipped = 0;
        for track in present {
            while track.last_read != Some(at) && track.due + self.period <= at {
                track.due += self.period;
                skipped += 1;
            }
        }
        self.tokens -= self.chosen.len() as f64;
        (&self.chosen, skipped)
    }

    /// How many classifications the budget allows now.
    fn allowance(&mut self, at: Duration) -> usize {
        let Some(hz) = self.budget_hz else {
            return usize::MAX;
        };
        let most = (hz * BURST.as_secs_f64()).max(1.0);
        let gained = self
            .last
            .map_or(most, |last| hz * at.saturating_sub(last).as_secs_f64());
        self.last = Some(at);
        self.tokens = (self.tokens.max(0.0) + gained).min(most);
        self.tokens as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use crate::random::seeded;
    use crate::tracker::{TrackSettings, Tracker};
    use std::collections::HashMap;

    /// Runs `seconds` at 10 frames per second with `people` standing still; returns how often each was
    /// classified, and how many slots were skipped.
    fn run(people: usize, settings: SamplingSettings, seconds: u64) -> (Vec<u32>, u32) {
        let faces: Vec<Rect> = (0..people)
            .map(|i| Rect {
                x: 50.0 * i as f32,
                y: 0.0,
                w: 40.0,
                h: 40.0,
            })
            .collect();
        let mut tracker = Tracker::new(TrackSettings {
            iou: 0.3,
            memory: Duration::from_secs(1),
        });
        let (mut sampling, mut random) = (Sampling::new(settings), seeded(7));
        let (mut counts, mut skipped) = (HashMap::new(), 0);
        for frame in 0..seconds * 10 {
            let at = Duration::from_millis(frame * 100);
            let (tracks, present) = tracker.update(at, &faces, &mut random);
            let tracks = &mut tracks[..present];
            let (chosen, missed) = sampling.choose(at, tracks);
            skipped += missed;
            for &i in chosen {
                *counts.entry(tracks[i].id()).or_insert(0) += 1;
            }
        }
        (counts.into_values().collect(), skipped)
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
        assert_eq!(counts, [10]);
    }
}
