//! Figures from answers and labels.

use serde::Serialize;

/// A part of all, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// How many are right.
    pub right: usize,
    /// How many there are.
    pub of: usize,
    /// 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Rate {
    /// From counts.
    #[must_use]
    pub fn new(right: usize, of: usize) -> Self {
        let (n, z) = (of.max(1) as f64, 1.96);
        let value = right as f64 / n;
        let centre = (value + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
        Self {
            right,
            of,
            value,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        }
    }

    /// From single verdicts.
    pub fn of(verdicts: impl IntoIterator<Item = bool>) -> Self {
        let (mut right, mut all) = (0, 0);
        for verdict in verdicts {
            right += usize::from(verdict);
            all += 1;
        }
        Self::new(right, all)
    }
}

/// How often which class is taken for which: `[label][answer]`.
#[must_use]
pub fn confusion(pairs: &[(usize, usize)], classes: usize) -> Vec<Vec<usize>> {
    let mut matrix = vec![vec![0; classes]; classes];
    for &(label, answer) in pairs {
        matrix[label][answer] += 1;
    }
    matrix
}

/// Expected calibration error over 15 bins of confidence: how far confidence is from accuracy, on average.
#[must_use]
pub fn calibration_error(answers: &[(f32, bool)]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0usize, 0.0f64, 0usize); BINS];
    for &(confidence, right) in answers {
        let bin = ((confidence * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += 1;
        bins[bin].1 += f64::from(confidence);
        bins[bin].2 += usize::from(right);
    }
    let total = answers.len().max(1) as f64;
    bins.iter()
        .filter(|bin| bin.0 > 0)
        .map(|&(count, confidence, right)| {
            (confidence - right as f64).abs() / count as f64 * (count as f64 / total)
        })
        .sum()
}

/// Mean and standard deviation (of a sample).
#[must_use]
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Wilson (1927) for 8 of 10, as in R's binom package: 0.4902, 0.9433.
        let rate = Rate::new(8, 10);
        assert!(
            (rate.low - 0.4902).abs() < 5e-4 && (rate.high - 0.9433).abs() < 5e-4,
            "{rate:?}"
        );
        assert_eq!(Rate::new(0, 0).value, 0.0);
    }

    #[test]
    fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let sure: Vec<_> = (0..100).map(|i| (0.9, i < 90)).collect();
        assert!(calibration_error(&sure) < 1e-6);
        let vain: Vec<_> = (0..100).map(|i| (0.9, i < 50)).collect();
        assert!((calibration_error(&vain) - 0.4).abs() < 1e-6);
    }

    #[test]
    fn deviation_is_that_of_a_sample() {
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean, 2.5);
        assert!((deviation - 1.290_994).abs() < 1e-5);
    }
}
