//! `affect-train identity | attributes | emotion`: one stage of training.

use std::path::PathBuf;

use affect_train::device::Kind;
use affect_train::train::recipe::{Recipe, Stage};
use affect_train::train::{self, Places};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The recipe, a TOML file: crates/train/recipes/.
    recipe: PathBuf,
    /// The folder in which the recipe's data sets lie.
    #[arg(long)]
    data: PathBuf,
    /// Checkpoints, curves and the result go here. A run that was stopped goes on from here.
    #[arg(long)]
    out: PathBuf,
    /// The weight file to start from.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// What to compute on. A graphics card needs a program that was built for it.
    #[arg(long, value_enum, default_value_t)]
    device: Kind,
    /// Stop after so many steps, with a checkpoint.
    #[arg(long)]
    stop_after: Option<usize>,
    /// Another seed than the recipe's.
    #[arg(long)]
    seed: Option<u64>,
    /// At most so many epochs in every phase.
    #[arg(long)]
    epochs: Option<usize>,
    /// Train nothing: read and check everything, print what would be learnt from, and write a sheet of the pictures of the first
    /// epoch, as the network would see them, to `pictures.png` below --out.
    #[arg(long)]
    dry_run: bool,
}

#[allow(clippy::print_stdout)] // the table is what --dry-run is for
pub(super) fn run(arguments: &Arguments, stage: Stage) -> anyhow::Result<()> {
    let recipe = Recipe::read(&arguments.recipe)?;
    if recipe.stage != stage {
        anyhow::bail!(
            "{} is a recipe for another stage ({:?}): use that command.",
            arguments.recipe.display(),
            recipe.stage
        );
    }
    let places = Places {
        recipe: arguments.recipe.clone(),
        data: arguments.data.clone(),
        start: arguments.weights.clone(),
        out: arguments.out.clone(),
        device: arguments.device,
        stop_after: arguments.stop_after,
        seed: arguments.seed,
        epochs: arguments.epochs,
    };
    if arguments.dry_run {
        let (table, sheet) = train::rehearse(&places)?;
        print!("{table}");
        log::info!("{}: a row of pictures per source.", sheet.display());
        return Ok(());
    }
    let outcome = train::train(&places)?;
    if outcome.complete {
        log::info!("Done: {}.", outcome.best.display());
    } else {
        log::info!(
            "Stopped after {} epochs; the same command goes on.",
            outcome.points.len()
        );
    }
    Ok(())
}
