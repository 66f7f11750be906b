//! The operators of face networks, and what each demands of its tensors and options.
//!
//! Every output shape is worked out anew from inputs, constants and options, and must be the one in the file: so
//! the memory that the C library will take is known, and nothing is divided by zero. An operator that is not in
//! the table is refused by name or number.

use crate::flatbuffer::Damage;
use crate::graph::{Operator, Tensor};
use crate::tensor::ElementType::{self, Float32, Int8, Int32, Uint8};

/// The one custom operator: what the Edge TPU compiler makes of a graph. Only its delegate can run it.
const EDGE_TPU: &str = "edgetpu-custom-op";

/// Checks one operator; gives its multiplications.
type Check = fn(&Call<'_, '_>) -> Result<u64, Damage>;

/// Number, name, number of its options' type (0: none are read), and the check.
const TABLE: [(i32, &str, u8, Check); 26] = [
    (0, "ADD", 11, |c| c.binary(0)),
    (1, "AVERAGE_POOL_2D", 5, |c| c.pool()),
    (2, "CONCATENATION", 10, |c| c.concatenation()),
    (3, "CONV_2D", 1, |c| c.convolution()),
    (4, "DEPTHWISE_CONV_2D", 2, |c| c.depthwise()),
    (6, "DEQUANTIZE", 0, |c| c.cast(&[Int8, Uint8], &[Float32])),
    (9, "FULLY_CONNECTED", 8, |c| c.fully_connected()),
    (14, "LOGISTIC", 0, |c| c.unary()),
    (17, "MAX_POOL_2D", 5, |c| c.pool()),
    (18, "MUL", 21, |c| c.binary(0)),
    (19, "RELU", 0, |c| c.unary()),
    (21, "RELU6", 0, |c| c.unary()),
    (22, "RESHAPE", 0, |c| c.reshape()),
    (23, "RESIZE_BILINEAR", 15, |c| c.resize([2, 3])),
    (25, "SOFTMAX", 9, |c| c.softmax()),
    (28, "TANH", 0, |c| c.unary()),
    (32, "CUSTOM", 0, |c| c.custom()),
    (34, "PAD", 0, |c| c.pad()),
    (39, "TRANSPOSE", 0, |c| c.transpose()),
    (40, "MEAN", 27, |c| c.mean()),
    (41, "SUB", 28, |c| c.binary(0)),
    (47, "EXP", 0, |c| c.float_unary()),
    (97, "RESIZE_NEAREST_NEIGHBOR", 74, |c| c.resize([0, 1])),
    (114, "QUANTIZE", 0, |c| {
        c.cast(&[Float32, Int8, Uint8], &[Int8, Uint8])
    }),
    (117, "HARD_SWISH", 0, |c| c.unary()),
    (43, "SQUEEZE", 0, |c| c.reshape()),
];

/// The name of an operator, or why it is not run.
pub(crate) fn name(code: i32, custom: Option<&str>) -> Result<String, String> {
    match (code, custom) {
        (32, Some(EDGE_TPU)) => Ok(EDGE_TPU.to_owned()),
        (32, other) => Err(format!("the custom operator `{}`", other.unwrap_or_default())),
        _ => TABLE
            .iter()
            .find(|(number, ..)| *number == code)
            .map(|(_, name, ..)| (*name).to_owned())
            .ok_or_else(|| format!("the operator with number {code}")),
    }
}

/// Checks an operator against its tensors. Gives how many multiplications it takes, about.
pub(crate) fn check(operator: &Operator<'_>, tensors: &[Tensor<'_>]) -> Result<u64, Damage> {
    let (_, _, options, check) = TABLE
        .iter()
        .find(|(number, ..)| *number == operator.code)
        .ok_or("it is unknown")?;
    if *options != 0 && operator.options.map(|(kind, _)| kind) != Some(*options) {
        return Err("its options are missing or of another operator".to_owned());
    }
    check(&Call { operator, tensors })
}

/// An operator with its tensors at hand.
struct Call<'c, 'a> {
    operator: &'c Operator<'a>,
    tensors: &'c [Tensor<'a>],
}

fn require(holds: bool, what: &str) -> Result<(), Damage> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl<'a> Call<'_, 'a> {
    fn optional_input(&self, i: usize) -> Option<&Tensor<'a>> {
        let place = usize::try_from(*self.operator.inputs.get(i)?).ok()?;
        self.tensors.get(place)
    }

    fn input(&self, i: usize) -> Result<&Tensor<'a>, Damage> {
        self.optional_input(i)
            .ok_or_else(|| format!("it has no input {i}"))
    }

    fn output(&self) -> Result<&Tensor<'a>, Damage> {
        match self.operator.outputs[..] {
            [place] => usize::try_from(place).ok().and_then(|p| self.tensors.get(p)),
            _ => None,
        }
        .ok_or_else(|| format!("it has {} outputs instead of one", self.operator.outputs.len()))
    }

    fn inputs_between(&self, least: usize, most: usize) -> Result<(), Damage> {
        let count = self.operator.inputs.len();
        require((least..=most).contains(&count), &format!("it has {count} inputs"))
    }

    /// An option of 32 bits; every operator that asks has options.
    fn option(&self, field: usize, absent: i32) -> Result<i32, Damage> {
        self.operator
            .options
            .map_or(Ok(absent), |(_, options)| options.i32(field, absent))
    }

    fn option_byte(&self, field: usize) -> Result<u8, Damage> {
        self.operator
            .options
            .map_or(Ok(0), |(_, options)| options.u8(field))
    }

    /// Activations that may be fused: none, ReLU, ReLU to ±1, ReLU6.
    fn fused(&self, field: usize) -> Result<(), Damage> {
        require(self.option_byte(field)? <= 3, "it has an unknown activation")
    }

    fn gives(&self, shape: &[usize]) -> Result<(), Damage> {
        let found = self.output()?.shape();
        require(
            found == shape,
            &format!("its output has the shape {found:?}, but must have {shape:?}"),
        )
    }

    /// Input and output of one type: floats, or 8-bit with one scale each.
    fn plain(&self, tensor: &Tensor<'a>) -> Result<ElementType, Damage> {
        let element = tensor.info.element;
        let known = match element {
            Float32 => true,
            Int8 | Uint8 => tensor.info.quantisation.is_some(),
            _ => false,
        };
        require(
            known,
            &format!("a tensor of type {element:?} without what that needs"),
        )?;
        Ok(element)
    }

    fn same_type(&self, input: &Tensor<'a>) -> Result<(), Damage> {
        let (from, to) = (self.plain(input)?, self.plain(self.output()?)?);
        require(from == to, "its input and output have different types")
    }

    fn unary(&self) -> Result<u64, Damage> {
        self.inputs_between(1, 1)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        self.gives(input.shape())?;
        Ok(input.info.len() as u64)
    }

    fn float_unary(&self) -> Result<u64, Damage> {
        require(
            self.input(0)?.info.element == Float32,
            "it takes floating point only",
        )?;
        self.unary()
    }

    fn softmax(&self) -> Result<u64, Damage> {
        let beta = self
            .operator
            .options
            .map_or(Ok(0.0), |(_, options)| options.f32(0))?;
        require(beta > 0.0 && beta < 1e3, "its beta is out of range")?;
        require(
            (1..=4).contains(&self.input(0)?.shape().len()),
            "its input has no axis, or too many",
        )?;
        self.unary()
    }

    fn cast(&self, from: &[ElementType], to: &[ElementType]) -> Result<u64, Damage> {
        self.inputs_between(1, 1)?;
        let (input, output) = (self.input(0)?, self.output()?);
        let known = from.contains(&self.plain(input)?) && to.contains(&self.plain(output)?);
        require(known, "it does not convert between these types")?;
        self.gives(input.shape())?;
        Ok(input.info.len() as u64)
    }

    fn binary(&self, activation: usize) -> Result<u64, Damage> {
        self.inputs_between(2, 2)?;
        self.fused(activation)?;
        let (a, b) = (self.input(0)?, self.input(1)?);
        self.same_type(a)?;
        self.same_type(b)?;
        let rank = a.shape().len().max(b.shape().len());
        require(rank <= 4, "its inputs have too many axes")?;
        let extent =
            |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
        let mut shape = Vec::new();
        for axis in 0..rank {
            let pair = (extent(a.shape(), axis), extent(b.shape(), axis));
            require(
                pair.0 == pair.1 || pair.0 == 1 || pair.1 == 1,
                "its inputs do not fit together",
            )?;
            shape.push(pair.0.max(pair.1));
        }
        self.gives(&shape)?;
        Ok(self.output()?.info.len() as u64)
    }

    /// Stride or size fields: at least 1 and no larger than any picture.
    fn positive(&self, field: usize, absent: i32) -> Result<usize, Damage> {
        let value = self.option(field, absent)?;
        require(
            (1..=4096).contains(&value),
            &format!("its option {field} is {value}"),
        )?;
        Ok(value as usize)
    }

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

    fn convolution(&self) -> Result<u64, Damage> {
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

    fn depthwise(&self) -> Result<u64, Damage> {
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

    fn pool(&self) -> Result<u64, Damage> {
        self.inputs_between(1, 1)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        require(input.shape().len() == 4, "its input has not four axes")?;
        self.fused(5)?;
        let (height, width) = (self.positive(4, 0)?, self.positive(3, 0)?);
        let strides = (self.positive(2, 0)?, self.positive(1, 0)?);
        self.windows(height, width, strides, (1, 1), input.shape()[3], height * width)
    }

    fn fully_connected(&self) -> Result<u64, Damage> {
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

    fn concatenation(&self) -> Result<u64, Damage> {
        self.inputs_between(1, 32)?;
        self.fused(1)?;
        require(self.option_byte(1)? == 0, "it has an activation")?;
        let mut shape = self.input(0)?.shape().to_vec();
        require(shape.len() <= 4, "its inputs have too many axes")?;
        let axis = axis(self.option(0, 0)?, shape.len())?;
        shape[axis] = 0;
        for i in 0..self.operator.inputs.len() {
            let input = self.input(i)?;
            self.same_type(input)?;
            let mut expected = shape.clone();
            expected[axis] = *input.shape().get(axis).ok_or("its inputs have different axes")?;
            require(input.shape() == expected, "its inputs do not fit together")?;
            shape[axis] += expected[axis];
        }
        self.gives(&shape)?;
        Ok(0)
    }

    /// A constant of 32-bit integers.
    fn integers(&self, input: usize) -> Result<Vec<i32>, Damage> {
        let tensor = self.input(input)?;
        tensor
            .constant_i32()
            .ok_or_else(|| format!("its input {input} is no constant of 32-bit integers"))
    }

    fn reshape(&self) -> Result<u64, Damage> {
        self.inputs_between(1, if self.operator.code == 22 { 2 } else { 1 })?;
        let (input, output) = (self.input(0)?, self.output()?);
        self.same_type(input)?;
        require(
            input.info.len() == output.info.len(),
            "it changes the number of elements",
        )?;
        // The wanted shape comes as a second input or, in old files and for SQUEEZE, in the options.
        if self.operator.inputs.len() == 2 {
            let wanted = self.integers(1)?;
            require(self.input(1)?.shape().len() == 1, "its shape is not a list")?;
            self.matches(&wanted)?;
        } else if self.operator.code == 22 {
            let Some((17, options)) = self.operator.options else {
                return Err("it has no shape".to_owned());
            };
            self.matches(&options.vector(0, 4)?.i32s())?;
        } else {
            let Some((30, options)) = self.operator.options else {
                return Err("it has no axes".to_owned());
            };
            let mut left_out = Vec::new();
            for wanted in options.vector(0, 4)?.i32s() {
                left_out.push(axis(wanted, input.shape().len())?);
            }
            let goes = |(i, extent): &(usize, &usize)| {
                **extent == 1 && (left_out.is_empty() || left_out.contains(i))
            };
            let ones = left_out.iter().all(|i| input.shape()[*i] == 1);
            require(ones && left_out.len() <= 8, "it leaves out an axis that is not 1")?;
            let kept = input.shape().iter().enumerate().filter(|pair| !goes(pair));
            self.gives(&kept.map(|(_, extent)| *extent).collect::<Vec<_>>())?;
        }
        Ok(0)
    }

    /// The output has the wanted shape, in which one extent may be left open as -1.
    fn matches(&self, wanted: &[i32]) -> Result<(), Damage> {
        let found = self.output()?.shape();
        let fits = |(wanted, found): (&i32, &usize)| *wanted == -1 || usize::try_from(*wanted) == Ok(*found);
        let open = wanted.iter().filter(|extent| **extent == -1).count();
        let all = wanted.len() == found.len() && open <= 1 && wanted.iter().zip(found).all(fits);
        require(
            all,
            &format!("it reshapes to {wanted:?}, but its output has the shape {found:?}"),
        )
    }

    fn resize(&self, flags: [usize; 2]) -> Result<u64, Damage> {
        self.inputs_between(2, 2)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        let [batch, _, _, channels] = input.shape()[..] else {
            return Err("its input has not four axes".to_owned());
        };
        let both = self.option_byte(flags[0])? != 0 && self.option_byte(flags[1])? != 0;
        require(!both, "it aligns corners and pixel centres at once")?;
        let size = self.integers(1)?;
        let [height, width] = size[..] else {
            return Err("its size is not height and width".to_owned());
        };
        require(self.input(1)?.shape() == [2], "its size is not a list")?;
        require(height > 0 && width > 0, "its size is not positive")?;
        self.gives(&[batch, height as usize, width as usize, channels])?;
        Ok(self.output()?.info.len() as u64 * 4)
    }

    fn pad(&self) -> Result<u64, Damage> {
        self.inputs_between(2, 2)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        let rank = input.shape().len();
        require((1..=4).contains(&rank), "its input has too many axes")?;
        require(
            self.input(1)?.shape() == [rank, 2],
            "its paddings do not fit its input",
        )?;
        let paddings = self.integers(1)?;
        require(
            paddings.iter().all(|p| (0..=4096).contains(p)),
            "its paddings are out of range",
        )?;
        let pairs = paddings.chunks_exact(2).map(|pair| (pair[0] + pair[1]) as usize);
        let shape: Vec<usize> = input
            .shape()
            .iter()
            .zip(pairs)
            .map(|(extent, pad)| extent + pad)
            .collect();
        self.gives(&shape)?;
        Ok(0)
    }

    fn transpose(&self) -> Result<u64, Damage> {
        self.inputs_between(2, 2)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        let order = self.integers(1)?;
        let rank = input.shape().len();
        require(
            self.input(1)?.shape() == [rank] && rank <= 4,
            "its order does not fit its input",
        )?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        require(
            sorted.iter().copied().eq(0..rank as i32),
            "its order is no permutation",
        )?;
        self.gives(
            &order
                .iter()
                .map(|i| input.shape()[*i as usize])
                .collect::<Vec<_>>(),
        )?;
        Ok(0)
    }

    fn mean(&self) -> Result<u64, Damage> {
        self.inputs_between(2, 2)?;
        let input = self.input(0)?;
        self.same_type(input)?;
        let rank = input.shape().len();
        require((1..=4).contains(&rank), "its input has too many axes")?;
        require(self.input(1)?.shape().len() <= 1, "its axes are not a list")?;
        let mut gone = Vec::new();
        for wanted in self.integers(1)? {
            let axis = axis(wanted, rank)?;
            require(!gone.contains(&axis), "it names an axis twice")?;
            gone.push(axis);
        }
        let keep = self.option_byte(0)? != 0;
        let extents = input.shape().iter().enumerate();
        let shape: Vec<usize> = if keep {
            extents
                .map(|(i, extent)| if gone.contains(&i) { 1 } else { *extent })
                .collect()
        } else {
            extents
                .filter(|(i, _)| !gone.contains(i))
                .map(|(_, extent)| *extent)
                .collect()
        };
        self.gives(&shape)?;
        Ok(input.info.len() as u64)
    }

    /// Nothing of a custom operator is known; its delegate takes it or the library refuses it.
    fn custom(&self) -> Result<u64, Damage> {
        require(
            self.operator.options.is_none(),
            "a custom operator has built-in options",
        )?;
        Ok(0)
    }
}

/// An axis that may count from the end.
fn axis(wanted: i32, rank: usize) -> Result<usize, Damage> {
    let from_start = if wanted < 0 {
        wanted.checked_add(rank as i32)
    } else {
        Some(wanted)
    };
    let place = from_start
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|axis| *axis < rank);
    place.ok_or_else(|| format!("it names axis {wanted} of {rank}"))
}
