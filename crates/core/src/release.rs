//! From the statistics of a group to the numbers that are said of it: in steps, and of a group that is all alike only that.

use std::collections::BTreeMap;

use crate::expression::{EXPRESSIONS, Expression};
use crate::mood::{self, MoodClass, MoodClassifier};
use crate::report::{Coarsening, Emotion, Mood, People};
use crate::statistics::GroupStatistics;

/// Steps of shares and of the mood's scores.
const SHARE_STEP: f64 = 0.05;
/// Steps of the part of the people who are not read with confidence.
const UNKNOWN_STEP: f64 = 0.25;
/// Steps of coverage.
pub const COVERAGE_STEP: f64 = 0.25;
/// How a mood is found of which only the group's expression may be told.
const BY_EXPRESSION: &str = "expression";

/// Numbers that have passed the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// How many people.
    pub people: People,
    /// What they show.
    pub emotion: Emotion,
    /// How the group feels as a whole.
    pub mood: Option<Mood>,
    /// Why some of it is less exact than it could be.
    pub coarsened: Vec<Coarsening>,
    /// Part of the classifications that the budget did not allow, 0..=1 in steps of [`COVERAGE_STEP`].
    pub faces_skipped: f64,
}

/// Rounds, and leaves out what would tell of one.
#[derive(Debug)]
pub(crate) struct Releaser {
    min_group: u32,
    labels: Vec<Expression>,
    classifier: Option<MoodClassifier>,
    /// Whether groups that are all alike are coarsened.
    pub(crate) homogeneity: bool,
}

impl Releaser {
    pub(crate) fn new(min_group: u32, labels: Vec<Expression>, classifier: Option<MoodClassifier>) -> Self {
        Self {
            min_group,
            labels,
            classifier,
            homogeneity: true,
        }
    }

    pub(crate) fn release(&self, group: &GroupStatistics) -> Released {
        let people = People {
            mean: (group.people_mean * 10.0).round() / 10.0,
            peak: group.peak,
        };
        let faces_skipped = step(group.skipped_part, COVERAGE_STEP);
        let mut coarsened = Vec::new();
        if group.by_frames {
            coarsened.push(Coarsening::ByFrames);
        }
        let bound = 1.0 - 1.0 / f64::from(self.min_group);
        if let Some(alike) = self.alike(group, bound) {
            coarsened.push(Coarsening::HomogeneousGroup);
            return Released {
                people,
                emotion: Emotion {
                    at_least: BTreeMap::from([(alike, (bound * 100.0).floor() / 100.0)]),
                    ..Emotion::default()
                },
                mood: Some(Mood {
                    method: BY_EXPRESSION.to_owned(),
                    class: MoodClass::of(alike),
                    score: BTreeMap::new(),
                }),
                coarsened,
                faces_skipped,
            };
        }
        let is_large = group.persons >= 2 * self.min_group && !group.by_frames;
        if !is_large {
            coarsened.push(Coarsening::SmallGroup);
        }
        let share = group.share.map(|share| step(share, SHARE_STEP));
        Released {
            people,
            emotion: Emotion {
                mean: self.named(&group.mean.map(round2)),
                std: match is_large {
                    true => self.named(&group.std.map(round2)),
                    false => BTreeMap::new(),
                },
                share: self.named(&share),
                unknown_share: Some(self.unknown_share(group)),
                at_least: BTreeMap::new(),
            },
            mood: self.mood(group),
            coarsened,
            faces_skipped,
        }
    }

    /// The expression that all show, or all but a `min_group`th part.
    fn alike(&self, group: &GroupStatistics, bound: f64) -> Option<Expression> {
        let is_alike = |label: &Expression| self.homogeneity && group.share[label.index()] >= bound - 1e-9;
        self.labels.iter().copied().find(is_alike)
    }

    /// The part of the people who are not read with confidence, rounded down: that one of few is not must not show, since how
    /// often somebody is tells his expression.
    fn unknown_share(&self, group: &GroupStatistics) -> f64 {
        let people = group.unknown_share * f64::from(group.persons);
        match people + 0.5 >= f64::from(self.min_group) {
            true => (group.unknown_share / UNKNOWN_STEP + 1e-9).floor() * UNKNOWN_STEP,
            false => 0.0,
        }
    }

    fn mood(&self, group: &GroupStatistics) -> Option<Mood> {
        let (method, scores) = match &self.classifier {
            Some(classifier) => ("classifier", Some(classifier.scores(&group.descriptor))),
            None => ("expression_scores", mood::scores(&group.mean)),
        };
        let scores = scores?;
        Some(Mood {
            method: method.to_owned(),
            class: mood::strongest(&scores),
            score: MoodClass::ALL
                .iter()
                .map(|class| (*class, step(scores[*class as usize], SHARE_STEP)))
                .collect(),
        })
    }

    fn named(&self, values: &[f64; EXPRESSIONS]) -> BTreeMap<Expression, f64> {
        self.labels
            .iter()
            .map(|label| (*label, values[label.index()]))
            .collect()
    }
}

/// The multiple of `size` that is nearest.
#[must_use]
pub fn step(value: f64, size: f64) -> f64 {
    // A hundredth is written exactly; a product of steps may not be.
    round2((value / size).round() * size)
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
