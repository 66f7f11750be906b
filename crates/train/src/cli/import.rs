//! `affect-train import`: published weights to a weight file.

use std::path::PathBuf;

use affect_core::expression::Expression;
use affect_train::data::faces::expression_by_name;
use affect_train::network::architecture::{Architecture, Family};
use affect_train::network::plan::Plan;
use affect_train::weights::{Weights, keras, tfjs, tflite};
use anyhow::{Context as _, bail};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// `faceres.json` of npm @vladmandic/human, a Keras `.h5` file, a `.safetensors` file, or an int8 `.tflite` that
    /// `affect-train export` wrote.
    from: PathBuf,
    /// The weight file to write.
    #[arg(long)]
    out: PathBuf,
    /// For `.h5` and `.tflite`: the backbone.
    #[arg(long, value_enum, default_value_t = Family::MobilenetV1)]
    network: Family,
    /// For `.h5` and `.tflite`: MobileNet's width.
    #[arg(long, default_value_t = 1.0)]
    width: f32,
    /// For `.h5` and `.tflite`: side of the input, pixels.
    #[arg(long, default_value_t = 224)]
    size: usize,
    /// For `.h5` and `.tflite`: `rgb` (the author's expression models) or `bgr`.
    #[arg(long, default_value = "rgb", value_parser = ["rgb", "bgr"])]
    channels: String,
    /// For `.h5` and `.tflite`: what is subtracted from the first, second and third channel.
    #[arg(long, default_value = "103.939 116.779 123.68")]
    mean: String,
    /// For `.h5`: the dense layer that is the expression head.
    #[arg(long)]
    head: Option<String>,
    /// For `.h5`: the head's labels in their order, separated by commas.
    #[arg(long, value_delimiter = ',')]
    labels: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let ending = arguments
        .from
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let weights = match ending {
        "json" => tfjs::read(&arguments.from)?,
        "safetensors" => Weights::read(&arguments.from)?,
        "h5" | "hdf5" => from_keras(arguments)?,
        "tflite" => from_tflite(arguments)?,
        other => bail!(
            "{}: weights are read from `.json` (TensorFlow.js), `.h5` (Keras), `.tflite` (our own) and `.safetensors`, not from `.{other}`.",
            arguments.from.display()
        ),
    };
    weights.write(&arguments.out)?;
    log::info!("{}: {} arrays.", arguments.out.display(), weights.iter().count());
    Ok(())
}

/// The network that the options tell, and the words about it for the weight file.
fn described(arguments: &Arguments, weights: &mut Weights, folded: bool) -> anyhow::Result<Plan> {
    let architecture = Architecture {
        name: arguments.network,
        width: arguments.width,
        size: arguments.size,
        folded,
        hidden: 0,
    };
    weights.about = architecture.about();
    let mut say = |word: &str, is: &str| weights.about.insert(word.to_owned(), is.to_owned());
    say("channels", &arguments.channels);
    say("mean", &arguments.mean);
    architecture.plan().map_err(anyhow::Error::msg)
}

/// Of our own int8 file every dense layer that the backbone does not have is a head.
fn from_tflite(arguments: &Arguments) -> anyhow::Result<Weights> {
    let mut weights = tflite::read(&arguments.from)?;
    let plan = described(arguments, &mut weights, true)?;
    let heads: Vec<(String, usize)> = weights
        .iter()
        .filter_map(|(name, array)| Some((name.strip_suffix(".kernel")?.to_owned(), array.shape[0])))
        .filter(|(step, _)| plan.steps.iter().all(|known| known.name != *step))
        .collect();
    let words: Vec<String> = heads
        .iter()
        .map(|(name, classes)| format!("{name} {classes}"))
        .collect();
    weights.about.insert("heads".to_owned(), words.join(", "));
    let heads: Vec<(&str, usize)> = heads
        .iter()
        .map(|(name, classes)| (name.as_str(), *classes))
        .collect();
    // Whatever does not fit is said now, not when the file is used.
    affect_train::network::Network::new(plan.with_heads(&heads), &weights, &affect_train::device::cpu())?;
    Ok(weights)
}

fn from_keras(arguments: &Arguments) -> anyhow::Result<Weights> {
    let mut weights = keras::read(&arguments.from)?;
    let mut plan = described(arguments, &mut weights, false)?;
    if let Some(head) = &arguments.head {
        weights.rename_step(head, "expression")?;
        let labels: Vec<&str> = arguments
            .labels
            .iter()
            .map(|label| {
                let found = expression_by_name(label)
                    .with_context(|| format!("`{label}` is not one of the eight expressions."))?;
                Ok(found.name())
            })
            .collect::<anyhow::Result<_>>()?;
        let classes = if labels.is_empty() {
            Expression::ALL.len()
        } else {
            labels.len()
        };
        weights.about.insert("labels".to_owned(), labels.join(", "));
        weights
            .about
            .insert("heads".to_owned(), format!("expression {classes}"));
        plan = plan.with_heads(&[("expression", classes)]);
    }
    // Whatever does not fit is said now, not when the file is used.
    affect_train::network::Network::new(plan, &weights, &affect_train::device::cpu())?;
    Ok(weights)
}
