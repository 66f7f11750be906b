//! From a frame to the people in it: decode, detect, mask, track, classify.

use std::time::Duration;

use affect_core::detection::Face;
use affect_core::geometry::{Mask, Rect};
use affect_core::preprocess::Picture;
use affect_core::sampling::{Sampling, SamplingSettings};
use affect_core::tracker::{Boxes, TrackSettings, Tracker};
use affect_core::window::{FrameFaces, SeenFace};
use affect_vision::{Classifier, Detector, EngineError};

use crate::capture::Frame;

mod decode;
mod png;

pub(crate) use decode::{DecodeError, Decoder};

/// Whether a file says of itself that it is a picture of more than 65,536 pixels.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn is_large(bytes: &[u8]) -> bool {
    let jpeg = crate::jpeg::Shape::of(bytes).map(|shape| shape.width as u64 * shape.height as u64);
    let png = png::size(bytes).map(|[width, height]| u64::from(width) * u64::from(height));
    jpeg.or(png).is_some_and(|pixels| pixels > 1 << 16)
}

/// Why a frame was lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Its picture cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A network did not run on it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// How people are followed and read.
#[derive(Debug, Clone)]
pub(crate) struct VisionSettings {
    /// Faces whose centre lies in one of these are not looked at.
    pub(crate) masks: Vec<Mask>,
    /// The tracker.
    pub(crate) track: TrackSettings,
    /// The rates of classification.
    pub(crate) sampling: SamplingSettings,
    /// How often tracks are given new names.
    pub(crate) rename_every: Duration,
}

/// The whole way from a frame to the people in it. Holds nothing of a frame once the next has come.
pub(crate) struct Vision {
    decoder: Decoder,
    detector: Detector,
    classifier: Classifier,
    tracker: Tracker,
    sampling: Sampling,
    settings: VisionSettings,
    /// When the tracks are given new names.
    rename_at: Duration,
    /// The faces of a frame, and the boxes that may be faces.
    faces: Vec<Rect>,
    doubtful: Vec<Rect>,
    /// Random numbers of the operating system.
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Vision {
    pub(crate) fn new(
        detector: Detector,
        classifier: Classifier,
        settings: VisionSettings,
        random: Box<dyn FnMut() -> u64 + Send>,
    ) -> Self {
        Self {
            decoder: Decoder::default(),
            detector,
            classifier,
            tracker: Tracker::new(settings.track),
            sampling: Sampling::new(settings.sampling),
            rename_at: settings.rename_every,
            faces: Vec::new(),
            doubtful: Vec::new(),
            settings,
            random,
        }
    }

    /// Looks at a frame.
    pub(crate) fn look(&mut self, frame: Frame) -> Result<FrameFaces, FrameError> {
        let at = frame.at;
        if at >= self.rename_at {
            self.tracker.rename(&mut self.random);
            self.rename_at = at + self.settings.rename_every;
        }
        let (width, height, rgb) = self.decoder.decode(frame.image)?;
        let picture = Picture::new(width, height, rgb).map_err(EngineError::from)?;
        let size = (width as f32, height as f32);
        let masks = &self.settings.masks;
        let masked = |rect: &Rect| masks.iter().any(|mask| mask.covers(rect, width, height));
        let looked_at = |rect: &Rect| rect.clipped(width, height).is_some() && !masked(rect);
        let rects = |boxes: &[Face], rects: &mut Vec<Rect>| {
            rects.clear();
            rects.extend(boxes.iter().map(|face| face.rect).filter(looked_at));
        };
        rects(self.detector.detect(&picture)?, &mut self.faces);
        rects(self.detector.doubtful(), &mut self.doubtful);

        self.tracker
            .watch(|surroundings, face| surroundings.look(at, &picture, face));
        let boxes = Boxes {
            at,
            size,
            faces: &self.faces,
            doubtful: &self.doubtful,
        };
        let (tracks, present) = self.tracker.update(&boxes, &mut self.random);
        let tracks = &mut tracks[..present];
        let (chosen, skipped) = self.sampling.choose(at, tracks);
        let mut readings = vec![None; present];
        for &place in chosen {
            let reading = self.classifier.classify(&picture, tracks[place].rect())?;
            readings[place] = Some(reading);
        }
        for track in tracks.iter_mut() {
            let rect = *track.rect();
            track.liveness.look(at, &picture, &rect);
        }
        let seen = tracks.iter().zip(readings);
        let faces = seen.map(|(track, reading)| SeenFace {
            track: track.id(),
            before: track.before(),
            rect: *track.rect(),
            reading,
            since_read: track.since_read(at),
            lives: track.liveness.lives(at),
        });
        Ok(FrameFaces {
            at,
            size,
            faces: faces.collect(),
            skipped,
        })
    }

    /// Mean brightness of the last frame, 0..=255.
    pub(crate) fn light(&self) -> u8 {
        self.decoder.light()
    }

    /// Its parts, for timing them one by one.
    pub(crate) fn parts(&mut self) -> (&mut Decoder, &mut Detector, &mut Classifier) {
        (&mut self.decoder, &mut self.detector, &mut self.classifier)
    }
}
