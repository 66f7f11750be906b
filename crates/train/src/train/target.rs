//! What a head should answer for a face, and how much a wrong answer counts.

use affect_core::expression::{Expression, dominant};

use super::recipe::{ClassWeights, Loss, Recipe, Stage};
use crate::data::{DataError, Face, Gender};

/// Ages are classes of one year, 0 to 99; older people are 99.
pub const AGES: usize = 100;

/// The head for a data set's other labelling: for comparison with networks that were trained on it.
pub const SECOND_HEAD: &str = "second_expression";

/// Its classes: all but contempt, the last, which FER2013 does not have.
pub const SECOND_CLASSES: usize = Expression::ALL.len() - 1;

/// Translates labels into the target distribution of one head.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The head's name.
    pub head: String,
    /// Number of its logits.
    pub classes: usize,
    soft: bool,
    share: f32,
    smoothing: f32,
    weights: Vec<f32>,
}

impl Target {
    /// The heads of a stage, with weights counted on these training faces.
    ///
    /// # Errors
    /// [`DataError::Classes`] for an empty class or a single one.
    pub fn of_stage(recipe: &Recipe, faces: &[&Face], names: &Names) -> Result<Vec<Self>, DataError> {
        let second = if recipe.loss.second_labels > 0.0 {
            SECOND_CLASSES
        } else {
            0
        };
        let heads: &[(&str, usize)] = match recipe.stage {
            Stage::Identity => &[("identity", names.identities)],
            Stage::Attributes => &[("age", AGES), ("gender", 1), ("ethnicity", names.ethnicities)],
            Stage::Emotion => &[("expression", Expression::ALL.len()), (SECOND_HEAD, second)],
        };
        let heads = heads.iter().filter(|(_, classes)| *classes > 0);
        heads
            .map(|(head, classes)| Self::new(head, *classes, &recipe.loss, faces))
            .collect()
    }

    fn new(head: &str, classes: usize, loss: &Loss, faces: &[&Face]) -> Result<Self, DataError> {
        let mut target = Self {
            head: head.to_owned(),
            classes,
            soft: loss.soft_labels,
            share: if head == SECOND_HEAD {
                loss.second_labels
            } else {
                1.0
            },
            smoothing: loss.smoothing,
            weights: vec![1.0; classes.max(2)],
        };
        let mut counts = vec![0usize; classes.max(2)];
        for class in faces.iter().filter_map(|face| target.class(face)) {
            counts[class] += 1;
        }
        if counts.iter().filter(|count| **count > 0).count() < 2 {
            return Err(DataError::Classes(format!(
                "The training pictures have labels of fewer than two classes for the head `{head}`: there is nothing to tell apart."
            )));
        }
        if head != "age"
            && let Some(empty) = counts.iter().position(|count| *count == 0)
        {
            return Err(DataError::Classes(format!(
                "No training picture has class {} of the head `{head}`: remove the class or add pictures.",
                target.class_name(empty)
            )));
        }
        let power = match (loss.class_weights, head) {
            (ClassWeights::None, _) | (_, "age" | "gender" | "identity" | SECOND_HEAD) => 0.0,
            (ClassWeights::Paper, _) => 1.0,
            (ClassWeights::Root, _) => 0.5,
        };
        let most = counts.iter().copied().max().unwrap_or(1) as f32;
        target.weights = counts
            .iter()
            .map(|count| (most / (*count).max(1) as f32).powf(power))
            .collect();
        Ok(target)
    }

    fn class_name(&self, class: usize) -> String {
        match self.head.as_str() {
            "expression" | SECOND_HEAD => format!("`{}`", Expression::ALL[class].name()),
            _ => class.to_string(),
        }
    }

    /// The class of a face, if it is labelled.
    #[must_use]
    pub fn class(&self, face: &Face) -> Option<usize> {
        match self.head.as_str() {
            "identity" => face.identity,
            "age" => face.age.map(|age| (age.max(0.0) as usize).min(AGES - 1)),
            "gender" => face.gender.map(|gender| usize::from(gender == Gender::Male)),
            "ethnicity" => face.ethnicity,
            SECOND_HEAD => face
                .other_expression
                .map(Expression::index)
                .filter(|class| *class < SECOND_CLASSES),
            _ => face
                .majority()
                .or_else(|| face.taught.map(|taught| dominant(&taught.answer).0))
                .map(Expression::index),
        }
    }

    /// Appends the weighted target distribution (`classes` numbers): all 0 if the face has no label. For the
    /// single logit of gender, two numbers: how much `female` and `male` count.
    pub fn append(&self, face: &Face, out: &mut Vec<f32>) {
        let start = out.len();
        let classes = self.classes.max(2);
        out.resize(start + classes, 0.0);
        let Some(class) = self.class(face) else { return };
        let label = &mut out[start..];
        match face.expression {
            Some(shares) if self.soft && self.head == "expression" => label.copy_from_slice(&shares),
            _ => label[class] = 1.0,
        }
        if let Some(taught) = face.taught.filter(|_| self.head == "expression") {
            let share = if face.expression.is_some() {
                taught.share
            } else {
                1.0
            };
            for (value, answer) in label.iter_mut().zip(taught.answer) {
                *value = *value * (1.0 - share) + answer * share;
            }
        }
        let weight = self.weights[class] * self.share;
        for value in label {
            *value = (*value * (1.0 - self.smoothing) + self.smoothing / classes as f32) * weight;
        }
    }
}

/// The logarithm of how often each expression is the target in a source, to a power: what is added to the head's answer while it
/// learns from that source. Nothing (no numbers) for another head, and for the power 0.
#[must_use]
pub fn log_prior(target: &Target, faces: &[&Face], power: f32) -> Vec<f32> {
    if power <= 0.0 || target.head != "expression" {
        return Vec::new();
    }
    let mut rows = Vec::new();
    faces.iter().for_each(|face| target.append(face, &mut rows));
    let mut sums = vec![0.0f64; target.classes];
    for row in rows.chunks_exact(target.classes) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let total: f64 = sums.iter().sum::<f64>().max(1e-9);
    let log = |sum: &f64| (power * ((sum / total) as f32).max(RAREST).ln()).min(0.0);
    sums.iter().map(log).collect()
}

/// A class that is rarer in a source counts as if it were so frequent there: what is hardly there cannot be learnt by balancing.
const RAREST: f32 = 0.01;

/// How many names the data has.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// People.
    pub identities: usize,
    /// Ethnicity labels.
    pub ethnicities: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Taught;
    use crate::data::faces::certain;

    fn target(soft: bool) -> Target {
        Target {
            head: "expression".to_owned(),
            classes: 8,
            soft,
            share: 1.0,
            smoothing: 0.0,
            weights: vec![1.0; 8],
        }
    }

    fn of(target: &Target, face: &Face) -> Vec<f32> {
        let mut out = Vec::new();
        target.append(face, &mut out);
        out
    }

    #[test]
    fn teachers_have_their_share_beside_a_label_and_all_of_it_without_one() {
        let answer = [0.0, 0.6, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0];
        let mut face = Face {
            expression: Some(certain(Expression::Neutral)),
            taught: Some(Taught { answer, share: 0.25 }),
            ..Face::default()
        };
        let found = of(&target(false), &face);
        for (found, wanted) in found.iter().zip([0.75, 0.15, 0.0, 0.1]) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        face.expression = None;
        assert_eq!(of(&target(true), &face), answer);
        assert_eq!(target(false).class(&face), Some(1));
    }

    #[test]
    fn a_prior_is_the_logarithm_of_what_a_source_has_of_each_class() {
        let face = |expression| Face {
            expression: Some(certain(expression)),
            ..Face::default()
        };
        let faces = [
            Expression::Neutral,
            Expression::Neutral,
            Expression::Neutral,
            Expression::Anger,
        ]
        .map(face);
        let faces: Vec<&Face> = faces.iter().collect();
        let prior = log_prior(&target(false), &faces, 0.5);
        assert!((prior[0] - 0.5 * 0.75f32.ln()).abs() < 1e-6);
        assert!((prior[5] - 0.5 * 0.25f32.ln()).abs() < 1e-6);
        assert!(
            (prior[1] - 0.5 * RAREST.ln()).abs() < 1e-6,
            "never seen counts as rare"
        );
        assert!(log_prior(&target(false), &faces, 0.0).is_empty());
        let other = Target {
            head: SECOND_HEAD.to_owned(),
            ..target(false)
        };
        assert!(
            log_prior(&other, &faces, 1.0).is_empty(),
            "only the head that the daemon reads"
        );
    }
}
