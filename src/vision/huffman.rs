//! JPEGs without Huffman tables. Many USB cameras leave the tables out of their MJPG frames, as AVI files do: the
//! standard ones are meant. The decoder takes these if an `AVI1` segment says that it is such a picture.

use std::borrow::Cow;

/// An application segment as AVI files have it.
const AVI1: [u8; 18] = *b"\xFF\xE0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// The picture, with the segment put in if it has no Huffman tables of its own.
pub(super) fn with_tables(jpeg: &[u8]) -> Cow<'_, [u8]> {
    match jpeg.split_at_checked(2) {
        Some((start, rest)) if !has_tables(rest) => [start, &AVI1, rest].concat().into(),
        _ => jpeg.into(),
    }
}

/// Whether there is a segment of Huffman tables before the pixels. `rest` is what follows the start mark. What has no
/// structure has tables: it is left to the decoder as it is.
fn has_tables(mut rest: &[u8]) -> bool {
    loop {
        match rest {
            [0xFF, 0xDA, ..] => return false,
            [0xFF, 0xFF, ..] => rest = &rest[1..],
            [0xFF, mark, high, low, ..] if *mark != 0xC4 => {
                match rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..) {
                    Some(behind) => rest = behind,
                    None => return true,
                }
            }
            _ => return true,
        }
    }
}
