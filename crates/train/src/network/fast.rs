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

use super::kernels::{self, Depthwise, Statistics};
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
        let (columns, shape) = kernels::patches(c, numbers(&contiguous(picture)), shape);
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
