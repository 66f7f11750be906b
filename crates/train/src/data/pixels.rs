//! The picture of a face, decoded.

use std::path::PathBuf;

use affect_core::preprocess::PreprocessError;

use super::Face;

/// An RGB picture that belongs to itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Rows from the top.
    pub rgb: Vec<u8>,
}

impl Pixels {
    /// Bilinear; outside the border repeats.
    pub(super) fn sample(&self, x: f32, y: f32) -> [u8; 3] {
        let (x, y) = (
            x.clamp(0.0, (self.width - 1) as f32),
            y.clamp(0.0, (self.height - 1) as f32),
        );
        let (left, top) = (x as usize, y as usize);
        let (right, below) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let at = |column: usize, row: usize, channel: usize| {
            f32::from(self.rgb[(row * self.width + column) * 3 + channel])
        };
        std::array::from_fn(|c| {
            let upper = at(left, top, c) * (1.0 - fx) + at(right, top, c) * fx;
            let lower = at(left, below, c) * (1.0 - fx) + at(right, below, c) * fx;
            (upper * (1.0 - fy) + lower * fy).round() as u8
        })
    }
}

/// Whether no pixel has a colour.
pub(super) fn is_grey(picture: &Pixels) -> bool {
    let pixels = picture.rgb.as_chunks::<3>().0;
    pixels.iter().all(|p| p[0] == p[1] && p[1] == p[2])
}

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It cannot be decoded.
    #[error("{}: {source}.", path.display())]
    Decode {
        /// Which.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// It cannot be cropped.
    #[error("{}: {source}", path.display())]
    Crop {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: PreprocessError,
    },
}

/// Decodes a picture.
///
/// # Errors
/// [`SampleError::Decode`].
pub fn decode(path: &std::path::Path) -> Result<Pixels, SampleError> {
    let decode_error = |source| SampleError::Decode {
        path: path.to_owned(),
        source,
    };
    let reader = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| decode_error(e.into()))?;
    let picture = reader.decode().map_err(decode_error)?.into_rgb8();
    Ok(Pixels {
        width: picture.width() as usize,
        height: picture.height() as usize,
        rgb: picture.into_raw(),
    })
}

/// The picture of a face.
///
/// # Errors
/// [`SampleError::Decode`].
pub fn picture(face: &Face) -> Result<Pixels, SampleError> {
    match &face.inline {
        Some(pixels) => Ok(pixels.as_ref().clone()),
        None => decode(&face.path),
    }
}
