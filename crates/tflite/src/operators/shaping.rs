//! Operators that change shapes: reshape, resize, pad, transpose, concatenation, mean.

use super::{Call, require};
use crate::flatbuffer::Damage;

impl Call<'_, '_> {
    pub(super) fn concatenation(&self) -> Result<u64, Damage> {
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

    pub(super) fn reshape(&self) -> Result<u64, Damage> {
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

    pub(super) fn resize(&self, flags: [usize; 2]) -> Result<u64, Damage> {
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

    pub(super) fn pad(&self) -> Result<u64, Damage> {
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

    pub(super) fn transpose(&self) -> Result<u64, Damage> {
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

    pub(super) fn mean(&self) -> Result<u64, Damage> {
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
