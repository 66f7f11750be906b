//! A loaded model ready to run: preprocessing straight into the input tensor, outputs as real numbers.

use affect_core::geometry::Rect;
use affect_core::manifest::Element;
use affect_core::preprocess::{Picture, PreprocessError, Preprocessor, TensorMut};
use affect_tflite::{Delegation, Interpreter, Options, Runtime};

use crate::model::LoadedModel;

/// Why a model did not run on a picture.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The picture did not become a tensor.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The interpreter failed.
    #[error(transparent)]
    Interpreter(#[from] affect_tflite::Error),
}

/// One interpreter and its preprocessing.
#[derive(Debug)]
pub struct Engine {
    interpreter: Interpreter,
    preprocessor: Preprocessor,
    element: Element,
}

impl Engine {
    /// An engine for a model; fails if the library refuses the file or the delegate.
    ///
    /// # Errors
    /// What the interpreter says.
    pub fn new(
        runtime: &Runtime,
        model: &LoadedModel,
        options: &Options,
    ) -> Result<Self, affect_tflite::Error> {
        Ok(Self {
            interpreter: Interpreter::new(runtime, &model.file, options)?,
            preprocessor: Preprocessor::new(&model.manifest.input),
            element: model.manifest.input.element,
        })
    }

    /// Which operators the delegate took; `None` if it does not let itself be watched.
    #[must_use]
    pub fn delegation(&self) -> Option<&Delegation> {
        self.interpreter.delegation()
    }

    /// Brings `region` of the picture into the input tensor. Returns input pixels per picture pixel.
    pub fn fill(&mut self, picture: &Picture<'_>, region: &Rect) -> Result<f32, EngineError> {
        let tensor = match self.element {
            Element::Int8 => TensorMut::Int8(self.interpreter.input_mut(0)?),
            Element::Uint8 => TensorMut::Uint8(self.interpreter.input_mut(0)?),
            Element::Float32 => TensorMut::Float32(self.interpreter.input_mut(0)?),
        };
        Ok(self.preprocessor.fill(picture, region, tensor)?)
    }

    /// Runs the network on what is in the input tensor.
    pub fn invoke(&mut self) -> Result<(), EngineError> {
        Ok(self.interpreter.invoke()?)
    }

    /// Reads an output as real numbers; `into` must have its length.
    pub fn read(&self, output: usize, into: &mut [f32]) -> Result<(), EngineError> {
        Ok(self.interpreter.read_output(output, into)?)
    }

    /// The first values of the input tensor as they are stored, for golden vectors.
    pub fn stored_input(&mut self) -> Result<Vec<f32>, EngineError> {
        Ok(match self.element {
            Element::Int8 => self
                .interpreter
                .input_mut::<i8>(0)?
                .iter()
                .map(|v| f32::from(*v))
                .collect(),
            Element::Uint8 => self
                .interpreter
                .input_mut::<u8>(0)?
                .iter()
                .map(|v| f32::from(*v))
                .collect(),
            Element::Float32 => self.interpreter.input_mut::<f32>(0)?.to_vec(),
        })
    }
}
