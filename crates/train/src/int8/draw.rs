//! From a plan, its weights and the ranges of its values to the graph of the file.

use super::calibrate::{Ranges, kernel_scales, per_channel, stands_alone, steps, stored};
use super::error::ExportError;
use super::graph::{Fused, Graph, Kind, Quantised, Tensor as Entry, Type};
use crate::network::plan::{Activation, Convolution, Operation, Padding, Plan, Value};
use crate::weights::{Array, WeightError, Weights};

/// The graph on its way.
pub(super) struct Drawing<'a> {
    plan: &'a Plan,
    weights: &'a Weights,
    ranges: &'a Ranges,
    graph: Graph,
    /// The tensor of every value so far.
    places: Vec<i32>,
    /// Height and width of every value.
    sides: Vec<usize>,
    channels: Vec<usize>,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(plan: &'a Plan, weights: &'a Weights, ranges: &'a Ranges) -> Result<Self, WeightError> {
        let mut drawing = Self {
            plan,
            weights,
            ranges,
            graph: Graph::default(),
            places: Vec::new(),
            sides: vec![plan.size],
            channels: vec![3],
        };
        let picture = activation("input", plan.size, 3, ranges.values[0].quantised());
        let input = drawing.graph.tensor(picture);
        drawing.places.push(input);
        drawing.graph.inputs.push(input);
        Ok(drawing)
    }

    pub(super) fn draw(mut self) -> Result<Graph, ExportError> {
        for index in 0..self.plan.steps.len() {
            self.step(index)?;
        }
        self.graph.outputs = self
            .plan
            .heads
            .iter()
            .map(|head| self.places[head.value])
            .collect();
        Ok(self.graph)
    }

    fn step(&mut self, index: usize) -> Result<(), ExportError> {
        let step = &self.plan.steps[index];
        let (name, from) = (step.name.as_str(), step.from);
        let (x, side, channels) = (self.places[from], self.sides[from], self.channels[from]);
        let after = self.ranges.values[index + 1].quantised();
        let activated = step.operation.activation();
        let (out, label) = if stands_alone(activated) {
            (self.ranges.before[index].quantised(), format!("{name}/linear"))
        } else {
            (after.clone(), name.to_owned())
        };
        let (mut place, side, channels) = match step.operation {
            Operation::Convolution(c) => {
                let side_out = c.length(side);
                let entry = activation(&label, side_out, c.outputs, out);
                (self.convolution(name, &c, x, side, entry)?, side_out, c.outputs)
            }
            Operation::Dense(d) => {
                let entry = Entry {
                    shape: vec![1, d.outputs as i32],
                    ..activation(&label, 1, d.outputs, out)
                };
                let kind = Kind::FullyConnected {
                    fused: fused(activated),
                    per_channel: per_channel(&step.operation),
                };
                let kernel = self
                    .weights
                    .get(&format!("{name}.kernel"), &[d.outputs, d.inputs])?
                    .clone();
                let inputs = self.layer(name, x, &kernel, per_channel(&step.operation))?;
                (self.graph.node(kind, &inputs, entry), 1, d.outputs)
            }
            Operation::Add(other) => {
                let entry = activation(&label, side, channels, out);
                (
                    self.graph.node(Kind::Add, &[x, self.places[other]], entry),
                    side,
                    channels,
                )
            }
            Operation::AddToFirst(other) => {
                let padded = self.more_channels(name, other, channels, side);
                let entry = activation(&label, side, channels, out);
                (self.graph.node(Kind::Add, &[x, padded], entry), side, channels)
            }
            Operation::Scale(other, _) => {
                let entry = activation(&label, side, channels, out);
                (
                    self.graph.node(
                        Kind::Mul {
                            fused: fused(activated),
                        },
                        &[x, self.places[other]],
                        entry,
                    ),
                    side,
                    channels,
                )
            }
            Operation::Squeeze => (self.mean(&label, x, channels, true, out), 1, channels),
            Operation::Mean => (self.mean(&label, x, channels, false, out), 1, channels),
        };
        if stands_alone(activated) {
            place = self.own_activation(name, place, (side, channels), activated, after);
        }
        self.places.push(place);
        self.sides.push(side);
        self.channels.push(channels);
        Ok(())
    }

    fn convolution(
        &mut self,
        name: &str,
        c: &Convolution,
        mut x: i32,
        side: usize,
        entry: Entry,
    ) -> Result<i32, ExportError> {
        let kernel = self.weights.get(&format!("{name}.kernel"), &c.kernel_shape())?;
        // Channels last, as TensorFlow Lite has them.
        let order = if c.depthwise { [1, 2, 3, 0] } else { [0, 2, 3, 1] };
        let axis = if c.depthwise { 3 } else { 0 };
        let kernel = kernel.clone();
        let (before, after) = c.pad(side);
        let same = c.padding == Padding::Same || c.stride == 1;
        if !same && c.kernel > 1 {
            x = self.pad_border(name, x, side, c.inputs, (before, after));
        }
        let inputs = self.layer_permuted(name, x, &kernel, axis, order)?;
        let (stride, fused) = (c.stride as i32, fused(c.activation));
        let kind = if c.depthwise {
            Kind::DepthwiseConv2d { stride, same, fused }
        } else {
            Kind::Conv2d { stride, same, fused }
        };
        Ok(self.graph.node(kind, &inputs, entry))
    }

    /// Input, kernel and bias of a dense layer.
    fn layer(&mut self, name: &str, x: i32, kernel: &Array, each: bool) -> Result<[i32; 3], WeightError> {
        let bias = self.bias(name, kernel)?;
        let scales = kernel_scales(kernel, &bias, self.scale(x), each);
        let numbers = stored(kernel, &scales);
        Ok(self.constants(name, x, (kernel.shape.clone(), numbers, scales, 0), &bias))
    }

    /// Input, kernel and bias of a convolution; `axis` is that of the outputs after the axes are put in `order`.
    fn layer_permuted(
        &mut self,
        name: &str,
        x: i32,
        kernel: &Array,
        axis: i32,
        order: [usize; 4],
    ) -> Result<[i32; 3], WeightError> {
        let bias = self.bias(name, kernel)?;
        let scales = kernel_scales(kernel, &bias, self.scale(x), true);
        let numbers = stored(kernel, &scales);
        let whole = Array {
            shape: kernel.shape.clone(),
            values: numbers.into_iter().map(f32::from).collect(),
        };
        let turned = crate::weights::permuted(&whole, order);
        let numbers = turned.values.into_iter().map(|v| v as i8).collect();
        Ok(self.constants(name, x, (turned.shape, numbers, scales, axis), &bias))
    }

    fn bias(&self, name: &str, kernel: &Array) -> Result<Array, WeightError> {
        let weights = self.weights;
        weights.get(&format!("{name}.bias"), &kernel.shape[..1]).cloned()
    }

    fn scale(&self, place: i32) -> f32 {
        self.graph
            .at(place)
            .quantised
            .as_ref()
            .map_or(1.0, |q| q.scale[0])
    }

    fn constants(
        &mut self,
        name: &str,
        x: i32,
        (shape, numbers, scales, axis): (Vec<usize>, Vec<i8>, Vec<f32>, i32),
        bias: &Array,
    ) -> [i32; 3] {
        let input_scale = self.scale(x);
        // A bias is added to products: its scale is that of input times kernel.
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let data = steps(&bias.values, &bias_scales)
            // A float-to-integer cast saturates.
            .flat_map(|v| (v as i32).to_le_bytes())
            .collect();
        let quantised = |scale: Vec<f32>, axis: i32| Quantised {
            zero_point: vec![0; scale.len()],
            scale,
            axis,
        };
        let kernel = self.graph.tensor(Entry {
            name: format!("{name}/kernel"),
            shape: shape.into_iter().map(|n| n as i32).collect(),
            element: Type::Int8,
            data: Some(numbers.into_iter().map(|v| v as u8).collect()),
            quantised: Some(quantised(scales, axis)),
        });
        let bias = self.graph.tensor(Entry {
            name: format!("{name}/bias"),
            shape: bias.shape.iter().map(|n| *n as i32).collect(),
            element: Type::Int32,
            data: Some(data),
            quantised: Some(quantised(bias_scales, 0)),
        });
        [x, kernel, bias]
    }

    fn mean(&mut self, name: &str, x: i32, channels: usize, keep_dims: bool, out: Quantised) -> i32 {
        let axes = self.integers(&format!("{name}/axes"), &[1, 2], vec![2]);
        let mut entry = activation(name, 1, channels, out);
        if !keep_dims {
            entry.shape = vec![1, channels as i32];
        }
        self.graph.node(Kind::Mean { keep_dims }, &[x, axes], entry)
    }

    /// Sigmoid, or swish as its product with the value before.
    fn own_activation(
        &mut self,
        name: &str,
        x: i32,
        (side, channels): (usize, usize),
        which: Activation,
        after: Quantised,
    ) -> i32 {
        // The scale that the kernels of this operator insist on.
        let unit = Quantised::whole(1.0 / 256.0, -128);
        let sigmoid = if which == Activation::Sigmoid {
            name.to_owned()
        } else {
            format!("{name}/sigmoid")
        };
        let gate = self
            .graph
            .node(Kind::Logistic, &[x], activation(&sigmoid, side, channels, unit));
        if which == Activation::Sigmoid {
            return gate;
        }
        self.graph.node(
            Kind::Mul { fused: Fused::None },
            &[x, gate],
            activation(name, side, channels, after),
        )
    }

    /// PyTorch's symmetric border before a convolution with stride.
    fn pad_border(
        &mut self,
        name: &str,
        x: i32,
        side: usize,
        channels: usize,
        (a, b): (usize, usize),
    ) -> i32 {
        let (a, b) = (a as i32, b as i32);
        let amounts = self.integers(&format!("{name}/border"), &[0, 0, a, b, a, b, 0, 0], vec![4, 2]);
        let quantised = self.graph.at(x).quantised.clone();
        let entry = Entry {
            quantised,
            ..activation(
                &format!("{name}/padded"),
                side + (a + b) as usize,
                channels,
                Quantised::whole(1.0, 0),
            )
        };
        self.graph.node(Kind::Pad, &[x, amounts], entry)
    }

    /// A value with zeros as further channels.
    fn more_channels(&mut self, name: &str, value: Value, channels: usize, side: usize) -> i32 {
        let (x, few) = (self.places[value], self.channels[value]);
        if few == channels {
            return x;
        }
        let more = (channels - few) as i32;
        let amounts = self.integers(
            &format!("{name}/channels"),
            &[0, 0, 0, 0, 0, 0, 0, more],
            vec![4, 2],
        );
        let quantised = self.graph.at(x).quantised.clone();
        let entry = Entry {
            quantised,
            ..activation(
                &format!("{name}/widened"),
                side,
                channels,
                Quantised::whole(1.0, 0),
            )
        };
        self.graph.node(Kind::Pad, &[x, amounts], entry)
    }

    fn integers(&mut self, name: &str, numbers: &[i32], shape: Vec<i32>) -> i32 {
        self.graph.tensor(Entry {
            name: name.to_owned(),
            shape,
            element: Type::Int32,
            data: Some(numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
            quantised: None,
        })
    }
}

fn activation(name: &str, side: usize, channels: usize, quantised: Quantised) -> Entry {
    Entry {
        name: name.to_owned(),
        shape: vec![1, side as i32, side as i32, channels as i32],
        element: Type::Int8,
        data: None,
        quantised: Some(quantised),
    }
}

fn fused(activation: Activation) -> Fused {
    match activation {
        Activation::Relu => Fused::Relu,
        Activation::Relu6 => Fused::Relu6,
        Activation::Linear | Activation::Swish | Activation::Sigmoid => Fused::None,
    }
}
