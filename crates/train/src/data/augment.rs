//! Augmentation: what a camera in a room does to faces, done on purpose to the training pictures.

use std::sync::Arc;

use affect_core::geometry::Rect;
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::pixels::{Pixels, SampleError, is_grey, picture};
use super::{Face, surround};

/// How strongly to change training pictures. All 0 is: not at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Mirror left and right: the chance, 0 to 1.
    pub flip: f32,
    /// Turn by up to this many degrees to either side.
    pub rotate: f32,
    /// Shift the box by up to this part of its side.
    pub shift: f32,
    /// Scale the box by up to this part.
    pub scale: f32,
    /// Brightness: up to this part of the full range, up or down.
    pub brightness: f32,
    /// Contrast: up to this part, up or down.
    pub contrast: f32,
    /// Scale the picture down to `shrink_to` … its size and up again: faces in groups are small. The chance.
    pub shrink: f32,
    /// The fewest pixels to which a face is scaled down.
    pub shrink_to: f32,
    /// Blur with a 3 × 3 binomial filter: the chance.
    pub blur: f32,
    /// Take the colour away: the chance.
    pub grey: f32,
    /// Black out a rectangle of up to this part of the side: hands, hair, microphones.
    pub erase: f32,
    /// Put something random around the face, or paint over the black around it: the chance.
    pub surround: f32,
    /// Stretch width against height, or height against width, by up to this part: boxes are not square, inputs are.
    pub aspect: f32,
    /// Darker or brighter in the middle tones: a gamma of up to 1 plus this, or one divided by it.
    pub gamma: f32,
    /// Each colour stronger or weaker by up to this part; grey pictures stay grey.
    pub tint: f32,
}

impl Augmentation {
    /// A changed picture of a face, as a face of its own.
    ///
    /// # Errors
    /// [`SampleError`] if the picture cannot be read.
    pub fn take(&self, face: &Face, rng: &mut impl Rng) -> Result<Face, SampleError> {
        let picture = picture(face)?;
        let region = face
            .region
            .unwrap_or(Rect::of_image(picture.width, picture.height));
        Ok(Face {
            inline: Some(Arc::new(self.apply(&picture, &region, rng))),
            region: None,
            ..face.clone()
        })
    }

    /// A changed picture, cut to its region.
    pub fn apply(&self, picture: &Pixels, region: &Rect, rng: &mut impl Rng) -> Pixels {
        // Settings that came later draw only where they are used: recipes from before keep their numbers.
        let other = (self.surround > 0.0 && chance(rng, self.surround))
            .then(|| surround::replaced(picture, region, rng));
        let mut changed = self.warp(other.as_ref().unwrap_or(picture), region, rng);
        if chance(rng, self.shrink) {
            shrink(&mut changed, self.shrink_to.max(8.0), rng);
        }
        if chance(rng, self.blur) {
            blur(&mut changed);
        }
        if chance(rng, self.grey) {
            grey(&mut changed);
        }
        self.light(&mut changed, rng);
        self.tones(&mut changed, rng);
        self.erase(&mut changed, rng);
        changed
    }

    /// Mirror, turn, shift and scale in one bilinear sampling. Outside the picture its border repeats.
    fn warp(&self, picture: &Pixels, region: &Rect, rng: &mut impl Rng) -> Pixels {
        let (width, height) = (
            region.w.round().max(1.0) as usize,
            region.h.round().max(1.0) as usize,
        );
        let mirror = if chance(rng, self.flip) { -1.0 } else { 1.0 };
        let angle = either(rng, self.rotate).to_radians();
        let scale = 1.0 + either(rng, self.scale);
        let stretch = if self.aspect > 0.0 {
            (1.0 + self.aspect).powf(either(rng, 0.5))
        } else {
            1.0
        };
        let (sin, cos) = (angle.sin() * scale, angle.cos() * scale);
        let centre = (
            region.x + region.w * (0.5 + either(rng, self.shift)),
            region.y + region.h * (0.5 + either(rng, self.shift)),
        );
        let mut rgb = Vec::with_capacity(width * height * 3);
        for row in 0..height {
            for column in 0..width {
                let x = (column as f32 + 0.5 - width as f32 / 2.0) * mirror * stretch;
                let y = (row as f32 + 0.5 - height as f32 / 2.0) / stretch;
                let from = (
                    centre.0 + cos * x - sin * y - 0.5,
                    centre.1 + sin * x + cos * y - 0.5,
                );
                rgb.extend(picture.sample(from.0, from.1));
            }
        }
        Pixels { width, height, rgb }
    }

    fn light(&self, picture: &mut Pixels, rng: &mut impl Rng) {
        let (shift, factor) = (
            255.0 * either(rng, self.brightness),
            1.0 + either(rng, self.contrast),
        );
        if (shift, factor) == (0.0, 1.0) {
            return;
        }
        let mean = picture.rgb.iter().map(|&v| f32::from(v)).sum::<f32>() / picture.rgb.len() as f32;
        // A float-to-integer cast saturates, which is the clamp that is wanted here.
        let table: [u8; 256] =
            std::array::from_fn(|v| ((v as f32 - mean) * factor + mean + shift).round() as u8);
        picture.rgb.iter_mut().for_each(|v| *v = table[*v as usize]);
    }

    /// Gamma, and the strength of each colour.
    fn tones(&self, picture: &mut Pixels, rng: &mut impl Rng) {
        if self.gamma <= 0.0 && self.tint <= 0.0 {
            return;
        }
        let gamma = (1.0 + self.gamma).powf(either(rng, 1.0));
        let strengths: [f32; 3] = std::array::from_fn(|_| 1.0 + either(rng, self.tint));
        let grey = is_grey(picture);
        let tables: [[u8; 256]; 3] = std::array::from_fn(|channel| {
            let strength = if grey { 1.0 } else { strengths[channel] };
            std::array::from_fn(|v| ((v as f32 / 255.0).powf(gamma) * 255.0 * strength).round() as u8)
        });
        for pixel in picture.rgb.chunks_exact_mut(3) {
            pixel
                .iter_mut()
                .zip(&tables)
                .for_each(|(v, table)| *v = table[*v as usize]);
        }
    }

    fn erase(&self, picture: &mut Pixels, rng: &mut impl Rng) {
        if self.erase <= 0.0 || !chance(rng, 0.5) {
            return;
        }
        let mut side = |length: usize| {
            let part = (length as f32 * self.erase * rng.random::<f32>()) as usize;
            let start = rng.random_range(0..=length - part.min(length));
            start..(start + part).min(length)
        };
        let (columns, rows) = (side(picture.width), side(picture.height));
        for row in rows {
            let start = (row * picture.width + columns.start) * 3;
            picture.rgb[start..start + columns.len() * 3].fill(0);
        }
    }
}

fn chance(rng: &mut impl Rng, part: f32) -> bool {
    // The number is drawn in any case: one setting must not shift the random numbers of the others.
    rng.random::<f32>() < part
}

/// A number from −most to most.
fn either(rng: &mut impl Rng, most: f32) -> f32 {
    (rng.random::<f32>() * 2.0 - 1.0) * most
}

fn shrink(picture: &mut Pixels, least: f32, rng: &mut impl Rng) {
    let longer = picture.width.max(picture.height) as f32;
    let to = least + (longer - least).max(0.0) * rng.random::<f32>();
    if to >= longer {
        return;
    }
    let side = |length: usize| ((length as f32 * to / longer).round() as usize).max(1);
    let small = resized(picture, side(picture.width), side(picture.height));
    *picture = resized(&small, picture.width, picture.height);
}

fn resized(picture: &Pixels, width: usize, height: usize) -> Pixels {
    let source = Image::from_vec_u8(
        picture.width as u32,
        picture.height as u32,
        picture.rgb.clone(),
        PixelType::U8x3,
    );
    let mut target = Image::new(width as u32, height as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let done = source.map(|source| Resizer::new().resize(&source, &mut target, &options));
    debug_assert!(matches!(done, Ok(Ok(()))), "sizes and bytes of Pixels agree");
    Pixels {
        width,
        height,
        rgb: target.into_vec(),
    }
}

fn blur(picture: &mut Pixels) {
    let from = picture.clone();
    for row in 0..from.height {
        for column in 0..from.width {
            for channel in 0..3 {
                let mut sum = 0u32;
                for (dy, wy) in [(0, 1u32), (1, 2), (2, 1)] {
                    for (dx, wx) in [(0, 1u32), (1, 2), (2, 1)] {
                        let y = (row + dy).saturating_sub(1).min(from.height - 1);
                        let x = (column + dx).saturating_sub(1).min(from.width - 1);
                        sum += wx * wy * u32::from(from.rgb[(y * from.width + x) * 3 + channel]);
                    }
                }
                picture.rgb[(row * from.width + column) * 3 + channel] = ((sum + 8) / 16) as u8;
            }
        }
    }
}

fn grey(picture: &mut Pixels) {
    for pixel in picture.rgb.chunks_exact_mut(3) {
        let sum = 19595 * u32::from(pixel[0]) + 38470 * u32::from(pixel[1]) + 7471 * u32::from(pixel[2]);
        pixel.fill(((sum + 0x8000) >> 16) as u8);
    }
}
