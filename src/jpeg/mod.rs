//! What a JPEG is made of, without its pixels: cut out of a stream, completed where a camera leaves its tables out, and
//! accounted for, so that a picture with a hole is not taken for a whole one.

mod account;
mod codes;
mod header;
mod progressive;
mod sequential;
mod stream;
mod tables;

pub(crate) use account::{Flaw, account};
pub(crate) use header::Shape;
#[cfg(test)]
pub(crate) use stream::tests as stream_tests;
pub(crate) use stream::{LARGEST, Stream};
pub(crate) use tables::with_tables;

/// Start of image.
const SOI: u8 = 0xD8;
/// End of image.
const EOI: u8 = 0xD9;
/// Start of scan: coded pixels follow.
const SOS: u8 = 0xDA;

/// How every JPEG begins.
pub(crate) const START: [u8; 3] = [0xFF, SOI, 0xFF];

/// Whether `bytes` begin as a JPEG and have an end mark. What comes behind the mark does not matter: cameras pad, and
/// telephones append films. A quick look: [`account`] says whether what lies between is all there.
pub(crate) fn has_start_and_end(bytes: &[u8]) -> bool {
    // The mark is usually near the end.
    bytes.starts_with(&START) && bytes.windows(2).rev().any(|mark| mark == [0xFF, EOI])
}

#[cfg(test)]
mod tests;
