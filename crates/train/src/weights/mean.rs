//! The mean of several weight files of one network.

use super::{Array, WeightError, Weights};

/// The mean of each number; everything else is as in the last of them.
///
/// # Errors
/// [`WeightError`] naming the first array that one of them lacks or has in another shape.
pub fn mean(all: &[Weights]) -> Result<Weights, WeightError> {
    let share = 1.0 / all.len().max(1) as f64;
    let all: Vec<(&Weights, f64)> = all.iter().map(|weights| (weights, share)).collect();
    blend(&all)
}

/// The sum of each number, each of them times its share; everything else is as in the last of them.
///
/// # Errors
/// [`WeightError`] naming the first array that one of them lacks or has in another shape.
pub fn blend(all: &[(&Weights, f64)]) -> Result<Weights, WeightError> {
    let Some((last, _)) = all.last() else {
        return Ok(Weights::default());
    };
    let mut blend = (*last).clone();
    for (name, array) in last.iter() {
        let mut sums = vec![0.0f64; array.values.len()];
        for (weights, share) in all {
            let values = &weights.get(name, &array.shape)?.values;
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += f64::from(*value) * share);
        }
        let values = sums.iter().map(|sum| *sum as f32).collect();
        let shape = array.shape.clone();
        blend.insert(name.clone(), Array { shape, values });
    }
    Ok(blend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(values: &[f32]) -> Weights {
        let mut weights = Weights::default();
        let shape = vec![values.len()];
        weights.insert(
            "a".to_owned(),
            Array {
                shape,
                values: values.to_vec(),
            },
        );
        weights
    }

    #[test]
    fn each_number_is_the_mean_of_its_place() {
        let found = mean(&[weights(&[1.0, 5.0]), weights(&[2.0, -5.0]), weights(&[6.0, 3.0])]).unwrap();
        assert_eq!(found.find("a").unwrap().values, [3.0, 1.0]);
    }

    #[test]
    fn each_counts_by_its_share() {
        let found = blend(&[(&weights(&[1.0, 5.0]), 0.25), (&weights(&[2.0, -3.0]), 0.75)]).unwrap();
        assert_eq!(found.find("a").unwrap().values, [1.75, -1.0]);
    }

    #[test]
    fn weights_of_different_networks_have_none() {
        assert!(mean(&[weights(&[1.0]), weights(&[1.0, 2.0])]).is_err());
    }
}
