//! The loops that a processor spends its time in when it trains one of the networks: batch norm or bias with the
//! activation behind it, and in [`super::depthwise`] convolution.
//!
//! Plain functions on slices. Values lie as `[channels, batch, height, width]`, so that what belongs to a channel lies
//! together. [`super::fast`] makes operations of the framework of them. They use the widest vectors that the processor
//! has (`pulp`), and no threads: a step's shards are already computed side by side.

use pulp::Arch;

use super::plan::Activation;

/// Numbers that are added up side by side, so that sums use vectors, too.
const LANES: usize = 8;

#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// An activation that can be told from its result: linear, ReLU, ReLU6.
#[inline(always)]
fn activated(activation: Activation, x: f32) -> f32 {
    match activation {
        // Not `max`, which makes 0 of what is no number: a loss that is none must be seen.
        Activation::Relu if x < 0.0 => 0.0,
        Activation::Relu6 => x.clamp(0.0, 6.0),
        _ => x,
    }
}

/// Whether the gradient passes, given the activation's result.
#[inline(always)]
fn passes(activation: Activation, y: f32) -> bool {
    match activation {
        Activation::Relu => y > 0.0,
        Activation::Relu6 => y > 0.0 && y < 6.0,
        _ => true,
    }
}

/// `activation(scale · x + shift)` per channel.
pub(super) fn scaled(x: &[f32], scale: Option<&[f32]>, shift: &[f32], activation: Activation) -> Vec<f32> {
    let each = x.len() / shift.len();
    let mut result = Vec::with_capacity(x.len());
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (channel, values) in x.chunks_exact(each).enumerate() {
                let (scale, shift) = (scale.map_or(1.0, |scale| scale[channel]), shift[channel]);
                result.extend(values.iter().map(|x| activated(activation, scale * x + shift)));
            }
        },
    );
    result
}

/// The gradients of [`scaled`] with scale 1: by input and by shift, from the result and the gradient by it.
pub(super) fn scaled_backward(
    y: &[f32],
    gradient: &[f32],
    channels: usize,
    activation: Activation,
) -> (Vec<f32>, Vec<f32>) {
    let each = y.len() / channels;
    let mut by_input = Vec::with_capacity(y.len());
    let mut by_shift = Vec::with_capacity(channels);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (y, gradient) in y.chunks_exact(each).zip(gradient.chunks_exact(each)) {
                let start = by_input.len();
                by_input.extend(
                    y.iter()
                        .zip(gradient)
                        .map(|(y, g)| if passes(activation, *y) { *g } else { 0.0 }),
                );
                by_shift.push(sum(&by_input[start..]));
            }
        },
    );
    (by_input, by_shift)
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// What batch norm found in a batch, per channel.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    /// Mean.
    pub(super) mean: Vec<f32>,
    /// Variance, divided by the count.
    pub(super) variance: Vec<f32>,
    /// 1 / √(variance + ε).
    pub(super) inverse: Vec<f32>,
}

/// Mean and variance of every channel.
pub(super) fn statistics(x: &[f32], channels: usize, epsilon: f32) -> Statistics {
    let each = x.len() / channels;
    let mut found = Statistics {
        mean: Vec::with_capacity(channels),
        variance: Vec::with_capacity(channels),
        inverse: Vec::with_capacity(channels),
    };
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for values in x.chunks_exact(each) {
                let mean = sum(values) / each as f32;
                let mut sums = [0.0; LANES];
                let (chunks, rest) = values.as_chunks::<LANES>();
                for chunk in chunks {
                    for lane in 0..LANES {
                        sums[lane] += (chunk[lane] - mean) * (chunk[lane] - mean);
                    }
                }
                let rest: f32 = rest.iter().map(|v| (v - mean) * (v - mean)).sum();
                let variance = (sums.iter().sum::<f32>() + rest) / each as f32;
                found.mean.push(mean);
                found.variance.push(variance);
                found.inverse.push(1.0 / (variance + epsilon).sqrt());
            }
        },
    );
    found
}

/// Batch norm in training and its activation: `activation(γ · (x − mean) / σ + β)`.
pub(super) fn normed(
    x: &[f32],
    found: &Statistics,
    gamma: &[f32],
    beta: &[f32],
    activation: Activation,
) -> Vec<f32> {
    let scale: Vec<f32> = gamma.iter().zip(&found.inverse).map(|(g, i)| g * i).collect();
    let shift: Vec<f32> = beta
        .iter()
        .zip(&found.mean)
        .zip(&scale)
        .map(|((beta, mean), scale)| beta - mean * scale)
        .collect();
    scaled(x, Some(&scale), &shift, activation)
}

/// Gradients of [`normed`] by input, γ and β (Ioffe and Szegedy, 2015), through mean and variance, too.
pub(super) fn normed_backward(
    (x, y): (&[f32], &[f32]),
    gradient: &[f32],
    found: &Statistics,
    gamma: &[f32],
    activation: Activation,
) -> [Vec<f32>; 3] {
    let channels = gamma.len();
    let each = x.len() / channels;
    let (mut by_input, by_beta) = scaled_backward(y, gradient, channels, activation);
    let mut by_gamma = Vec::with_capacity(channels);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let planes = by_input.chunks_exact_mut(each).zip(x.chunks_exact(each));
            for (channel, (gradient, x)) in planes.enumerate() {
                let (mean, inverse) = (found.mean[channel], found.inverse[channel]);
                // Σ g · (x − mean), with the mean taken out of the products: one pass less.
                let product = (dot(gradient, x) - mean * by_beta[channel]) * inverse;
                by_gamma.push(product);
                let scale = gamma[channel] * inverse;
                let slope = scale * product * inverse / each as f32;
                let shift = scale * by_beta[channel] / each as f32;
                for (g, x) in gradient.iter_mut().zip(x) {
                    *g = scale * *g - shift - slope * (x - mean);
                }
            }
        },
    );
    [by_input, by_gamma, by_beta]
}
