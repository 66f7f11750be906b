//! Embeddings of faces, in float or in int8, to measure how well a network tells people apart.
//!
//! The quantised network with its embedding as an output lives in memory only: no model file has that output.

use std::path::Path;

use affect_tflite::{Delegate, Interpreter, Model, Runtime};
use anyhow::Context as _;
use burn::tensor::Device;

use crate::data::{Face, sample};
use crate::int8::check::stored_input;
use crate::int8::{Options, export};
use crate::network::plan::{Head, Plan};
use crate::weights::Weights;

/// The embeddings of all faces by the int8 network, in the daemon's interpreter. `calibration` are pictures as
/// [`export::export`] wants them.
///
/// # Errors
/// If the network cannot be quantised, the runtime library cannot be used or a picture cannot be read.
pub fn embed_int8(
    plan: &Plan,
    weights: &Weights,
    calibration: &[f32],
    faces: &[&Face],
    runtime: &Path,
    device: &Device,
) -> anyhow::Result<Vec<Vec<f32>>> {
    let mut plan = plan.clone();
    plan.hidden = 0;
    let mut plan = plan.with_heads(&[]);
    plan.heads = vec![Head {
        name: "embedding".to_owned(),
        value: plan.embedding,
        classes: plan.features,
    }];
    let options = Options {
        bias_correction: true,
        description: String::new(),
    };
    let quantised = export::quantise(&plan, weights, calibration, &options, device)?;
    let model = Model::from_bytes(quantised.bytes.clone())?;
    let options = affect_tflite::Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let mut interpreter = Interpreter::new(&Runtime::load(runtime)?, &model, &options)?;
    let mut planes = Vec::new();
    let embedding = |face: &&Face| {
        planes.clear();
        sample::append(&mut planes, face, &plan.input, None)?;
        stored_input(&planes, plan.size, &quantised, interpreter.input_mut(0)?);
        interpreter.invoke()?;
        let mut values = vec![0.0; plan.features];
        interpreter
            .read_output(0, &mut values)
            .with_context(|| face.path.display().to_string())?;
        Ok(values)
    };
    faces.iter().map(embedding).collect()
}
