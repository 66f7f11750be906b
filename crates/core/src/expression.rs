//! The eight basic expressions of the paper, and a score for each.

use serde::{Deserialize, Serialize};

/// How many expressions there are: the length of every score vector.
pub const EXPRESSIONS: usize = 8;

/// A basic expression, in the order in which the project stores scores.
///
/// The order of a *model's* outputs is another matter: it stands in the model's manifest
/// ([`crate::manifest::ExpressionHead::labels`]) and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Expression {
    Neutral,
    Happiness,
    Sadness,
    Surprise,
    Fear,
    Anger,
    Disgust,
    Contempt,
}

impl Expression {
    /// All expressions, in storage order.
    pub const ALL: [Self; EXPRESSIONS] = [
        Self::Neutral,
        Self::Happiness,
        Self::Sadness,
        Self::Surprise,
        Self::Fear,
        Self::Anger,
        Self::Disgust,
        Self::Contempt,
    ];

    /// The name used in manifests, reports and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happiness => "happiness",
            Self::Sadness => "sadness",
            Self::Surprise => "surprise",
            Self::Fear => "fear",
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Contempt => "contempt",
        }
    }

    /// The place of this expression in [`Scores`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One probability per expression, in the order of [`Expression::ALL`]; an expression that the model
/// does not know has 0. The sum is 1 up to the model's quantisation.
pub type Scores = [f32; EXPRESSIONS];

/// The most probable expression and its probability. The first wins a tie.
#[must_use]
pub fn dominant(scores: &Scores) -> (Expression, f32) {
    let mut best = (Expression::Neutral, scores[0]);
    for expression in Expression::ALL {
        if scores[expression.index()] > best.1 {
            best = (expression, scores[expression.index()]);
        }
    }
    best
}

/// Logits to probabilities, in place.
pub fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - largest).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_and_survives_large_logits() {
        let mut values = [1000.0, 1000.0, 998.0];
        softmax(&mut values);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((values[0] / values[2] - 2f32.exp()).abs() < 1e-4);
    }

    #[test]
    fn order_and_names_agree() {
        for (place, expression) in Expression::ALL.into_iter().enumerate() {
            assert_eq!(expression.index(), place);
            let json = serde_json::to_string(&expression).unwrap();
            assert_eq!(json, format!("\"{}\"", expression.name()));
        }
    }

    #[test]
    fn the_largest_score_dominates() {
        let mut scores = [0.1; EXPRESSIONS];
        scores[Expression::Fear.index()] = 0.4;
        assert_eq!(dominant(&scores), (Expression::Fear, 0.4));
    }
}
