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

/// How often a learner names each of `truths` from `features`, trained on two thirds of the trials and tried on the rest, in turn.
pub(crate) fn learn<const GOALS: usize>(
    features: &[Vec<f64>],
    truths: [&[usize]; GOALS],
) -> [Success; GOALS] {
    let mut right = [0; GOALS];
    for fold in 0..FOLDS {
        let (tried, train): (Vec<usize>, Vec<usize>) = (0..features.len()).partition(|i| i % FOLDS == fold);
        let whitening = Whitening::of(features, &train);
        let white: Vec<Vec<f32>> = features.iter().map(|row| whitening.whitened(row)).collect();
        for (right, truth) in right.iter_mut().zip(truths) {
            let weights = descend(&white, truth, &train);
            let is_right = |i: &&usize| guess(&weights, &white[**i]) == truth[**i];
            *right += tried.iter().filter(is_right).count();
        }
    }
    right.map(|right| Success {
        rate: right as f64 / features.len() as f64,
        trials: features.len(),
    })
}

/// A row of weights for each feature, and one for the 1 at the end.
type Weights = Vec<[f32; EXPRESSIONS]>;

/// Makes features of mean 0 and covariance 1, of those that vary.
struct Whitening {
    varying: Vec<usize>,
    mean: Vec<f64>,
    /// Columns of the inverse of the Cholesky factor of the covariance, from the diagonal down.
    columns: Vec<Vec<f64>>,
}

impl Whitening {
    fn of(features: &[Vec<f64>], train: &[usize]) -> Self {
        let part = 1.0 / train.len() as f64;
        let varies = |k: &usize| train.iter().any(|i| features[*i][*k] != features[train[0]][*k]);
        let varying: Vec<usize> = (0..features[0].len()).filter(varies).collect();
        let width = varying.len();
        let mut mean = vec![0.0; width];
        for i in train {
            add(&mut mean, &pick(&features[*i], &varying), part);
        }
        let mut covariance = vec![vec![0.0; width]; width];
        for i in train {
            let mut x = pick(&features[*i], &varying);
            add(&mut x, &mean, -1.0);
            for (a, row) in covariance.iter_mut().enumerate() {
                add(&mut row[..=a], &x[..=a], x[a] * part);
            }
        }
        let inverse = inverse_of_factor(&covariance);
        let column = |k: usize| inverse[k..].iter().map(|row| row[k]).collect();
        Self {
            columns: (0..width).map(column).collect(),
            varying,
            mean,
        }
    }

    /// The features whitened, and a 1 at the end.
    fn whitened(&self, features: &[f64]) -> Vec<f32> {
        let mut white = vec![0.0; self.varying.len()];
        for (k, column) in self.columns.iter().enumerate() {
            add(&mut white[k..], column, features[self.varying[k]] - self.mean[k]);
        }
        white.into_iter().map(|x| x as f32).chain([1.0]).collect()
    }
}

fn pick(features: &[f64], which: &[usize]) -> Vec<f64> {
    which.iter().map(|k| features[*k]).collect()
}

/// Adds `times` × `more`.
fn add(sum: &mut [f64], more: &[f64], times: f64) {
    sum.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += times * more);
}

/// Adam, with a rate that falls to nothing.
fn descend(white: &[Vec<f32>], truth: &[usize], train: &[usize]) -> Weights {
    let width = white[0].len();
    let mut weights = vec![[0.0; EXPRESSIONS]; width];
    let (mut first, mut second) = (weights.clone(), weights.clone());
    let mut order = train.to_vec();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let steps = EPOCHS * train.len().div_ceil(BATCH);
    let mut step = 0;
    for _ in 0..EPOCHS {
        order.shuffle(&mut random);
        for batch in order.chunks(BATCH) {
            let mut gradient: Weights = weights.iter().map(|row| row.map(|w| L2 * w)).collect();
            for &i in batch {
                let mut slope = probabilities(&weights, &white[i]);
                slope[truth[i]] -= 1.0;
                let slope = slope.map(|s| s / batch.len() as f32);
                for (row, x) in gradient.iter_mut().zip(&white[i]) {
                    row.iter_mut().zip(slope).for_each(|(g, s)| *g += x * s);
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
                    weights[a][c] -=
                        rate * (first[a][c] / correct.0) / ((second[a][c] / correct.1).sqrt() + 1e-8);
                }
            }
        }
    }
    weights
}

fn probabilities(weights: &Weights, white: &[f32]) -> [f32; EXPRESSIONS] {
    let mut logits = [0.0f32; EXPRESSIONS];
    for (row, x) in weights.iter().zip(white) {
        logits.iter_mut().zip(row).for_each(|(l, w)| *l += w * x);
    }
    let most = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|l| (l - most).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|p| p / sum)
}

fn guess(weights: &Weights, white: &[f32]) -> usize {
    let odds = probabilities(weights, white);
    let best = odds.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(expression, _)| expression)
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
        assert!(learn(&hidden, [&truth])[0].rate > 0.95);
        let noise: Vec<Vec<f64>> = truth
            .iter()
            .map(|_| (0..8).map(|_| random.random()).collect())
            .collect();
        assert!(learn(&noise, [&truth])[0].rate < 0.30);
    }
}
