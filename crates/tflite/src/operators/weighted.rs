//! Operators with weights or windows: convolutions, pooling, fully connected layers.

use super::{Call, require};
use crate::flatbuffer::Damage;
use crate::node::Tensor;
use crate::tensor::ElementType::{Float32, Int8, Int32, Uint8};

impl<'a> Call<'_, 'a> {
    /// Output extent of a window of `size` that moves by `stride` over `length`.
    fn sliding(&self, length: usize, size: usize, stride: usize, dilation: usize) -> Result<usize, Damage> {
        let reach = (size - 1) * dilation + 1;
        match self.option_byte(0)? {
            0 => Ok(length.div_ceil(stride)),
            1 if length >= reach => Ok((length - reach) / stride + 1),
            1 => Err("its window is larger than its input".to_owned()),
            other => Err(format!("its padding is {other}")),
        }
    }

    pub(super) fn convolution(&self) -> Result<u64, Damage> {
        let channels = self.kernel(0)?;
        let filter = self.input(1)?.shape();
        require(
            self.input(0)?.shape()[3] == filter[3],
            "its filter has other channels than its input",
        )?;
        self.fused(3)?;
        let strides = (self.positive(2, 0)?, self.positive(1, 0)?);
        let dilations = (self.positive(5, 1)?, self.positive(4, 1)?);
        let per_output = filter[1] * filter[2] * filter[3];
        self.windows(filter[1], filter[2], strides, dilations, channels, per_output)
    }

    pub(super) fn depthwise(&self) -> Result<u64, Damage> {
        let channels = self.kernel(3)?;
        let filter = self.input(1)?.shape();
        let multiplier = self.positive(3, 0)?;
        let fits = filter[0] == 1 && self.input(0)?.shape()[3] * multiplier == channels;
        require(fits, "its filter has other channels than its input")?;
        self.fused(4)?;
        let strides = (self.positive(2, 0)?, self.positive(1, 0)?);
        let dilations = (self.positive(6, 1)?, self.positive(5, 1)?);
        self.windows(
            filter[1],
            filter[2],
            strides,
            dilations,
            channels,
            filter[1] * filter[2],
        )
    }

    /// Checks input, constant filter and constant bias of a convolution; gives its output channels, which
    /// are the filter's extent along `axis`.
    fn kernel(&self, axis: usize) -> Result<usize, Damage> {
        // Without a bias the library reads behind the list of inputs.
        self.inputs_between(3, 3)?;
        self.input(2)?;
        let (input, filter) = (self.input(0)?, self.input(1)?);
        self.same_type(input)?;
        require(
            input.shape().len() == 4 && filter.shape().len() == 4,
            "its input or filter has not four axes",
        )?;
        require(filter.constant.is_some(), "its filter is no constant")?;
        let channels = filter.shape()[axis];
        self.weights(input, filter, channels, axis)?;
        Ok(channels)
    }

    /// Types and quantisation of weights and bias: floats, 8-bit, or 8-bit weights for a float input.
    fn weights(
        &self,
        input: &Tensor<'a>,
        weights: &Tensor<'a>,
        channels: usize,
        axis: usize,
    ) -> Result<(), Damage> {
        let per_channel =
            weights.scales.len() == channels && (channels == 1 || weights.channel_axis == axis as i32);
        let scaled = weights.scales.len() == 1 || per_channel;
        let bias_type = match (input.info.element, weights.info.element) {
            (Float32, Float32) => Float32,
            (Float32, Int8) if scaled => Float32,
            (Int8, Int8) if scaled => Int32,
            (Uint8, Uint8) if weights.scales.len() == 1 => Int32,
            (a, b) => return Err(format!("it does not take {b:?} weights for a {a:?} input")),
        };
        match self.optional_input(2) {
            None => Ok(()),
            Some(bias) => {
                let fits = bias.info.element == bias_type
                    && bias.shape() == [channels]
                    && bias.constant.is_some()
                    && (bias_type == Float32 || bias.scales.len() == weights.scales.len());
                require(fits, "its bias does not fit its weights")
            }
        }
    }

    fn windows(
        &self,
        height: usize,
        width: usize,
        strides: (usize, usize),
        dilations: (usize, usize),
        channels: usize,
        per_output: usize,
    ) -> Result<u64, Damage> {
        let input = self.input(0)?.shape();
        let shape = [
            input[0],
            self.sliding(input[1], height, strides.0, dilations.0)?,
            self.sliding(input[2], width, strides.1, dilations.1)?,
            channels,
        ];
        self.gives(&shape)?;
        Ok(self.output()?.info.len() as u64 * per_output as u64)
    }

    pub(super) fn pool(&self) -> Result<u64, Damage> {
        self.inputs_between(1, 1)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        require(input.shape().len() == 4, "its input has not four axes")?;
        self.fused(5)?;
        let (height, width) = (self.positive(4, 0)?, self.positive(3, 0)?);
        let strides = (self.positive(2, 0)?, self.positive(1, 0)?);
        self.windows(height, width, strides, (1, 1), input.shape()[3], height * width)
    }

    pub(super) fn fully_connected(&self) -> Result<u64, Damage> {
        self.inputs_between(3, 3)?;
        self.fused(0)?;
        require(self.option_byte(1)? == 0, "its weights are shuffled")?;
        let (input, weights) = (self.input(0)?, self.input(1)?);
        self.same_type(input)?;
        let [units, depth] = weights.shape()[..] else {
            return Err("its weights have not two axes".to_owned());
        };
        require(weights.constant.is_some(), "its weights are no constant")?;
        self.weights(input, weights, units, 0)?;
        let shape = match (self.option_byte(2)?, input.shape().split_last()) {
            (0, Some(_)) if input.info.len().is_multiple_of(depth) => vec![input.info.len() / depth, units],
            (1, Some((last, rest))) if *last == depth => [rest, &[units]].concat(),
            _ => return Err("its weights do not fit its input".to_owned()),
        };
        self.gives(&shape)?;
        Ok(self.output()?.info.len() as u64 * depth as u64)
    }
}
