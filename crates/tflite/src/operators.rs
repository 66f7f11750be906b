//! The operators of face networks, and what each demands of its tensors and options.
//!
//! Every output shape is worked out anew from inputs, constants and options, and must be the one in the file: so
//! the memory that the C library will take is known, and nothing is divided by zero. An operator that is not in
//! the table is refused by name or number.

mod shaping;
mod weighted;

use crate::flatbuffer::Damage;
use crate::node::{Operator, Tensor};
use crate::tensor::ElementType::{self, Float32, Int8, Uint8};

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

    /// Nothing of a custom operator is known; its delegate takes it or the library refuses it.
    fn custom(&self) -> Result<u64, Damage> {
        require(
            self.operator.options.is_none(),
            "a custom operator has built-in options",
        )?;
        Ok(0)
    }
}
