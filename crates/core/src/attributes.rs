//! How the outputs of the age and gender heads are read.

/// The paper's eq. (1): the expectation Σ a·p_a / Σ p_a over the `most` most probable ages, in years. Class `a` is
/// the age of `a` years. The upstream code reads two; the paper leaves the number open, so a manifest states it.
#[must_use]
pub fn expected_age(probabilities: &[f32], most: usize) -> f32 {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order.truncate(most.max(1));
    let sum: f32 = order.iter().map(|age| probabilities[*age]).sum();
    let weighted: f32 = order.iter().map(|age| *age as f32 * probabilities[*age]).sum();
    weighted / sum.max(f32::MIN_POSITIVE)
}

/// A single logit to the probability of `male`.
#[must_use]
pub fn logistic(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_the_expectation_over_the_most_probable() {
        let mut probabilities = [0.0; 100];
        (probabilities[20], probabilities[30], probabilities[90]) = (0.5, 0.3, 0.2);
        assert_eq!(expected_age(&probabilities, 1), 20.0);
        assert!((expected_age(&probabilities, 2) - (20.0 * 0.5 + 30.0 * 0.3) / 0.8).abs() < 1e-5);
        assert!((expected_age(&probabilities, 100) - (10.0 + 9.0 + 18.0)).abs() < 1e-4);
    }

    #[test]
    fn nothing_known_is_no_division_by_zero() {
        assert_eq!(expected_age(&[0.0; 100], 2), 0.0);
    }

    #[test]
    fn the_logistic_function_saturates_without_overflow() {
        assert_eq!(logistic(0.0), 0.5);
        assert_eq!(logistic(-1000.0), 0.0);
        assert_eq!(logistic(1000.0), 1.0);
    }
}
