//! In which order an epoch sees its pictures: drawn from (seed, epoch), so that it can be drawn again.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::recipe::Source;
use crate::data::Face;

/// The pictures of an epoch in their order, each with its number among all.
pub(super) fn order<'a>(
    groups: &[Vec<&'a Face>],
    sources: &[Source],
    seed: u64,
    epoch: usize,
) -> Vec<(usize, &'a Face)> {
    let mut rng = ChaCha8Rng::seed_from_u64(mixed(&[seed, epoch as u64]));
    let mut order = Vec::new();
    let mut before = 0;
    for (group, source) in groups.iter().zip(sources) {
        let mut part: Vec<_> = group
            .iter()
            .enumerate()
            .map(|(i, face)| (before + i, *face))
            .collect();
        part.shuffle(&mut rng);
        part.truncate(((group.len() as f32 * source.share).ceil() as usize).min(group.len()));
        before += group.len();
        order.extend(part);
    }
    order.shuffle(&mut rng);
    order
}

/// Several numbers to one seed (SplitMix64).
pub(super) fn mixed(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |state: u64, number| {
        let mut z = (state ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}
