//! Reads the expression of a face.

use affect_core::expression::{EXPRESSIONS, Expression, Scores, dominant, softmax};
use affect_core::geometry::Rect;
use affect_core::manifest::Activation;
use affect_core::preprocess::Picture;
use affect_core::window::Reading;
use affect_tflite::{Options, Runtime};

use super::OpenError;
use super::engine::{Engine, EngineError};
use crate::model::LoadedModel;

/// The expression classifier.
#[derive(Debug)]
pub struct Classifier {
    engine: Engine,
    /// Place of the expression output among the file's outputs.
    output: usize,
    labels: Vec<Expression>,
    activation: Activation,
    unknown_below: f32,
    values: Vec<f32>,
}

impl Classifier {
    /// Opens a classifier. A reading with less confidence than `unknown_below` (0..=1) is not confident.
    pub fn new(
        runtime: &Runtime,
        model: &LoadedModel,
        options: &Options,
        unknown_below: f32,
    ) -> Result<Self, OpenError> {
        let missing = || OpenError::NoExpression {
            folder: model.folder.clone(),
        };
        let head = model.manifest.expression.as_ref().ok_or_else(missing)?;
        let output = model.output(&head.output).ok_or_else(missing)?;
        Ok(Self {
            engine: Engine::new(runtime, model, options)?,
            output,
            labels: head.labels.clone(),
            activation: head.activation,
            unknown_below,
            values: vec![0.0; head.labels.len()],
        })
    }

    /// Reads the expression of the face in `region`, which is taken without a margin, as in the paper.
    pub fn classify(&mut self, picture: &Picture<'_>, region: &Rect) -> Result<Reading, EngineError> {
        self.engine.fill(picture, region)?;
        let scores = self.run()?;
        Ok(Reading {
            scores,
            confident: dominant(&scores).1 >= self.unknown_below,
        })
    }

    /// Runs the network on what is in the input tensor and gives the scores.
    pub fn run(&mut self) -> Result<Scores, EngineError> {
        self.engine.invoke()?;
        self.engine.read(self.output, &mut self.values)?;
        if self.activation == Activation::Softmax {
            softmax(&mut self.values);
        }
        let mut scores = [0.0; EXPRESSIONS];
        for (label, value) in self.labels.iter().zip(&self.values) {
            scores[label.index()] = *value;
        }
        Ok(scores)
    }

    /// The network under it.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
