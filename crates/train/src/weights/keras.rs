//! Keras weights: `.h5` files of Keras 2 and 3 with MobileNet-v1 or EfficientNet-B0 under the names that
//! `keras.applications` gives its layers, and any dense layers on top as heads.
//!
//! So whoever has the author's `mobilenet_7.h5` can run it on a device.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Hdf5File};

use super::{Array, WeightError, Weights, permuted, transposed};

/// Reads a weight file. Dense layers keep their names; see [`Weights::rename_step`].
///
/// # Errors
/// [`WeightError`] if the file cannot be read or has no layer that is known.
pub fn read(path: &Path) -> Result<Weights, WeightError> {
    let damaged = |why: String| WeightError::Damaged {
        path: path.to_owned(),
        why,
    };
    std::fs::metadata(path).map_err(|source| WeightError::File {
        path: path.to_owned(),
        source,
    })?;
    let file = Hdf5File::open(path).map_err(|e| damaged(e.to_string()))?;
    let root = file.root_group().map_err(|e| damaged(e.to_string()))?;
    let root = root.group("model_weights").unwrap_or(root);
    let mut variables = BTreeMap::new();
    for layer in root.groups().map_err(|e| damaged(e.to_string()))? {
        let name = layer.name().to_owned();
        collect(&layer, &name, &mut variables).map_err(|e| damaged(e.to_string()))?;
    }
    let mut weights = Weights::default();
    for ((layer, variable), array) in variables {
        let step = step_name(&layer);
        let (part, array) = match (variable.as_str(), array.shape.len()) {
            ("depthwise_kernel", 4) => ("kernel", permuted(&array, [2, 3, 0, 1])),
            ("kernel", 4) if step.contains("_dw") => ("kernel", permuted(&array, [2, 3, 0, 1])),
            ("kernel", 4) => ("kernel", permuted(&array, [3, 2, 0, 1])),
            ("kernel", 2) => ("kernel", transposed(&array)),
            ("bias", 1) => ("bias", array),
            ("gamma", 1) => ("gamma", array),
            ("beta", 1) => ("beta", array),
            ("moving_mean", 1) => ("mean", array),
            ("moving_variance", 1) => ("variance", array),
            _ => continue,
        };
        weights.insert(format!("{step}.{part}"), array);
    }
    if weights.iter().next().is_none() {
        return Err(damaged("it has no layer with weights".to_owned()));
    }
    Ok(weights)
}

/// Arrays by (layer, variable), whatever groups lie between.
fn collect(
    group: &Group,
    layer: &str,
    into: &mut BTreeMap<(String, String), Array>,
) -> Result<(), hdf5_reader::error::Error> {
    let (groups, datasets) = group.members()?;
    for dataset in datasets {
        let name = dataset.name().rsplit('/').next().unwrap_or_default();
        let variable = name.split(':').next().unwrap_or_default().to_owned();
        into.insert((layer.to_owned(), variable), array(&dataset)?);
    }
    for inner in groups {
        collect(&inner, layer, into)?;
    }
    Ok(())
}

fn array(dataset: &Dataset) -> Result<Array, hdf5_reader::error::Error> {
    let values = dataset.read_array::<f32>()?;
    Ok(Array {
        shape: values.shape().to_vec(),
        values: values.iter().copied().collect(),
    })
}

/// Our name for a layer of Keras.
fn step_name(layer: &str) -> String {
    if let Some(step) = layer.strip_suffix("_bn") {
        // EfficientNet's plain `block1a_bn` follows its depthwise convolution.
        let plain = step.starts_with("block") && !step.contains('_');
        return if plain {
            format!("{step}_dw")
        } else {
            step.to_owned()
        };
    }
    match layer {
        "stem_conv" => "stem".to_owned(),
        "top_conv" => "top".to_owned(),
        _ => layer
            .replace("_dwconv", "_dw")
            .replace("_se_reduce", "_reduce")
            .replace("_se_expand", "_excite")
            .replace("_expand_conv", "_expand")
            .replace("_project_conv", "_project"),
    }
}
