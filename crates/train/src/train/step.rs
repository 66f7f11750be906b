//! One step of training: loss, gradients over shards, and SAM's two passes.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Device, Tensor, TensorData};

use crate::network::Network;

/// Pictures and what the heads should say to them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// `[count, 3, size, size]`.
    pub pictures: Vec<f32>,
    /// Per head `[count, classes]` (two for the single logit of gender), weights multiplied in.
    pub targets: Vec<Vec<f32>>,
    /// Number of pictures.
    pub count: usize,
}

/// The loss of one step, per picture; with SAM that of its first pass.
pub type LossValue = f32;

/// Changes the weights once.
pub fn step(
    network: Network,
    optimiser: &mut ModuleOptimizer,
    shards: &[Batch],
    (rate, sam_rho): (f64, f32),
    device: &Device,
) -> (Network, LossValue) {
    let (mut loss, mut gradients) = gradients(&network, shards, device);
    if sam_rho > 0.0 && loss.is_finite() {
        let climbed = climb(&network, &gradients, sam_rho);
        gradients = self::gradients(&climbed, shards, device).1;
    }
    if loss.is_finite() {
        return (optimiser.step(rate, network, gradients), loss);
    }
    loss = f32::NAN;
    (network, loss)
}

/// Loss and gradients of a batch, its shards side by side. The sum over shards is in their order: repeatable.
fn gradients(network: &Network, shards: &[Batch], device: &Device) -> (LossValue, GradientsParams) {
    let total: usize = shards.iter().map(|shard| shard.count).sum();
    let one = |shard: &Batch, network: Network| {
        let loss = loss(&network, shard, device) / total as f32;
        let value = loss.clone().into_scalar::<f32>();
        (value, GradientsParams::from_grads(loss.backward(), &network))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = shards
            .iter()
            .map(|shard| {
                // A fork, because clones share the lock of their weights.
                let copy = network.clone().fork(device);
                scope.spawn(move || one(shard, copy))
            })
            .collect();
        threads
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut sum = GradientsAccumulator::new();
    let mut loss = 0.0;
    for result in results {
        match result {
            Ok((value, gradients)) => {
                loss += value;
                sum.accumulate(network, gradients);
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    (loss, sum.grads())
}

/// The sum of the losses of all heads over a shard.
fn loss(network: &Network, batch: &Batch, device: &Device) -> Tensor<1> {
    let size = network_size(batch);
    let pictures = TensorData::new(batch.pictures.clone(), [batch.count, 3, size, size]);
    let logits = network.forward(Tensor::from_data(pictures, device));
    let mut total = Tensor::zeros([1], device);
    for (logits, target) in logits.into_iter().zip(&batch.targets) {
        total = total + head_loss(logits, target, device);
    }
    total
}

fn network_size(batch: &Batch) -> usize {
    (batch.pictures.len() / 3 / batch.count.max(1)).isqrt()
}

/// Cross-entropy with a distribution, the paper's eq. (2); binary cross-entropy for a single logit.
fn head_loss(logits: Tensor<2>, target: &[f32], device: &Device) -> Tensor<1> {
    let [count, classes] = logits.dims();
    let log = if classes == 1 {
        Tensor::cat(vec![log_sigmoid(-logits.clone()), log_sigmoid(logits)], 1)
    } else {
        log_softmax(logits, 1)
    };
    let target = TensorData::new(target.to_vec(), [count, classes.max(2)]);
    -(log * Tensor::from_data(target, device)).sum()
}

/// SAM's first step (Foret et al., 2021): the weights moved by ρ along the normalised gradient, uphill.
#[must_use]
pub fn climb(network: &Network, gradients: &GradientsParams, rho: f32) -> Network {
    let mut norm = SquaredNorm { gradients, sum: 0.0 };
    network.visit(&mut norm);
    let factor = (f64::from(rho) / (norm.sum.sqrt() + 1e-12)) as f32;
    // `valid().train()` copies batch norm's running statistics, which plain clones share: the second pass
    // would spoil them.
    network.valid().train().map(&mut Climb { gradients, factor })
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.powf_scalar(2.0).sum().into_scalar::<f32>());
        }
    }
}

struct Climb<'a> {
    gradients: &'a GradientsParams,
    factor: f32,
}

impl ModuleMapper for Climb<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.gradients.get::<D>(param.id) {
            // Frozen, or a running statistic.
            None => param,
            Some(gradient) => {
                let factor = self.factor;
                param.map(|weights| {
                    Tensor::from_inner(weights.inner() + gradient.mul_scalar(factor)).require_grad()
                })
            }
        }
    }
}
