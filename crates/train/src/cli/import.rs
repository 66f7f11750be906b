//! `affect-train import`: published weights to a weight file.

use std::path::PathBuf;

use affect_train::weights::{Weights, tfjs};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// `faceres.json` of npm @vladmandic/human, or a `.safetensors` file.
    from: PathBuf,
    /// The weight file to write.
    #[arg(long)]
    out: PathBuf,
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
        other => anyhow::bail!(
            "{}: weights are read from `.json` (TensorFlow.js) and `.safetensors`, not from `.{other}`.",
            arguments.from.display()
        ),
    };
    weights.write(&arguments.out)?;
    log::info!("{}: {} arrays.", arguments.out.display(), weights.iter().count());
    Ok(())
}
