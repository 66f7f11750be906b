//! `affect-train data`: what is in data sets.

use std::path::Path;

use affect_train::data::{Format, summary};
use anyhow::Context as _;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Data sets, each as FORMAT:PATH.
    #[arg(required = true)]
    sets: Vec<String>,
}

#[allow(clippy::print_stdout)] // the summary is what this command is for
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut sets = Vec::new();
    for text in &arguments.sets {
        let (format, path) = text
            .split_once(':')
            .with_context(|| format!("`{text}`: write FORMAT:PATH."))?;
        let format = <Format as clap::ValueEnum>::from_str(format, true)
            .map_err(|_| anyhow::anyhow!("`{text}`: `{format}` is no known layout."))?;
        sets.push((text.clone(), format.read(Path::new(path))?));
    }
    print!("{}", summary::summary(&sets));
    Ok(())
}
