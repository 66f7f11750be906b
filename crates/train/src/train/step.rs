//! One step of training: loss, gradients over shards, and SAM's two passes.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Device, Tensor, TensorData};

use crate::device;
use crate::network::Network;

/// Pictures and what the heads should say to them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// `[count, 3, size, size]`.
    pub pictures: Vec<f32>,
    /// Per head `[count, classes]` (two for the single logit of gender), weights multiplied in.
    pub targets: Vec<Vec<f32>>,
    /// Per head what is added to its logits before the loss, like `targets`; nothing where nothing is.
    pub priors: Vec<Vec<f32>>,
    /// Number of pictures.
    pub count: usize,
}

/// The loss of one step, per picture; with SAM that of its first pass.
pub type LossValue = f32;

/// Changes the weights once; not at all if the loss is no number.
pub fn step(
    network: Network,
    optimiser: &mut ModuleOptimizer,
    shards: &[Batch],
    (rate, sam_rho): (f64, f32),
    device: &Device,
) -> (Network, LossValue) {
    let (loss, mut gradients) = gradients(&network, shards, device);
    if sam_rho > 0.0 && loss.is_finite() {
        let climbed = climb(&network, &gradients, sam_rho);
        gradients = self::gradients(&climbed, shards, device).1;
    }
    if loss.is_finite() {
        (optimiser.step(rate, network, gradients), loss)
    } else {
        (network, loss)
    }
}

/// Loss and gradients of a batch, its shards side by side. The sum over shards is in their order: repeatable.
fn gradients(network: &Network, shards: &[Batch], device: &Device) -> (LossValue, GradientsParams) {
    let total: usize = shards.iter().map(|shard| shard.count).sum();
    let one = |shard: &Batch, network: Network| {
        let loss = loss(&network, shard, device) / total as f32;
        let value = loss.clone().into_scalar::<f32>();
        (value, GradientsParams::from_grads(loss.backward(), &network))
    };
    if let ([shard], false) = (shards, device::is_cpu(device)) {
        let (value, gradients) = one(shard, network.clone());
        network.settle();
        return (value, gradients);
    }
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = shards
            .iter()
            .map(|shard| {
                // A fork, because clones share the lock of their weights.
                let copy = network.clone().fork(device);
                scope.spawn(move || alone(|| one(shard, copy)))
            })
            .collect();
        threads
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect()
    });
    network.settle();
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

/// Computes without further threads: the shards already keep the processor busy, and results must not depend on it.
fn alone<R: Send>(compute: impl FnOnce() -> R + Send) -> R {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(compute),
        Err(_) => compute(),
    }
}

/// The sum of the losses of all heads over a shard.
fn loss(network: &Network, batch: &Batch, device: &Device) -> Tensor<1> {
    let size = network_size(batch);
    let pictures = TensorData::new(batch.pictures.clone(), [batch.count, 3, size, size]);
    let logits = network.forward(Tensor::from_data(pictures, device));
    let mut total = Tensor::zeros([1], device);
    for (head, (mut logits, target)) in logits.into_iter().zip(&batch.targets).enumerate() {
        if let Some(prior) = batch.priors.get(head).filter(|prior| !prior.is_empty()) {
            let prior = TensorData::new(prior.clone(), logits.dims());
            logits = logits + Tensor::from_data(prior, device);
        }
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

#[cfg(test)]
mod tests {
    use burn::optim::SgdConfig;

    use super::*;
    use crate::network::plan::Plan;
    use crate::weights::{Array, Weights};

    /// A network that is one dense layer on the mean of each channel: its gradients can be written down.
    fn tiny(weights: [f32; 3], bias: f32) -> Network {
        let mut plan = Plan::new("tiny".to_owned(), 2);
        plan.embed(0, 3);
        plan.head("gender", plan.embedding, 3, 1);
        let mut known = Weights::default();
        let array = |shape: &[usize], values: &[f32]| Array {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        known.insert("gender.kernel".to_owned(), array(&[1, 3], &weights));
        known.insert("gender.bias".to_owned(), array(&[1], &[bias]));
        Network::new(plan, &known, &crate::device::cpu().autodiff())
            .unwrap()
            .freeze_unless(|_| true)
    }

    /// One picture whose channels have these values, labelled male.
    fn one(x: [f32; 3]) -> Batch {
        Batch {
            pictures: x.iter().flat_map(|v| [*v; 4]).collect(),
            targets: vec![vec![0.0, 1.0]],
            priors: Vec::new(),
            count: 1,
        }
    }

    fn numbers(network: &Network) -> Vec<f32> {
        let weights = network.weights();
        let of = |name: &str| weights.find(name).unwrap().values.clone();
        [of("gender.kernel"), of("gender.bias")].concat()
    }

    #[test]
    fn a_sam_step_is_the_one_computed_by_hand() {
        let (w, b, x, rho, rate) = ([0.3f32, -0.2, 0.5], 0.1f32, [1.0f32, 2.0, -1.5], 0.05f32, 0.1f32);
        let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
        let logit = |w: &[f32; 3], b: f32| w.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>() + b;
        // Binary cross-entropy for label 1: dL/dw = (σ − 1)·x, dL/db = σ − 1.
        let slope = sigmoid(logit(&w, b)) - 1.0;
        let norm = (x.iter().map(|v| (slope * v).powi(2)).sum::<f32>() + slope * slope).sqrt();
        let up: [f32; 3] = std::array::from_fn(|i| w[i] + rho * slope * x[i] / norm);
        let up_bias = b + rho * slope / norm;
        let second = sigmoid(logit(&up, up_bias)) - 1.0;

        let device = crate::device::cpu().autodiff();
        let network = tiny(w, b);
        let batch = [one(x)];
        let climbed = climb(&network, &gradients(&network, &batch, &device).1, rho);
        for (found, wanted) in numbers(&climbed).iter().zip(up.iter().chain([&up_bias])) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        let mut optimiser = SgdConfig::new().init();
        let (after, loss) = step(network, &mut optimiser, &batch, (f64::from(rate), rho), &device);
        assert!((loss + sigmoid(logit(&w, b)).ln()).abs() < 1e-6);
        for (i, found) in numbers(&after).iter().enumerate() {
            let wanted = if i < 3 {
                w[i] - rate * second * x[i]
            } else {
                b - rate * second
            };
            assert!((found - wanted).abs() < 1e-6, "{i}: {found} {wanted}");
        }
    }

    #[test]
    fn shards_change_nothing_but_rounding() {
        let device = crate::device::cpu().autodiff();
        let network = tiny([0.3, -0.2, 0.5], 0.1);
        let (a, b) = (one([1.0, 2.0, 3.0]), one([-1.0, 0.5, 0.2]));
        let both = Batch {
            pictures: [a.pictures.clone(), b.pictures.clone()].concat(),
            targets: vec![[a.targets[0].clone(), b.targets[0].clone()].concat()],
            priors: Vec::new(),
            count: 2,
        };
        let (whole, _) = gradients(&network, &[both], &device);
        let (parts, _) = gradients(&network, &[a, b], &device);
        assert!((whole - parts).abs() < 1e-6);
    }

    #[test]
    fn a_prior_is_added_to_the_answer_before_the_loss() {
        let device = crate::device::cpu().autodiff();
        let network = tiny([0.3, -0.2, 0.5], 0.1);
        let without = one([1.0, 2.0, -1.5]);
        let with = Batch {
            priors: vec![vec![0.7]],
            ..without.clone()
        };
        let shifted = tiny([0.3, -0.2, 0.5], 0.8);
        let loss =
            |network: &Network, batch: &Batch| gradients(network, std::slice::from_ref(batch), &device).0;
        assert!((loss(&network, &with) - loss(&shifted, &without)).abs() < 1e-6);
        assert!((loss(&network, &with) - loss(&network, &without)).abs() > 0.1);
    }
}
