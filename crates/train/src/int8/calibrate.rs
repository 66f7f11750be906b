//! Ranges of all values on calibration pictures, and the biases that make up for quantisation.

use burn::tensor::{Device, Tensor};

use super::graph::Quantised;
use crate::network::plan::{Activation, Operation, Plan};
use crate::network::{Network, array, inward, tensor};
use crate::weights::{Array, Weights};

/// Fewer calibration pictures than this do not show the range of a layer.
pub const LEAST_PICTURES: usize = 16;

/// Pictures that are computed together.
const TOGETHER: usize = 16;

/// The smallest largest magnitude of a kernel.
const LEAST_KERNEL: f32 = 5e-7;

/// The largest stored bias: half of what 32 bits hold, the rest is for the products that are added to it.
const MOST_BIAS: f32 = (1 << 30) as f32;

/// Least and largest of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// At most 0.
    pub least: f32,
    /// At least 0.
    pub most: f32,
}

/// What calibration finds, by place in the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// Of every value; 0 is the input.
    pub values: Vec<Range>,
    /// Of every step before its activation, where the graph has that value, too.
    pub before: Vec<Range>,
}

impl Range {
    const NONE: Self = Self {
        least: 0.0,
        most: 0.0,
    };

    fn see(&mut self, tensor: &Tensor<4>) {
        self.least = self.least.min(tensor.clone().min().into_scalar::<f32>());
        self.most = self.most.max(tensor.clone().max().into_scalar::<f32>());
    }

    /// As int8.
    #[must_use]
    pub fn quantised(&self) -> Quantised {
        Quantised::range(self.least, self.most)
    }
}

/// Whether the graph computes this activation by an operator of its own.
#[must_use]
pub fn stands_alone(activation: Activation) -> bool {
    matches!(activation, Activation::Swish | Activation::Sigmoid)
}

/// The ranges of a folded network on pictures `[count, 3, size, size]`.
#[must_use]
pub fn ranges(network: &Network, pictures: &Tensor<4>) -> Ranges {
    let steps = network.plan().steps.len();
    let mut ranges = Ranges {
        values: vec![Range::NONE; steps + 1],
        before: vec![Range::NONE; steps],
    };
    for part in parts(pictures) {
        let mut known = vec![part];
        ranges.values[0].see(&known[0]);
        for (index, step) in network.plan().steps.iter().enumerate() {
            let before = network.linear(index, &known);
            let activation = step.operation.activation();
            if stands_alone(activation) {
                ranges.before[index].see(&before);
            }
            let value = activation.apply(before);
            ranges.values[index + 1].see(&value);
            known.push(value);
        }
    }
    ranges
}

/// Some at a time, as networks compute them: `[3, count, size, size]`.
fn parts(pictures: &Tensor<4>) -> Vec<Tensor<4>> {
    let [count, channels, height, width] = pictures.dims();
    (0..count)
        .step_by(TOGETHER)
        .map(|from| {
            inward(pictures.clone().slice([
                from..(from + TOGETHER).min(count),
                0..channels,
                0..height,
                0..width,
            ]))
        })
        .collect()
}

/// The scale of every output channel of a kernel (or the only one), symmetric: largest magnitude ÷ 127.
///
/// A channel that died in training has next to no kernel left, but perhaps a bias, which is stored in steps of
/// this scale times the input's. So the scale is at least what lets the bias fit; as in TensorFlow's converter.
#[must_use]
pub fn kernel_scales(kernel: &Array, bias: &Array, input_scale: f32, per_channel: bool) -> Vec<f32> {
    let slices = if per_channel { kernel.shape[0] } else { 1 };
    let largest = |values: &[f32]| values.iter().fold(0f32, |most, v| most.max(v.abs()));
    let kernels = kernel.values.chunks_exact(kernel.values.len() / slices);
    let biases = bias.values.chunks_exact(bias.values.len() / slices);
    kernels
        .zip(biases)
        .map(|(kernel, bias)| {
            let scale = largest(kernel).max(LEAST_KERNEL) / 127.0;
            scale.max(largest(bias) / (MOST_BIAS * input_scale))
        })
        .collect()
}

/// The stored numbers of values in steps of `scales`, one per slice or one for all.
///
/// The product with the reciprocal, as in TensorFlow's converter: a quotient rounds some ties the other way.
pub fn steps<'a>(values: &'a [f32], scales: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    let slices = values.chunks_exact(values.len() / scales.len()).zip(scales);
    slices.flat_map(|(slice, scale)| {
        let each = 1.0 / scale;
        slice.iter().map(move |v| (v * each).round())
    })
}

/// The stored numbers of a kernel.
#[must_use]
pub fn stored(kernel: &Array, scales: &[f32]) -> Vec<i8> {
    steps(&kernel.values, scales)
        .map(|v| v.clamp(-127.0, 127.0) as i8)
        .collect()
}

/// Whether a step's kernel has a scale per channel. A single logit has one channel.
#[must_use]
pub fn per_channel(operation: &Operation) -> bool {
    !matches!(operation, Operation::Dense(d) if d.outputs == 1)
}

/// The weights with their kernels as int8 keeps them.
#[must_use]
pub fn rounded_weights(plan: &Plan, weights: &Weights, ranges: &Ranges) -> Weights {
    let mut rounded = weights.clone();
    for step in &plan.steps {
        let name = format!("{}.kernel", step.name);
        let (Some(kernel), Some(bias)) = (weights.find(&name), weights.find(&format!("{}.bias", step.name)))
        else {
            continue;
        };
        let input_scale = ranges.values[step.from].quantised().scale[0];
        let scales = kernel_scales(kernel, bias, input_scale, per_channel(&step.operation));
        let each = kernel.values.len() / scales.len();
        let values = stored(kernel, &scales).into_iter().enumerate();
        let values = values.map(|(at, v)| f32::from(v) * scales[at / each]).collect();
        rounded.insert(
            name,
            Array {
                shape: kernel.shape.clone(),
                values,
            },
        );
    }
    rounded
}

/// Moves every bias by the mean difference between the float network and its quantised copy, layer by layer:
/// each layer is corrected on what the corrected layers before it give.
#[must_use]
pub fn correct_biases(
    (float, rounded): (&Network, &Network),
    ranges: &Ranges,
    weights: &Weights,
    pictures: &Tensor<4>,
    device: &Device,
) -> Weights {
    let plan = float.plan();
    let mut corrected = weights.clone();
    let exact_in = parts(pictures);
    let coarse_in = exact_in
        .iter()
        .map(|x| vec![coarse(x.clone(), &ranges.values[0].quantised())])
        .collect();
    let mut exact: Vec<Vec<Tensor<4>>> = exact_in.into_iter().map(|x| vec![x]).collect();
    let mut approximate: Vec<Vec<Tensor<4>>> = coarse_in;
    for (index, step) in plan.steps.iter().enumerate() {
        let exact_out: Vec<_> = exact.iter().map(|known| float.linear(index, known)).collect();
        let mut coarse_out: Vec<_> = approximate
            .iter()
            .map(|known| rounded.linear(index, known))
            .collect();
        if let Some(bias) = weights.find(&format!("{}.bias", step.name)) {
            let correction = mean_difference(&exact_out, &coarse_out);
            let channels = bias.values.len();
            let shift: Tensor<4> = tensor::<1>(&correction, device).reshape([channels, 1, 1, 1]);
            for value in &mut coarse_out {
                *value = value.clone() + shift.clone();
            }
            let values = bias
                .values
                .iter()
                .zip(&correction.values)
                .map(|(b, c)| b + c)
                .collect();
            corrected.insert(
                format!("{}.bias", step.name),
                Array {
                    shape: vec![channels],
                    values,
                },
            );
        }
        let activation = step.operation.activation();
        for (known, value) in exact.iter_mut().zip(exact_out) {
            known.push(activation.apply(value));
        }
        for (known, mut value) in approximate.iter_mut().zip(coarse_out) {
            if stands_alone(activation) {
                value = coarse(value, &ranges.before[index].quantised());
            }
            known.push(coarse(
                activation.apply(value),
                &ranges.values[index + 1].quantised(),
            ));
        }
        forget(plan, index, &mut exact);
        forget(plan, index, &mut approximate);
    }
    corrected
}

/// Frees values that no later step reads.
fn forget(plan: &Plan, done: usize, streams: &mut [Vec<Tensor<4>>]) {
    let needed = |value: usize| {
        plan.steps[done + 1..].iter().any(|step| {
            let other = match step.operation {
                Operation::Add(other) | Operation::AddToFirst(other) | Operation::Scale(other, _) => {
                    Some(other)
                }
                _ => None,
            };
            step.from == value || other == Some(value)
        })
    };
    for value in 0..=done {
        if !needed(value) {
            for stream in streams.iter_mut() {
                let device = stream[value].device();
                stream[value] = Tensor::zeros([1, 1, 1, 1], &device);
            }
        }
    }
}

/// Per channel, over all pictures and pixels.
fn mean_difference(exact: &[Tensor<4>], approximate: &[Tensor<4>]) -> Array {
    let mut sum: Option<Tensor<4>> = None;
    let mut count = 0;
    for (a, b) in exact.iter().zip(approximate) {
        let batch = a.dims()[1];
        let part = (a.clone() - b.clone()).mean_dim(3).mean_dim(2).sum_dim(1);
        sum = Some(match sum {
            None => part,
            Some(sum) => sum + part,
        });
        count += batch;
    }
    let Some(sum) = sum else { return Array::default() };
    let channels = sum.dims()[0];
    array((sum / count as f32).reshape([channels]))
}

/// What int8 leaves of a value.
fn coarse(value: Tensor<4>, quantised: &Quantised) -> Tensor<4> {
    let (scale, zero) = (quantised.scale[0], quantised.zero_point[0] as f32);
    ((value / scale).round() + zero)
        .clamp(-128.0, 127.0)
        .sub_scalar(zero)
        .mul_scalar(scale)
}
