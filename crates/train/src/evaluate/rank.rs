//! Rank-1 recognition by the paper's protocol: of every person with two or more pictures one, drawn at random, is the
//! gallery, the others are probes; a probe is recognised if the nearest picture of the gallery, by cosine, is of the
//! same person.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::metrics::mean_and_deviation;

/// Random splits, as in the paper.
const SPLITS: u64 = 10;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rank1 {
    /// People with two or more pictures: as many pictures are in the gallery.
    pub people: usize,
    /// The other pictures of these people.
    pub probes: usize,
    /// Random splits.
    pub splits: u64,
    /// Mean of the rank-1 rate over the splits.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

/// The rank-1 rate over ten random splits. `embeddings` belong to `people`, number by number; people with a single
/// picture are left out. `None` if fewer than two people have more.
#[must_use]
pub fn rank_1(embeddings: &[Vec<f32>], people: &[usize]) -> Option<Rank1> {
    let unit: Vec<Vec<f32>> = embeddings.iter().map(|e| normalised(e)).collect();
    let mut pictures: Vec<Vec<usize>> = vec![Vec::new(); people.iter().max().map_or(0, |most| most + 1)];
    for (picture, person) in people.iter().enumerate() {
        pictures[*person].push(picture);
    }
    pictures.retain(|theirs| theirs.len() > 1);
    if pictures.len() < 2 {
        return None;
    }
    let rate = |split: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(split);
        let (mut gallery, mut probes) = (Vec::new(), Vec::new());
        for theirs in &pictures {
            let chosen = theirs[rng.random_range(0..theirs.len())];
            gallery.push(chosen);
            probes.extend(theirs.iter().copied().filter(|p| *p != chosen));
        }
        let right = probes
            .par_iter()
            .filter(|&&probe| {
                let likeness = gallery
                    .iter()
                    .map(|&known| (known, dot(&unit[probe], &unit[known])));
                likeness
                    .max_by(|a, b| a.1.total_cmp(&b.1))
                    .is_some_and(|(found, _)| people[found] == people[probe])
            })
            .count();
        right as f64 / probes.len() as f64
    };
    let rates: Vec<f64> = (0..SPLITS).map(rate).collect();
    let (mean, deviation) = mean_and_deviation(&rates);
    Some(Rank1 {
        people: pictures.len(),
        probes: pictures.iter().map(Vec::len).sum::<usize>() - pictures.len(),
        splits: SPLITS,
        mean,
        deviation,
    })
}

fn normalised(values: &[f32]) -> Vec<f32> {
    let norm = dot(values, values).sqrt().max(f32::MIN_POSITIVE);
    values.iter().map(|v| v / norm).collect()
}

/// In eight partial sums, which a processor adds at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
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
        let found = rank_1(&apart, &people).unwrap();
        assert_eq!((found.people, found.probes), (4, 8));
        assert_eq!((found.mean, found.deviation), (1.0, 0.0));
        let mixed: Vec<usize> = (0..12).map(|i| i % 4).collect();
        assert!(rank_1(&apart, &mixed).unwrap().mean < 0.5);
    }

    #[test]
    fn people_with_a_single_picture_are_left_out() {
        // Person 2 looks exactly like a probe of person 0, but has no second picture.
        let embeddings = vec![
            vec![1.0, 0.0],
            vec![0.9, 0.1],
            vec![0.0, 1.0],
            vec![0.1, 0.9],
            vec![0.9, 0.1],
        ];
        let found = rank_1(&embeddings, &[0, 0, 1, 1, 2]).unwrap();
        assert_eq!((found.people, found.probes, found.mean), (2, 2, 1.0));
        assert_eq!(rank_1(&embeddings, &[0, 1, 2, 3, 4]), None);
    }

    #[test]
    fn a_sum_in_parts_is_the_sum() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..19).map(|i| (i as f32, 0.5 * i as f32)).unzip();
        assert_eq!(dot(&a, &b), (0..19).map(|i| 0.5 * (i * i) as f32).sum::<f32>());
    }
}
