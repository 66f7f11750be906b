//! The privacy gate: what of a window may be said, and how exactly. Nothing is published but through here.
//!
//! Four rules, each with its tests:
//!
//! 1. **Small groups say nothing.** Fewer than `min_group` distinct people, or fewer than `min_group` with a
//!    confident reading: the window is suppressed, with every count that depends on a face.
//! 2. **One person cannot be subtracted out.** Windows tumble, so no observation is in two reports. But people
//!    stay: if a few came or went since the last report, the difference of the two would tell of those few. Then
//!    the means of this report carry Laplace noise worth one person (`SMALL_CHANGE_SCALE`); standard deviations
//!    and shares are left out.
//! 3. **A group that is all alike is coarsened.** If everybody, or everybody but one, shows the same
//!    expression, the report says so of all but one, and the small cells are left out.
//! 4. **Nobody dominates.** A mood that rests on one person by more than half is left out.
//!
//! Numbers are rounded to two decimals last.

use std::collections::BTreeMap;

use crate::expression::{EXPRESSIONS, Expression};
use crate::mood::{self, MoodClass, MoodClassifier};
use crate::random::{Random, laplace};
use crate::report::{
    Coarsening, Coverage, Emotion, FrameCoverage, Mood, People, ReportBody, Suppressed, SuppressionReason,
};
use crate::statistics::GroupStatistics;
use crate::window::Window;

/// The least value that `min_group` may take. Below three, a member of the group can work out the others.
pub const MIN_GROUP_FLOOR: u32 = 3;

/// Scale of the Laplace noise on the sum of scores, in persons. One person's scores sum to 1, so one person more
/// or less changes the likelihood of the published means by at most a factor of e (differential privacy, ε = 1).
const SMALL_CHANGE_SCALE: f64 = 1.0;

/// What may be said of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing but that it was suppressed.
    Suppressed(Suppressed),
    /// These numbers.
    Released(Released),
}

/// Numbers that have passed the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// How many people.
    pub people: People,
    /// What they show.
    pub emotion: Emotion,
    /// How the group feels as a whole; `None` if one person dominates it.
    pub mood: Option<Mood>,
    /// Why some of it is less exact than it could be.
    pub coarsened: Vec<Coarsening>,
}

impl Verdict {
    /// The part of a report that this verdict allows.
    #[must_use]
    pub fn into_body(self, window: &Window, frames_expected: u32) -> ReportBody {
        match self {
            Self::Suppressed(suppressed) => ReportBody::Suppressed {
                coverage: FrameCoverage {
                    frames: window.frames,
                    frames_expected,
                },
                suppressed,
            },
            Self::Released(released) => ReportBody::Released {
                coverage: Coverage {
                    frames: window.frames,
                    frames_expected,
                    faces_classified: window.classified,
                    faces_skipped: window.skipped,
                },
                suppressed: (),
                coarsened: released.coarsened,
                people: released.people,
                emotion: released.emotion,
                mood: released.mood,
                attributes: None,
            },
        }
    }
}

/// The gate of one camera. Remembers the size of the last released group, and nothing else.
#[derive(Debug)]
pub struct Gate {
    min_group: u32,
    labels: Vec<Expression>,
    classifier: Option<MoodClassifier>,
    last: Option<LastReport>,
}

#[derive(Debug)]
struct LastReport {
    window: u64,
    known: u32,
}

impl Gate {
    /// A gate that lets groups of at least `min_group` pass (raised to [`MIN_GROUP_FLOOR`]); `labels` are
    /// the expressions that the model knows.
    #[must_use]
    pub fn new(min_group: u32, labels: Vec<Expression>) -> Self {
        Self {
            min_group: min_group.max(MIN_GROUP_FLOOR),
            labels,
            classifier: None,
            last: None,
        }
    }

    /// Lets a trained classifier say the mood of windows that are not coarsened. Coarsened windows keep to the mean
    /// scores: noise on a mean hides one person, noise on a classifier's answer is not known to.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Option<MoodClassifier>) -> Self {
        self.classifier = classifier;
        self
    }

    /// Decides on the window with the number `window`.
    pub fn judge(&mut self, window: u64, group: &GroupStatistics, random: Random<'_>) -> Verdict {
        let reason = if group.distinct < self.min_group {
            Some(SuppressionReason::GroupTooSmall)
        } else if group.known < self.min_group {
            Some(SuppressionReason::TooFewReadings)
        } else {
            None
        };
        if let Some(reason) = reason {
            return Verdict::Suppressed(Suppressed {
                reason,
                min_group: self.min_group,
            });
        }
        let small_change = self.is_small_change(window, group);
        self.last = Some(LastReport {
            window,
            known: group.known,
        });
        Verdict::Released(self.release(group, small_change, random))
    }

    /// Whether the last report and this one differ by fewer than `min_group` people, as far as can be told.
    fn is_small_change(&self, window: u64, group: &GroupStatistics) -> bool {
        let Some(last) = &self.last else { return false };
        if group.carried == 0 {
            return false; // nobody is in both
        }
        if window != last.window + 1 {
            return true; // who came and went meanwhile is not known
        }
        let joined = group.known - group.carried;
        let left = last.known.saturating_sub(group.carried);
        (1..self.min_group).contains(&(joined + left))
    }

    fn release(&self, group: &GroupStatistics, small_change: bool, random: Random<'_>) -> Released {
        let known = f64::from(group.known);
        let classified = known + f64::from(group.unknown);
        let unknown_share = round2(f64::from(group.unknown) / classified);
        // Of all but one, whether all are alike or not: nobody can be sure of anybody.
        let all_but_one = (known - 1.0) / known;
        let (emotion, mood, coarsened) = if small_change {
            let mean = self
                .blurred(&group.mean, known, random)
                .map(|m| m.min(all_but_one));
            let emotion = Emotion {
                mean: self.named(&mean),
                std: BTreeMap::new(),
                share: BTreeMap::new(),
                unknown_share,
            };
            (
                emotion,
                mood::scores(&mean).map(|s| exact_mood(&s)),
                vec![Coarsening::SmallChange],
            )
        } else if let Some(alike) = self.alike(group) {
            let emotion = Emotion {
                mean: BTreeMap::from([(alike, coarse(group.mean[alike.index()], all_but_one))]),
                std: BTreeMap::new(),
                share: BTreeMap::from([(alike, floor2(all_but_one * known / classified))]),
                unknown_share,
            };
            let mood = mood::scores(&group.descriptor_mean).map(|s| coarse_mood(&s, all_but_one));
            (emotion, mood, vec![Coarsening::HomogeneousGroup])
        } else {
            let emotion = Emotion {
                mean: self.named(&group.mean),
                std: self.named(&group.std),
                share: self.named(&group.dominant.map(|persons| f64::from(persons) / classified)),
                unknown_share,
            };
            let scores = match &self.classifier {
                Some(classifier) => Some(classifier.scores(&group.descriptor)),
                None => mood::scores(&group.descriptor_mean),
            };
            (emotion, scores.map(|s| exact_mood(&s)), Vec::new())
        };
        let people = People {
            distinct: group.distinct,
            mean: round2(group.people_mean),
            peak: group.peak,
        };
        let mood = mood.filter(|_| group.largest_weight <= 0.5);
        Released {
            people,
            emotion,
            mood,
            coarsened,
        }
    }

    /// The expression that everybody, or everybody but one, shows.
    fn alike(&self, group: &GroupStatistics) -> Option<Expression> {
        self.labels
            .iter()
            .copied()
            .find(|label| group.dominant[label.index()] + 1 >= group.known)
    }

    /// The means with noise worth one person; they still sum to 1, unless every draw was against it.
    fn blurred(&self, mean: &[f64; EXPRESSIONS], known: f64, random: Random<'_>) -> [f64; EXPRESSIONS] {
        let mut sums = [0.0; EXPRESSIONS];
        for label in &self.labels {
            let noise = laplace(SMALL_CHANGE_SCALE, random);
            sums[label.index()] = (mean[label.index()] * known + noise).max(0.0);
        }
        let all: f64 = sums.iter().sum();
        sums.map(|sum| if all > 0.0 { sum / all } else { 0.0 })
    }

    fn named(&self, values: &[f64; EXPRESSIONS]) -> BTreeMap<Expression, f64> {
        self.labels
            .iter()
            .map(|label| (*label, round2(values[label.index()])))
            .collect()
    }
}

fn exact_mood(scores: &[f64; 3]) -> Mood {
    let score = MoodClass::ALL
        .iter()
        .map(|c| (*c, round2(scores[*c as usize])))
        .collect();
    Mood {
        class: mood::strongest(scores),
        score,
    }
}

/// The mood of a homogeneous group: its class, and a bound for the score.
fn coarse_mood(scores: &[f64; 3], cap: f64) -> Mood {
    let class = mood::strongest(scores);
    Mood {
        class,
        score: BTreeMap::from([(class, coarse(scores[class as usize], cap))]),
    }
}

/// One decimal, and never above the cap.
fn coarse(value: f64, cap: f64) -> f64 {
    floor2(((value * 10.0).round() / 10.0).min(cap))
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Rounds down, so that an upper bound stays one.
fn floor2(value: f64) -> f64 {
    (value * 100.0 + 1e-9).floor() / 100.0
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
