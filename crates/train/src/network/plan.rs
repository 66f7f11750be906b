//! A network as data: the list of its steps.
//!
//! One description serves everything that has to know a network: the forward pass ([`super::Network`]), the
//! parameter count, the importers (which look layers up by name) and the int8 writer ([`crate::int8`]).

use affect_core::manifest::Input;
use serde::{Deserialize, Serialize};

use crate::data::sample::float_input;

/// A value in a [`Plan`]: 0 is the input picture, `i + 1` the result of step `i`.
pub type Value = usize;

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is: architecture and width, as in `mobilenet-v1 1.00`.
    pub title: String,
    /// Side of the square input, pixels.
    pub size: usize,
    /// How a picture becomes the input tensor.
    pub input: Input,
    /// In the order in which they are computed.
    pub steps: Vec<Step>,
    /// The penultimate features, `[batch, features]`: what the paper's descriptors are made of.
    pub embedding: Value,
    /// Length of the embedding.
    pub features: usize,
    /// Length of a layer of features between embedding and heads, as the published base has one; 0 is none.
    pub hidden: usize,
    /// Batch norm's ε: 0.001 in Keras.
    pub epsilon: f64,
    /// What the network answers.
    pub heads: Vec<Head>,
}

/// One head: a value that is read as an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `identity`, `expression`, `age`, `gender` or `ethnicity`.
    pub name: String,
    /// Its logits, `[batch, classes]`.
    pub value: Value,
    /// Number of logits.
    pub classes: usize,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Unique in the plan.
    pub name: String,
    /// What it works on.
    pub from: Value,
    /// What it does.
    pub operation: Operation,
}

/// What a step does. Shapes are `[batch, channels, height, width]`, or `[batch, features]` after [`Self::Mean`].
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A convolution, batch norm where the plan has one, and an activation.
    Convolution(Convolution),
    /// A fully connected layer and an activation.
    Dense(Dense),
    /// The sum with another value of the same shape.
    Add(Value),
    /// The sum with a value of fewer channels: the others stay as they are (RexNet).
    AddToFirst(Value),
    /// The product with a value of one number per channel (squeeze and excitation), then an activation.
    Scale(Value, Activation),
    /// The mean over height and width, which stay as 1 × 1 (squeeze and excitation).
    Squeeze,
    /// The mean over height and width: the embedding.
    Mean,
}

/// A square convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convolution {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// In both directions.
    pub stride: usize,
    /// One kernel per channel, `inputs == outputs`.
    pub depthwise: bool,
    /// How the border is treated.
    pub padding: Padding,
    /// What follows.
    pub activation: Activation,
    /// Whether batch norm comes between convolution and activation. Without it there is a bias.
    pub norm: bool,
}

/// A fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// What follows.
    pub activation: Activation,
}

/// How a convolution treats the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's `SAME`: the odd pixel at the bottom right.
    Same,
    /// PyTorch's: `kernel / 2` on every side.
    Symmetric,
}

/// A non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// None.
    Linear,
    /// max(0, x).
    Relu,
    /// min(6, max(0, x)).
    Relu6,
    /// x · sigmoid(x).
    Swish,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
}

impl Convolution {
    /// Padding before and after, along an axis of `length` pixels.
    #[must_use]
    pub fn pad(&self, length: usize) -> (usize, usize) {
        match self.padding {
            Padding::Symmetric => (self.kernel / 2, self.kernel / 2),
            Padding::Same => {
                let total =
                    ((length.div_ceil(self.stride) - 1) * self.stride + self.kernel).saturating_sub(length);
                (total / 2, total - total / 2)
            }
        }
    }

    /// Length of the result along an axis of `length` pixels.
    #[must_use]
    pub fn length(&self, length: usize) -> usize {
        let (before, after) = self.pad(length);
        (length + before + after - self.kernel) / self.stride + 1
    }

    /// Shape of the kernel: `[outputs, inputs / groups, side, side]`.
    #[must_use]
    pub fn kernel_shape(&self) -> [usize; 4] {
        let inputs = if self.depthwise { 1 } else { self.inputs };
        [self.outputs, inputs, self.kernel, self.kernel]
    }
}

impl Plan {
    /// An empty network for pictures of `size` × `size` pixels.
    #[must_use]
    pub fn new(title: String, size: usize) -> Self {
        Self {
            title,
            size,
            input: float_input(size),
            steps: Vec::new(),
            embedding: 0,
            features: 0,
            hidden: 0,
            epsilon: 1e-3,
            heads: Vec::new(),
        }
    }

    /// Adds a step; returns its value.
    pub fn step(&mut self, name: impl Into<String>, from: Value, operation: Operation) -> Value {
        self.steps.push(Step {
            name: name.into(),
            from,
            operation,
        });
        self.steps.len()
    }

    /// Ends the backbone: its mean over the picture is the embedding.
    pub fn embed(&mut self, from: Value, features: usize) {
        self.embedding = self.step("embedding", from, Operation::Mean);
        self.features = features;
    }

    /// Adds a head that reads `from`, which has `features` features.
    pub fn head(&mut self, name: &str, from: Value, features: usize, classes: usize) {
        let dense = Dense {
            inputs: features,
            outputs: classes,
            activation: Activation::Linear,
        };
        let value = self.step(name, from, Operation::Dense(dense));
        self.heads.push(Head {
            name: name.to_owned(),
            value,
            classes,
        });
    }

    /// The same backbone with these heads on its embedding, or on the layer behind it, instead of its own.
    #[must_use]
    pub fn with_heads(mut self, heads: &[(&str, usize)]) -> Self {
        self.steps.truncate(self.embedding);
        self.heads.clear();
        let (mut from, mut features) = (self.embedding, self.features);
        if self.hidden > 0 {
            let dense = Dense {
                inputs: features,
                outputs: self.hidden,
                activation: Activation::Relu,
            };
            from = self.step("feats", from, Operation::Dense(dense));
            features = self.hidden;
        }
        for &(name, classes) in heads {
            self.head(name, from, features, classes);
        }
        self
    }

    /// The head of this name.
    #[must_use]
    pub fn find_head(&self, name: &str) -> Option<&Head> {
        self.heads.iter().find(|head| head.name == name)
    }

    /// Trained numbers in the backbone, batch norm's running statistics counted as Keras counts them.
    #[must_use]
    pub fn backbone_parameters(&self) -> usize {
        self.steps[..self.embedding].iter().map(Step::parameters).sum()
    }

    /// Multiplications and additions of convolutions and dense layers for one picture, in pairs.
    #[must_use]
    pub fn multiply_adds(&self) -> usize {
        let mut sides = vec![self.size];
        let mut total = 0;
        for step in &self.steps {
            let side = match step.operation {
                Operation::Convolution(c) => {
                    let side = c.length(sides[step.from]);
                    total += c.kernel_shape().iter().product::<usize>() * side * side;
                    side
                }
                Operation::Dense(d) => {
                    total += d.inputs * d.outputs;
                    1
                }
                Operation::Squeeze | Operation::Mean => 1,
                Operation::Add(_) | Operation::AddToFirst(_) | Operation::Scale(..) => sides[step.from],
            };
            sides.push(side);
        }
        total
    }
}

impl Step {
    /// Numbers that this step stores.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self.operation {
            Operation::Convolution(c) => {
                c.kernel_shape().iter().product::<usize>() + c.outputs * if c.norm { 4 } else { 1 }
            }
            Operation::Dense(d) => d.inputs * d.outputs + d.outputs,
            _ => 0,
        }
    }
}
