//! Puts batch norm back into weights that were published without: the opposite of [`crate::int8::fold`].
//!
//! A network without batch norm only bears small learning rates. Every convolution of the folded network is measured on
//! pictures; then γ, β, mean and variance are chosen so that the network computes what it did before, and each kernel is
//! scaled so that what it gives has a variance of 1.

use burn::tensor::{Device, Tensor};

use super::{Array, WeightError, Weights};
use crate::network::plan::{Operation, Plan};
use crate::network::{Network, inward, values};

/// Keeps channels that hardly vary from being blown up.
const LEAST_VARIANCE: f32 = 1e-3;

/// The weights of `folded` for the same network with batch norm of this ε, measured on pictures
/// `[count, 3, size, size]`. Dense layers and heads stay as they are.
///
/// # Errors
/// [`WeightError`] if the weights are not the plan's.
pub fn unfold(
    folded: &Plan,
    weights: &Weights,
    pictures: Tensor<4>,
    device: &Device,
) -> Result<Weights, WeightError> {
    let network = Network::new(folded.clone(), weights, device)?;
    let epsilon = folded.epsilon as f32;
    let mut unfolded = weights.clone();
    let mut known = vec![inward(pictures)];
    for (index, step) in folded.steps[..folded.embedding].iter().enumerate() {
        let before = network.linear(index, &known);
        known.push(step.operation.activation().apply(before.clone()));
        let Operation::Convolution(c) = step.operation else {
            continue;
        };
        let name = |part: &str| format!("{}.{part}", step.name);
        let bias = weights.get(&name("bias"), &[c.outputs])?;
        let mut kernel = weights.get(&name("kernel"), &c.kernel_shape())?.clone();
        let each = kernel.values.len() / c.outputs;
        let seen = values(before);
        let mut parts = [(); 4].map(|()| Vec::with_capacity(c.outputs));
        for (channel, seen) in seen.chunks_exact(seen.len() / c.outputs).enumerate() {
            let (mean, variance) = moments(seen);
            let scale = 1.0 / (variance + LEAST_VARIANCE).sqrt();
            kernel.values[channel * each..][..each]
                .iter_mut()
                .for_each(|v| *v *= scale);
            let variance = variance * scale * scale;
            let found = [
                (variance + epsilon).sqrt() / scale,
                mean,
                (mean - bias.values[channel]) * scale,
                variance,
            ];
            parts.iter_mut().zip(found).for_each(|(part, v)| part.push(v));
        }
        unfolded.insert(name("kernel"), kernel);
        for (part, values) in ["gamma", "beta", "mean", "variance"].into_iter().zip(parts) {
            let shape = vec![c.outputs];
            unfolded.insert(name(part), Array { shape, values });
        }
    }
    Ok(unfolded)
}

fn moments(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    (mean as f32, variance as f32)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::network::mobilenet;

    #[test]
    fn batch_norm_that_was_put_back_changes_nothing_until_it_learns() {
        let device = crate::device::cpu();
        let heads = |norm| mobilenet::plan(0.25, 48, norm).with_heads(&[("expression", 8)]);
        let (folded, normed) = (heads(false), heads(true));
        let weights = Weights::random(&folded, 3);
        let pictures = Tensor::random([8, 3, 48, 48], Distribution::Normal(0.0, 30.0), &device);
        let unfolded = unfold(&folded, &weights, pictures.clone(), &device).unwrap();
        let before = Network::new(folded, &weights, &device).unwrap();
        let after = Network::new(normed, &unfolded, &device).unwrap();
        let (before, after) = (
            values(before.embed(pictures.clone())),
            values(after.embed(pictures)),
        );
        let most = before.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!(most > 0.1, "the network answers something: {most}");
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() < 1e-4 * most, "{before} {after}");
        }
    }
}
