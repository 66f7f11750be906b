//! The mood of a group, in the paper's three group-level classes: from its mean expression scores ([`scores`]), or by a
//! classifier that was trained on descriptors of groups ([`MoodClassifier`]). The model's manifest says which it is.

use serde::{Deserialize, Serialize};

use crate::expression::{EXPRESSIONS, Expression};
use crate::manifest::Measured;

/// Length of a group descriptor of expression scores: mean and deviation over frames of mean and deviation over faces.
pub const DESCRIPTOR: usize = 4 * EXPRESSIONS;

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

    /// The name used in reports and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
        }
    }

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

/// A linear classifier of group descriptors, with its own manifest: the file that `affect-train group` writes and the
/// daemon loads (`mood.toml` beside the expression model whose scores it was trained on).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoodClassifier {
    /// One line for people.
    pub title: String,
    /// The expression model whose scores it reads: its manifest's id.
    pub expression_model: String,
    /// What it was trained on.
    pub source: String,
    /// Of the weights.
    pub licence: String,
    /// The order of the expressions in each quarter of the descriptor.
    pub expressions: Vec<Expression>,
    /// The order of the rows of `weights`.
    pub classes: Vec<MoodClass>,
    /// The scores are the softmax of `sharpness` · (weights · descriptor + bias); fitted so that they mean what
    /// they say on held-out scenes.
    pub sharpness: f64,
    /// One per class.
    pub bias: Vec<f64>,
    /// One row of [`DESCRIPTOR`] numbers per class.
    pub weights: Vec<Vec<f64>>,
    /// Accuracy that was measured, each with the command that measured it.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

/// Why a classifier's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MoodClassifierError {
    /// Not TOML, or a key is unknown, missing or of another type.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// Readable, but impossible.
    #[error("{0}")]
    Sense(String),
}

impl MoodClassifier {
    /// Reads and checks a classifier.
    ///
    /// # Errors
    /// [`MoodClassifierError`] for anything that does not fit the descriptors of this program.
    pub fn from_toml(text: &str) -> Result<Self, MoodClassifierError> {
        let classifier: Self = toml::from_str(text)?;
        match classifier.nonsense() {
            Some(why) => Err(MoodClassifierError::Sense(why)),
            None => Ok(classifier),
        }
    }

    fn nonsense(&self) -> Option<String> {
        if self.expressions != Expression::ALL {
            return Some(format!(
                "`expressions` must be {}, in this order: retrain the classifier with `affect-train group`.",
                Expression::ALL.map(Expression::name).join(", ")
            ));
        }
        if self.classes != MoodClass::ALL {
            return Some("`classes` must be negative, neutral, positive, in this order.".to_owned());
        }
        let rows = self.weights.iter().map(Vec::len);
        if self.bias.len() != MoodClass::ALL.len() || rows.collect::<Vec<_>>() != [DESCRIPTOR; 3] {
            return Some(format!(
                "`bias` must have 3 numbers and `weights` 3 rows of {DESCRIPTOR}, one per class."
            ));
        }
        let numbers = self.weights.iter().flatten().chain(&self.bias);
        if self.sharpness <= 0.0 || !numbers.chain([&self.sharpness]).all(|n| n.is_finite()) {
            return Some("`sharpness` must be above 0, and all numbers finite.".to_owned());
        }
        None
    }

    /// Scores of the three classes, in the order of [`MoodClass::ALL`], summing to 1, for a group descriptor.
    #[must_use]
    pub fn scores(&self, descriptor: &[f64]) -> [f64; 3] {
        let mut logits = [0.0; 3];
        for (class, logit) in logits.iter_mut().enumerate() {
            let products = self.weights[class].iter().zip(descriptor).map(|(w, x)| w * x);
            *logit = self.sharpness * (products.sum::<f64>() + self.bias[class]);
        }
        let largest = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let powers = logits.map(|logit| (logit - largest).exp());
        let sum: f64 = powers.iter().sum();
        powers.map(|power| power / sum)
    }
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

    fn classifier() -> MoodClassifier {
        let mut weights = vec![vec![0.0; DESCRIPTOR]; 3];
        weights[2][Expression::Happiness.index()] = 2.0;
        MoodClassifier {
            title: "made up".to_owned(),
            expression_model: "none".to_owned(),
            source: "none".to_owned(),
            licence: "MIT".to_owned(),
            expressions: Expression::ALL.to_vec(),
            classes: MoodClass::ALL.to_vec(),
            sharpness: 1.5,
            bias: vec![0.0, 0.5, 0.0],
            weights,
            measured: Vec::new(),
        }
    }

    #[test]
    fn a_classifier_is_a_softmax_of_planes() {
        let mut descriptor = vec![0.0; DESCRIPTOR];
        descriptor[Expression::Happiness.index()] = 0.8;
        let scores = classifier().scores(&descriptor);
        let powers = [0.0f64, 0.75, 2.4].map(f64::exp);
        let sum: f64 = powers.iter().sum();
        for (ours, power) in scores.iter().zip(powers) {
            assert!((ours - power / sum).abs() < 1e-12);
        }
        assert_eq!(strongest(&scores), MoodClass::Positive);
    }

    #[test]
    fn a_classifier_for_other_descriptors_is_refused() {
        let text = |change: fn(&mut MoodClassifier)| {
            let mut changed = classifier();
            change(&mut changed);
            toml::to_string(&changed).unwrap()
        };
        assert_eq!(MoodClassifier::from_toml(&text(|_| ())).unwrap(), classifier());
        type Damage = fn(&mut MoodClassifier);
        let changes: [(Damage, &str); 4] = [
            (|c| c.expressions.reverse(), "`expressions` must be neutral"),
            (|c| c.classes.reverse(), "`classes` must be negative"),
            (|c| c.weights[1].truncate(8), "3 rows of 32"),
            (|c| c.sharpness = f64::NAN, "`sharpness` must be above 0"),
        ];
        for (change, message) in changes {
            let error = MoodClassifier::from_toml(&text(change)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
