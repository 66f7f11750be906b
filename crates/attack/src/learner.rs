//! The attacker's learner: regularised multinomial logistic regression on whitened features, cross-fitted.

use affect_core::expression::EXPRESSIONS;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const FOLDS: usize = 3;
const EPOCHS: usize = 12;
const BATCH: usize = 128;
const RATE: f32 = 0.02;
const L2: f32 = 1e-4;
/// Added to the covariance, so that features that hardly vary do no harm.
const RIDGE: f64 = 1e-6;

/// How often an attack names the right expression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Success {
    pub(crate) rate: f64,
    pub(crate) trials: usize,
}

impl Success {
    /// The standard error of the rate.
    pub(crate) fn error(&self) -> f64 {
        (self.rate * (1.0 - self.rate) / self.trials as f64).sqrt()
    }

    /// The better of two attacks.
    pub(crate) fn best(self, other: Self) -> Self {
        if self.rate >= other.rate { self } else { other }
    }
}

/// How often a learner names `truth` from `features`, trained on two thirds of the trials and tried on the rest, in turn.
pub(crate) fn learn(features: &[Vec<f64>], truth: &[usize]) -> Success {
    let mut right = 0;
    for fold in 0..FOLDS {
        let train: Vec<usize> = (0..truth.len()).filter(|i| i % FOLDS != fold).collect();
        let model = Model::fit(features, truth, &train);
        right += (0..truth.len())
            .filter(|i| i % FOLDS == fold && model.guess(&features[*i]) == truth[*i])
            .count();
    }
    Success {
        rate: right as f64 / truth.len() as f64,
        trials: truth.len(),
    }
}

struct Model {
    mean: Vec<f64>,
    /// Inverse of the Cholesky factor of the covariance, rows below the diagonal.
    whiten: Vec<Vec<f64>>,
    weights: Vec<[f32; EXPRESSIONS]>,
}

impl Model {
    fn fit(features: &[Vec<f64>], truth: &[usize], train: &[usize]) -> Self {
        let width = features[0].len();
        let count = train.len() as f64;
        let mut mean = vec![0.0; width];
        for i in train {
            mean.iter_mut()
                .zip(&features[*i])
                .for_each(|(m, x)| *m += x / count);
        }
        let mut covariance = vec![vec![0.0; width]; width];
        for i in train {
            let x: Vec<f64> = features[*i].iter().zip(&mean).map(|(x, m)| x - m).collect();
            for a in 0..width {
                for b in 0..=a {
                    covariance[a][b] += x[a] * x[b] / count;
                }
            }
        }
        let mut model = Self {
            mean,
            whiten: inverse_of_factor(&covariance),
            weights: vec![[0.0; EXPRESSIONS]; width + 1],
        };
        model.descend(features, truth, train);
        model
    }

    /// Adam, with a rate that falls to nothing.
    fn descend(&mut self, features: &[Vec<f64>], truth: &[usize], train: &[usize]) {
        let white: Vec<Vec<f32>> = train.iter().map(|i| self.whitened(&features[*i])).collect();
        let width = self.weights.len();
        let mut first = vec![[0.0; EXPRESSIONS]; width];
        let mut second = first.clone();
        let mut order: Vec<usize> = (0..train.len()).collect();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let steps = EPOCHS * train.len().div_ceil(BATCH);
        let mut step = 0;
        for _ in 0..EPOCHS {
            order.shuffle(&mut random);
            for batch in order.chunks(BATCH) {
                let mut gradient: Vec<[f32; EXPRESSIONS]> =
                    self.weights.iter().map(|row| row.map(|w| L2 * w)).collect();
                for &i in batch {
                    let mut slope = self.probabilities(&white[i]);
                    slope[truth[train[i]]] -= 1.0;
                    for (row, x) in gradient.iter_mut().zip(&white[i]) {
                        row.iter_mut()
                            .zip(slope)
                            .for_each(|(g, s)| *g += x * s / batch.len() as f32);
                    }
                }
                step += 1;
                let rate = RATE * (1.0 - step as f32 / (steps + 1) as f32);
                let correct = (1.0 - 0.9f32.powi(step), 1.0 - 0.999f32.powi(step));
                for a in 0..width {
                    for c in 0..EXPRESSIONS {
                        let g = gradient[a][c];
                        first[a][c] += 0.1 * (g - first[a][c]);
                        second[a][c] += 0.001 * (g * g - second[a][c]);
                        self.weights[a][c] -=
                            rate * (first[a][c] / correct.0) / ((second[a][c] / correct.1).sqrt() + 1e-8);
                    }
                }
            }
        }
    }

    /// The features with mean 0 and covariance 1, and a 1 at the end.
    fn whitened(&self, features: &[f64]) -> Vec<f32> {
        let centred: Vec<f64> = features.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        let rows = self.whiten.iter();
        // Rows end at the diagonal.
        rows.enumerate()
            .map(|(i, row)| row[..=i].iter().zip(&centred).map(|(w, x)| w * x).sum::<f64>() as f32)
            .chain([1.0])
            .collect()
    }

    fn probabilities(&self, white: &[f32]) -> [f32; EXPRESSIONS] {
        let mut logits = [0.0f32; EXPRESSIONS];
        for (row, x) in self.weights.iter().zip(white) {
            logits.iter_mut().zip(row).for_each(|(l, w)| *l += w * x);
        }
        let most = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let powers = logits.map(|l| (l - most).exp());
        let sum: f32 = powers.iter().sum();
        powers.map(|p| p / sum)
    }

    fn guess(&self, features: &[f64]) -> usize {
        let odds = self.probabilities(&self.whitened(features));
        let best = odds.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(expression, _)| expression)
    }
}

/// The inverse of the Cholesky factor of a covariance whose lower half is given; features that do not vary become 0.
fn inverse_of_factor(covariance: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let width = covariance.len();
    let mut factor = vec![vec![0.0; width]; width];
    for a in 0..width {
        for b in 0..=a {
            let dot: f64 = (0..b).map(|k| factor[a][k] * factor[b][k]).sum();
            factor[a][b] = match a == b {
                true => (covariance[a][a] + RIDGE - dot).max(RIDGE).sqrt(),
                false => (covariance[a][b] - dot) / factor[b][b],
            };
        }
    }
    let mut inverse = vec![vec![0.0; width]; width];
    for (row, factors) in factor.iter().enumerate() {
        let (above, own) = inverse.split_at_mut(row);
        for (column, value) in own[0].iter_mut().enumerate().take(row + 1) {
            let unit = f64::from(u8::from(row == column));
            let dot: f64 = (column..row).map(|k| factors[k] * above[k][column]).sum();
            *value = (unit - dot) / factors[row];
        }
    }
    for (row, inverse) in inverse.iter_mut().enumerate() {
        if covariance[row][row] < 1e-9 {
            inverse.fill(0.0);
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn a_difference_of_two_large_numbers_is_learned_and_noise_is_not() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let truth: Vec<usize> = (0..3000).map(|_| random.random_range(0..4)).collect();
        let hidden: Vec<Vec<f64>> = truth
            .iter()
            .map(|class| {
                let common: f64 = random.random_range(-1.0..1.0);
                let mut features = vec![0.0; 8];
                for i in 0..4 {
                    let shared = 50.0 * common + f64::from(i as u8);
                    features[2 * i] = shared;
                    features[2 * i + 1] = shared + 0.1 * f64::from(u8::from(i == *class));
                }
                features
            })
            .collect();
        assert!(learn(&hidden, &truth).rate > 0.95);
        let noise: Vec<Vec<f64>> = truth
            .iter()
            .map(|_| (0..8).map(|_| random.random()).collect())
            .collect();
        assert!(learn(&noise, &truth).rate < 0.30);
    }
}
