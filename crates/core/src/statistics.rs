//! Statistics of a group: per person first, then over persons, so that persons weigh the same, not frames.
//!
//! These numbers are raw: only the privacy gate ([`crate::gate`]) decides what of them may be said.

use crate::descriptor::Moments;
use crate::expression::{EXPRESSIONS, Scores, dominant};
use crate::window::Window;

/// What a window says about its group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStatistics {
    /// Different people seen.
    pub distinct: u32,
    /// Mean number of people in a frame.
    pub people_mean: f64,
    /// Most people in one frame.
    pub peak: u32,
    /// People whose expression was read with confidence at least once.
    pub known: u32,
    /// People of `known` who were so in the previous window too.
    pub carried: u32,
    /// People who were classified, but never with confidence.
    pub unknown: u32,
    /// Mean over known persons of each person's mean score.
    pub mean: [f64; EXPRESSIONS],
    /// Population standard deviation over known persons of each person's mean score.
    pub std: [f64; EXPRESSIONS],
    /// Known persons by dominant expression.
    pub dominant: [u32; EXPRESSIONS],
    /// Mean over frames of the mean over faces: the first part of the paper's group descriptor.
    pub descriptor_mean: [f64; EXPRESSIONS],
    /// The paper's group descriptor over expression scores, length 32, L2-normed; empty if nobody was read.
    pub descriptor: Vec<f64>,
    /// The part of the descriptor that rests on one person alone, 0..=1.
    pub largest_weight: f64,
}

impl GroupStatistics {
    /// Sums a window up. A track counts as a person if it was seen in at least `confirm_frames` frames.
    #[must_use]
    pub fn of(window: &Window, confirm_frames: u32) -> Self {
        let people = || window.people.values().filter(|p| p.frames >= confirm_frames);
        let distinct = count(people());
        let mut moments = Moments::default();
        let mut by_expression = [0; EXPRESSIONS];
        for mean in people().filter_map(|p| p.mean()) {
            moments.add(&mean);
            let scores: Scores = mean.map(|m| m as f32);
            by_expression[dominant(&scores).0.index()] += 1;
        }
        let seen: u64 = people().map(|p| u64::from(p.frames)).sum();
        Self {
            distinct,
            people_mean: if window.frames > 0 {
                seen as f64 / f64::from(window.frames)
            } else {
                0.0
            },
            peak: window.peak.min(distinct),
            known: moments.count(),
            carried: count(people().filter(|p| p.known > 0 && p.carried)),
            unknown: count(people().filter(|p| p.known == 0 && p.unknown > 0)),
            mean: fixed(moments.mean()),
            std: fixed(&moments.std()),
            dominant: by_expression,
            descriptor_mean: fixed(window.descriptor.mean()),
            descriptor: window.descriptor.vector().unwrap_or_default(),
            largest_weight: window.largest_weight(),
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// The vector as an array; zeros where nothing was seen.
fn fixed(vector: &[f64]) -> [f64; EXPRESSIONS] {
    let mut array = [0.0; EXPRESSIONS];
    array.iter_mut().zip(vector).for_each(|(a, v)| *a = *v);
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;
    use crate::tracker::TrackId;
    use crate::window::{FrameFaces, Reading, SeenFace, Windows};
    use std::time::Duration;

    fn face(track: u64, happiness: f32) -> SeenFace {
        let mut scores = [0.0; EXPRESSIONS];
        scores[Expression::Happiness.index()] = happiness;
        scores[Expression::Neutral.index()] = 1.0 - happiness;
        SeenFace {
            track: TrackId(track),
            carried: track == 1,
            reading: Some(Reading::Known(scores)),
        }
    }

    fn statistics(frames: Vec<Vec<SeenFace>>, confirm: u32) -> GroupStatistics {
        let mut windows = Windows::new(Duration::from_secs(10));
        for (i, faces) in frames.into_iter().enumerate() {
            windows.add(&FrameFaces {
                at: Duration::from_millis(i as u64),
                faces,
                skipped: 0,
            });
        }
        GroupStatistics::of(&windows.advance(Duration::from_secs(10)).unwrap(), confirm)
    }

    #[test]
    fn persons_weigh_the_same_whatever_their_frames() {
        let group = statistics(
            vec![
                vec![face(1, 1.0), face(2, 0.0)],
                vec![face(1, 1.0)],
                vec![face(1, 1.0)],
                vec![face(1, 0.6)],
            ],
            1,
        );
        let happiness = Expression::Happiness.index();
        let per_person: [f64; 2] = [(1.0 + 1.0 + 1.0 + f64::from(0.6f32)) / 4.0, 0.0];
        assert!((group.mean[happiness] - per_person[0] / 2.0).abs() < 1e-12);
        assert!((group.std[happiness] - per_person[0] / 2.0).abs() < 1e-12);
        assert_eq!(group.dominant[happiness], 1);
        assert_eq!(group.dominant[Expression::Neutral.index()], 1);
        assert_eq!(
            (group.distinct, group.known, group.peak, group.carried),
            (2, 2, 2, 1)
        );
        assert!((group.people_mean - 5.0 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_flicker_is_not_a_person() {
        let frames = vec![vec![face(1, 1.0), face(9, 0.0)], vec![face(1, 1.0)]];
        assert_eq!(statistics(frames.clone(), 2).distinct, 1);
        assert_eq!(statistics(frames, 1).distinct, 2);
    }

    #[test]
    fn the_unknown_are_counted_apart() {
        let unread = |track| SeenFace {
            reading: Some(Reading::Unknown),
            ..face(track, 0.0)
        };
        let silent = SeenFace {
            reading: None,
            ..face(4, 0.0)
        };
        let group = statistics(vec![vec![face(1, 1.0), unread(2), unread(3), silent]], 1);
        assert_eq!((group.distinct, group.known, group.unknown), (4, 1, 2));
    }

    #[test]
    fn an_empty_window_has_no_numbers() {
        let group = statistics(vec![vec![]], 1);
        assert_eq!(
            (group.distinct, group.people_mean, group.largest_weight),
            (0, 0.0, 0.0)
        );
    }
}
