//! Weights out of an int8 `.tflite` that `affect-train export` wrote: each number is its steps times their scale.
//!
//! Float weights are not kept beside a shipped model. What comes out computes what the int8 file computes, up to the rounding of
//! activations; quantised again, kernels come out as they were. Batch norm is folded.

use std::path::Path;

use super::{Array, WeightError, Weights, permuted};

/// TensorFlow Lite's numbers of the types that constants have here.
const INT32: u8 = 2;
const INT8: u8 = 9;

/// Reads every `<step>/kernel` and `<step>/bias`.
///
/// # Errors
/// [`WeightError::File`], or [`WeightError::Damaged`] if the file is no `.tflite` or not one of ours.
pub fn read(path: &Path) -> Result<Weights, WeightError> {
    let bytes = std::fs::read(path).map_err(|source| WeightError::File {
        path: path.to_owned(),
        source,
    })?;
    let damaged = |why: &str| WeightError::Damaged {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(damaged("it does not begin as a .tflite file does"));
    }
    let weights = arrays(&bytes).ok_or_else(|| damaged("a table points outside it"))?;
    if weights.iter().next().is_none() {
        return Err(damaged(
            "it has no int8 `<step>/kernel`, so `affect-train export` did not write it",
        ));
    }
    Ok(weights)
}

fn arrays(bytes: &[u8]) -> Option<Weights> {
    let mut weights = Weights::default();
    let model = Table::at(bytes, 0)?;
    let buffers = model.vector(4)?;
    for tensor in model.vector(2)?.tables(bytes).next()??.vector(0)?.tables(bytes) {
        let tensor = tensor?;
        let name = String::from_utf8_lossy(tensor.vector(3)?.of(bytes, 1)?).into_owned();
        let Some((step, part)) = name
            .rsplit_once('/')
            .filter(|(_, part)| ["kernel", "bias"].contains(part))
        else {
            continue;
        };
        let shape: Vec<usize> = words(tensor.vector(0)?.of(bytes, 4)?)
            .map(|side| usize::try_from(i32::from_le_bytes(side)).ok())
            .collect::<Option<_>>()?;
        let quantised = tensor.table(4)?;
        let scales: Vec<f32> = words(quantised.vector(2)?.of(bytes, 4)?)
            .map(f32::from_le_bytes)
            .collect();
        let buffer = buffers.tables(bytes).nth(tensor.number(2)? as usize)??;
        let data = buffer.vector(0)?;
        let steps: Vec<f32> = match tensor.byte(1)? {
            INT8 => data.of(bytes, 1)?.iter().map(|v| f32::from(*v as i8)).collect(),
            INT32 => words(data.of(bytes, 1)?)
                .map(|v| i32::from_le_bytes(v) as f32)
                .collect(),
            _ => continue,
        };
        let axis = quantised.number(6).unwrap_or(0) as usize;
        // How many numbers lie between one scale and the next.
        let inner: usize = shape.get(axis + 1..)?.iter().product();
        if steps.len() != shape.iter().product::<usize>() || scales.is_empty() || inner == 0 {
            return None;
        }
        let values = steps
            .iter()
            .enumerate()
            .map(|(i, v)| v * scales[(i / inner) % scales.len()])
            .collect();
        let array = Array { shape, values };
        weights.insert(format!("{step}.{part}"), outputs_first(array, axis));
    }
    Some(weights)
}

/// Channels last, as TensorFlow Lite has them, to `[outputs, inputs, side, side]`.
fn outputs_first(array: Array, axis: usize) -> Array {
    match (array.shape.len(), axis) {
        (4, 3) => permuted(&array, [3, 0, 1, 2]),
        (4, _) => permuted(&array, [0, 3, 1, 2]),
        _ => array,
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks::<4>().0.iter().copied()
}

/// A FlatBuffer table: its place, and that of the directory of its slots.
#[derive(Clone, Copy)]
struct Table<'a> {
    bytes: &'a [u8],
    place: usize,
    directory: usize,
}

/// A FlatBuffer vector: the place of its first element, and how many there are.
#[derive(Clone, Copy)]
struct Vector {
    place: usize,
    length: usize,
}

fn word(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..place.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl<'a> Table<'a> {
    /// The table to which the offset at `from` leads.
    fn at(bytes: &'a [u8], from: usize) -> Option<Self> {
        let place = from.checked_add(word(bytes, from)? as usize)?;
        let back = word(bytes, place)? as i32;
        let directory = usize::try_from(place as i64 - i64::from(back)).ok()?;
        Some(Self {
            bytes,
            place,
            directory,
        })
    }

    fn slot(&self, number: usize) -> Option<usize> {
        let half = |place: usize| {
            let bytes = self.bytes.get(place..place.checked_add(2)?)?;
            Some(u16::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let place = 4 + 2 * number;
        let offset = if place < half(self.directory)? {
            half(self.directory + place)?
        } else {
            0
        };
        (offset > 0).then_some(self.place + offset)
    }

    fn byte(&self, number: usize) -> Option<u8> {
        // The schema's default is 0.
        self.slot(number)
            .map_or(Some(0), |place| self.bytes.get(place).copied())
    }

    fn number(&self, number: usize) -> Option<u32> {
        word(self.bytes, self.slot(number)?)
    }

    fn table(&self, number: usize) -> Option<Table<'a>> {
        Table::at(self.bytes, self.slot(number)?)
    }

    fn vector(&self, number: usize) -> Option<Vector> {
        let from = self.slot(number)?;
        let place = from.checked_add(word(self.bytes, from)? as usize)?;
        Some(Vector {
            place: place + 4,
            length: word(self.bytes, place)? as usize,
        })
    }
}

impl Vector {
    /// Its bytes, for elements of so many.
    fn of<'a>(&self, bytes: &'a [u8], width: usize) -> Option<&'a [u8]> {
        let length = self.length.checked_mul(width)?;
        bytes.get(self.place..self.place.checked_add(length)?)
    }

    fn tables<'a>(self, bytes: &'a [u8]) -> impl Iterator<Item = Option<Table<'a>>> {
        (0..self.length).map(move |i| Table::at(bytes, self.place.checked_add(4 * i)?))
    }
}
