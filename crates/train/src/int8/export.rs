//! A network as an int8 graph.

use affect_core::manifest::Quantisation;
use burn::tensor::{Device, Tensor, TensorData};

use super::calibrate::{self, LEAST_PICTURES};
use super::draw::Drawing;
use super::error::ExportError;
use super::fold::fold;
use super::graph::Graph;
use super::write::write;
use crate::network::Network;
use crate::network::plan::Plan;
use crate::weights::Weights;

/// How to quantise.
#[derive(Debug, Clone)]
pub struct Options {
    /// Correct biases by the mean error of quantisation.
    pub bias_correction: bool,
    /// Goes into the file: which model it is.
    pub description: String,
}

/// What came out.
#[derive(Debug)]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// The graph in it.
    pub graph: Graph,
    /// The folded plan.
    pub plan: Plan,
    /// Its float weights, before quantisation and correction.
    pub folded: Weights,
    /// How pictures are stored in the input tensor.
    pub input: Quantisation,
}

/// Quantises a network for a model file. `pictures` are calibration pictures, each `[3, size, size]`, one after another.
///
/// # Errors
/// [`ExportError`]; [`ExportError::Identity`] if a head could tell people apart.
pub fn export(
    plan: &Plan,
    weights: &Weights,
    pictures: &[f32],
    options: &Options,
    device: &Device,
) -> Result<Exported, ExportError> {
    if let Some(head) = plan
        .heads
        .iter()
        .find(|head| ["identity", "embedding"].contains(&head.name.as_str()))
    {
        return Err(ExportError::Identity(head.name.clone()));
    }
    quantise(plan, weights, pictures, options, device)
}

/// The same with any heads, to be measured in memory and not to be written: see `evaluate::recognition`.
///
/// # Errors
/// [`ExportError`].
pub(crate) fn quantise(
    plan: &Plan,
    weights: &Weights,
    pictures: &[f32],
    options: &Options,
    device: &Device,
) -> Result<Exported, ExportError> {
    let (plan, folded) = fold(plan, weights)?;
    let each = 3 * plan.size * plan.size;
    let count = pictures.len() / each;
    if count < LEAST_PICTURES {
        return Err(ExportError::Calibration { found: count });
    }
    let data = TensorData::new(
        pictures[..count * each].to_vec(),
        [count, 3, plan.size, plan.size],
    );
    let pictures: Tensor<4> = Tensor::from_data(data, device);

    let float = Network::new(plan.clone(), &folded, device)?;
    let mut ranges = calibrate::ranges(&float, &pictures);
    let pixels = |pixel: f32| {
        let input = &plan.input;
        input
            .mean
            .iter()
            .zip(&input.std)
            .map(move |(mean, std)| (pixel - mean) / std)
    };
    // Every pixel value must fit, not only those of the calibration pictures.
    ranges.values[0] = calibrate::Range {
        least: pixels(0.0).fold(0.0, f32::min),
        most: pixels(255.0).fold(0.0, f32::max),
    };
    let mut quantised = folded.clone();
    if options.bias_correction {
        let rounded = Network::new(
            plan.clone(),
            &calibrate::rounded_weights(&plan, &folded, &ranges),
            device,
        )?;
        quantised = calibrate::correct_biases((&float, &rounded), &ranges, &folded, &pictures, device);
    }
    let input = ranges.values[0].quantised();
    let graph = Drawing::new(&plan, &quantised, &ranges)?.draw()?;
    Ok(Exported {
        bytes: write(&graph, &options.description),
        graph,
        folded,
        input: Quantisation {
            scale: input.scale[0],
            zero_point: input.zero_point[0] as i32,
        },
        plan,
    })
}
