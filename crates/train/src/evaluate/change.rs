//! Faces changed on purpose, to see what a model bears: `NAME` or `NAME=STRENGTH`.

use std::str::FromStr;
use std::sync::Arc;

use affect_core::geometry::Rect;
use image::imageops::{FilterType, blur, resize};
use image::{Rgb, RgbImage};

use crate::data::Face;
use crate::data::sample::{self, Pixels, SampleError};

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Black outside of the ellipse that fills the picture: what faces cut out of their pictures have around them.
    Ellipse,
    /// A box so many times as wide as high, of the same area and centre.
    Aspect(f32),
    /// A box so many times as large.
    Scale(f32),
    /// A box moved to the right by this part of its width.
    Shift(f32),
    /// Turned by so many degrees.
    Rotate(f32),
    /// Scaled down to so many pixels of height.
    Size(f32),
    /// Each value times this.
    Light(f32),
    /// Contrast times this.
    Contrast(f32),
    /// Gaussian blur, at 96 px, of this standard deviation.
    Blur(f32),
    /// JPEG of this quality.
    Jpeg(f32),
    /// Without colour.
    Grey,
    /// A grey bar over the eyes.
    Eyes,
    /// A grey patch over the mouth.
    Mouth,
}

/// What can be written, for messages.
const NAMES: &str = "ellipse, aspect=0.75, scale=1.2, shift=0.1, rotate=20, size=24, light=0.5, contrast=0.25, blur=2, jpeg=20, grey, \
                     eyes, mouth";

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, strength) = text.split_once('=').unwrap_or((text, ""));
        let wrong = || format!("`{text}` is no change of a face; there are {NAMES}.");
        let plain = match name {
            "ellipse" => Some(Self::Ellipse),
            "grey" => Some(Self::Grey),
            "eyes" => Some(Self::Eyes),
            "mouth" => Some(Self::Mouth),
            _ => None,
        };
        if let Some(change) = plain {
            return if strength.is_empty() {
                Ok(change)
            } else {
                Err(wrong())
            };
        }
        let number: f32 = strength.parse().map_err(|_| wrong())?;
        let (least, most, change): (f32, f32, fn(f32) -> Self) = match name {
            "aspect" => (0.25, 4.0, Self::Aspect),
            "scale" => (0.25, 4.0, Self::Scale),
            "shift" => (-0.5, 0.5, Self::Shift),
            "rotate" => (-180.0, 180.0, Self::Rotate),
            "size" => (4.0, 1024.0, Self::Size),
            "light" => (0.0, 10.0, Self::Light),
            "contrast" => (0.0, 10.0, Self::Contrast),
            "blur" => (0.0, 20.0, Self::Blur),
            "jpeg" => (1.0, 100.0, Self::Jpeg),
            _ => return Err(wrong()),
        };
        if (least..=most).contains(&number) {
            Ok(change(number))
        } else {
            Err(format!("`{text}`: {name} goes from {least} to {most}."))
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, strength) = match self {
            Self::Ellipse => ("ellipse", None),
            Self::Grey => ("grey", None),
            Self::Eyes => ("eyes", None),
            Self::Mouth => ("mouth", None),
            Self::Aspect(v) => ("aspect", Some(v)),
            Self::Scale(v) => ("scale", Some(v)),
            Self::Shift(v) => ("shift", Some(v)),
            Self::Rotate(v) => ("rotate", Some(v)),
            Self::Size(v) => ("size", Some(v)),
            Self::Light(v) => ("light", Some(v)),
            Self::Contrast(v) => ("contrast", Some(v)),
            Self::Blur(v) => ("blur", Some(v)),
            Self::Jpeg(v) => ("jpeg", Some(v)),
        };
        match strength {
            None => write!(f, "{name}"),
            Some(strength) => write!(f, "{name}={strength}"),
        }
    }
}

impl Change {
    /// The face after the change.
    ///
    /// # Errors
    /// [`SampleError`] if its picture cannot be read.
    pub fn of(self, face: &Face) -> Result<Face, SampleError> {
        let picture = sample::picture(face)?;
        let whole = Rect::of_image(picture.width, picture.height);
        let region = face.region.unwrap_or(whole);
        if let Some(moved) = self.moved(&region) {
            return Ok(Face {
                region: Some(within(moved, &whole)),
                ..face.clone()
            });
        }
        let crop = cropped(&picture, &region);
        let changed = self.pixels(crop);
        let inline = Pixels {
            width: changed.width() as usize,
            height: changed.height() as usize,
            rgb: changed.into_raw(),
        };
        Ok(Face {
            inline: Some(Arc::new(inline)),
            region: None,
            ..face.clone()
        })
    }

    /// Another box, where the change is one.
    fn moved(self, r: &Rect) -> Option<Rect> {
        let (wider, higher, right) = match self {
            Self::Aspect(ratio) => {
                let now = (ratio * r.h / r.w).sqrt();
                (now, 1.0 / now, 0.0)
            }
            Self::Scale(factor) => (factor, factor, 0.0),
            Self::Shift(part) => (1.0, 1.0, part),
            _ => return None,
        };
        let (w, h) = (r.w * wider, r.h * higher);
        Some(Rect {
            x: r.x + r.w * (0.5 + right) - w / 2.0,
            y: r.y + r.h * 0.5 - h / 2.0,
            w,
            h,
        })
    }

    fn pixels(self, mut face: RgbImage) -> RgbImage {
        let (width, height) = face.dimensions();
        let (w, h) = (width as f32, height as f32);
        let middle = Rgb([110; 3]);
        let at = |x: u32, y: u32| ((x as f32 + 0.5) / w * 2.0 - 1.0, (y as f32 + 0.5) / h * 2.0 - 1.0);
        match self {
            Self::Ellipse => paint(&mut face, Rgb([0; 3]), |x, y| {
                let (x, y) = at(x, y);
                x * x + y * y > 1.0
            }),
            // Where the eyes and the mouth are in a detector's box, roughly.
            Self::Eyes => paint(&mut face, middle, |x, y| {
                let (x, y) = at(x, y);
                x.abs() < 0.75 && (-0.4..0.0).contains(&y)
            }),
            Self::Mouth => paint(&mut face, middle, |x, y| {
                let (x, y) = at(x, y);
                x.abs() < 0.5 && (0.3..0.8).contains(&y)
            }),
            Self::Rotate(degrees) => return rotated(&face, degrees),
            Self::Size(to) if to < h => {
                let small = resize(
                    &face,
                    ((w * to / h).round() as u32).max(1),
                    to as u32,
                    FilterType::Triangle,
                );
                return resize(&small, width, height, FilterType::Triangle);
            }
            Self::Light(factor) => values(&mut face, |v| v * factor),
            Self::Contrast(factor) => {
                let mean = face.as_raw().iter().map(|v| f32::from(*v)).sum::<f32>() / (w * h * 3.0);
                values(&mut face, |v| (v - mean) * factor + mean);
            }
            Self::Blur(sigma) if sigma > 0.0 => return blur(&face, sigma * h / 96.0),
            Self::Jpeg(quality) => return compressed(&face, quality as u8),
            Self::Grey => {
                for pixel in face.pixels_mut() {
                    let [r, g, b] = pixel.0.map(f32::from);
                    *pixel = Rgb([(0.299 * r + 0.587 * g + 0.114 * b).round() as u8; 3]);
                }
            }
            _ => {}
        }
        face
    }
}

/// A box of which at least the part inside of the picture is looked at, as the daemon does.
fn within(r: Rect, whole: &Rect) -> Rect {
    let (x, y) = (r.x.max(0.0), r.y.max(0.0));
    Rect {
        x,
        y,
        w: (r.x + r.w).min(whole.w) - x,
        h: (r.y + r.h).min(whole.h) - y,
    }
}

fn cropped(picture: &Pixels, region: &Rect) -> RgbImage {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let whole = RgbImage::from_raw(width, height, picture.rgb.clone()).unwrap_or_default();
    let region = within(*region, &Rect::of_image(picture.width, picture.height));
    let (x, y) = (region.x.round() as u32, region.y.round() as u32);
    let (w, h) = ((region.w.round() as u32).max(1), (region.h.round() as u32).max(1));
    image::imageops::crop_imm(&whole, x, y, w, h).to_image()
}

fn paint(face: &mut RgbImage, colour: Rgb<u8>, chosen: impl Fn(u32, u32) -> bool) {
    for (x, y, pixel) in face.enumerate_pixels_mut() {
        if chosen(x, y) {
            *pixel = colour;
        }
    }
}

fn values(face: &mut RgbImage, change: impl Fn(f32) -> f32) {
    // A float-to-integer cast saturates.
    face.iter_mut()
        .for_each(|v| *v = change(f32::from(*v)).round() as u8);
}

/// Turned about its middle; outside the border repeats.
fn rotated(face: &RgbImage, degrees: f32) -> RgbImage {
    let (width, height) = face.dimensions();
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let (sin, cos) = degrees.to_radians().sin_cos();
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
        let from_x = (cx + cos * dx - sin * dy - 0.5).clamp(0.0, width as f32 - 1.0);
        let from_y = (cy + sin * dx + cos * dy - 0.5).clamp(0.0, height as f32 - 1.0);
        image::imageops::interpolate_bilinear(face, from_x, from_y).unwrap_or(Rgb([0; 3]))
    })
}

fn compressed(face: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    let written = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(face);
    let read = written.and_then(|()| image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg));
    // Encoding to memory and reading it back does not fail for a picture of at least one pixel.
    read.map_or_else(|_| face.clone(), image::DynamicImage::into_rgb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Face {
        let side = 60usize;
        let rgb = (0..side * side)
            .flat_map(|place| [(place % side * 4) as u8, (place / side * 4) as u8, 200])
            .collect();
        Face {
            inline: Some(Arc::new(Pixels {
                width: side,
                height: side,
                rgb,
            })),
            region: Some(Rect {
                x: 10.0,
                y: 10.0,
                w: 40.0,
                h: 40.0,
            }),
            ..Face::default()
        }
    }

    fn changed(text: &str) -> Face {
        text.parse::<Change>().unwrap().of(&face()).unwrap()
    }

    fn corner_and_middle(face: &Face) -> [[u8; 3]; 2] {
        let picture = face.inline.as_ref().unwrap();
        let pixel =
            |x: usize, y: usize| std::array::from_fn(|c| picture.rgb[(y * picture.width + x) * 3 + c]);
        [pixel(0, 0), pixel(20, 20)]
    }

    #[test]
    fn an_ellipse_blackens_the_corners_and_leaves_the_middle() {
        let [corner, middle] = corner_and_middle(&changed("ellipse"));
        assert_eq!(corner, [0; 3]);
        assert_eq!(middle, [120, 120, 200], "the region's middle, as it was");
    }

    #[test]
    fn another_aspect_keeps_the_area_and_the_centre() {
        let region = changed("aspect=0.64").region.unwrap();
        assert!(
            (region.w - 32.0).abs() < 1e-3 && (region.h - 50.0).abs() < 1e-3,
            "{region:?}"
        );
        assert!((region.x + region.w / 2.0 - 30.0).abs() < 1e-3);
    }

    #[test]
    fn boxes_never_leave_the_picture() {
        for text in ["scale=4", "shift=0.5", "shift=-0.5", "aspect=4"] {
            let r = changed(text).region.unwrap();
            assert!(
                r.x >= 0.0 && r.y >= 0.0 && r.x + r.w <= 60.0 && r.y + r.h <= 60.0,
                "{text}: {r:?}"
            );
        }
    }

    #[test]
    fn every_other_change_changes_the_picture_and_none_its_size() {
        let untouched = cropped(face().inline.as_ref().unwrap(), &face().region.unwrap());
        for text in [
            "rotate=20",
            "size=8",
            "light=0.5",
            "contrast=0.25",
            "blur=3",
            "jpeg=5",
            "grey",
            "eyes",
            "mouth",
        ] {
            let after = changed(text);
            let picture = after.inline.as_ref().unwrap();
            assert_eq!((picture.width, picture.height), (40, 40), "{text}");
            assert_ne!(&picture.rgb, untouched.as_raw(), "{text}");
        }
        assert_eq!(
            &changed("size=100").inline.unwrap().rgb,
            untouched.as_raw(),
            "no face is made larger"
        );
    }

    #[test]
    fn what_is_no_change_is_said_with_what_there_is() {
        for (text, said) in [
            ("elipse", "ellipse, aspect"),
            ("grey=2", "no change"),
            ("size", "no change"),
            ("size=1", "4 to 1024"),
        ] {
            let why = text.parse::<Change>().unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
        assert_eq!("blur=2.5".parse::<Change>().unwrap().to_string(), "blur=2.5");
    }
}
