//! What the camera gives, how far away people may be, and how fast this board is with it.

use std::time::Instant;

use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_vision::EngineError;

use super::{Exit, Finding};
use crate::capture::Next;
use crate::config::Config;
use crate::setup::{self, Setup};
use crate::status::reach as far;
use crate::vision::{Decoder, Vision};

/// How many pixels of its input a face takes that the detector finds reliably (models/yunet-320/CARD.md).
const RELIABLE: f64 = 32.0;
/// How often each step is timed.
const ROUNDS: usize = 7;

/// A picture that the source gave.
pub(super) struct Sample {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// Milliseconds that its decoding took.
    decode: f64,
}

/// Opens the source and takes a picture.
pub(super) fn source(config: &Config, taken: &mut Option<Sample>) -> Finding {
    let Some(settings) = setup::source(&config.camera) else {
        let why = "[camera] source is not set: give a camera (`affectd cameras` lists them), a folder of pictures, a picture, an .mjpeg or a video file, or a [camera] command.";
        return Finding::Fails(Exit::NoInput, why.to_owned());
    };
    let mut look = || -> anyhow::Result<String> {
        let mut source = settings.open(false)?;
        loop {
            // A live source that stays silent ends this with its own error.
            match source.next()? {
                Next::Picture(image) | Next::Taken(image, _) => {
                    let mut decoder = Decoder::default();
                    let began = Instant::now();
                    let (width, height, rgb) = decoder.decode(image)?;
                    let decode = began.elapsed().as_secs_f64() * 1e3;
                    let rgb = rgb.to_vec();
                    *taken = Some(Sample {
                        width,
                        height,
                        rgb,
                        decode,
                    });
                    return Ok(format!("{settings} gives pictures of {width}×{height} px"));
                }
                Next::Broken(..) | Next::NotYet => {}
                Next::End => anyhow::bail!("{settings} gives no picture."),
            }
        }
    };
    Finding::of(Exit::NoInput, look())
}

/// How far away a face may be.
pub(super) fn reach(config: &Config, picture: Option<&Sample>, setup: Option<&Setup>) -> Finding {
    let width = picture.map_or(f64::from(config.camera.width), |picture| picture.width as f64);
    let height = picture.map_or(f64::from(config.camera.height), |picture| picture.height as f64);
    let degrees = config.camera.field_of_view;
    let least = f64::from(config.detector.min_face_px);
    let metres = |pixels: f64| far(width, degrees, pixels);
    let mut text = format!(
        "faces of {least} px and more are looked at, up to {:.1} m away with a lens of {degrees}°",
        metres(least)
    );
    if let Some(setup) = setup {
        let input = setup.detector_input() as f64;
        let reliable = (RELIABLE * width.max(height) / input).max(least);
        text += &format!(
            "; found reliably from about {reliable:.0} px on, which is {:.1} m",
            metres(reliable)
        );
    }
    Finding::Works(format!("{text} (estimated; [camera] field_of_view is the lens)"))
}

/// How many frames per second this board looks at.
pub(super) fn speed(config: &Config, picture: Option<&Sample>, setup: Option<&Setup>) -> Finding {
    let (Some(picture), Some(setup)) = (picture, setup) else {
        return Finding::Skipped("not measured: that takes models and a picture of the source".to_owned());
    };
    let measured = setup
        .vision(config)
        .map_err(anyhow::Error::from)
        .and_then(|mut vision| Ok(times(&mut vision, picture)?));
    let (frame, face) = match measured {
        Ok(times) => times,
        Err(error) => return Finding::Fails(Exit::Config, format!("{error:#}")),
    };
    let group = f64::from(config.privacy.min_group);
    let rate = |faces: f64| 1e3 / (frame + faces * face);
    let wanted = config.camera.fps;
    let text = format!(
        "about {} frames per second with nobody in view, {} with {group} people, {} with 20, each read in each frame; [camera] fps is {wanted}",
        rounded(rate(0.0)),
        rounded(rate(group)),
        rounded(rate(20.0))
    );
    match rate(group) < wanted {
        true => Finding::Remark(format!(
            "{text}, which this board does not keep up with while the smallest group is there: set less, or smaller pictures; `affectd bench` measures more exactly"
        )),
        false => Finding::Works(format!(
            "{text} (estimated; `affectd bench` measures more exactly)"
        )),
    }
}

/// Milliseconds that a frame takes without a face, and what each face adds.
fn times(vision: &mut Vision, sample: &Sample) -> Result<(f64, f64), EngineError> {
    let picture = Picture::new(sample.width, sample.height, &sample.rgb)?;
    let (_, detector, classifier) = vision.parts();
    let side = sample.width.min(sample.height) as f32 / 4.0;
    // Whoever is there is of no interest: what reading costs does not depend on it.
    let place = Rect {
        x: sample.width as f32 / 2.0 - side / 2.0,
        y: sample.height as f32 / 2.0 - side / 2.0,
        w: side,
        h: side,
    };
    let (mut detect, mut read) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let began = Instant::now();
        detector.detect(&picture)?;
        let middle = Instant::now();
        classifier.classify(&picture, &place)?;
        // The first is slower: it warms up.
        if round > 0 {
            detect.push((middle - began).as_secs_f64() * 1e3);
            read.push(middle.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((sample.decode + median(&mut detect), median(&mut read)))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Two digits are as exact as it is.
fn rounded(rate: f64) -> f64 {
    match rate {
        rate if rate >= 10.0 => rate.round(),
        rate => (rate * 10.0).round() / 10.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_grows_with_pixels_and_shrinks_with_the_lens() {
        // 90° see twice as broad as they are far: 640 px over 2 m at 1 m, of which a face takes 48 px.
        assert!((far(640.0, 90.0, 48.0) - 1.0).abs() < 1e-9);
        assert!((far(1280.0, 90.0, 48.0) - 2.0).abs() < 1e-9);
        assert!((far(640.0, 90.0, 24.0) - 2.0).abs() < 1e-9);
        assert!(far(640.0, 60.0, 24.0) > far(640.0, 100.0, 24.0));
    }

    #[test]
    fn rates_are_told_with_two_digits() {
        assert_eq!((rounded(123.4), rounded(9.96), rounded(0.54)), (123.0, 10.0, 0.5));
    }
}
