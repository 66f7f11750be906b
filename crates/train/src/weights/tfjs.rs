//! The published base of the paper: TensorFlow.js graph format, as npm's `@vladmandic/human` carries it.
//!
//! `faceres` is the author's MobileNet-v1 1.0 with age (100 classes), gender and a layer of 256 features
//! between, batch norm folded: pointwise kernels with the scale inside, depthwise kernels with the scale
//! (`…/mul`) beside them. Its input is BGR minus 103.939, 116.779, 123.68.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Array, WeightError, Weights, halves, permuted, transposed};
use crate::network::architecture::{Architecture, Family};

/// Reads `faceres.json` and the binary files that it names.
///
/// # Errors
/// [`WeightError`] if a file cannot be read, is cut short or is another network.
pub fn read(path: &Path) -> Result<Weights, WeightError> {
    let arrays = read_arrays(path)?;
    let find = |name: &str| {
        arrays
            .get(name)
            .ok_or_else(|| WeightError::Missing(name.to_owned()))
    };
    let mut weights = Weights::default();
    let mut put = |name: String, array: Array| weights.insert(name, array);

    put(
        "conv1.kernel".to_owned(),
        outputs_first(find("conv1/convolution/merged_input")?),
    );
    put("conv1.bias".to_owned(), find("conv1_bn/batchnorm_1/sub")?.clone());
    for block in 1..=13 {
        let (dw, pw) = (format!("conv_dw_{block}"), format!("conv_pw_{block}"));
        let mut kernel = depthwise(find(&format!("{dw}/depthwise_kernel"))?);
        let scale = find(&format!("{dw}_bn/batchnorm_1/mul"))?;
        for (values, scale) in kernel.values.chunks_exact_mut(9).zip(&scale.values) {
            values.iter_mut().for_each(|v| *v *= scale);
        }
        put(format!("{dw}.kernel"), kernel);
        put(
            format!("{dw}.bias"),
            find(&format!("{dw}_bn/batchnorm_1/sub"))?.clone(),
        );
        put(
            format!("{pw}.kernel"),
            outputs_first(find(&format!("{pw}/convolution/merged_input"))?),
        );
        put(
            format!("{pw}.bias"),
            find(&format!("{pw}_bn/batchnorm_1/sub"))?.clone(),
        );
    }
    for (ours, theirs) in [("feats", "feats"), ("age", "age_pred"), ("gender", "gender_pred")] {
        put(
            format!("{ours}.kernel"),
            transposed(find(&format!("{theirs}/kernel"))?),
        );
        put(format!("{ours}.bias"), find(&format!("{theirs}/bias"))?.clone());
    }
    let architecture = Architecture {
        name: Family::MobilenetV1,
        width: 1.0,
        size: 224,
        folded: true,
        hidden: 256,
    };
    weights.about = architecture.about();
    for (word, is) in [
        ("heads", "age 100, gender 1"),
        ("channels", "bgr"),
        ("mean", "103.939 116.779 123.68"),
    ] {
        weights.about.insert(word.to_owned(), is.to_owned());
    }
    weights.about.insert(
        "source".to_owned(),
        "npm @vladmandic/human, models/faceres (MIT)".to_owned(),
    );
    Ok(weights)
}

/// The arrays of a TensorFlow.js model, under their own names.
fn read_arrays(path: &Path) -> Result<BTreeMap<String, Array>, WeightError> {
    let file_error = |path: &Path, source| WeightError::File {
        path: path.to_owned(),
        source,
    };
    let damaged = |why: &str| WeightError::Damaged {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let text = std::fs::read(path).map_err(|e| file_error(path, e))?;
    let json: serde_json::Value = serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
    let groups = json["weightsManifest"]
        .as_array()
        .ok_or_else(|| damaged("no `weightsManifest`"))?;
    let mut arrays = BTreeMap::new();
    for group in groups {
        let mut bytes = Vec::new();
        for file in group["paths"].as_array().ok_or_else(|| damaged("no `paths`"))? {
            let file = path.with_file_name(file.as_str().ok_or_else(|| damaged("a path is no text"))?);
            bytes.extend(std::fs::read(&file).map_err(|e| file_error(&file, e))?);
        }
        let mut rest = &bytes[..];
        for entry in group["weights"]
            .as_array()
            .ok_or_else(|| damaged("no `weights`"))?
        {
            let name = entry["name"]
                .as_str()
                .ok_or_else(|| damaged("a weight has no name"))?;
            let shape: Option<Vec<usize>> = entry["shape"]
                .as_array()
                .and_then(|shape| shape.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
            let shape = shape.ok_or_else(|| damaged("a weight has no shape"))?;
            let count: usize = shape.iter().product();
            let half = entry["quantization"]["dtype"] == "float16";
            let (here, after) = rest
                .split_at_checked(count * if half { 2 } else { 4 })
                .ok_or_else(|| damaged(&format!("the binary file ends before `{name}`")))?;
            rest = after;
            if entry["dtype"] == "float32" {
                let values = if half {
                    halves(here)
                } else {
                    here.as_chunks::<4>()
                        .0
                        .iter()
                        .map(|b| f32::from_le_bytes(*b))
                        .collect()
                };
                arrays.insert(name.to_owned(), Array { shape, values });
            }
        }
    }
    Ok(arrays)
}

/// `[height, width, inputs, outputs]` to `[outputs, inputs, height, width]`.
fn outputs_first(array: &Array) -> Array {
    permuted(array, [3, 2, 0, 1])
}

/// `[height, width, channels, 1]` to `[channels, 1, height, width]`.
fn depthwise(array: &Array) -> Array {
    permuted(array, [2, 3, 0, 1])
}
