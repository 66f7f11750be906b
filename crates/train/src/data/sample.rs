//! From a labelled face to the numbers that a network is trained on.
//!
//! Crop, resize and normalisation are [`affect_core::preprocess`], the daemon's own code.

use std::collections::BTreeMap;

use affect_core::geometry::Rect;
use affect_core::manifest::{Channels, Element, Fit, Input};
use affect_core::preprocess::{Picture, PreprocessError, Preprocessor, TensorMut};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Face;
use super::augment::Augmentation;
pub use super::pixels::{Pixels, SampleError, decode, picture};

/// The means that the published base was trained with, for B, G and R.
pub const BASE_MEAN: [f32; 3] = [103.939, 116.779, 123.68];

/// The float input of a network that was trained here: BGR minus [`BASE_MEAN`], as the published base.
#[must_use]
pub fn float_input(size: usize) -> Input {
    Input {
        tensor: "input".to_owned(),
        width: size,
        height: size,
        channels: Channels::Bgr,
        element: Element::Float32,
        mean: BASE_MEAN.to_vec(),
        std: vec![1.0; 3],
        quantisation: None,
        fit: Fit::Stretch,
    }
}

/// The float input that a weight file was trained with, by its words `channels` and `mean`.
#[must_use]
pub fn input_of(about: &BTreeMap<String, String>, size: usize) -> Input {
    let mut input = float_input(size);
    if about.get("channels").is_some_and(|channels| channels == "rgb") {
        input.channels = Channels::Rgb;
    }
    let mean: Option<Vec<f32>> = about
        .get("mean")
        .and_then(|text| text.split(' ').map(|n| n.parse().ok()).collect());
    if let Some(mean) = mean.filter(|mean| mean.len() == 3) {
        input.mean = mean;
    }
    input
}

/// The words by which [`input_of`] finds an input again.
#[must_use]
pub fn input_words(input: &Input) -> BTreeMap<String, String> {
    let channels = if input.channels == Channels::Rgb {
        "rgb"
    } else {
        "bgr"
    };
    let mean: Vec<String> = input.mean.iter().map(f32::to_string).collect();
    BTreeMap::from([
        ("channels".to_owned(), channels.to_owned()),
        ("mean".to_owned(), mean.join(" ")),
    ])
}

/// Appends the face's tensor for a float `input` to `planes`, channel by channel (`[3, size, size]`), changed by `augmentation`
/// with the random numbers of `seed`, or as it is.
///
/// # Errors
/// [`SampleError`].
pub fn append(
    planes: &mut Vec<f32>,
    face: &Face,
    input: &Input,
    augmentation: Option<(&Augmentation, u64)>,
) -> Result<(), SampleError> {
    let mut picture = super::pixels::picture(face)?;
    let mut region = face
        .region
        .unwrap_or(Rect::of_image(picture.width, picture.height));
    if let Some((augmentation, seed)) = augmentation {
        picture = augmentation.apply(&picture, &region, &mut ChaCha8Rng::seed_from_u64(seed));
        region = Rect::of_image(picture.width, picture.height);
    }
    append_region(planes, &picture, &region, input).map_err(|source| SampleError::Crop {
        path: face.path.clone(),
        source,
    })
}

/// Appends the tensor of a region, channel by channel.
///
/// # Errors
/// [`PreprocessError`] if the region lies outside the picture.
pub fn append_region(
    planes: &mut Vec<f32>,
    picture: &Pixels,
    region: &Rect,
    input: &Input,
) -> Result<(), PreprocessError> {
    let picture = Picture::new(picture.width, picture.height, &picture.rgb)?;
    let mut pixels = vec![0.0; input.width * input.height * 3];
    Preprocessor::new(input).fill(&picture, region, TensorMut::Float32(&mut pixels))?;
    for channel in 0..3 {
        planes.extend(pixels[channel..].iter().step_by(3));
    }
    Ok(())
}
