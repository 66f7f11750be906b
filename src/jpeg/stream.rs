//! Cuts a stream of bytes into JPEG pictures.
//!
//! The end of a picture is found by its structure: segments are skipped by their length, thumbnails in them included,
//! and only in the coded pixels a mark is looked for. So a picture is complete with its own last byte, and a live
//! stream does not lag by a frame.

/// A JPEG larger than this is taken for a broken stream, in bytes.
pub(crate) const LARGEST: usize = 32 << 20;

use super::{EOI, SOI, SOS};

/// Takes bytes in, gives pictures out.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// From the begin of a picture on, as far as it has come.
    pending: Vec<u8>,
    /// Up to where `pending` is understood.
    at: usize,
    /// Whether `at` lies in coded pixels.
    in_pixels: bool,
}

/// What [`step`](Stream::step) found.
enum Step {
    /// It went on.
    On,
    /// More bytes are needed.
    Starved,
    /// A picture ends before this byte.
    End(usize),
}

impl Stream {
    /// Adds what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next picture, if all of it is there. A picture that is cut off by the begin of the next is given out as it
    /// is: the decoder refuses it, so it is counted like any broken picture. Bytes between pictures are skipped.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.at == 0 && !self.find_start() {
                return None;
            }
            match self.step() {
                Step::On => {}
                Step::Starved => return None,
                Step::End(end) => {
                    let rest = self.pending.split_off(end);
                    self.in_pixels = false;
                    self.at = 0;
                    return Some(std::mem::replace(&mut self.pending, rest));
                }
            }
        }
    }

    /// Whether there are bytes of a picture that is not complete.
    pub(crate) fn has_rest(&self) -> bool {
        self.at > 0 && !self.pending.is_empty()
    }

    /// Whether so much has come without an end that this is no stream of JPEGs.
    pub(crate) fn is_too_large(&self) -> bool {
        self.pending.len() > LARGEST
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops what is before the next start mark; whether there is one.
    fn find_start(&mut self) -> bool {
        match self.pending.windows(2).position(|pair| pair == [0xFF, SOI]) {
            Some(start) => {
                self.pending.drain(..start);
                self.at = 2;
                true
            }
            None => {
                // The last byte may be the first half of the mark.
                let keep = usize::from(self.pending.last() == Some(&0xFF));
                self.pending.drain(..self.pending.len() - keep);
                false
            }
        }
    }

    fn step(&mut self) -> Step {
        if self.in_pixels {
            let rest = self.pending.get(self.at..).unwrap_or_default();
            let Some(skip) = rest.iter().position(|&byte| byte == 0xFF) else {
                // The header of the scan itself may not be there yet.
                self.at = self.at.max(self.pending.len());
                return Step::Starved;
            };
            self.at += skip;
        }
        let (Some(&first), Some(&mark)) = (self.pending.get(self.at), self.pending.get(self.at + 1)) else {
            return Step::Starved;
        };
        match (first, mark) {
            // Fill bytes before a mark.
            (0xFF, 0xFF) => self.at += 1,
            (0xFF, EOI) => return Step::End(self.at + 2),
            // The next picture begins in the midst of this one.
            (0xFF, SOI) => return Step::End(self.at),
            // In the coded pixels: a plain 0xFF, or a restart mark.
            (0xFF, 0x00 | 0xD0..=0xD7) if self.in_pixels => self.at += 2,
            (0xFF, 0xC0..=0xFE) => {
                let length = match self.pending.get(self.at + 2..self.at + 4) {
                    Some(length) => usize::from(u16::from_be_bytes([length[0], length[1]])),
                    None => return Step::Starved,
                };
                self.at += 2 + length.max(2);
                self.in_pixels = mark == SOS;
            }
            // No structure here: what is left of this picture is skipped up to something that is a mark.
            _ => {
                self.at += 1;
                self.in_pixels = true;
            }
        }
        Step::On
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The structure of a JPEG with `size` bytes of coded pixels.
    pub(crate) fn jpeg(size: usize) -> Vec<u8> {
        let header = [0xFF, SOI, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, SOS, 0, 3, 9];
        [&header[..], &vec![7; size], &[0xFF, EOI]].concat()
    }

    /// Pushes `bytes` in pieces of `piece` bytes.
    fn cut(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut stream = Stream::default();
        let mut pictures = Vec::new();
        for piece in bytes.chunks(piece) {
            stream.push(piece);
            pictures.extend(std::iter::from_fn(|| stream.next()));
        }
        pictures
    }

    #[test]
    fn pictures_are_cut_wherever_the_pieces_end() {
        let pictures: Vec<Vec<u8>> = [10, 500, 0, 77].map(jpeg).into();
        let stream = pictures.concat();
        for piece in [1, 2, 3, 7, 64, stream.len()] {
            assert_eq!(cut(&stream, piece), pictures, "pieces of {piece}");
        }
    }

    #[test]
    fn a_picture_is_complete_with_its_own_last_byte() {
        let mut stream = Stream::default();
        let picture = jpeg(100);
        stream.push(&picture[..picture.len() - 1]);
        assert_eq!(stream.next(), None);
        assert!(stream.has_rest());
        stream.push(&picture[picture.len() - 1..]);
        assert_eq!(stream.next(), Some(picture));
        assert!(!stream.has_rest());
    }

    #[test]
    fn thumbnails_restarts_and_plain_ff_bytes_end_nothing() {
        let thumbnail = jpeg(5);
        let length = (thumbnail.len() + 2) as u16;
        let mut picture = vec![0xFF, SOI, 0xFF, 0xE1];
        picture.extend(length.to_be_bytes());
        picture.extend(&thumbnail);
        picture.extend([0xFF, SOS, 0, 3, 1, 5, 0xFF, 0x00, 6, 0xFF, 0xD3, 7]);
        // A second scan, as progressive pictures have it, after fill bytes.
        picture.extend([
            0xFF, 0xFF, 0xFF, 0xC4, 0, 4, 0xFF, EOI, 0xFF, SOS, 0, 3, 1, 8, 0xFF, EOI,
        ]);
        let stream = [picture.clone(), jpeg(3)].concat();
        for piece in [1, 5, stream.len()] {
            assert_eq!(cut(&stream, piece), [picture.clone(), jpeg(3)]);
        }
    }

    #[test]
    fn a_cut_off_picture_costs_only_itself_and_rubbish_nothing() {
        let torn = jpeg(50)[..30].to_vec();
        let stream = [&[0, 0xFF, 3][..], &torn, &jpeg(8), &[0; 9], &jpeg(9), b"junk"].concat();
        for piece in [1, 4, stream.len()] {
            assert_eq!(cut(&stream, piece), [torn.clone(), jpeg(8), jpeg(9)]);
        }
        // Rubbish is not kept.
        let mut stream = Stream::default();
        stream.push(&[1; 100_000]);
        assert_eq!((stream.next(), stream.pending.len()), (None, 0));
    }

    #[test]
    fn a_broken_header_does_not_swallow_the_next_picture() {
        let mut broken = jpeg(20);
        broken[2] = 0x12;
        let pictures = cut(&[broken.clone(), jpeg(4)].concat(), 3);
        assert_eq!(pictures, [broken, jpeg(4)]);
    }
}
