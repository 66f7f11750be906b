//! Huffman codes, and the bits of a scan between two marks.

/// So many bits of a code are looked up at once; longer codes are rare.
const QUICK: u32 = 10;

/// A table of codes, in the order of their lengths.
#[derive(Debug)]
pub(super) struct Codes {
    /// For the next [`QUICK`] bits: length and symbol of the code with which they begin; length 0 if it is longer.
    quick: Vec<(u8, u8)>,
    /// For each length: the codes below this one, left-aligned in 16 bits, are no longer than it.
    below: [u32; 17],
    /// For each length: what is added to a code to have its symbol's place.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// From how many codes of each length there are, and their symbols; `None` if these are too many codes.
    pub(super) fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Self {
            quick: vec![(0, 0); 1 << QUICK],
            below: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(lengths) {
            codes.offset[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(place)?;
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    let entries = codes.quick.get_mut(first..first + (1 << (QUICK - length)))?;
                    entries.fill((length as u8, symbol));
                }
                (code, place) = (code + 1, place + 1);
            }
            (code <= 1 << length).then_some(())?;
            codes.below[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(codes)
    }

    /// Length and symbol of the code with which `window`, the next 16 bits, begins.
    fn find(&self, window: u32) -> Option<(u32, u8)> {
        let (length, symbol) = self.quick[(window >> (16 - QUICK)) as usize];
        if length > 0 {
            return Some((length.into(), symbol));
        }
        let length = (QUICK + 1..=16).find(|&length| window < self.below[length as usize])?;
        let place = (window >> (16 - length)) as i32 + self.offset[length as usize];
        Some((length, *self.symbols.get(place as usize)?))
    }
}

/// Why the bits cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A mark comes before the blocks are complete.
    Missing,
    /// A code that no encoder writes.
    Senseless,
}

/// Bits up to the next mark.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Where the next byte is read.
    at: usize,
    /// Bits that were read and not used, the newest at the bottom.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        let (held, count) = (0, 0);
        Self {
            bytes,
            at,
            held,
            count,
        }
    }

    fn fill(&mut self) {
        while self.count <= 24
            && let Some(&[a, b, c, d]) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk)
            && ![a, b, c, d].contains(&0xFF)
        {
            self.held = self.held << 32 | u64::from(u32::from_be_bytes([a, b, c, d]));
            (self.at, self.count) = (self.at + 4, self.count + 32);
        }
        while self.count <= 48 {
            let (byte, length) = match self.bytes.get(self.at..) {
                // A 0xFF among the pixels is followed by a 0 of which nothing is told.
                Some([0xFF, 0x00, ..]) => (0xFF, 2),
                Some([byte, ..]) if *byte != 0xFF => (*byte, 1),
                _ => return,
            };
            self.at += length;
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next 16 bits; behind the last one there are ones.
    fn window(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        match self.count {
            16.. => (self.held >> (self.count - 16)) as u32 & 0xFFFF,
            count => ((self.held << (16 - count)) as u32 & 0xFFFF) | (0xFFFF >> count),
        }
    }

    fn skip(&mut self, count: u32) -> Result<(), Stop> {
        self.count = self.count.checked_sub(count).ok_or(Stop::Missing)?;
        Ok(())
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, codes: &Codes) -> Result<u8, Stop> {
        let window = self.window();
        let Some((length, symbol)) = codes.find(window) else {
            // The ones behind the last bit are no code either.
            return Err(if self.count < 16 {
                Stop::Missing
            } else {
                Stop::Senseless
            });
        };
        self.skip(length)?;
        Ok(symbol)
    }

    /// The next `count` bits as a number, up to 16.
    pub(super) fn number(&mut self, count: u32) -> Result<u32, Stop> {
        let window = self.window();
        self.skip(count)?;
        Ok(window >> (16 - count))
    }

    /// The next `count` bits as a coefficient with its sign.
    pub(super) fn coefficient(&mut self, count: u32) -> Result<i32, Stop> {
        let number = self.number(count)? as i32;
        let is_negative = count > 0 && number < 1 << (count - 1);
        Ok(if is_negative {
            number - (1 << count) + 1
        } else {
            number
        })
    }

    /// The end of a stretch of blocks: where the next mark is, and how many whole bytes before it belong to no block.
    /// `None` if the rest of the last byte is neither all ones nor all zeros: then the blocks did not end here.
    pub(super) fn end(mut self) -> Option<(usize, usize)> {
        self.fill();
        let loose = self.count % 8;
        let padding = self.held >> (self.count - loose) & ((1 << loose) - 1);
        (padding == 0 || padding == (1 << loose) - 1).then_some(())?;
        let mut extra = (self.count / 8) as usize;
        loop {
            match self.bytes.get(self.at..) {
                Some([0xFF, 0x00, ..]) => (self.at, extra) = (self.at + 2, extra + 1),
                // Fill bytes.
                Some([0xFF, 0xFF, ..]) => self.at += 1,
                Some([0xFF, _, ..]) => return Some((self.at, extra)),
                Some([_, ..]) => (self.at, extra) = (self.at + 1, extra + 1),
                _ => return Some((self.bytes.len(), extra)),
            }
        }
    }
}
