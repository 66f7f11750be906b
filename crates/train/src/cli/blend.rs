//! `affect-train blend`: between the weights a run started from and those it came to.

use std::path::{Path, PathBuf};

use affect_train::evaluate::model::{open_network, plan_of};
use affect_train::int8::fold::fold;
use affect_train::network::architecture::Architecture;
use affect_train::weights::Weights;
use affect_train::weights::mean::blend;
use anyhow::{Context as _, bail};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The weight file from which a run started.
    from: PathBuf,
    /// The weight file that it came to.
    to: PathBuf,
    /// How much of `to`: 0 is `from`, 1 is `to`. What lies between keeps most of what `from` knew and has most of what was learnt
    /// (Wortsman et al., 2022).
    #[arg(long, default_value_t = 0.5)]
    share: f64,
    /// The weight file to write. Batch norm is folded.
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(0.0..=1.0).contains(&arguments.share) {
        bail!("--share is {}, but it goes from 0 to 1.", arguments.share);
    }
    let (from, to) = (folded(&arguments.from)?, folded(&arguments.to)?);
    let blend = blend(&[(&from, 1.0 - arguments.share), (&to, arguments.share)]).with_context(|| {
        format!(
            "{} and {} are not of one network",
            arguments.from.display(),
            arguments.to.display()
        )
    })?;
    blend.write(&arguments.out)?;
    log::info!(
        "{}: {} of {}.",
        arguments.out.display(),
        arguments.share,
        arguments.to.display()
    );
    Ok(())
}

/// Without batch norm: its statistics belong to the kernels beside them, and could not be mixed.
fn folded(path: &Path) -> anyhow::Result<Weights> {
    let (plan, weights, _) = open_network(path, &affect_train::device::cpu())?;
    let mut folded = fold(&plan, &weights)?.1;
    let architecture = folded
        .about
        .get("architecture")
        .map(String::as_str)
        .unwrap_or_default();
    let mut architecture: Architecture = serde_json::from_str(architecture)?;
    architecture.folded = true;
    folded.about.extend(architecture.about());
    plan_of(&folded, None)?;
    Ok(folded)
}
