//! The framework's operations that [`super::kernels`] computes on a processor, with their gradients.
//!
//! On another device (a graphics card) the same result is put together from the framework's own operations. Values are
//! `[channels, batch, height, width]`.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::module::RunningState;
use burn::nn::BatchNorm;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};

use super::depthwise::{Depthwise, patches};
use super::kernels::{self, Statistics};
use super::plan::{Activation, Convolution};

/// A tensor on a processor that remembers how it came about.
type Tracked = Autodiff<Flex, NoCheckpointing>;

/// A depthwise convolution, without bias.
pub(super) fn depthwise(c: &Convolution, x: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
    let shape = Depthwise::new(c, x.dims());
    if let (Ok(x), Ok(kernel)) = (
        x.clone().try_into_primitive::<Flex>(),
        kernel.clone().try_into_primitive::<Flex>(),
    ) {
        let result = shape.forward(numbers(&contiguous(x)), numbers(&contiguous(kernel)));
        return Tensor::from_primitive::<Flex>(flex(result, shape.result_shape()));
    }
    let (Ok(tracked), Ok(weights)) = (
        x.clone().try_into_primitive::<Tracked>(),
        kernel.clone().try_into_primitive::<Tracked>(),
    ) else {
        return spatial(c, x, kernel, c.inputs);
    };
    let nodes = [tracked.node(), weights.node()];
    let (x, kernel) = (
        contiguous(tracked.into_primitive()),
        contiguous(weights.into_primitive()),
    );
    let result = flex(shape.forward(numbers(&x), numbers(&kernel)), shape.result_shape());
    let result = match DepthwiseStep
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(step) => step.finish((shape, x, kernel), result),
        OpsKind::UnTracked(step) => step.finish(result),
    };
    Tensor::from_primitive::<Tracked>(result)
}

#[derive(Debug)]
struct DepthwiseStep;

impl Backward<Flex, 2> for DepthwiseStep {
    type State = (Depthwise, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [by_x, by_kernel] = ops.parents;
        let (shape, x, kernel) = ops.state;
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (input, taps) = shape.backward(numbers(&x), numbers(&kernel), numbers(&gradient), by_x.is_some());
        if let (Some(node), Some(input)) = (by_x, input) {
            grads.register::<Flex>(node.id, flex(input, x.layout().shape().dims::<4>()));
        }
        if let Some(node) = by_kernel {
            grads.register::<Flex>(node.id, flex(taps, kernel.layout().shape().dims::<4>()));
        }
    }
}

/// A bias per channel and an activation.
pub(super) fn biased(x: Tensor<4>, bias: Tensor<1>, activation: Activation) -> Tensor<4> {
    let rest = beyond(activation);
    let channels = bias.dims()[0];
    let (Ok(tracked), Ok(shift)) = (
        x.clone().try_into_primitive::<Tracked>(),
        bias.clone().try_into_primitive::<Tracked>(),
    ) else {
        let (Ok(values), Ok(shift)) = (
            x.clone().try_into_primitive::<Flex>(),
            bias.clone().try_into_primitive::<Flex>(),
        ) else {
            return activation.apply(x + bias.reshape([channels, 1, 1, 1]));
        };
        let result = kernels::scaled(
            numbers(&contiguous(values)),
            None,
            numbers(&contiguous(shift)),
            activation,
        );
        return rest.apply(Tensor::from_primitive::<Flex>(flex(result, x.dims())));
    };
    let nodes = [tracked.node(), shift.node()];
    let shift = contiguous(shift.into_primitive());
    let result = kernels::scaled(
        numbers(&contiguous(tracked.into_primitive())),
        None,
        numbers(&shift),
        activation,
    );
    let result = flex(result, x.dims());
    let result = match BiasStep
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(step) => step.finish((channels, activation, result.clone()), result),
        OpsKind::UnTracked(step) => step.finish(result),
    };
    rest.apply(Tensor::from_primitive::<Tracked>(result))
}

#[derive(Debug)]
struct BiasStep;

impl Backward<Flex, 2> for BiasStep {
    type State = (usize, Activation, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [by_x, by_bias] = ops.parents;
        let (channels, activation, y) = ops.state;
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (input, shift) = kernels::scaled_backward(numbers(&y), numbers(&gradient), channels, activation);
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, flex(input, y.layout().shape().dims::<4>()));
        }
        if let Some(node) = by_bias {
            grads.register::<Flex>(node.id, flex(shift, [channels]));
        }
    }
}

/// Batch norm and an activation. While it learns, with the batch's own statistics, which it adds to the running ones.
pub(super) fn normed(norm: &BatchNorm, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    if !(x.device().is_autodiff() && norm.training.is_enabled()) {
        let scale = norm.gamma.val() / (norm.running_var.value() + norm.epsilon).sqrt();
        let shift = norm.beta.val() - norm.running_mean.value() * scale.clone();
        let channels = scale.dims()[0];
        return biased(x * scale.reshape([channels, 1, 1, 1]), shift, activation);
    }
    let channels = norm.gamma.dims()[0];
    let (Ok(tracked), Ok(gamma), Ok(beta)) = (
        x.clone().try_into_primitive::<Tracked>(),
        norm.gamma.val().try_into_primitive::<Tracked>(),
        norm.beta.val().try_into_primitive::<Tracked>(),
    ) else {
        return activation.apply(norm.forward(x.swap_dims(0, 1)).swap_dims(0, 1));
    };
    let nodes = [tracked.node(), gamma.node(), beta.node()];
    let values = contiguous(tracked.into_primitive());
    let (gamma, beta) = (
        contiguous(gamma.into_primitive()),
        contiguous(beta.into_primitive()),
    );
    let found = kernels::statistics(numbers(&values), channels, norm.epsilon as f32);
    let device = x.device();
    let moved = |state: &RunningState<Tensor<1>>, seen: &[f32]| {
        let seen = Tensor::<1>::from_data(TensorData::new(seen.to_vec(), [channels]), &device);
        // Not synchronised here: every shard moves from where the step began ([`super::Network::settle`]).
        let before = state.value().to_device(&device);
        let after = before.mul_scalar(1.0 - norm.momentum) + seen.mul_scalar(norm.momentum);
        state.update(after.detach());
    };
    moved(&norm.running_mean, &found.mean);
    moved(&norm.running_var, &found.variance);
    let result = kernels::normed(
        numbers(&values),
        &found,
        numbers(&gamma),
        numbers(&beta),
        activation,
    );
    let result = flex(result, x.dims());
    let result = match NormStep
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(step) => step.finish((activation, found, values, gamma, result.clone()), result),
        OpsKind::UnTracked(step) => step.finish(result),
    };
    beyond(activation).apply(Tensor::from_primitive::<Tracked>(result))
}

#[derive(Debug)]
struct NormStep;

impl Backward<Flex, 3> for NormStep {
    type State = (Activation, Statistics, FlexTensor, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [by_x, by_gamma, by_beta] = ops.parents;
        let (activation, found, x, gamma, y) = ops.state;
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let values = (numbers(&x), numbers(&y));
        let [input, scale, shift] =
            kernels::normed_backward(values, numbers(&gradient), &found, numbers(&gamma), activation);
        let channels = scale.len();
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, flex(input, x.layout().shape().dims::<4>()));
        }
        if let Some(node) = by_gamma {
            grads.register::<Flex>(node.id, flex(scale, [channels]));
        }
        if let Some(node) = by_beta {
            grads.register::<Flex>(node.id, flex(shift, [channels]));
        }
    }
}

/// A convolution of all channels. A 1 × 1 kernel is a matrix product, and so is any kernel over the picture itself, of
/// which no gradient is wanted.
pub(super) fn dense(c: &Convolution, x: Tensor<4>, kernel: Tensor<4>, is_picture: bool) -> Tensor<4> {
    let shape = x.dims();
    let (x, [inputs, batch, height, width]) = if c.kernel == 1 && c.stride == 1 {
        (x, shape)
    } else {
        let device = x.device();
        let picture = x.clone().without_autodiff().try_into_primitive::<Flex>();
        let (Ok(picture), true) = (picture, is_picture) else {
            return spatial(c, x, kernel, 1);
        };
        let (columns, shape) = patches(c, numbers(&contiguous(picture)), shape);
        (Tensor::from_data(TensorData::new(columns, shape), &device), shape)
    };
    let kernel = kernel.reshape([c.outputs, inputs]);
    let result = kernel.matmul(x.reshape([inputs, batch * height * width]));
    result.reshape([c.outputs, batch, height, width])
}

/// The framework's own convolution, which wants the batch first.
fn spatial(c: &Convolution, x: Tensor<4>, kernel: Tensor<4>, groups: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let padding = [c.pad(height), c.pad(width)];
    let options = ConvOptions::new_with_padding([c.stride; 2], padding, [1, 1], groups);
    conv2d(x.swap_dims(0, 1), kernel, None, options).swap_dims(0, 1)
}

/// What of an activation the kernels leave to the framework.
fn beyond(activation: Activation) -> Activation {
    match activation {
        Activation::Swish | Activation::Sigmoid => activation,
        _ => Activation::Linear,
    }
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .unwrap_or_else(|| unreachable!("made contiguous, and networks compute in f32"))
}

fn flex<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

#[cfg(test)]
mod tests {
    use burn::module::{Module as _, Param};
    use burn::nn::BatchNormConfig;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::network::plan::Padding;
    use crate::network::values;

    fn device() -> Device {
        crate::device::cpu().autodiff()
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
    }

    fn convolution(
        channels: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        depthwise: bool,
    ) -> Convolution {
        Convolution {
            inputs: channels,
            outputs: if depthwise { channels } else { 7 },
            kernel,
            stride,
            depthwise,
            padding,
            activation: Activation::Linear,
            norm: false,
        }
    }

    fn assert_near<const D: usize>(found: Tensor<D>, wanted: Tensor<D>, what: &str) {
        let (found, wanted) = (values(found), values(wanted));
        assert_eq!(found.len(), wanted.len(), "{what}");
        let most = wanted.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        for (f, w) in found.iter().zip(&wanted) {
            assert!((f - w).abs() < 2e-5 * most, "{what}: {f} {w}");
        }
    }

    /// Result and gradients by both inputs of two ways to compute the same, under a gradient that differs everywhere.
    fn compare(
        (x, weights): (Tensor<4>, Tensor<4>),
        ways: [&dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<4>; 2],
        what: &str,
    ) {
        let factors = ways[1](x.clone(), weights.clone()).detach().cos();
        let [(found, fast), (wanted, slow)] = ways.map(|way| {
            let result = way(x.clone(), weights.clone());
            let gradients = (result.clone() * factors.clone()).sum().backward();
            (result, gradients)
        });
        assert_near(found, wanted, what);
        assert_near(x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), what);
        assert_near(weights.grad(&fast).unwrap(), weights.grad(&slow).unwrap(), what);
    }

    #[test]
    fn depthwise_convolutions_are_the_frameworks_with_their_gradients() {
        for (side, stride, padding, height, width) in [
            (3, 1, Padding::Same, 9, 12),
            (3, 2, Padding::Same, 9, 12),
            (3, 2, Padding::Same, 8, 7),
            (3, 1, Padding::Symmetric, 3, 3),
            (5, 1, Padding::Same, 6, 6),
            (5, 2, Padding::Symmetric, 11, 10),
            (3, 1, Padding::Same, 1, 2),
        ] {
            let c = convolution(5, side, stride, padding, true);
            let inputs = (random([5, 3, height, width]), random([5, 1, side, side]));
            let what = format!("{c:?} on {height} × {width}");
            compare(
                inputs,
                [&|x, k| depthwise(&c, x, k), &|x, k| spatial(&c, x, k, c.inputs)],
                &what,
            );
        }
    }

    #[test]
    fn full_convolutions_are_matrix_products() {
        let pointwise = convolution(5, 1, 1, Padding::Same, false);
        let inputs = (random([5, 3, 6, 4]), random([7, 5, 1, 1]));
        compare(
            inputs,
            [&|x, k| dense(&pointwise, x, k, false), &|x, k| {
                spatial(&pointwise, x, k, 1)
            }],
            "pointwise",
        );
        // Of a picture no gradient is wanted, so it is not compared.
        let stem = convolution(3, 3, 2, Padding::Same, false);
        let (x, kernel) = (random([3, 2, 9, 10]).detach(), random([7, 3, 3, 3]));
        let found = dense(&stem, x.clone(), kernel.clone(), true);
        let wanted = spatial(&stem, x, kernel.clone(), 1);
        assert_near(found.clone(), wanted.clone(), "stem");
        let (fast, slow) = ((found.clone() * found).sum(), (wanted.clone() * wanted).sum());
        let (fast, slow) = (fast.backward(), slow.backward());
        assert_near(kernel.grad(&fast).unwrap(), kernel.grad(&slow).unwrap(), "stem");
    }

    #[test]
    fn bias_and_norm_with_their_activations_are_the_frameworks() {
        for activation in [
            Activation::Linear,
            Activation::Relu,
            Activation::Relu6,
            Activation::Swish,
        ] {
            let what = format!("{activation:?}");
            let wide = |x: Tensor<4>| x * 4.0;
            compare(
                (random([5, 3, 4, 4]), random([5, 1, 1, 1])),
                [&|x, b| biased(wide(x), b.reshape([5]), activation), &|x, b| {
                    activation.apply(wide(x) + b)
                }],
                &what,
            );
            let norm = || {
                let mut norm = BatchNormConfig::new(5).with_epsilon(1e-3).init(&device());
                norm.gamma = Param::from_tensor(Tensor::from_data([0.5, -1.0, 2.0, 4.0, 1.5], &device()));
                norm
            };
            // The second input scales the first: γ and β are compared below.
            compare(
                (random([5, 3, 4, 4]), random([5, 1, 4, 4])),
                [&|x, s| normed(&norm(), x * s, activation), &|x, s| {
                    let x = (x * s).swap_dims(0, 1);
                    activation.apply(norm().forward(x).swap_dims(0, 1))
                }],
                &what,
            );
        }
    }

    #[test]
    fn norm_learns_and_keeps_running_statistics_as_the_framework_does() {
        let norm = BatchNormConfig::new(5).with_epsilon(1e-3).init(&device());
        let (fast, slow) = (norm.clone().valid().train(), norm.valid().train());
        let x = (random([5, 4, 3, 3]) * 3.0 + 1.0).detach();
        let ours = normed(&fast, x.clone(), Activation::Relu6);
        let theirs = slow.forward(x.swap_dims(0, 1)).swap_dims(0, 1).clamp(0.0, 6.0);
        let grads = |y: Tensor<4>| (y.clone() * y).sum().backward();
        let (of_ours, of_theirs) = (grads(ours), grads(theirs));
        for (ours, theirs) in [(&fast.gamma, &slow.gamma), (&fast.beta, &slow.beta)] {
            assert_near(
                ours.val().grad(&of_ours).unwrap(),
                theirs.val().grad(&of_theirs).unwrap(),
                "γ and β",
            );
        }
        assert_near(
            fast.running_mean.value_sync(),
            slow.running_mean.value_sync(),
            "mean",
        );
        // In evaluation both read the running statistics.
        let (fast, slow) = (fast.valid(), slow.valid());
        let x = Tensor::<4>::random(
            [5, 4, 3, 3],
            Distribution::Normal(0.0, 1.0),
            &crate::device::cpu(),
        );
        let ours = normed(&fast, x.clone(), Activation::Linear);
        let mean = slow.running_mean.value().reshape([5, 1, 1, 1]);
        let variance = fast.running_var.value().reshape([5, 1, 1, 1]);
        assert_near(ours, (x - mean) / (variance + 1e-3).sqrt(), "evaluation");
    }
}
