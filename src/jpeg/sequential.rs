//! The blocks of a scan that has all of its components: what cameras send.

use super::account::{Range, Walk};
use super::codes::{Bits, Codes, Stop};

/// Goes over one block.
pub(super) fn block(
    bits: &mut Bits<'_>,
    dc: &Codes,
    ac: &Codes,
    range: &Range,
    before: &mut i32,
) -> Result<(), Stop> {
    *before += difference(bits, dc)?;
    range.check(0, *before)?;
    let mut place = 1;
    while place < 64 {
        let symbol = bits.symbol(ac)?;
        let (zeros, length) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, length) {
            (0, 0) => break,
            // Sixteen zeros: something must follow.
            (15, 0) if place + 16 < 64 => place += 16,
            (_, 0) => return Err(Stop::Senseless),
            _ => {
                place += zeros;
                let coefficient = bits.coefficient(length)?;
                range.check(place, coefficient)?;
                place += 1;
            }
        }
    }
    Ok(())
}

/// How much brighter a block is than the one before.
pub(super) fn difference(bits: &mut Bits<'_>, dc: &Codes) -> Result<i32, Stop> {
    match bits.symbol(dc)? {
        length @ 0..=11 => bits.coefficient(length.into()),
        _ => Err(Stop::Senseless),
    }
}

impl Walk<'_> {
    /// All blocks of a unit of the picture, or the one block of a component that has a scan of its own.
    pub(super) fn sequential_unit(&mut self, bits: &mut Bits<'_>) -> Result<(), Stop> {
        let alone = self.scan.components.len() == 1;
        for (number, &(place, dc, ac)) in self.scan.components.iter().enumerate() {
            let component = self.frame.components[place];
            let blocks = if alone {
                1
            } else {
                component.across * component.down
            };
            let (Some(dc), Some(ac)) = (&self.tables.dc[dc], &self.tables.ac[ac]) else {
                return Err(Stop::Senseless);
            };
            for _ in 0..blocks {
                block(bits, dc, ac, &self.ranges[number], &mut self.before[number])?;
            }
        }
        Ok(())
    }
}
