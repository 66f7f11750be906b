//! Networks: their plans, and the one module of the deep-learning framework that computes any of them.
//!
//! Within a network values lie as `[channels, batch, height, width]`: then a 1 × 1 convolution is one matrix product for the
//! whole batch, and everything of a channel lies together. Pictures come and answers go with the batch first.
//!
//! burn's types stay in this module and in [`crate::train`]: its interface breaks between minor versions
//! (docs/decisions/0005-training-framework.md).

pub mod architecture;
mod depthwise;
pub mod efficientnet;
mod fast;
mod kernels;
pub mod mobilenet;
pub mod plan;
pub mod rexnet;

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::BatchNorm;
use burn::tensor::activation::{relu, sigmoid, silu};
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::sample::input_words;
use crate::weights::{Array, WeightError, Weights};
use plan::{Activation, Convolution, Dense, Operation, Plan};

/// A network with its weights, on a device.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    #[module(skip)]
    plan: Plan,
}

/// The weights of one step; steps without weights have none of the three.
#[derive(Module, Debug)]
struct Layer {
    /// `[outputs, inputs / groups, side, side]`.
    kernel: Option<Param<Tensor<4>>>,
    /// `[outputs, inputs]`.
    matrix: Option<Param<Tensor<2>>>,
    bias: Option<Param<Tensor<1>>>,
    norm: Option<BatchNorm>,
}

impl Network {
    /// A network with these weights.
    ///
    /// # Errors
    /// [`WeightError`] naming the first array that is missing or has another shape.
    pub fn new(plan: Plan, weights: &Weights, device: &Device) -> Result<Self, WeightError> {
        let layers = (0..plan.steps.len())
            .map(|index| Layer::load(&plan, index, weights, device))
            .collect::<Result<_, _>>()?;
        Ok(Self { layers, plan })
    }

    /// What it is.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The logits of every head, each `[batch, classes]`, in the order of the plan.
    #[must_use]
    pub fn forward(&self, picture: Tensor<4>) -> Vec<Tensor<2>> {
        let values = self.values(inward(picture), self.layers.len());
        let heads = self.plan.heads.iter();
        heads.map(|head| rows(values[head.value].clone())).collect()
    }

    /// The penultimate features, `[batch, features]`.
    #[must_use]
    pub fn embed(&self, picture: Tensor<4>) -> Tensor<2> {
        let mut values = self.values(inward(picture), self.plan.embedding);
        rows(values.swap_remove(self.plan.embedding))
    }

    /// The picture `[3, batch, size, size]` and the values of the first `steps` steps.
    fn values(&self, picture: Tensor<4>, steps: usize) -> Vec<Tensor<4>> {
        let mut values = vec![picture];
        for index in 0..steps {
            let value = self.compute(index, &values);
            values.push(value);
        }
        values
    }

    /// What a step makes of the values before it, before its activation. The int8 writer needs it apart.
    #[must_use]
    pub fn linear(&self, index: usize, values: &[Tensor<4>]) -> Tensor<4> {
        self.step(index, values, Activation::Linear)
    }

    fn compute(&self, index: usize, values: &[Tensor<4>]) -> Tensor<4> {
        self.step(index, values, self.plan.steps[index].operation.activation())
    }

    fn step(&self, index: usize, values: &[Tensor<4>], activation: Activation) -> Tensor<4> {
        let (step, layer) = (&self.plan.steps[index], &self.layers[index]);
        let input = values[step.from].clone();
        match step.operation {
            Operation::Convolution(c) => layer.convolve(&c, input, step.from == 0, activation),
            Operation::Dense(d) => layer.multiply(&d, input, activation),
            Operation::Add(other) => input + values[other].clone(),
            Operation::AddToFirst(other) => {
                let [channels, batch, height, width] = input.dims();
                let few = values[other].dims()[0];
                let first = input.clone().slice([0..few, 0..batch, 0..height, 0..width]);
                let rest = input.slice([few..channels, 0..batch, 0..height, 0..width]);
                Tensor::cat(vec![first + values[other].clone(), rest], 0)
            }
            Operation::Scale(other, _) => activation.apply(input * values[other].clone()),
            Operation::Squeeze | Operation::Mean => {
                let [channels, batch, height, width] = input.dims();
                let mean = input.reshape([channels, batch, height * width]).mean_dim(2);
                mean.reshape([channels, batch, 1, 1])
            }
        }
    }

    /// Everything that is stored, by name; batch norm's running statistics included.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::described(input_words(&self.plan.input));
        for (step, layer) in self.plan.steps.iter().zip(&self.layers) {
            layer.save(&step.name, &mut weights);
        }
        weights
    }

    /// Takes over what the shards of a step found out about batch norm's running statistics: their mean.
    pub fn settle(&self) {
        for norm in self.layers.iter().filter_map(|layer| layer.norm.as_ref()) {
            // `valid` is what synchronises them; its result is not needed.
            let _ = (norm.running_mean.valid(), norm.running_var.valid());
        }
    }

    /// Lets only some steps learn: those whose place in the plan `learns` says yes to.
    #[must_use]
    pub fn freeze_unless(mut self, learns: impl Fn(usize) -> bool) -> Self {
        let layers = std::mem::take(&mut self.layers);
        self.layers = layers
            .into_iter()
            .enumerate()
            .map(|(index, layer)| {
                if learns(index) {
                    layer.unfreeze()
                } else {
                    layer.freeze()
                }
            })
            .collect();
        self
    }
}

impl Operation {
    /// The non-linearity at the end of the step.
    #[must_use]
    pub fn activation(&self) -> Activation {
        match self {
            Self::Convolution(c) => c.activation,
            Self::Dense(d) => d.activation,
            Self::Scale(_, activation) => *activation,
            _ => Activation::Linear,
        }
    }
}

impl Activation {
    /// Applies it.
    #[must_use]
    pub fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Linear => x,
            Self::Relu => relu(x),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Swish => silu(x),
            Self::Sigmoid => sigmoid(x),
        }
    }
}

impl Layer {
    fn load(plan: &Plan, index: usize, weights: &Weights, device: &Device) -> Result<Self, WeightError> {
        let step = &plan.steps[index];
        let name = |part: &str| format!("{}.{part}", step.name);
        // The same number in every run: an optimiser's saved state finds its weights by it.
        let id = |part: u64| ParamId::from(index as u64 * 8 + part + 1);
        let vector = |part: &str, place: u64, length: usize| {
            let array = weights.get(&name(part), &[length])?;
            Ok::<_, WeightError>(Param::initialized(id(place), tensor::<1>(array, device)))
        };
        let mut layer = Self {
            kernel: None,
            matrix: None,
            bias: None,
            norm: None,
        };
        match step.operation {
            Operation::Convolution(c) => {
                let kernel = weights.get(&name("kernel"), &c.kernel_shape())?;
                layer.kernel = Some(Param::initialized(id(0), tensor::<4>(kernel, device)));
                if c.norm {
                    let state = |part: &str, place: u64| {
                        let array = weights.get(&name(part), &[c.outputs])?;
                        Ok::<_, WeightError>(RunningState::with_id(id(place), tensor::<1>(array, device)))
                    };
                    layer.norm = Some(BatchNorm {
                        gamma: vector("gamma", 1, c.outputs)?,
                        beta: vector("beta", 2, c.outputs)?,
                        training: Param::from_bool(true),
                        running_mean: state("mean", 3)?,
                        running_var: state("variance", 4)?,
                        momentum: 0.1,
                        epsilon: plan.epsilon,
                    });
                } else {
                    layer.bias = Some(vector("bias", 1, c.outputs)?);
                }
            }
            Operation::Dense(d) => {
                let matrix = weights.get(&name("kernel"), &[d.outputs, d.inputs])?;
                layer.matrix = Some(Param::initialized(id(0), tensor::<2>(matrix, device)));
                layer.bias = Some(vector("bias", 1, d.outputs)?);
            }
            _ => {}
        }
        Ok(layer)
    }

    fn save(&self, step: &str, weights: &mut Weights) {
        let mut put = |part: &str, array: Array| weights.insert(format!("{step}.{part}"), array);
        if let Some(kernel) = &self.kernel {
            put("kernel", array(kernel.val()));
        }
        if let Some(matrix) = &self.matrix {
            put("kernel", array(matrix.val()));
        }
        if let Some(bias) = &self.bias {
            put("bias", array(bias.val()));
        }
        if let Some(norm) = &self.norm {
            put("gamma", array(norm.gamma.val()));
            put("beta", array(norm.beta.val()));
            put("mean", array(norm.running_mean.value_sync()));
            put("variance", array(norm.running_var.value_sync()));
        }
    }

    fn convolve(
        &self,
        c: &Convolution,
        input: Tensor<4>,
        is_picture: bool,
        activation: Activation,
    ) -> Tensor<4> {
        let Some(kernel) = &self.kernel else {
            unreachable!("Layer::load gives every convolution a kernel")
        };
        let result = if c.depthwise {
            fast::depthwise(c, input, kernel.val())
        } else {
            fast::dense(c, input, kernel.val(), is_picture)
        };
        match (&self.norm, &self.bias) {
            (Some(norm), _) => fast::normed(norm, result, activation),
            (None, Some(bias)) => fast::biased(result, bias.val(), activation),
            (None, None) => unreachable!("Layer::load gives every convolution a norm or a bias"),
        }
    }

    fn multiply(&self, d: &Dense, input: Tensor<4>, activation: Activation) -> Tensor<4> {
        let (Some(matrix), Some(bias)) = (&self.matrix, &self.bias) else {
            unreachable!("Layer::load gives every dense layer a matrix and a bias")
        };
        let batch = input.dims()[1];
        let product = matrix.val().matmul(input.reshape([d.inputs, batch]));
        fast::biased(product.reshape([d.outputs, batch, 1, 1]), bias.val(), activation)
    }
}

/// Batch first, as pictures come, to channels first, as networks compute.
#[must_use]
pub fn inward(pictures: Tensor<4>) -> Tensor<4> {
    pictures.swap_dims(0, 1)
}

/// `[n, batch, 1, 1]` as `[batch, n]`.
fn rows(value: Tensor<4>) -> Tensor<2> {
    let [features, batch, _, _] = value.dims();
    value.reshape([features, batch]).transpose()
}

/// A stored array on a device.
#[must_use]
pub fn tensor<const D: usize>(array: &Array, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.values.clone(), array.shape.clone()), device)
}

/// A tensor's values.
#[must_use]
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.into_data().convert::<f32>().try_into_vec() {
        Ok(values) => values,
        Err(e) => unreachable!("just converted to f32: {e:?}"),
    }
}

/// A tensor to be stored.
#[must_use]
pub fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    Array {
        shape: tensor.dims().to_vec(),
        values: values(tensor),
    }
}
