//! An exported file in the interpreter that the daemon uses, beside the float network.

use std::path::Path;

use affect_tflite::{Delegate, Interpreter, Model, Options, Runtime};
use burn::tensor::{Device, Tensor, TensorData};

use super::export::Exported;
use crate::network::{Network, values};
use crate::train::validate::argmax;

/// At most so many of the calibration pictures are compared.
const PICTURES: usize = 64;

/// One line per head: how float and int8 agree; and one about delegation.
///
/// # Errors
/// If the library or the file cannot be used, or XNNPACK does not take every operator.
pub fn compare(
    exported: &Exported,
    pictures: &[f32],
    runtime: &Path,
    device: &Device,
) -> anyhow::Result<Vec<String>> {
    let size = exported.plan.size;
    let each = 3 * size * size;
    let network = Network::new(exported.plan.clone(), &exported.folded, device)?;
    let model = Model::from_bytes(exported.bytes.clone())?;
    let options = Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let mut interpreter = Interpreter::new(&Runtime::load(runtime)?, &model, &options)?;
    let mut lines = Vec::new();
    if let Some(delegation) = interpreter.delegation() {
        let (taken, of) = (delegation.operators_delegated, delegation.operators_total);
        anyhow::ensure!(
            taken == of,
            "XNNPACK takes only {taken} of {of} operators of this file."
        );
        lines.push(format!("XNNPACK takes {taken} of {of} operators."));
    }
    let heads = &exported.plan.heads;
    let mut same = vec![0usize; heads.len()];
    let mut difference = vec![0.0f64; heads.len()];
    let count = (pictures.len() / each).min(PICTURES);
    for picture in pictures.chunks_exact(each).take(count) {
        let tensor = TensorData::new(picture.to_vec(), [1, 3, size, size]);
        let float: Vec<Vec<f32>> = network
            .forward(Tensor::from_data(tensor, device))
            .into_iter()
            .map(values)
            .collect();
        stored_input(picture, size, exported, interpreter.input_mut(0)?);
        interpreter.invoke()?;
        for (head, exact) in float.iter().enumerate() {
            let mut found = vec![0.0; exact.len()];
            let place = model
                .outputs()
                .iter()
                .position(|o| o.name == heads[head].name)
                .unwrap_or(head);
            interpreter.read_output(place, &mut found)?;
            same[head] += usize::from(if exact.len() == 1 {
                (exact[0] >= 0.0) == (found[0] >= 0.0)
            } else {
                argmax(exact) == argmax(&found)
            });
            let sum: f32 = exact.iter().zip(&found).map(|(a, b)| (a - b).abs()).sum();
            difference[head] += f64::from(sum) / exact.len() as f64;
        }
    }
    for (head, plan) in heads.iter().enumerate() {
        lines.push(format!(
            "{}: float and int8 give the same answer to {} of {count} pictures; logits differ by {:.4} on average.",
            plan.name,
            same[head],
            difference[head] / count.max(1) as f64
        ));
    }
    Ok(lines)
}

/// Planes to stored pixels, channels last.
pub fn stored_input(planes: &[f32], size: usize, exported: &Exported, into: &mut [i8]) {
    let pixels = size * size;
    for (at, stored) in into.iter_mut().enumerate() {
        let value = planes[at % 3 * pixels + at / 3] / exported.input.scale;
        // A float-to-integer cast saturates.
        *stored = (value.round() + exported.input.zero_point as f32) as i8;
    }
}
