//! From the bytes of a JPEG or PNG to 8-bit RGB pixels, into a buffer that is used again.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError};

use super::huffman;
use crate::capture::{Image, is_whole_jpeg};

/// The largest picture that is decoded, in pixels: three times that in bytes is what it takes of memory.
const MOST_PIXELS: u64 = 64_000_000;

/// Why a picture could not be decoded. The daemon leaves such a picture out, counts it and goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Neither JPEG nor PNG.
    #[error("`{name}` is neither a JPEG nor a PNG, whatever its name says; the picture is left out.")]
    Foreign { name: String },
    /// The decoder gave up.
    #[error("`{name}` is broken ({cause}); the picture is left out.")]
    Broken { name: String, cause: ImageError },
    /// A JPEG that ends too early. The decoder would fill the rest with grey.
    #[error(
        "`{name}` is cut off: a JPEG ends with an end mark, and this one has none; the picture is left out."
    )]
    CutOff { name: String },
    /// A raw frame with too few bytes.
    #[error("A raw frame has {bytes} bytes, but {least} are needed for its size; the frame is left out.")]
    Short { bytes: usize, least: usize },
    /// More pixels than are decoded.
    #[error("`{name}` has {width}×{height} px, but affectd decodes up to {} megapixels; the picture is left out. Scale it down.", MOST_PIXELS / 1_000_000)]
    TooLarge { name: String, width: u32, height: u32 },
    /// No pixels.
    #[error("`{name}` has {width}×{height} px, so there is nothing to see; the picture is left out.")]
    Empty {
        name: String,
        width: usize,
        height: usize,
    },
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

    fn decode_file(&mut self, bytes: &[u8], name: &str) -> Result<(), DecodeError> {
        let broken = |cause| DecodeError::Broken {
            name: name.to_owned(),
            cause,
        };
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            if !is_whole_jpeg(bytes) {
                return Err(DecodeError::CutOff {
                    name: name.to_owned(),
                });
            }
            let bytes = huffman::with_tables(bytes);
            self.read(JpegDecoder::new(Cursor::new(bytes)).map_err(broken)?, name)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            self.read(PngDecoder::new(Cursor::new(bytes)).map_err(broken)?, name)
        } else {
            Err(DecodeError::Foreign {
                name: name.to_owned(),
            })
        }
    }

    fn read(&mut self, mut decoder: impl ImageDecoder, name: &str) -> Result<(), DecodeError> {
        let broken = |cause| DecodeError::Broken {
            name: name.to_owned(),
            cause,
        };
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(DecodeError::TooLarge {
                name: name.to_owned(),
                width,
                height,
            });
        }
        (self.width, self.height) = (width as usize, height as usize);
        if width == 0 || height == 0 {
            return Err(DecodeError::Empty {
                name: name.to_owned(),
                width: self.width,
                height: self.height,
            });
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        if decoder.color_type() == ColorType::Rgb8 && orientation == Orientation::NoTransforms {
            self.rgb.resize(self.width * self.height * 3, 0);
            return decoder.read_image(&mut self.rgb).map_err(broken);
        }
        // Grey, 16-bit, transparent or turned pictures: rare, so they may cost an allocation.
        let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        picture.apply_orientation(orientation);
        let picture = picture.into_rgb8();
        (self.width, self.height) = (picture.width() as usize, picture.height() as usize);
        self.rgb = picture.into_raw();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Layout, PixelFormat};
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = vec![200; (width * height * 3) as usize];
        JpegEncoder::new(&mut bytes)
            .encode(&pixels, width, height, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    fn png(width: u32, height: u32, pixels: &[u8], colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, colour)
            .unwrap();
        bytes
    }

    fn complaint(bytes: Vec<u8>) -> String {
        let image = Image::Encoded {
            bytes,
            name: "x.jpg".to_owned(),
        };
        Decoder::default().decode(image).unwrap_err().to_string()
    }

    #[test]
    fn jpeg_and_png_become_rgb() {
        let mut decoder = Decoder::default();
        let (width, height, rgb) = decoder
            .decode(Image::Encoded {
                bytes: jpeg(20, 10),
                name: String::new(),
            })
            .map(|(w, h, p)| (w, h, p.to_vec()))
            .unwrap();
        assert_eq!((width, height, rgb.len()), (20, 10, 600));
        assert!(rgb.iter().all(|p| p.abs_diff(200) < 3));
        let transparent = png(1, 1, &[10, 20, 30, 128], ExtendedColorType::Rgba8);
        let (_, _, rgb) = decoder
            .decode(Image::Encoded {
                bytes: transparent,
                name: String::new(),
            })
            .unwrap();
        assert_eq!(rgb, [10, 20, 30]);
        let grey = png(2, 1, &[7, 9], ExtendedColorType::L8);
        let (_, _, rgb) = decoder
            .decode(Image::Encoded {
                bytes: grey,
                name: String::new(),
            })
            .unwrap();
        assert_eq!(rgb, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn raw_frames_become_rgb_and_short_ones_are_refused() {
        let raw = |bytes: &[u8]| Image::Raw {
            layout: Layout::packed(PixelFormat::Grey, 2, 1),
            bytes: bytes.to_vec(),
        };
        let mut decoder = Decoder::default();
        let (width, height, rgb) = decoder.decode(raw(&[7, 9])).unwrap();
        assert_eq!((width, height, rgb), (2, 1, &[7, 7, 7, 9, 9, 9][..]));
        let error = decoder.decode(raw(&[7])).unwrap_err().to_string();
        assert!(error.contains("has 1 bytes, but 2 are needed"), "{error}");
    }

    #[test]
    fn a_camera_may_leave_out_the_huffman_tables() {
        // As many USB cameras do: the standard ones are meant.
        let whole = jpeg(20, 10);
        let mut without = whole[..2].to_vec();
        let mut at = 2;
        while whole[at + 1] != 0xDA {
            let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != 0xC4 {
                without.extend(&whole[at..end]);
            }
            at = end;
        }
        without.extend(&whole[at..]);
        assert!(without.len() + 100 < whole.len());
        let mut decoder = Decoder::default();
        let mut pixels = |bytes: Vec<u8>| {
            let name = String::new();
            decoder
                .decode(Image::Encoded { bytes, name })
                .map(|(_, _, rgb)| rgb.to_vec())
                .unwrap()
        };
        assert_eq!(pixels(without), pixels(whole));
        // What has no structure is left to the decoder, and does no harm.
        for bytes in [
            &[0xFF, 0xD8][..],
            &[0xFF, 0xD8, 0xFF, 0xE0, 0xFF, 0xFF],
            &[0xFF, 0xD8, 0xFF, 0xE0, 0, 0, 1],
        ] {
            assert_eq!(huffman::with_tables(bytes), bytes);
        }
    }

    #[test]
    fn what_cannot_be_decoded_says_why() {
        assert!(complaint(b"GIF89a".to_vec()).contains("neither a JPEG nor a PNG"));
        assert!(complaint(Vec::new()).contains("neither a JPEG nor a PNG"));
        let whole = jpeg(64, 64);
        assert!(complaint(whole[..whole.len() - 2].to_vec()).contains("cut off"));
        let mut damaged = whole.clone();
        damaged[20..60].fill(0xFF);
        assert!(complaint(damaged).contains("broken"));
        let mut no_pixels = png(1, 1, &[1, 2, 3], ExtendedColorType::Rgb8);
        no_pixels[16..24].fill(0);
        assert!(complaint(no_pixels).contains("left out"));
    }

    #[test]
    fn a_huge_picture_is_refused_before_it_takes_memory() {
        // The header of a JPEG is enough to say 20,000 × 20,000.
        let mut bytes = jpeg(64, 64);
        let sof = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        bytes[sof + 5..sof + 9].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
        assert!(complaint(bytes).contains("20000×20000 px, but affectd decodes up to 64 megapixels"));
    }
}
