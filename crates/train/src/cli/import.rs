//! `affect-train import`: published weights to a weight file.

use std::path::PathBuf;

use affect_core::expression::Expression;
use affect_train::data::faces::expression_by_name;
use affect_train::network::architecture::{Architecture, Family};
use affect_train::weights::{Weights, keras, tfjs};
use anyhow::{Context as _, bail};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// `faceres.json` of npm @vladmandic/human, a Keras `.h5` file, or a `.safetensors` file.
    from: PathBuf,
    /// The weight file to write.
    #[arg(long)]
    out: PathBuf,
    /// For `.h5`: the backbone.
    #[arg(long, value_enum, default_value_t = Family::MobilenetV1)]
    network: Family,
    /// For `.h5`: MobileNet's width.
    #[arg(long, default_value_t = 1.0)]
    width: f32,
    /// For `.h5`: side of the input, pixels.
    #[arg(long, default_value_t = 224)]
    size: usize,
    /// For `.h5`: `rgb` (the author's expression models) or `bgr`.
    #[arg(long, default_value = "rgb", value_parser = ["rgb", "bgr"])]
    channels: String,
    /// For `.h5`: what is subtracted from the first, second and third channel.
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
        other => bail!(
            "{}: weights are read from `.json` (TensorFlow.js), `.h5` (Keras) and `.safetensors`, not from `.{other}`.",
            arguments.from.display()
        ),
    };
    weights.write(&arguments.out)?;
    log::info!("{}: {} arrays.", arguments.out.display(), weights.iter().count());
    Ok(())
}

fn from_keras(arguments: &Arguments) -> anyhow::Result<Weights> {
    let mut weights = keras::read(&arguments.from)?;
    let architecture = Architecture {
        name: arguments.network,
        width: arguments.width,
        size: arguments.size,
        folded: false,
        hidden: 0,
    };
    let mut plan = architecture.plan().map_err(anyhow::Error::msg)?;
    weights.about = architecture.about();
    weights
        .about
        .insert("channels".to_owned(), arguments.channels.clone());
    weights.about.insert("mean".to_owned(), arguments.mean.clone());
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
