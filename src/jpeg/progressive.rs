//! The blocks of a scan that has a part of its components, as pictures on the web have them: first the brightness of the
//! blocks, then more and more detail.

use super::account::{Range, Walk};
use super::codes::{Bits, Codes, Stop};
use super::header::{Frame, Scan};
use super::sequential::difference;

/// What earlier scans have told of each component.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// For each component: of each block, a bit for each coefficient that is not 0.
    blocks: Vec<Vec<u64>>,
    /// For each component and coefficient: how many bits remain to be told; `None` if nothing was told.
    remaining: Vec<[Option<u8>; 64]>,
}

impl Told {
    pub(super) fn new(frame: &Frame) -> Self {
        let (across, down) = frame.units();
        let blocks = |c: &super::header::Component| vec![0; across * c.across * down * c.down];
        Self {
            blocks: frame.components.iter().map(blocks).collect(),
            remaining: vec![[None; 64]; frame.components.len()],
        }
    }

    /// Takes note of a scan; whether it goes on where the ones before have left off.
    pub(super) fn take(&mut self, scan: &Scan) -> bool {
        let before = (scan.high > 0).then_some(scan.high);
        scan.components.iter().all(|&(place, ..)| {
            let told = &mut self.remaining[place][scan.from..=scan.to];
            let goes_on = told.iter().all(|remaining| *remaining == before);
            told.fill(Some(scan.low));
            goes_on
        })
    }

    /// Whether every bit of every component was told.
    pub(super) fn is_complete(&self) -> bool {
        let all = |told: &[Option<u8>; 64]| told.iter().all(|remaining| *remaining == Some(0));
        self.remaining.iter().all(all)
    }
}

impl Walk<'_> {
    /// The same as [`Walk::sequential_unit`] for a picture in refining scans. `number` counts units.
    pub(super) fn progressive_unit(
        &mut self,
        bits: &mut Bits<'_>,
        told: &mut Told,
        number: usize,
    ) -> Result<(), Stop> {
        if self.scan.from == 0 {
            return self.brightness(bits);
        }
        let &[(place, _, ac)] = &self.scan.components[..] else {
            return Err(Stop::Senseless);
        };
        let Some(codes) = &self.tables.ac[ac] else {
            return Err(Stop::Senseless);
        };
        // Blocks at the right edge that only fill up a unit are in no scan of a component alone.
        let (across, _) = self.frame.own_blocks(place);
        let row = self.frame.units().0 * self.frame.components[place].across;
        let known = &mut told.blocks[place][number / across * row + number % across];
        match self.scan.high {
            0 => first(bits, codes, &self.scan, &self.ranges[0], &mut self.empty, known),
            _ => refined(bits, codes, &self.scan, &mut self.empty, known),
        }
    }

    fn brightness(&mut self, bits: &mut Bits<'_>) -> Result<(), Stop> {
        let alone = self.scan.components.len() == 1;
        for (number, &(place, dc, _)) in self.scan.components.iter().enumerate() {
            let component = self.frame.components[place];
            let blocks = if alone {
                1
            } else {
                component.across * component.down
            };
            for _ in 0..blocks {
                if self.scan.high > 0 {
                    bits.number(1)?;
                    continue;
                }
                let codes = self.tables.dc[dc].as_ref().ok_or(Stop::Senseless)?;
                self.before[number] += difference(bits, codes)?;
                self.ranges[number].check(0, self.before[number] << self.scan.low)?;
            }
        }
        Ok(())
    }
}

/// The first bits of the coefficients of a block.
fn first(
    bits: &mut Bits<'_>,
    codes: &Codes,
    scan: &Scan,
    range: &Range,
    empty: &mut u32,
    known: &mut u64,
) -> Result<(), Stop> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    let mut place = scan.from;
    while place <= scan.to {
        let symbol = bits.symbol(codes)?;
        let (zeros, length) = (symbol >> 4, u32::from(symbol & 15));
        match (zeros, length) {
            (15, 0) => place += 16,
            (_, 0) => {
                *empty = (1 << zeros) + bits.number(zeros.into())? - 1;
                return Ok(());
            }
            _ => {
                place += usize::from(zeros);
                (place <= scan.to).then_some(()).ok_or(Stop::Senseless)?;
                let coefficient = bits.coefficient(length)?;
                range.check(place, coefficient << scan.low)?;
                *known |= 1 << place;
                place += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of the coefficients of a block.
fn refined(
    bits: &mut Bits<'_>,
    codes: &Codes,
    scan: &Scan,
    empty: &mut u32,
    known: &mut u64,
) -> Result<(), Stop> {
    let mut place = scan.from;
    if *empty == 0 {
        while place <= scan.to {
            let symbol = bits.symbol(codes)?;
            let (mut zeros, length) = (symbol >> 4, symbol & 15);
            match (zeros, length) {
                (15, 0) => {}
                (_, 0) => {
                    *empty = (1 << zeros) + bits.number(zeros.into())?;
                    break;
                }
                (_, 1) => drop(bits.number(1)?),
                _ => return Err(Stop::Senseless),
            }
            // Known coefficients on the way have a bit each.
            while place <= scan.to {
                if *known >> place & 1 == 1 {
                    bits.number(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                place += 1;
            }
            if length == 1 {
                (place <= scan.to).then_some(()).ok_or(Stop::Senseless)?;
                *known |= 1 << place;
            }
            place += 1;
        }
    }
    if *empty > 0 {
        for place in place..=scan.to {
            if *known >> place & 1 == 1 {
                bits.number(1)?;
            }
        }
        *empty -= 1;
    }
    Ok(())
}
