//! The interim mood of a group: its mean expression scores, gathered into the paper's three group-level
//! classes. A trained classifier on descriptors takes its place later; the model's manifest says which it is.

use serde::{Deserialize, Serialize};

use crate::expression::{EXPRESSIONS, Expression};

/// Group-level classes of the paper (VGAF).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum MoodClass {
    Negative,
    Neutral,
    Positive,
}

impl MoodClass {
    /// All classes, in score order.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Neutral, Self::Positive];

    /// The class an expression speaks for. Surprise may be good or bad, so it speaks for neither.
    #[must_use]
    pub fn of(expression: Expression) -> Self {
        match expression {
            Expression::Happiness => Self::Positive,
            Expression::Neutral | Expression::Surprise => Self::Neutral,
            Expression::Sadness
            | Expression::Fear
            | Expression::Anger
            | Expression::Disgust
            | Expression::Contempt => Self::Negative,
        }
    }
}

/// Scores of the three classes, in the order of [`MoodClass::ALL`], summing to 1, from mean expression
/// scores. `None` if these are all 0.
#[must_use]
pub fn scores(mean: &[f64; EXPRESSIONS]) -> Option<[f64; 3]> {
    let mut mood = [0.0; 3];
    for expression in Expression::ALL {
        mood[MoodClass::of(expression) as usize] += mean[expression.index()];
    }
    let sum: f64 = mood.iter().sum();
    (sum > 0.0).then(|| mood.map(|m| m / sum))
}

/// The class with the largest score; the first wins a tie.
#[must_use]
pub fn strongest(scores: &[f64; 3]) -> MoodClass {
    let mut best = MoodClass::Negative;
    for class in MoodClass::ALL {
        if scores[class as usize] > scores[best as usize] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_add_up_to_a_mood() {
        let mut mean = [0.0; EXPRESSIONS];
        mean[Expression::Happiness.index()] = 0.3;
        mean[Expression::Anger.index()] = 0.1;
        mean[Expression::Sadness.index()] = 0.15;
        mean[Expression::Surprise.index()] = 0.05;
        let mood = scores(&mean).unwrap();
        for (ours, expected) in mood.iter().zip([0.25 / 0.6, 0.05 / 0.6, 0.3 / 0.6]) {
            assert!((ours - expected).abs() < 1e-12);
        }
        assert_eq!(strongest(&mood), MoodClass::Positive);
        assert_eq!(scores(&[0.0; EXPRESSIONS]), None);
    }
}
