//! From a region of a picture to a network's input tensor: crop, resize, channel order, normalise, quantise.
//!
//! Daemon and trainer share this code, so a face cannot look different to the two. The resize is the
//! antialiased bilinear (triangle) filter on 8-bit RGB, as in Pillow's `resize(…, BILINEAR, box=…)`; the golden
//! vectors of the models were recorded with Pillow and NumPy.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::geometry::Rect;
use crate::manifest::{Channels, Element, Fit, Input};

/// A borrowed 8-bit RGB picture, rows from the top, no padding.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    width: usize,
    height: usize,
    rgb: &'a [u8],
}

impl<'a> Picture<'a> {
    /// A view of `rgb`, which must hold `width · height · 3` bytes.
    ///
    /// # Errors
    /// [`PreprocessError::Picture`] if the picture is empty or the bytes are of another length.
    pub fn new(width: usize, height: usize, rgb: &'a [u8]) -> Result<Self, PreprocessError> {
        let wanted = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        if width == 0 || height == 0 || wanted != Some(rgb.len()) {
            return Err(PreprocessError::Picture {
                width,
                height,
                bytes: rgb.len(),
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// Pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Mean grey level of every cell of the part `rect`, rows from the top, and of how many pixels each was made: up to `samples`
    /// along each side. `None` if the part is outside the picture.
    pub(crate) fn grey_cells(
        &self,
        rect: &Rect,
        samples: usize,
    ) -> Option<([f32; GREY_CELLS * GREY_CELLS], usize)> {
        let part = rect.clipped(self.width, self.height)?;
        let (cell_w, cell_h) = (part.w / GREY_CELLS as f32, part.h / GREY_CELLS as f32);
        let (nx, ny) = (
            (cell_w as usize).clamp(1, samples.min(MOST_SAMPLES)),
            (cell_h as usize).clamp(1, samples.min(MOST_SAMPLES)),
        );
        let place = |from: f32, length: f32, i: usize, n: usize, most: usize| {
            ((from + (i as f32 + 0.5) * length / n as f32) as usize).min(most - 1)
        };
        let mut sums = [0_u32; GREY_CELLS * GREY_CELLS];
        let mut columns = [0; GREY_CELLS * MOST_SAMPLES];
        let columns = &mut columns[..GREY_CELLS * nx];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = 3 * place(part.x, cell_w, i, nx, self.width);
        }
        for i in 0..GREY_CELLS * ny {
            let y = place(part.y, cell_h, i, ny, self.height);
            let row = &self.rgb[3 * y * self.width..][..3 * self.width];
            let sums = &mut sums[i / ny * GREY_CELLS..][..GREY_CELLS];
            for (sum, columns) in sums.iter_mut().zip(columns.chunks_exact(nx)) {
                for column in columns {
                    let pixel = &row[*column..*column + 3];
                    *sum += pixel.iter().copied().map(u32::from).sum::<u32>();
                }
            }
        }
        let count = (nx * ny) as f32;
        Some((sums.map(|sum| sum as f32 / (3.0 * count)), nx * ny))
    }
}

/// Cells along each side of a part of a picture whose changes are watched.
pub(crate) const GREY_CELLS: usize = 8;
/// Most pixels along each side of a cell that can be looked at.
const MOST_SAMPLES: usize = 8;

/// A network's input tensor, `[height, width, channels]`, to be filled.
#[derive(Debug)]
pub enum TensorMut<'a> {
    /// Quantised to int8.
    Int8(&'a mut [i8]),
    /// Quantised to uint8.
    Uint8(&'a mut [u8]),
    /// Real values.
    Float32(&'a mut [f32]),
}

/// Why a tensor could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessError {
    /// The picture is not what its size says.
    #[error(
        "A picture of {width}×{height} px needs width·height·3 bytes and at least one pixel, but has {bytes} bytes."
    )]
    Picture {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Bytes found.
        bytes: usize,
    },
    /// The region lies outside the picture.
    #[error("The region {0:?} does not cover a single pixel of the picture.")]
    Region(Rect),
    /// The tensor is not the one of the manifest.
    #[error(
        "The manifest says an input of {wanted} {element} values, but the tensor has {found} of {found_element}."
    )]
    Tensor {
        /// Values by the manifest.
        wanted: usize,
        /// Type by the manifest.
        element: Element,
        /// Values in the tensor.
        found: usize,
        /// Type of the tensor.
        found_element: Element,
    },
    /// The resize itself failed.
    #[error("The picture cannot be resized: {0}.")]
    Resize(String),
}

/// Pixel value to input value, one table per channel: normalisation and quantisation in one look-up.
#[derive(Debug)]
enum Tables {
    Int8(Vec<[i8; 256]>),
    Uint8(Vec<[u8; 256]>),
    Float32(Vec<[f32; 256]>),
}

/// Fills the input tensor of one network. Keeps its buffers, so a frame costs no allocation.
#[derive(Debug)]
pub struct Preprocessor {
    width: usize,
    height: usize,
    channels: Channels,
    fit: Fit,
    tables: Tables,
    resizer: Resizer,
    resized: Vec<u8>,
}

impl Preprocessor {
    /// A preprocessor for the input that a manifest describes.
    #[must_use]
    pub fn new(input: &Input) -> Self {
        Self {
            width: input.width,
            height: input.height,
            channels: input.channels,
            fit: input.fit,
            tables: Tables::new(input),
            resizer: Resizer::new(),
            resized: Vec::new(),
        }
    }

    /// Fills `tensor` from the part of `region` that lies inside the picture. Returns the factor from
    /// pixels of the region to pixels of the input in x (for [`Fit::Letterbox`] the same in y).
    ///
    /// # Errors
    /// [`PreprocessError`] for a region outside the picture or a tensor of another size or type.
    pub fn fill(
        &mut self,
        picture: &Picture<'_>,
        region: &Rect,
        tensor: TensorMut<'_>,
    ) -> Result<f32, PreprocessError> {
        let region = region
            .clipped(picture.width, picture.height)
            .ok_or(PreprocessError::Region(*region))?;
        let (width, height) = self.target(&region);
        self.resize(picture, &region, width, height)?;
        self.write(width, height, tensor)?;
        Ok(width as f32 / region.w)
    }

    /// The size that the region takes in the input.
    fn target(&self, region: &Rect) -> (usize, usize) {
        match self.fit {
            Fit::Stretch => (self.width, self.height),
            Fit::Letterbox => {
                let scale = (self.width as f32 / region.w).min(self.height as f32 / region.h);
                let side = |length: f32, most: usize| ((length * scale).round() as usize).clamp(1, most);
                (side(region.w, self.width), side(region.h, self.height))
            }
        }
    }

    fn resize(
        &mut self,
        picture: &Picture<'_>,
        region: &Rect,
        width: usize,
        height: usize,
    ) -> Result<(), PreprocessError> {
        let failed = |e: &dyn std::fmt::Display| PreprocessError::Resize(e.to_string());
        let source = ImageRef::new(
            picture.width as u32,
            picture.height as u32,
            picture.rgb,
            PixelType::U8x3,
        )
        .map_err(|e| failed(&e))?;
        self.resized.resize(width * height * 3, 0);
        let mut target =
            Image::from_slice_u8(width as u32, height as u32, &mut self.resized, PixelType::U8x3)
                .map_err(|e| failed(&e))?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false)
            .crop(region.x.into(), region.y.into(), region.w.into(), region.h.into());
        self.resizer
            .resize(&source, &mut target, &options)
            .map_err(|e| failed(&e))
    }

    fn write(&self, width: usize, height: usize, tensor: TensorMut<'_>) -> Result<(), PreprocessError> {
        let (found, found_element) = match &tensor {
            TensorMut::Int8(t) => (t.len(), Element::Int8),
            TensorMut::Uint8(t) => (t.len(), Element::Uint8),
            TensorMut::Float32(t) => (t.len(), Element::Float32),
        };
        let wanted = self.width * self.height * self.channels.count();
        let mismatch = PreprocessError::Tensor {
            wanted,
            element: self.tables.element(),
            found,
            found_element,
        };
        if found != wanted {
            return Err(mismatch);
        }
        let picture = (&self.resized[..], width, height);
        match (&self.tables, tensor) {
            (Tables::Int8(tables), TensorMut::Int8(out)) => self.look_up(picture, tables, out),
            (Tables::Uint8(tables), TensorMut::Uint8(out)) => self.look_up(picture, tables, out),
            (Tables::Float32(tables), TensorMut::Float32(out)) => self.look_up(picture, tables, out),
            _ => return Err(mismatch),
        }
        Ok(())
    }

    /// Writes the resized picture at the top left and black around it.
    fn look_up<T: Copy>(&self, picture: (&[u8], usize, usize), tables: &[[T; 256]], out: &mut [T]) {
        let (rgb, width, height) = picture;
        let count = self.channels.count();
        if (width, height) != (self.width, self.height) {
            for pixel in out.chunks_exact_mut(count) {
                for (value, table) in pixel.iter_mut().zip(tables) {
                    *value = table[0];
                }
            }
        }
        let rows = rgb
            .chunks_exact(width * 3)
            .zip(out.chunks_exact_mut(self.width * count));
        for (from, to) in rows.take(height) {
            let pixels = from.chunks_exact(3).zip(to.chunks_exact_mut(count));
            match (self.channels, tables) {
                (Channels::Rgb, [first, second, third]) => pixels.for_each(|(p, o)| {
                    o.copy_from_slice(&[first[p[0] as usize], second[p[1] as usize], third[p[2] as usize]]);
                }),
                (Channels::Bgr, [first, second, third]) => pixels.for_each(|(p, o)| {
                    o.copy_from_slice(&[first[p[2] as usize], second[p[1] as usize], third[p[0] as usize]]);
                }),
                (Channels::Grey, [only]) => pixels.for_each(|(p, o)| o[0] = only[luma(p) as usize]),
                _ => unreachable!("one table per channel is made in Tables::new"),
            }
        }
    }
}

/// Luma of an RGB pixel, ITU-R 601 with Pillow's rounding.
fn luma(rgb: &[u8]) -> u8 {
    let sum = 19595 * u32::from(rgb[0]) + 38470 * u32::from(rgb[1]) + 7471 * u32::from(rgb[2]) + 0x8000;
    (sum >> 16) as u8
}

impl Tables {
    fn new(input: &Input) -> Self {
        let real = |channel: usize, pixel: usize| (pixel as f32 - input.mean[channel]) / input.std[channel];
        let stored = |channel: usize, pixel: usize| {
            let q = input.quantisation.unwrap_or(crate::manifest::Quantisation {
                scale: 1.0,
                zero_point: 0,
            });
            (real(channel, pixel) / q.scale).round() + q.zero_point as f32
        };
        let channels = 0..input.channels.count();
        match input.element {
            // A float-to-integer cast saturates, which is the clamp that is wanted here.
            Element::Int8 => Self::Int8(
                channels
                    .map(|c| std::array::from_fn(|pixel| stored(c, pixel) as i8))
                    .collect(),
            ),
            Element::Uint8 => Self::Uint8(
                channels
                    .map(|c| std::array::from_fn(|pixel| stored(c, pixel) as u8))
                    .collect(),
            ),
            Element::Float32 => Self::Float32(
                channels
                    .map(|c| std::array::from_fn(|pixel| real(c, pixel)))
                    .collect(),
            ),
        }
    }

    fn element(&self) -> Element {
        match self {
            Self::Int8(_) => Element::Int8,
            Self::Uint8(_) => Element::Uint8,
            Self::Float32(_) => Element::Float32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quantisation;

    fn input(channels: Channels, element: Element, fit: Fit) -> Input {
        let count = channels.count();
        Input {
            tensor: "in".to_owned(),
            width: 4,
            height: 4,
            channels,
            element,
            mean: vec![100.0, 110.0, 120.0][..count].to_vec(),
            std: vec![1.0; count],
            quantisation: (element != Element::Float32).then_some(Quantisation {
                scale: 2.0,
                zero_point: 3,
            }),
            fit,
        }
    }

    fn filled(input: &Input, picture: &Picture<'_>) -> Vec<f32> {
        let mut tensor = vec![f32::NAN; 16 * input.channels.count()];
        let whole = Rect::of_image(picture.width, picture.height);
        Preprocessor::new(input)
            .fill(picture, &whole, TensorMut::Float32(&mut tensor))
            .unwrap();
        tensor
    }

    #[test]
    fn channel_order_and_means_follow_the_manifest() {
        let rgb = [10, 20, 30].repeat(16);
        let picture = Picture::new(4, 4, &rgb).unwrap();
        let of = |channels| filled(&input(channels, Element::Float32, Fit::Stretch), &picture);
        assert_eq!(of(Channels::Rgb)[..3], [10.0 - 100.0, 20.0 - 110.0, 30.0 - 120.0]);
        assert_eq!(of(Channels::Bgr)[..3], [30.0 - 100.0, 20.0 - 110.0, 10.0 - 120.0]);
        assert_eq!(of(Channels::Grey)[0], 18.0 - 100.0); // 0.299·10 + 0.587·20 + 0.114·30 = 18.15
    }

    #[test]
    fn quantisation_rounds_and_saturates() {
        let rgb: Vec<u8> = (0..16).flat_map(|i| [i * 17; 3]).collect();
        let picture = Picture::new(4, 4, &rgb).unwrap();
        let mut tensor = [0i8; 16];
        let spec = input(Channels::Grey, Element::Int8, Fit::Stretch);
        let whole = Rect::of_image(4, 4);
        Preprocessor::new(&spec)
            .fill(&picture, &whole, TensorMut::Int8(&mut tensor))
            .unwrap();
        let expected = |pixel: f32| (((pixel - 100.0) / 2.0).round() + 3.0).clamp(-128.0, 127.0) as i8;
        assert_eq!(tensor[0], expected(0.0));
        assert_eq!(tensor[15], expected(255.0));
        assert_eq!(tensor[7], expected(119.0));
    }

    #[test]
    fn a_letterbox_keeps_the_aspect_and_fills_with_black() {
        let rgb = [200u8, 200, 200].repeat(8 * 4);
        let picture = Picture::new(8, 4, &rgb).unwrap();
        let tensor = filled(&input(Channels::Grey, Element::Float32, Fit::Letterbox), &picture);
        assert_eq!(tensor[..8], [100.0; 8], "two rows of picture");
        assert_eq!(tensor[8..], [-100.0; 8], "two rows of black");
    }

    #[test]
    fn wrong_pictures_regions_and_tensors_are_errors() {
        assert!(Picture::new(0, 4, &[]).is_err());
        assert!(Picture::new(2, 2, &[0; 11]).is_err());
        assert!(Picture::new(usize::MAX, 2, &[0; 11]).is_err());
        let rgb = [0u8; 48];
        let picture = Picture::new(4, 4, &rgb).unwrap();
        let mut preprocessor = Preprocessor::new(&input(Channels::Rgb, Element::Float32, Fit::Stretch));
        let outside = Rect {
            x: 9.0,
            y: 9.0,
            w: 5.0,
            h: 5.0,
        };
        let whole = Rect::of_image(4, 4);
        assert!(
            preprocessor
                .fill(&picture, &outside, TensorMut::Float32(&mut [0.0; 48]))
                .is_err()
        );
        assert!(
            preprocessor
                .fill(&picture, &whole, TensorMut::Float32(&mut [0.0; 47]))
                .is_err()
        );
        assert!(
            preprocessor
                .fill(&picture, &whole, TensorMut::Int8(&mut [0; 48]))
                .is_err()
        );
    }
}
