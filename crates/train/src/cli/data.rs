//! `affect-train data`: what is in data sets.

use affect_train::data::summary;

use super::Set;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Data sets, each as FORMAT:PATH.
    #[arg(required = true)]
    sets: Vec<Set>,
}

#[allow(clippy::print_stdout)] // the summary is what this command is for
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut sets = Vec::new();
    for set in &arguments.sets {
        sets.push((set.text.clone(), set.format.read(&set.path)?));
    }
    print!("{}", summary::summary(&sets));
    Ok(())
}
