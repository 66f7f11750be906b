//! The graph's tensors, read and verified: types, shapes, constant data, quantisation.

use crate::error::Error;
use crate::flatbuffer::{Damage, Table, Vector};
use crate::node::Tensor;
use crate::tensor::{ElementType, Quantisation, TensorInfo};

/// The largest extent of one axis.
const LONGEST_AXIS: i32 = 1 << 16;
/// Most elements of one tensor.
const MOST_ELEMENTS: usize = 1 << 26;
/// Most bytes of all tensors that are no constants.
const MOST_BYTES: usize = 512 << 20;

/// All of them; `buffers` is the constant data that they may have.
pub(crate) fn tensors<'a>(subgraph: &Table<'a>, buffers: &[Vector<'a>]) -> Result<Vec<Tensor<'a>>, Error> {
    let tables = subgraph.tables(0).map_err(Error::Corrupt)?;
    let mut tensors = Vec::new();
    let mut bytes = 0usize;
    for (i, table) in tables.iter().enumerate() {
        let tensor = tensor(table, buffers, i)?;
        if tensor.constant.is_none() {
            bytes += tensor.info.len() * tensor.info.element.size();
        }
        tensors.push(tensor);
    }
    if bytes > MOST_BYTES {
        return Err(Error::Unsupported(format!(
            "tensors of {} MiB together",
            bytes >> 20
        )));
    }
    Ok(tensors)
}

fn tensor<'a>(table: &Table<'a>, buffers: &[Vector<'a>], place: usize) -> Result<Tensor<'a>, Error> {
    let corrupt = |what: String| Error::Corrupt(format!("tensor {place}: {what}"));
    let unsupported = |what: &str| Error::Unsupported(format!("tensor {place} with {what}"));
    let read = || -> Result<_, Damage> {
        let shape = table.vector(0, 4)?.i32s();
        let signature = table.vector(7, 4)?.i32s();
        Ok((
            shape,
            signature,
            table.u8(1)? as i8,
            table.u32(2)? as usize,
            table.string(3)?,
        ))
    };
    let (shape, signature, code, buffer, name) = read().map_err(corrupt)?;
    for (field, what) in [(5, "variable state"), (6, "sparse data"), (9, "variants")] {
        let there = if field == 5 {
            table.u8(5).map(|v| v != 0)
        } else {
            table.has(field)
        };
        if there.map_err(corrupt)? {
            return Err(unsupported(what));
        }
    }
    let element =
        ElementType::from_code(code.into()).ok_or_else(|| unsupported(&format!("element type {code}")))?;
    if shape.len() > 5 || shape.iter().any(|extent| !(1..=LONGEST_AXIS).contains(extent)) {
        return Err(unsupported(&format!("the shape {shape:?}")));
    }
    if !signature.is_empty() && signature != shape {
        return Err(unsupported(&format!("the dynamic shape {signature:?}")));
    }
    let shape: Vec<usize> = shape.iter().map(|extent| *extent as usize).collect();
    let elements = shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    let elements = elements
        .filter(|n| *n <= MOST_ELEMENTS)
        .ok_or_else(|| unsupported("too many elements"))?;
    let data = buffers
        .get(buffer)
        .ok_or_else(|| corrupt(format!("buffer {buffer} is not there")))?;
    let constant = (data.len() > 0).then_some(data.bytes);
    if constant.is_some_and(|data| data.len() != elements * element.size()) {
        return Err(corrupt(format!(
            "{} bytes of data for the shape {shape:?}",
            data.len()
        )));
    }
    let (scales, zero_points, channel_axis) = quantisation(table).map_err(corrupt)?;
    check_quantisation(&scales, &zero_points, channel_axis, &shape, element).map_err(corrupt)?;
    let whole = match (&scales[..], &zero_points[..]) {
        ([scale], [zero_point]) => Some(Quantisation {
            scale: *scale,
            zero_point: *zero_point as i32,
        }),
        _ => None,
    };
    let name = name.unwrap_or_default().to_owned();
    let info = TensorInfo {
        name,
        shape,
        element,
        quantisation: whole,
    };
    Ok(Tensor {
        info,
        constant,
        scales,
        channel_axis,
    })
}

fn quantisation(tensor: &Table<'_>) -> Result<(Vec<f32>, Vec<i64>, i32), Damage> {
    let Some(table) = tensor.table(4)? else {
        return Ok((Vec::new(), Vec::new(), 0));
    };
    table.vector(0, 4)?;
    table.vector(1, 4)?;
    if table.u8(4)? != 0 {
        return Err("a custom quantisation".to_owned());
    }
    Ok((
        table.vector(2, 4)?.f32s(),
        table.vector(3, 8)?.i64s(),
        table.i32(6, 0)?,
    ))
}

fn check_quantisation(
    scales: &[f32],
    zero_points: &[i64],
    axis: i32,
    shape: &[usize],
    element: ElementType,
) -> Result<(), Damage> {
    if scales.len() != zero_points.len() {
        return Err(format!(
            "{} scales, but {} zero points",
            scales.len(),
            zero_points.len()
        ));
    }
    if scales
        .iter()
        .any(|scale| !(scale.is_normal() && *scale > 0.0 && *scale < 1e10))
    {
        return Err("a scale that is not a positive number".to_owned());
    }
    let range = match element {
        ElementType::Int8 => -128..=127,
        ElementType::Uint8 => 0..=255,
        _ => 0..=0,
    };
    if !zero_points.iter().all(|zero| range.contains(zero)) {
        return Err("a zero point out of range".to_owned());
    }
    let extent = usize::try_from(axis).ok().and_then(|axis| shape.get(axis));
    if scales.len() > 1 && extent != Some(&scales.len()) {
        return Err(format!(
            "{} scales along axis {axis} of the shape {shape:?}",
            scales.len()
        ));
    }
    if !scales.is_empty() && axis != 0 && extent.is_none() {
        return Err(format!("quantisation along axis {axis} of the shape {shape:?}"));
    }
    Ok(())
}
