//! Finds the faces of a picture with a YuNet network.

use affect_core::detection::{Face, Heads, STRIDES, suppress_overlaps};
use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_tflite::{Options, Runtime};

use super::OpenError;
use super::engine::{Engine, EngineError};
use crate::model::LoadedModel;

/// What counts as a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorSettings {
    /// Least confidence of a face, 0..=1.
    pub score_threshold: f32,
    /// Faces that overlap by more are one, 0..=1.
    pub nms_iou: f32,
    /// Least length of a box's shorter side, in pixels of the picture.
    pub min_face_px: f32,
}

/// Least confidence of a box that may be a face, 0..=1: of a face that is half hidden or half turned away.
const DOUBTFUL: f32 = 0.3;

/// The detector.
#[derive(Debug)]
pub struct Detector {
    engine: Engine,
    settings: DetectorSettings,
    input_width: usize,
    heads: Vec<HeadBuffers>,
    /// Boxes of the last picture, best first, and how many of them are faces.
    boxes: Vec<Face>,
    faces: usize,
}

/// Outputs of one stride, and where they are read from.
#[derive(Debug)]
struct HeadBuffers {
    stride: usize,
    /// Places of cls, obj, bbox and kps among the file's outputs.
    places: [usize; 4],
    /// Their values.
    values: [Vec<f32>; 4],
}

/// Roles of the outputs at each stride, and values per cell.
const ROLES: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

impl Detector {
    /// Opens a detector; its manifest must name YuNet's twelve heads.
    pub fn new(
        runtime: &Runtime,
        model: &LoadedModel,
        options: &Options,
        settings: DetectorSettings,
    ) -> Result<Self, OpenError> {
        let input = &model.manifest.input;
        let mut heads = Vec::new();
        for stride in STRIDES {
            let cells = (input.width / stride) * (input.height / stride);
            let mut places = [0; 4];
            let values = ROLES.map(|(_, per_cell)| vec![0.0; cells * per_cell]);
            for ((place, (role, _)), values) in places.iter_mut().zip(ROLES).zip(&values) {
                let role = format!("{role}_{stride}");
                let length = |role| {
                    model
                        .manifest
                        .output(role)
                        .map(|o| o.shape.iter().product::<usize>())
                };
                *place = match (model.output(&role), length(&role)) {
                    (Some(place), Some(length)) if length == values.len() => place,
                    _ => {
                        return Err(OpenError::Head {
                            folder: model.folder.clone(),
                            role,
                            values: values.len(),
                        });
                    }
                };
            }
            heads.push(HeadBuffers {
                stride,
                places,
                values,
            });
        }
        let engine = Engine::new(runtime, model, options)?;
        Ok(Self {
            engine,
            settings,
            input_width: input.width,
            heads,
            boxes: Vec::new(),
            faces: 0,
        })
    }

    /// The faces of a picture, best first.
    pub fn detect(&mut self, picture: &Picture<'_>) -> Result<&[Face], EngineError> {
        let whole = Rect::of_image(picture.width(), picture.height());
        let scale = self.engine.fill(picture, &whole)?;
        self.engine.invoke()?;
        self.boxes.clear();
        for head in &mut self.heads {
            for (place, values) in head.places.iter().zip(&mut head.values) {
                self.engine.read(*place, values)?;
            }
            let [cls, obj, bbox, kps] = &head.values;
            let heads = Heads {
                stride: head.stride,
                cls,
                obj,
                bbox,
                kps,
            };
            heads.decode(
                self.input_width,
                scale,
                DOUBTFUL.min(self.settings.score_threshold),
                &mut self.boxes,
            );
        }
        let least = self.settings.min_face_px;
        self.boxes.retain(|face| face.rect.short_side() >= least);
        // Better ones go first, so no doubtful box takes a face away.
        suppress_overlaps(&mut self.boxes, self.settings.nms_iou);
        let threshold = self.settings.score_threshold;
        self.faces = self.boxes.partition_point(|face| face.score >= threshold);
        Ok(&self.boxes[..self.faces])
    }

    /// What may be a face in the picture that was looked at last, but is not sure enough to be one; best first.
    #[must_use]
    pub fn doubtful(&self) -> &[Face] {
        &self.boxes[self.faces..]
    }

    /// The network under it.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
