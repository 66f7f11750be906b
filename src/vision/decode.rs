//! From the bytes of a JPEG or PNG to 8-bit RGB pixels, into a buffer that is used again. What that takes of memory is
//! known, and bounded, before any is taken.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, RgbImage};

use super::png;
use crate::capture::Image;
use crate::jpeg::{self, Flaw, Shape};

/// The largest picture that is decoded, in pixels: three times that in bytes is what it takes of memory.
const MOST_PIXELS: u64 = 64_000_000;
/// What decoding may take of memory, in bytes.
const MOST_BYTES: u64 = 256 << 20;

/// Why a picture could not be decoded. The daemon leaves such a picture out, counts it and goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Neither JPEG nor PNG.
    #[error("`{name}` is neither a JPEG nor a PNG, whatever its name says; the picture is left out.")]
    Foreign { name: String },
    /// The decoder gave up.
    #[error("`{name}` is broken ({cause}); the picture is left out.")]
    Broken { name: String, cause: Cause },
    /// A JPEG of which something is missing. The decoder would fill it with grey, or with rubbish.
    #[error("`{name}` is {}: {flaw}; the picture is left out.", if flaw.is_cut_off() { "cut off" } else { "damaged" })]
    NotWhole { name: String, flaw: Flaw },
    /// A raw frame with too few bytes.
    #[error("A raw frame has {bytes} bytes, but {least} are needed for its size; the frame is left out.")]
    Short { bytes: usize, least: usize },
    /// More pixels than are decoded.
    #[error("`{name}` has {width}×{height} px, but affectd decodes up to {} megapixels; the picture is left out. Scale it down.", MOST_PIXELS / 1_000_000)]
    TooLarge { name: String, width: u32, height: u32 },
    /// More memory than may be taken.
    #[error("`{name}` takes {} MiB of memory to decode, and affectd gives {} MiB; the picture is left out. Scale it down, or save it upright and as a plain, not progressive, JPEG.", bytes >> 20, MOST_BYTES >> 20)]
    TooMuch { name: String, bytes: u64 },
    /// No pixels.
    #[error("`{name}` has {width}×{height} px, so there is nothing to see; the picture is left out.")]
    Empty {
        name: String,
        width: usize,
        height: usize,
    },
}

/// What a decoder said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error(transparent)]
    Jpeg(#[from] ImageError),
    #[error(transparent)]
    Png(#[from] ::png::DecodingError),
}

/// Decodes pictures; keeps its buffer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    rgb: Vec<u8>,
    width: usize,
    height: usize,
}

impl Decoder {
    /// Decodes a picture. The pixels stay valid until the next call.
    pub(crate) fn decode(&mut self, image: Image) -> Result<(usize, usize, &[u8]), DecodeError> {
        match image {
            Image::Rgb { width, height, rgb } => {
                (self.width, self.height, self.rgb) = (width, height, rgb);
                if width == 0 || height == 0 {
                    return Err(DecodeError::Empty {
                        name: "a frame".to_owned(),
                        width,
                        height,
                    });
                }
            }
            Image::Raw { layout, bytes } => {
                (self.width, self.height) = (layout.width, layout.height);
                if !layout.write_rgb(&bytes, &mut self.rgb) {
                    return Err(DecodeError::Short {
                        bytes: bytes.len(),
                        least: layout.least_bytes(),
                    });
                }
            }
            Image::Encoded { bytes, name } => self.decode_file(&bytes, &name)?,
        }
        Ok((self.width, self.height, &self.rgb))
    }

    /// Mean brightness of the last picture, 0..=255, from about a thousand places in it.
    pub(crate) fn light(&self) -> u8 {
        let pixels = self.rgb.chunks_exact(3);
        let step = (pixels.len() / 1000).max(1);
        let (sum, count) = pixels.step_by(step).fold((0u64, 0u64), |(sum, count), pixel| {
            let luma = 3 * u64::from(pixel[0]) + 6 * u64::from(pixel[1]) + u64::from(pixel[2]);
            (sum + luma / 10, count + 1)
        });
        u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
    }

    fn decode_file(&mut self, bytes: &[u8], name: &str) -> Result<(), DecodeError> {
        if bytes.starts_with(&jpeg::START) {
            self.decode_jpeg(bytes, name)
        } else if bytes.starts_with(png::START) {
            self.decode_png(bytes, name)
        } else {
            Err(DecodeError::Foreign {
                name: name.to_owned(),
            })
        }
    }

    fn decode_jpeg(&mut self, bytes: &[u8], name: &str) -> Result<(), DecodeError> {
        let not_whole = |flaw| DecodeError::NotWhole {
            name: name.to_owned(),
            flaw,
        };
        let broken = |cause| DecodeError::Broken {
            name: name.to_owned(),
            cause: Cause::Jpeg(cause),
        };
        if !jpeg::has_start_and_end(bytes) {
            return Err(not_whole(Flaw::NoEnd));
        }
        let bytes = jpeg::with_tables(bytes);
        let mut decoder = JpegDecoder::new(Cursor::new(&bytes)).map_err(broken)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        // A progressive picture is held in whole coefficients of two bytes.
        let coefficients = Shape::of(&bytes).map_or(0, |shape| {
            if shape.progressive {
                2 * shape.components as u64
            } else {
                0
            }
        });
        let (width, height) = decoder.dimensions();
        self.check_size(name, [width, height], 3 + coefficients, orientation)?;
        jpeg::account(&bytes).map_err(not_whole)?;
        let channels = usize::from(decoder.color_type().channel_count());
        self.rgb.resize(self.width * self.height * channels, 0);
        decoder.read_image(&mut self.rgb).map_err(broken)?;
        self.finish(channels, orientation);
        Ok(())
    }

    fn decode_png(&mut self, bytes: &[u8], name: &str) -> Result<(), DecodeError> {
        let broken = |cause| DecodeError::Broken {
            name: name.to_owned(),
            cause: Cause::Png(cause),
        };
        // A PNG without pixels has no valid header.
        if let Some([0, _] | [_, 0]) = png::size(bytes) {
            self.check_size(name, [0, 0], 0, Orientation::NoTransforms)?;
        }
        let mut reader = png::open(bytes).map_err(broken)?;
        let channels = reader.output_color_type().0.samples();
        let orientation = png::orientation(&reader);
        let (width, height) = reader.info().size();
        self.check_size(name, [width, height], channels.max(3) as u64, orientation)?;
        self.rgb.resize(self.width * self.height * channels, 0);
        reader.next_frame(&mut self.rgb).map_err(broken)?;
        self.finish(channels, orientation);
        Ok(())
    }

    /// Sets the size, if a picture of it can be decoded with so many bytes for a pixel.
    fn check_size(
        &mut self,
        name: &str,
        [width, height]: [u32; 2],
        bytes: u64,
        orientation: Orientation,
    ) -> Result<(), DecodeError> {
        let pixels = u64::from(width) * u64::from(height);
        // Turning takes a second buffer.
        let bytes = match orientation {
            Orientation::NoTransforms => bytes * pixels,
            _ => bytes.max(6) * pixels,
        };
        let name = name.to_owned();
        (self.width, self.height) = (width as usize, height as usize);
        match (pixels, bytes) {
            (0, _) => Err(DecodeError::Empty {
                name,
                width: self.width,
                height: self.height,
            }),
            _ if pixels > MOST_PIXELS => Err(DecodeError::TooLarge { name, width, height }),
            (_, MOST_BYTES..) => Err(DecodeError::TooMuch { name, bytes }),
            _ => Ok(()),
        }
    }

    /// Makes three channels of what was decoded, and turns it upright.
    fn finish(&mut self, channels: usize, orientation: Orientation) {
        to_rgb(&mut self.rgb, channels);
        if orientation == Orientation::NoTransforms {
            return;
        }
        let (width, height) = (self.width as u32, self.height as u32);
        let Some(picture) = RgbImage::from_raw(width, height, std::mem::take(&mut self.rgb)) else {
            unreachable!("the buffer has three bytes for every pixel");
        };
        let mut picture = DynamicImage::ImageRgb8(picture);
        picture.apply_orientation(orientation);
        let picture = picture.into_rgb8();
        (self.width, self.height) = (picture.width() as usize, picture.height() as usize);
        self.rgb = picture.into_raw();
    }
}

/// Makes 8-bit RGB of brightness, brightness and transparency, or RGB and transparency, in place.
fn to_rgb(pixels: &mut Vec<u8>, channels: usize) {
    let count = pixels.len() / channels.max(1);
    match channels {
        1 | 2 => {
            pixels.resize(pixels.len().max(count * 3), 0);
            if channels == 2 {
                (0..count).for_each(|pixel| pixels[pixel] = pixels[2 * pixel]);
            }
            // From the end, where nothing is overwritten that is still needed.
            for pixel in (0..count).rev() {
                let luma = pixels[pixel];
                pixels[3 * pixel..3 * pixel + 3].fill(luma);
            }
        }
        4 => (0..count).for_each(|pixel| pixels.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel)),
        _ => {}
    }
    pixels.truncate(count * 3);
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
