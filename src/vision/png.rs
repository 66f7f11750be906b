//! A PNG as 8-bit samples. Colour profiles and texts in it are skipped: they could unpack to any size.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{Decoder, DecodingError, Limits, Reader, Transformations};

/// How every PNG begins.
pub(super) const START: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the decoder may take beside the pixels: rows and palettes, in bytes.
const LIMITS: Limits = Limits { bytes: 16 << 20 };

/// Width and height as the header says.
pub(super) fn size(bytes: &[u8]) -> Option<[u32; 2]> {
    let (_, header) = bytes.split_at_checked(START.len() + 8)?;
    let (width, rest) = header.split_first_chunk()?;
    Some([
        u32::from_be_bytes(*width),
        u32::from_be_bytes(*rest.first_chunk()?),
    ])
}

/// Reads what comes before the pixels. These will have 8 bits a sample, whatever they have in the file.
pub(super) fn open(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, DecodingError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), LIMITS);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    decoder.ignore_checksums(false);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info()
}

/// How the picture is turned.
pub(super) fn orientation(reader: &Reader<Cursor<&[u8]>>) -> Orientation {
    let exif = reader.info().exif_metadata.as_deref();
    exif.and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}
