//! Rank-1 recognition by the paper's protocol: one picture of every person is the gallery, the others are probes;
//! a probe is recognised if the nearest picture of the gallery, by cosine, is of the same person.

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::metrics::mean_and_deviation;

/// Random splits, as in the paper.
const SPLITS: u64 = 10;

/// Mean and standard deviation of the rank-1 rate over ten random splits. `embeddings` belong to `people`, number by
/// number; people with a single picture are in the gallery only.
#[must_use]
pub fn rank_1(embeddings: &[Vec<f32>], people: &[usize]) -> (f64, f64) {
    let unit: Vec<Vec<f32>> = embeddings.iter().map(|e| normalised(e)).collect();
    let mut pictures: Vec<Vec<usize>> = vec![Vec::new(); people.iter().max().map_or(0, |most| most + 1)];
    for (picture, person) in people.iter().enumerate() {
        pictures[*person].push(picture);
    }
    let rate = |split: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(split);
        let (mut gallery, mut probes) = (Vec::new(), Vec::new());
        for theirs in pictures.iter().filter(|p| !p.is_empty()) {
            let chosen = rng.random_range(0..theirs.len());
            gallery.push(theirs[chosen]);
            probes.extend(theirs.iter().copied().filter(|p| *p != theirs[chosen]));
        }
        probes.shuffle(&mut rng);
        let right = probes
            .par_iter()
            .filter(|&&probe| {
                let near = |a: &&usize, b: &&usize| {
                    dot(&unit[probe], &unit[**a]).total_cmp(&dot(&unit[probe], &unit[**b]))
                };
                gallery
                    .iter()
                    .max_by(near)
                    .is_some_and(|found| people[*found] == people[probe])
            })
            .count();
        right as f64 / probes.len().max(1) as f64
    };
    let rates: Vec<f64> = (0..SPLITS).map(rate).collect();
    mean_and_deviation(&rates)
}

fn normalised(values: &[f32]) -> Vec<f32> {
    let norm = dot(values, values).sqrt().max(f32::MIN_POSITIVE);
    values.iter().map(|v| v / norm).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_far_apart_are_all_found_and_mixed_ones_are_not() {
        let apart: Vec<Vec<f32>> = (0..12)
            .map(|i| {
                (0..4)
                    .map(|d| if d == i / 3 { 5.0 } else { 0.1 * i as f32 })
                    .collect()
            })
            .collect();
        let people: Vec<usize> = (0..12).map(|i| i / 3).collect();
        assert_eq!(rank_1(&apart, &people).0, 1.0);
        let mixed: Vec<usize> = (0..12).map(|i| i % 4).collect();
        assert!(rank_1(&apart, &mixed).0 < 0.5);
    }
}
