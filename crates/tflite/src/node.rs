//! The nodes of a graph as the file has them: tensors and operators.

use crate::flatbuffer::Table;
use crate::tensor::{ElementType, TensorInfo};

/// A tensor.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub(crate) info: TensorInfo,
    /// The data of a constant.
    pub(crate) constant: Option<&'a [u8]>,
    /// One scale, or one per channel; empty if not quantised.
    pub(crate) scales: Vec<f32>,
    /// The axis of the channels.
    pub(crate) channel_axis: i32,
}

impl Tensor<'_> {
    /// The extents.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.info.shape
    }

    /// The values of a constant of 32-bit integers.
    pub(crate) fn constant_i32(&self) -> Option<Vec<i32>> {
        let data = self
            .constant
            .filter(|_| self.info.element == ElementType::Int32)?;
        Some(
            data.chunks_exact(4)
                .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    }
}

/// An operator of the graph.
#[derive(Debug)]
pub(crate) struct Operator<'a> {
    /// Number in the file format.
    pub(crate) code: i32,
    /// Places of the tensors read; -1 for an optional one that is left out.
    pub(crate) inputs: Vec<i32>,
    /// Places of the tensors written.
    pub(crate) outputs: Vec<i32>,
    /// Number of the options' type in the file format, and the options.
    pub(crate) options: Option<(u8, Table<'a>)>,
}
