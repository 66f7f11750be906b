//! One array of numbers, and how importers turn it round.

use rand::Rng;

/// One array.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array {
    /// Outermost first.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Array {
    pub(super) fn filled(length: usize, value: f32) -> Self {
        Self {
            shape: vec![length],
            values: vec![value; length],
        }
    }

    pub(super) fn normal(shape: Vec<usize>, deviation: f32, rng: &mut impl Rng) -> Self {
        let length = shape.iter().product();
        let mut one = || {
            // Box and Muller: two uniform numbers to one normal.
            let (radius, angle) = (
                1.0 - rng.random::<f32>(),
                rng.random::<f32>() * std::f32::consts::TAU,
            );
            (-2.0 * radius.ln()).sqrt() * angle.cos() * deviation
        };
        Self {
            values: (0..length).map(|_| one()).collect(),
            shape,
        }
    }
}

/// Moves the axes of a four-dimensional array: axis `i` of the result is axis `order[i]` of the array.
#[must_use]
pub fn permuted(array: &Array, order: [usize; 4]) -> Array {
    let from: [usize; 4] = std::array::from_fn(|axis| array.shape.get(axis).copied().unwrap_or(1));
    let stride: [usize; 4] = std::array::from_fn(|axis| from[axis + 1..].iter().product());
    let to = order.map(|axis| from[axis]);
    let step = order.map(|axis| stride[axis]);
    let mut values = Vec::with_capacity(array.values.len());
    for a in 0..to[0] {
        for b in 0..to[1] {
            for c in 0..to[2] {
                for d in 0..to[3] {
                    values.push(array.values[a * step[0] + b * step[1] + c * step[2] + d * step[3]]);
                }
            }
        }
    }
    Array {
        shape: to.to_vec(),
        values,
    }
}

/// `[inputs, outputs]` to `[outputs, inputs]`.
#[must_use]
pub fn transposed(array: &Array) -> Array {
    let whole = Array {
        shape: vec![1, 1, array.shape[0], array.shape[1]],
        values: array.values.clone(),
    };
    let mut turned = permuted(&whole, [0, 1, 3, 2]);
    turned.shape.drain(..2);
    turned
}

/// IEEE half-precision numbers, little endian.
#[must_use]
pub fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| half(u16::from_le_bytes(*b)))
        .collect()
}

fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    match exponent {
        0 => f32::from_bits(sign | 0x3f80_0000) * fraction as f32 * 2f32.powi(-24),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}
