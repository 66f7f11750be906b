//! Confidence that means something: how sharp the answers of the expression head are, what is added to each class, and how much the
//! second head has a say, fitted on several data sets that each count the same.
//!
//! All three are linear in the logits, so they go into the weights of the head: the network costs what it did before.

use anyhow::{Context as _, bail};

use super::metrics::calibration_error;
use crate::train::target::SECOND_HEAD;
use crate::train::validate::argmax;
use crate::weights::{Array, Weights};

/// How strongly what is added is held near 0: a few hundred faces do not say much about how frequent a class is.
const HELD: f64 = 0.02;

/// Steps of descent, and the length of the first.
const STEPS: usize = 1500;
const RATE: f64 = 0.05;

/// Parts of a cross-fit.
pub const FOLDS: usize = 5;

/// What is done to the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The first head's logits are multiplied by this.
    pub sharpness: f64,
    /// The second head's, less their mean, by this.
    pub second: f64,
    /// Added to each class.
    pub bias: Vec<f64>,
}

/// The answers to one face, as logarithms whose mean is 0, and its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Per class of the first head.
    pub first: Vec<f64>,
    /// The same classes, by the second head; 0 where it has none.
    pub second: Vec<f64>,
    /// Its class.
    pub label: usize,
}

/// Probabilities to logarithms whose mean is 0: the logits, less a number that is the same for all classes.
#[must_use]
pub fn centred(probabilities: &[f32], classes: usize) -> Vec<f64> {
    let mut logs: Vec<f64> = probabilities
        .iter()
        .map(|p| f64::from(p.max(1e-30)).ln())
        .collect();
    let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
    logs.iter_mut().for_each(|log| *log -= mean);
    logs.resize(classes, 0.0);
    logs
}

impl Calibration {
    /// Leaves everything as it is.
    #[must_use]
    pub fn none(classes: usize) -> Self {
        Self {
            sharpness: 1.0,
            second: 0.0,
            bias: vec![0.0; classes],
        }
    }

    /// The probabilities after it.
    #[must_use]
    pub fn scores(&self, answer: &Answer) -> Vec<f64> {
        let logits = answer.first.iter().zip(&answer.second).zip(&self.bias);
        let logits: Vec<f64> = logits
            .map(|((first, second), bias)| self.sharpness * first + self.second * second + bias)
            .collect();
        let most = logits.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    }

    /// The calibration of least mean loss over the sets. `with_second`: whether the second head may have a say.
    #[must_use]
    pub fn fit(sets: &[Vec<&Answer>], classes: usize, with_second: bool) -> Self {
        let mut found = Self::none(classes);
        let (mut speed, mut spread) = (vec![0.0; classes + 2], vec![0.0; classes + 2]);
        for step in 1..=STEPS {
            let slopes = found.slopes(sets);
            let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            for (i, slope) in slopes.into_iter().enumerate() {
                // Adam (Kingma & Ba, 2015).
                speed[i] = 0.9 * speed[i] + 0.1 * slope;
                spread[i] = 0.99 * spread[i] + 0.01 * slope * slope;
                let unbiased = |value: f64, keep: f64| value / (1.0 - keep.powi(step as i32));
                let change = rate * unbiased(speed[i], 0.9) / (unbiased(spread[i], 0.99).sqrt() + 1e-9);
                match i {
                    0 => found.sharpness -= change,
                    1 if with_second => found.second -= change,
                    1 => {}
                    _ => found.bias[i - 2] -= change,
                }
            }
        }
        found
    }

    /// The slopes of the mean loss by sharpness, the second head's say, and each class.
    fn slopes(&self, sets: &[Vec<&Answer>]) -> Vec<f64> {
        let mut slopes = vec![0.0; self.bias.len() + 2];
        for set in sets {
            let weight = 1.0 / (set.len().max(1) * sets.len()) as f64;
            for answer in set {
                for (class, p) in self.scores(answer).into_iter().enumerate() {
                    let slope = weight * (p - f64::from(u8::from(class == answer.label)));
                    slopes[0] += slope * answer.first[class];
                    slopes[1] += slope * answer.second[class];
                    slopes[class + 2] += slope;
                }
            }
        }
        let held = self.bias.iter().map(|bias| 2.0 * HELD * bias);
        slopes[2..]
            .iter_mut()
            .zip(held)
            .for_each(|(slope, held)| *slope += held);
        slopes
    }

    /// Puts it into the weights of the head `expression`.
    ///
    /// # Errors
    /// If the weights have no such head, or the second head is asked for and not there.
    pub fn install(&self, weights: &mut Weights) -> anyhow::Result<()> {
        let second = (self.second != 0.0).then_some(SECOND_HEAD);
        for part in ["kernel", "bias"] {
            let array = |head: &str| {
                let name = format!("{head}.{part}");
                weights
                    .find(&name)
                    .cloned()
                    .with_context(|| format!("The weights have no `{name}`."))
            };
            let Array { shape, mut values } = array("expression")?;
            let columns = values.len() / shape[0];
            if shape[0] != self.bias.len() {
                bail!(
                    "The expression head has {} classes, the calibration {}.",
                    shape[0],
                    self.bias.len()
                );
            }
            values
                .iter_mut()
                .for_each(|v| *v = (f64::from(*v) * self.sharpness) as f32);
            if let Some(second) = second {
                let other = array(second)?.values;
                let rows = other.len() / columns;
                for column in 0..columns {
                    let of = |row: usize| f64::from(other[row * columns + column]);
                    let mean = (0..rows).map(of).sum::<f64>() / rows as f64;
                    for row in 0..rows {
                        values[row * columns + column] += (self.second * (of(row) - mean)) as f32;
                    }
                }
            }
            if part == "bias" {
                values
                    .iter_mut()
                    .zip(&self.bias)
                    .for_each(|(v, bias)| *v += *bias as f32);
            }
            weights.insert(format!("expression.{part}"), Array { shape, values });
        }
        Ok(())
    }
}

/// The scores of every face by a calibration that has not seen it: fitted on four fifths, for the fifth that is left.
#[must_use]
pub fn cross_fitted(sets: &[Vec<Answer>], classes: usize, with_second: bool) -> Vec<Vec<Vec<f64>>> {
    let fold_of = |place: usize| place % FOLDS;
    let fits: Vec<Calibration> = (0..FOLDS)
        .map(|fold| {
            let others = |set: &Vec<Answer>| -> Vec<usize> {
                (0..set.len()).filter(|i| fold_of(*i) != fold).collect()
            };
            let kept: Vec<Vec<&Answer>> = sets
                .iter()
                .map(|set| others(set).into_iter().map(|i| &set[i]).collect())
                .collect();
            Calibration::fit(&kept, classes, with_second)
        })
        .collect();
    let scored = |set: &Vec<Answer>| {
        let answers = set.iter().enumerate();
        answers
            .map(|(i, answer)| fits[fold_of(i)].scores(answer))
            .collect()
    };
    sets.iter().map(scored).collect()
}

/// What scores are worth: accuracy, mean recall, mean loss, expected calibration error.
#[must_use]
pub fn worth(scores: &[Vec<f64>], labels: &[usize]) -> [f64; 4] {
    let classes = scores.first().map_or(0, Vec::len);
    let (mut found, mut all) = (vec![0.0; classes], vec![0.0; classes]);
    let (mut loss, mut confidences) = (0.0, Vec::new());
    for (scores, label) in scores.iter().zip(labels) {
        let rounded: Vec<f32> = scores.iter().map(|p| *p as f32).collect();
        let answer = argmax(&rounded);
        all[*label] += 1.0;
        found[*label] += f64::from(u8::from(answer == *label));
        loss -= scores[*label].max(1e-9).ln();
        confidences.push((rounded[answer], answer == *label));
    }
    let count = labels.len().max(1) as f64;
    let recalls: Vec<f64> = found
        .iter()
        .zip(&all)
        .filter(|(_, all)| **all > 0.0)
        .map(|(f, a)| f / a)
        .collect();
    [
        found.iter().sum::<f64>() / count,
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
        loss / count,
        calibration_error(&confidences),
    ]
}

/// Per threshold of confidence: the part of faces that are answered, and the part of those answers that are right, both as means
/// over the sets.
#[must_use]
pub fn risk_and_coverage(sets: &[(Vec<Vec<f64>>, Vec<usize>)], thresholds: &[f64]) -> Vec<(f64, f64, f64)> {
    let at = |threshold: f64| {
        let (mut covered, mut right) = (0.0, 0.0);
        for (scores, labels) in sets {
            let (mut answered, mut hits) = (0usize, 0usize);
            for (scores, label) in scores.iter().zip(labels) {
                let rounded: Vec<f32> = scores.iter().map(|p| *p as f32).collect();
                let answer = argmax(&rounded);
                if scores[answer] >= threshold {
                    answered += 1;
                    hits += usize::from(answer == *label);
                }
            }
            covered += answered as f64 / labels.len().max(1) as f64;
            right += hits as f64 / answered.max(1) as f64;
        }
        let count = sets.len().max(1) as f64;
        (threshold, covered / count, right / count)
    };
    thresholds.iter().map(|threshold| at(*threshold)).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Faces of three classes whose logits say the truth and twice too loudly, with 1 too much for class 0.
    fn loud() -> Vec<Answer> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut one = || {
            let truth: [f64; 3] = std::array::from_fn(|_| 3.0 * rng.random::<f64>());
            let powers = truth.map(f64::exp);
            let mut left = rng.random::<f64>() * powers.iter().sum::<f64>();
            let label = powers.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            Answer {
                first: vec![2.0 * truth[0] + 1.0, 2.0 * truth[1], 2.0 * truth[2]],
                second: vec![0.0; 3],
                label: label.unwrap_or(2),
            }
        };
        (0..3000).map(|_| one()).collect()
    }

    #[test]
    fn what_was_twice_too_loud_and_biased_is_set_right() {
        let answers = loud();
        let found = Calibration::fit(&[answers.iter().collect()], 3, false);
        assert!((found.sharpness - 0.5).abs() < 0.06, "{found:?}");
        assert!((found.bias[0] - found.bias[1] + 0.5).abs() < 0.2, "{found:?}");
        let labels: Vec<usize> = answers.iter().map(|a| a.label).collect();
        let before: Vec<_> = answers.iter().map(|a| Calibration::none(3).scores(a)).collect();
        let after = cross_fitted(&[answers], 3, false).remove(0);
        let (before, after) = (worth(&before, &labels), worth(&after, &labels));
        assert!(
            after[2] < before[2] - 0.1 && after[3] < 0.06 && before[3] > 0.1,
            "{before:?} {after:?}"
        );
    }

    #[test]
    fn the_weights_answer_afterwards_what_the_calibration_says() {
        let mut weights = Weights::default();
        let array = |shape: &[usize], values: &[f32]| Array {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let (k1, b1) = ([0.5f32, -1.0, 0.25, 2.0, 1.0, -0.5], [0.1f32, 0.2, -0.3]);
        let (k2, b2) = ([1.0f32, 0.0, -2.0, 0.5], [0.3f32, -0.4]);
        weights.insert("expression.kernel".to_owned(), array(&[3, 2], &k1));
        weights.insert("expression.bias".to_owned(), array(&[3], &b1));
        weights.insert("second_expression.kernel".to_owned(), array(&[2, 2], &k2));
        weights.insert("second_expression.bias".to_owned(), array(&[2], &b2));
        let calibration = Calibration {
            sharpness: 0.7,
            second: 0.4,
            bias: vec![0.5, -0.25, 0.0],
        };
        let x = [1.5f32, -0.5];
        let logits = |kernel: &[f32], bias: &[f32]| -> Vec<f32> {
            let rows = kernel.chunks(2).zip(bias);
            rows.map(|(row, bias)| row[0] * x[0] + row[1] * x[1] + bias)
                .collect()
        };
        let softmax = |logits: &[f32]| -> Vec<f32> {
            let powers: Vec<f32> = logits.iter().map(|z| z.exp()).collect();
            powers.iter().map(|p| p / powers.iter().sum::<f32>()).collect()
        };
        let answer = Answer {
            first: centred(&softmax(&logits(&k1, &b1)), 3),
            second: centred(&softmax(&logits(&k2, &b2)), 3),
            label: 0,
        };
        let said = calibration.scores(&answer);
        calibration.install(&mut weights).unwrap();
        let of = |name: &str| weights.find(name).unwrap().values.clone();
        let now = softmax(&logits(&of("expression.kernel"), &of("expression.bias")));
        for (now, said) in now.iter().zip(&said) {
            assert!((f64::from(*now) - said).abs() < 1e-5, "{now} {said}");
        }
    }

    #[test]
    fn the_surer_the_fewer_and_the_righter() {
        let scores: Vec<Vec<f64>> = (0..100)
            .map(|i| vec![0.5 + 0.005 * f64::from(i), 0.5 - 0.005 * f64::from(i)])
            .collect();
        let labels: Vec<usize> = (0..100).map(|i| usize::from(i < 50 && i % 2 == 0)).collect();
        let curve = risk_and_coverage(&[(scores, labels)], &[0.0, 0.75]);
        assert_eq!(curve[0], (0.0, 1.0, 0.75));
        assert_eq!((curve[1].1, curve[1].2), (0.5, 1.0));
    }
}
