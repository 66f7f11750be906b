//! A random forest as scikit-learn grows it: bootstrap samples, √features candidates per node, Gini impurity, leaves
//! that are pure; the answer is the mean of the trees' class shares.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Samples;

/// Trees of the paper's forest.
pub const TREES: usize = 1000;

/// Many trees.
#[derive(Debug, Clone)]
pub struct Forest {
    trees: Vec<Tree>,
    classes: usize,
}

#[derive(Debug, Clone)]
struct Tree(Vec<Node>);

#[derive(Debug, Clone)]
enum Node {
    /// Share of every class.
    Leaf(Vec<f32>),
    /// Below or at the threshold goes to the node `below`, the rest to the one after it.
    Split {
        feature: usize,
        threshold: f32,
        below: usize,
    },
}

/// The best split of a node so far.
struct Split {
    gain: f32,
    feature: usize,
    threshold: f32,
}

impl Forest {
    /// Grows `trees` trees.
    #[must_use]
    pub fn fit(samples: &Samples, trees: usize, seed: u64) -> Self {
        let features = samples.rows.first().map_or(0, Vec::len);
        let columns: Vec<Vec<f32>> = (0..features)
            .map(|feature| samples.rows.iter().map(|row| row[feature] as f32).collect())
            .collect();
        let grow = |tree| Tree::grow(&columns, samples, ChaCha8Rng::seed_from_u64(seed + tree as u64));
        Self {
            trees: (0..trees).into_par_iter().map(grow).collect(),
            classes: samples.classes,
        }
    }

    /// Share of every class: `[classes]`, summing to 1.
    #[must_use]
    pub fn decide(&self, row: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; self.classes];
        for tree in &self.trees {
            for (sum, share) in shares.iter_mut().zip(tree.leaf(row)) {
                *sum += f64::from(*share) / self.trees.len() as f64;
            }
        }
        shares
    }
}

impl Tree {
    fn leaf(&self, row: &[f64]) -> &[f32] {
        let mut at = 0;
        loop {
            match &self.0[at] {
                Node::Leaf(shares) => return shares,
                Node::Split {
                    feature,
                    threshold,
                    below,
                } => at = below + usize::from(row[*feature] as f32 > *threshold),
            }
        }
    }

    fn grow(columns: &[Vec<f32>], samples: &Samples, mut rng: ChaCha8Rng) -> Self {
        let labels = &samples.labels;
        let mut drawn: Vec<usize> = (0..labels.len())
            .map(|_| rng.random_range(0..labels.len()))
            .collect();
        let candidates = (columns.len() as f64).sqrt().max(1.0) as usize;
        let mut features: Vec<usize> = (0..columns.len()).collect();
        let mut nodes = vec![Node::Leaf(Vec::new())];
        let mut open = vec![(0, 0, labels.len())];
        let mut sorted = Vec::with_capacity(labels.len());
        while let Some((at, start, end)) = open.pop() {
            let mut counts = vec![0.0f32; samples.classes];
            drawn[start..end].iter().for_each(|i| counts[labels[*i]] += 1.0);
            let mut best: Option<Split> = None;
            let pure = counts.iter().filter(|count| **count > 0.0).count() <= 1;
            // As in scikit-learn, constant features do not count as candidates.
            for next in 0..if pure { 0 } else { features.len() } {
                if next >= candidates && best.is_some() {
                    break;
                }
                let chosen = rng.random_range(next..features.len());
                features.swap(next, chosen);
                let column = &columns[features[next]];
                sorted.clear();
                sorted.extend(drawn[start..end].iter().map(|i| (column[*i], labels[*i])));
                sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                if let Some((gain, threshold)) = best_threshold(&sorted, &counts)
                    && best.as_ref().is_none_or(|best| gain > best.gain)
                {
                    best = Some(Split {
                        gain,
                        feature: features[next],
                        threshold,
                    });
                }
            }
            let Some(Split {
                feature, threshold, ..
            }) = best
            else {
                let all = (end - start) as f32;
                nodes[at] = Node::Leaf(counts.iter().map(|count| count / all).collect());
                continue;
            };
            let part = &mut drawn[start..end];
            part.sort_unstable_by_key(|i| columns[feature][*i] > threshold);
            let middle = start + part.partition_point(|i| columns[feature][*i] <= threshold);
            let below = nodes.len();
            nodes.extend([Node::Leaf(Vec::new()), Node::Leaf(Vec::new())]);
            nodes[at] = Node::Split {
                feature,
                threshold,
                below,
            };
            open.extend([(below, start, middle), (below + 1, middle, end)]);
        }
        Self(nodes)
    }
}

/// Where to cut sorted values, and how good that is: Σ counts² ÷ size of both sides, which falls as Gini's impurity
/// rises. `None` if all values are the same.
fn best_threshold(sorted: &[(f32, usize)], counts: &[f32]) -> Option<(f32, f32)> {
    let mut left = vec![0.0f32; counts.len()];
    let mut left_squares = 0.0;
    let mut right_squares: f32 = counts.iter().map(|count| count * count).sum();
    let mut best: Option<(f32, f32)> = None;
    for (index, pair) in sorted.windows(2).enumerate() {
        let class = pair[0].1;
        left_squares += 2.0 * left[class] + 1.0;
        right_squares -= 2.0 * (counts[class] - left[class]) - 1.0;
        left[class] += 1.0;
        if pair[0].0 < pair[1].0 {
            let below = (index + 1) as f32;
            let gain = left_squares / below + right_squares / (sorted.len() as f32 - below);
            if best.is_none_or(|(most, _)| gain > most) {
                // Between two neighbouring numbers the mean may be the upper one: then the lower one divides.
                let mean = (pair[0].0 + pair[1].0) * 0.5;
                best = Some((gain, if mean < pair[1].0 { mean } else { pair[0].0 }));
            }
        }
    }
    best
}
