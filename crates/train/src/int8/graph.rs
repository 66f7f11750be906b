//! A quantised graph in TensorFlow Lite's terms, before it is a file.

/// Affine quantisation: real = scale · (stored − zero point), per tensor or per slice of one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// One, or one per slice.
    pub scale: Vec<f32>,
    /// As many.
    pub zero_point: Vec<i64>,
    /// The axis of the slices.
    pub axis: i32,
}

/// Type of a tensor's elements, by TensorFlow Lite's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Type {
    Int32 = 2,
    Int8 = 9,
}

/// A tensor; with `data` a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Unique.
    pub name: String,
    /// Batch first, channels last.
    pub shape: Vec<i32>,
    /// Of its elements.
    pub element: Type,
    /// Little endian.
    pub data: Option<Vec<u8>>,
    /// How stored numbers become real ones.
    pub quantised: Option<Quantised>,
}

/// The activation that an operator computes by itself, by TensorFlow Lite's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Fused {
    None = 0,
    Relu = 1,
    Relu6 = 3,
}

/// An operator with its options. All of them run on XNNPACK and, compiled, on an Edge TPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are TensorFlow Lite's
pub enum Kind {
    Conv2d { stride: i32, same: bool, fused: Fused },
    DepthwiseConv2d { stride: i32, same: bool, fused: Fused },
    FullyConnected { fused: Fused, per_channel: bool },
    Add,
    Mul { fused: Fused },
    Logistic,
    Mean { keep_dims: bool },
    Pad,
}

impl Kind {
    /// The number of the operator, and the version that has what is used here.
    #[must_use]
    pub fn code(self) -> (i32, i32) {
        match self {
            Self::Conv2d { .. } => (3, 3),
            Self::DepthwiseConv2d { .. } => (4, 3),
            Self::FullyConnected { per_channel, .. } => (9, if per_channel { 12 } else { 4 }),
            Self::Add => (0, 2),
            Self::Mul { .. } => (18, 2),
            Self::Logistic => (14, 2),
            Self::Mean { .. } => (40, 2),
            Self::Pad => (34, 2),
        }
    }
}

/// One operator at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Which.
    pub kind: Kind,
    /// Places in [`Graph::tensors`].
    pub inputs: Vec<i32>,
    /// Places in [`Graph::tensors`].
    pub outputs: Vec<i32>,
}

/// A whole graph.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// In the order in which they run.
    pub nodes: Vec<Node>,
    /// Places in `tensors`.
    pub inputs: Vec<i32>,
    /// Places in `tensors`.
    pub outputs: Vec<i32>,
    /// Named pieces of text that travel with the file.
    pub metadata: Vec<(String, String)>,
}

impl Quantised {
    /// For a whole tensor of int8 that must hold `least` … `most` and 0 exactly.
    #[must_use]
    pub fn range(least: f32, most: f32) -> Self {
        let (least, most) = (least.min(0.0), most.max(0.0));
        let scale = ((most - least) / 255.0).max(1e-9);
        let zero = (-128.0 - least / scale).round().clamp(-128.0, 127.0);
        Self::whole(scale, zero as i64)
    }

    /// For a whole tensor.
    #[must_use]
    pub fn whole(scale: f32, zero_point: i64) -> Self {
        Self {
            scale: vec![scale],
            zero_point: vec![zero_point],
            axis: 0,
        }
    }
}

impl Graph {
    /// Adds a tensor; returns its place.
    pub fn tensor(&mut self, tensor: Tensor) -> i32 {
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    /// Adds an operator with one output; returns the output's place.
    pub fn node(&mut self, kind: Kind, inputs: &[i32], output: Tensor) -> i32 {
        let output = self.tensor(output);
        self.nodes.push(Node {
            kind,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        output
    }

    /// The tensor at a place.
    #[must_use]
    pub fn at(&self, place: i32) -> &Tensor {
        &self.tensors[place as usize]
    }
}
