//! The segments of a JPEG before and between its scans: size, components, tables.

use super::codes::Codes;

/// Components of a picture at most: brightness, two of colour, and a fourth in CMYK.
const MOST_COMPONENTS: usize = 4;

/// Size and kind of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: usize,
    /// Whether the picture comes in scans that refine each other, for which a decoder keeps all of it in memory.
    pub(crate) progressive: bool,
}

impl Shape {
    /// Of the picture in `bytes`; `None` if no segment tells it.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let mut at = 2;
        loop {
            let segment = Segment::at(bytes, at)?;
            if let Some(frame) = Frame::parse(&segment) {
                return Some(frame.shape());
            }
            (segment.mark != super::SOS && segment.mark != super::EOI).then_some(())?;
            at = segment.end;
        }
    }
}

/// A mark with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) mark: u8,
    pub(super) body: &'a [u8],
    /// Where the next begins, or the coded pixels.
    pub(super) end: usize,
}

impl<'a> Segment<'a> {
    /// The segment whose mark is at `at`, after fill bytes.
    pub(super) fn at(bytes: &'a [u8], mut at: usize) -> Option<Self> {
        while bytes.get(at..at + 2)? == [0xFF, 0xFF] {
            at += 1;
        }
        let (0xFF, mark) = (bytes[at], bytes[at + 1]) else {
            return None;
        };
        if matches!(mark, super::SOI | super::EOI | 0x01 | 0xD0..=0xD7) {
            let (body, end) = (&[][..], at + 2);
            return Some(Self { mark, body, end });
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
        let end = at + 2 + length;
        let body = bytes.get(at + 4..end)?;
        Some(Self { mark, body, end })
    }
}

/// A component: how often it is sampled, and how it is quantised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Samples in a unit of the picture, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantisation: usize,
}

/// The header of a picture.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    pub(super) progressive: bool,
}

impl Frame {
    /// Of a segment that is the header of a picture in Huffman codes with 8 bits a sample; others are left to the decoder.
    pub(super) fn parse(segment: &Segment<'_>) -> Option<Self> {
        let (0xC0..=0xC2, [8, h1, h0, w1, w0, count, rest @ ..]) = (segment.mark, segment.body) else {
            return None;
        };
        let component = |spec: &[u8]| Component {
            id: spec[0],
            across: usize::from(spec[1] >> 4),
            down: usize::from(spec[1] & 15),
            quantisation: usize::from(spec[2] & 3),
        };
        let components: Vec<Component> = rest.chunks_exact(3).map(component).collect();
        let frame = Self {
            width: usize::from(u16::from_be_bytes([*w1, *w0])),
            height: usize::from(u16::from_be_bytes([*h1, *h0])),
            components,
            progressive: segment.mark == 0xC2,
        };
        let sound = frame.components.len() == usize::from(*count)
            && (1..=MOST_COMPONENTS).contains(&frame.components.len())
            && frame
                .components
                .iter()
                .all(|c| (1..=4).contains(&c.across) && (1..=4).contains(&c.down));
        sound.then_some(frame)
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            width: self.width,
            height: self.height,
            components: self.components.len(),
            progressive: self.progressive,
        }
    }

    /// Samples of the most often sampled component in a unit, across and down.
    fn most(&self) -> (usize, usize) {
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (most(|c| c.across), most(|c| c.down))
    }

    /// Units of the picture, across and down, of which each has some blocks of every component.
    pub(super) fn units(&self) -> (usize, usize) {
        let (across, down) = self.most();
        (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down))
    }

    /// Blocks of a component that has a scan of its own, across and down.
    pub(super) fn own_blocks(&self, component: usize) -> (usize, usize) {
        let (across, down) = self.most();
        let Component {
            across: a, down: d, ..
        } = self.components[component];
        let samples = |length: usize, part: usize, most: usize| (length * part).div_ceil(most).div_ceil(8);
        (samples(self.width, a, across), samples(self.height, d, down))
    }
}

/// Which components a scan has, and which part of them.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// Place of the component in the frame, and the numbers of its tables.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// The first and the last coefficient.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Bits that earlier scans have told, and that remain to be told after this one.
    pub(super) high: u8,
    pub(super) low: u8,
}

impl Scan {
    pub(super) fn parse(frame: &Frame, body: &[u8]) -> Option<Self> {
        let (count, rest) = body.split_first()?;
        let (specs, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
        let &[from, to, approximation, ..] = rest else {
            return None;
        };
        let component = |spec: &[u8]| {
            let place = frame.components.iter().position(|c| c.id == spec[0])?;
            Some((place, usize::from(spec[1] >> 4 & 3), usize::from(spec[1] & 3)))
        };
        let components = specs.chunks_exact(2).map(component).collect::<Option<Vec<_>>>()?;
        let (from, to) = match frame.progressive {
            true => (usize::from(from), usize::from(to)),
            false => (0, 63),
        };
        let sound = !components.is_empty()
            && from <= to
            && to < 64
            && (from == 0 || components.len() == 1)
            && (!frame.progressive || (from == 0) == (to == 0));
        sound.then_some(Self {
            components,
            from,
            to,
            high: approximation >> 4,
            low: approximation & 15,
        })
    }
}

/// The tables in force.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// In the order in which coefficients are coded.
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Codes>; 4],
    pub(super) ac: [Option<Codes>; 4],
}

impl Tables {
    /// Takes in a segment of quantisation tables; `None` if it is none.
    pub(super) fn take_quantisation(&mut self, mut body: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = body {
            let wide = kind >> 4 != 0;
            let (values, more) = rest.split_at_checked(if wide { 128 } else { 64 })?;
            let mut table = [0; 64];
            for (place, entry) in table.iter_mut().enumerate() {
                *entry = match wide {
                    true => u16::from_be_bytes([values[2 * place], values[2 * place + 1]]),
                    false => values[place].into(),
                };
            }
            self.quantisation[usize::from(kind & 3)] = Some(table);
            body = more;
        }
        Some(())
    }

    /// Takes in a segment of Huffman tables; `None` if it is none.
    pub(super) fn take_codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = body {
            let (lengths, rest) = rest.split_first_chunk::<16>()?;
            let count = lengths.iter().map(|&n| usize::from(n)).sum();
            let (symbols, more) = rest.split_at_checked(count)?;
            let codes = Codes::new(lengths, symbols)?;
            let place = usize::from(kind & 3);
            match kind >> 4 {
                0 => self.dc[place] = Some(codes),
                _ => self.ac[place] = Some(codes),
            }
            body = more;
        }
        Some(())
    }
}
