//! People with moods: who usually shows what, and what a network reads from a face in one window.

use affect_core::expression::EXPRESSIONS;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

/// How often each expression is somebody's usual one, in the order of `Expression::ALL`.
pub(crate) const USUAL: [f64; EXPRESSIONS] = [0.42, 0.33, 0.09, 0.06, 0.02, 0.05, 0.02, 0.01];
/// How often somebody shows another expression than the usual one for a window.
const SHIFT: f64 = 0.12;

/// Scores of one face in one window.
pub(crate) type Scores = [f32; EXPRESSIONS];

/// Draws moods and scores.
pub(crate) struct Moods {
    strong: Gamma<f64>,
    weak: Gamma<f64>,
}

impl Moods {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            strong: Gamma::new(6.0, 1.0)?,
            weak: Gamma::new(0.15, 1.0)?,
        })
    }

    /// Somebody's usual expression.
    pub(crate) fn usual(&self, random: &mut ChaCha8Rng) -> usize {
        let mut left: f64 = random.random();
        for (expression, share) in USUAL.iter().enumerate() {
            left -= share;
            if left < 0.0 {
                return expression;
            }
        }
        0
    }

    /// What is read in a window from a face whose usual expression is `usual`: a Dirichlet draw around the expression of
    /// that window.
    pub(crate) fn scores(&self, usual: usize, random: &mut ChaCha8Rng) -> Scores {
        let shown = if random.random::<f64>() < SHIFT {
            self.usual(random)
        } else {
            usual
        };
        let mut scores = [0.0; EXPRESSIONS];
        for (expression, score) in scores.iter_mut().enumerate() {
            let gamma = if expression == shown {
                &self.strong
            } else {
                &self.weak
            };
            *score = gamma.sample(random);
        }
        let sum: f64 = scores.iter().sum();
        scores.map(|score| (score / sum) as f32)
    }
}

/// The strongest expression.
pub(crate) fn strongest(scores: &[f32]) -> usize {
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(expression, _)| expression)
}
