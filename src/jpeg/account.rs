//! Whether a JPEG is whole: every block of every scan is gone over, without making pixels of it.
//!
//! A JPEG has no checksum, and a decoder makes a picture of whatever it gets: grey below a hole, rubbish behind one. But
//! a scan has as many blocks as the size says, its marks are numbered, its codes leave gaps, and a block cannot be
//! brighter than white. So most damages show; how many is in docs/decisions/0024. Bytes before a mark that belong to no
//! block are let through: some cameras send them.

use super::codes::{Bits, Stop};
use super::header::{Frame, Scan, Segment, Tables};
use super::progressive::Told;
use super::{EOI, SOS};

/// So many bytes before a mark may belong to no block.
const MOST_EXTRA: usize = 32;
/// The largest coefficient of a block of 8-bit samples is 1024. Encoders that sharpen edges go a little beyond.
const LARGEST: i32 = 1300;

/// Why a picture is not whole, as a part of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("a JPEG ends with an end mark, and this one has none")]
    NoEnd,
    #[error("its parts do not follow each other as those of a JPEG")]
    NoStructure,
    #[error("its pixels end after {have} of {need} blocks")]
    Missing { have: usize, need: usize },
    #[error("its pixels make no sense after {have} of {need} blocks")]
    Senseless { have: usize, need: usize },
    #[error("{bytes} bytes of its pixels are left over after {have} of {need} blocks")]
    LeftOver { bytes: usize, have: usize, need: usize },
    #[error("its marks are out of order after {have} of {need} blocks")]
    Order { have: usize, need: usize },
    #[error("it ends before its last scan")]
    NoDetail,
}

impl Flaw {
    /// Whether the end is what is missing.
    pub(crate) fn is_cut_off(self) -> bool {
        self == Self::NoEnd
    }
}

/// Goes over a JPEG. One that is coded in a way that affectd does not decode is left to the decoder.
///
/// # Errors
/// The first [`Flaw`].
pub(crate) fn account(bytes: &[u8]) -> Result<(), Flaw> {
    let (mut tables, mut frame, mut told) = (Tables::default(), None, Told::default());
    let (mut at, mut interval) = (2, 0);
    let mut seen = [false; 4];
    loop {
        let segment = match Segment::at(bytes, at) {
            Some(segment) => segment,
            None if at >= bytes.len() || !super::has_start_and_end(bytes) => return Err(Flaw::NoEnd),
            None => return Err(Flaw::NoStructure),
        };
        at = segment.end;
        let sound = match (segment.mark, segment.body) {
            (0xDB, body) => tables.take_quantisation(body),
            (0xC4, body) => tables.take_codes(body),
            (0xDD, &[high, low, ..]) => {
                interval = usize::from(u16::from_be_bytes([high, low]));
                Some(())
            }
            (0xC0..=0xC2, _) => {
                let parsed = Frame::parse(&segment);
                // No size yet, or 12 bits a sample.
                let Some(new) = parsed.filter(|new| new.width > 0 && new.height > 0) else {
                    return Ok(());
                };
                if new.progressive {
                    told = Told::new(&new);
                }
                frame = Some(new);
                Some(())
            }
            // Other ways of coding.
            (0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF, _) => return Ok(()),
            (SOS, body) => {
                let frame: &Frame = frame.as_ref().ok_or(Flaw::NoStructure)?;
                let scan = Scan::parse(frame, body).ok_or(Flaw::NoStructure)?;
                if frame.progressive && !told.take(&scan) {
                    return Err(Flaw::NoDetail);
                }
                scan.components.iter().for_each(|&(place, ..)| seen[place] = true);
                at = Walk::new(frame, scan, &tables).scan(bytes, at, interval, &mut told)?;
                Some(())
            }
            (EOI, _) => break,
            _ => Some(()),
        };
        sound.ok_or(Flaw::NoStructure)?;
    }
    match frame {
        None => Err(Flaw::NoStructure),
        Some(frame) if !seen[..frame.components.len()].iter().all(|seen| *seen) => Err(Flaw::NoDetail),
        Some(frame) if frame.progressive && !told.is_complete() => Err(Flaw::NoDetail),
        Some(_) => Ok(()),
    }
}

/// Which coefficients a component can have, by its quantisation.
#[derive(Debug, Clone)]
pub(super) struct Range([i32; 64]);

impl Range {
    fn new(quantisation: Option<&[u16; 64]>) -> Self {
        let most = |step: u16| match i32::from(step) {
            0 => i32::MAX,
            // Rounded up to the next step.
            step => LARGEST / step + 1,
        };
        Self(quantisation.map_or([i32::MAX; 64], |table| table.map(most)))
    }

    pub(super) fn check(&self, place: usize, coefficient: i32) -> Result<(), Stop> {
        let most = self.0.get(place).ok_or(Stop::Senseless)?;
        (coefficient.abs() <= *most).then_some(()).ok_or(Stop::Senseless)
    }
}

/// A walk over the blocks of one scan.
pub(super) struct Walk<'a> {
    pub(super) frame: &'a Frame,
    pub(super) tables: &'a Tables,
    pub(super) scan: Scan,
    /// For each component of the scan.
    pub(super) ranges: Vec<Range>,
    /// Brightness of the block before, for each component of the scan.
    pub(super) before: Vec<i32>,
    /// So many blocks of a refining scan have nothing more.
    pub(super) empty: u32,
}

impl<'a> Walk<'a> {
    fn new(frame: &'a Frame, scan: Scan, tables: &'a Tables) -> Self {
        let range = |&(place, ..): &(usize, usize, usize)| {
            let number = frame.components[place].quantisation;
            Range::new(tables.quantisation[number].as_ref())
        };
        let ranges: Vec<Range> = scan.components.iter().map(range).collect();
        let before = vec![0; ranges.len()];
        let empty = 0;
        Self {
            frame,
            tables,
            scan,
            ranges,
            before,
            empty,
        }
    }

    /// Goes over the pixels that begin at `at`; where they end.
    fn scan(mut self, bytes: &[u8], mut at: usize, interval: usize, told: &mut Told) -> Result<usize, Flaw> {
        let (across, down) = match self.scan.components[..] {
            [(place, ..)] => self.frame.own_blocks(place),
            _ => self.frame.units(),
        };
        let need = across * down;
        let stretch = if interval == 0 { need } else { interval };
        let mut have = 0;
        for number in 0.. {
            let mut bits = Bits::new(bytes, at);
            let until = need.min(have + stretch);
            while have < until {
                let gone_over = match self.frame.progressive {
                    true => self.progressive_unit(&mut bits, told, have),
                    false => self.sequential_unit(&mut bits),
                };
                gone_over.map_err(|stop| match stop {
                    Stop::Missing => Flaw::Missing { have, need },
                    Stop::Senseless => Flaw::Senseless { have, need },
                })?;
                have += 1;
            }
            let (mark, extra) = bits.end().ok_or(Flaw::Senseless { have, need })?;
            if extra > MOST_EXTRA || self.empty > 0 {
                return Err(Flaw::LeftOver {
                    bytes: extra,
                    have,
                    need,
                });
            }
            let restart = matches!(bytes.get(mark + 1), Some(0xD0..=0xD7));
            match (have < need, restart) {
                (false, false) => return Ok(mark),
                (true, true) if usize::from(bytes[mark + 1]) == 0xD0 + number % 8 => at = mark + 2,
                _ => return Err(Flaw::Order { have, need }),
            }
            self.before.fill(0);
        }
        Ok(at)
    }
}
