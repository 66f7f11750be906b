//! Training: the paper's three stages, each told by a recipe.
//!
//! One loop for all: what differs is which heads a network has, what they should answer ([`target`]) and which
//! layers learn. Order and augmentation of every epoch are drawn from (seed, epoch, picture), so that a run
//! that was killed goes on exactly as if it had not been.

pub mod card;
pub mod checkpoint;
pub mod curves;
mod order;
pub mod recipe;
mod rehearse;
mod run;
mod start;
pub mod step;
pub mod target;
pub mod validate;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::data::{Face, Faces, teachers};
use crate::device::Kind;
use curves::Point;
use recipe::{Recipe, Source};
pub use rehearse::rehearse;
use run::Run;
use target::{Names, Target};

/// Pictures on which batch norm is measured before training.
const MEASURED: usize = 256;

/// Where a run reads and writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The recipe file.
    pub recipe: PathBuf,
    /// The folder in which the recipe's data sets lie.
    pub data: PathBuf,
    /// The weight file to start from, instead of the recipe's.
    pub start: Option<PathBuf>,
    /// Checkpoints, curves and the result.
    pub out: PathBuf,
    /// What to compute on.
    pub device: Kind,
    /// Stop after so many steps: for tests of resuming.
    pub stop_after: Option<usize>,
    /// Another seed than the recipe's.
    pub seed: Option<u64>,
    /// At most so many epochs in every phase.
    pub epochs: Option<usize>,
}

impl Places {
    /// The recipe, with what is asked for instead.
    ///
    /// # Errors
    /// [`recipe::RecipeError`].
    pub fn recipe(&self) -> Result<Recipe, recipe::RecipeError> {
        let mut recipe = Recipe::read(&self.recipe)?;
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        for phase in &mut recipe.phase {
            phase.epochs = self.epochs.map_or(phase.epochs, |most| phase.epochs.min(most));
        }
        Ok(recipe)
    }
}

/// What a whole run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The weight file with the best validation.
    pub best: PathBuf,
    /// Every epoch.
    pub points: Vec<Point>,
    /// Whether all epochs are done.
    pub complete: bool,
}

/// Trains by a recipe, from the last checkpoint if there is one.
///
/// # Errors
/// Whatever is wrong with the recipe, the data, the weights or the disk; a loss that is no number.
pub fn train(places: &Places) -> anyhow::Result<Outcome> {
    let recipe = places.recipe()?;
    let read = ReadData::of(&recipe, &places.data)?;
    let data = &read.sources;
    let groups = read.groups(&recipe);
    let judged = chosen(&read.validation, &recipe.validation);
    let every: Vec<&Face> = groups.iter().flatten().copied().collect();
    let targets = Target::of_stage(&recipe, &every, &read.names())?;
    log::info!(
        "{} training pictures, {} for validation.",
        every.len(),
        judged.len()
    );

    let mut run = Run::begin(places, &recipe, targets, &spread(&every, MEASURED))?;
    run.ethnicities = data
        .iter()
        .map(|d| d.ethnicities.join(", "))
        .max_by_key(String::len)
        .unwrap_or_default();
    run.count_priors(&groups);
    while run.state.epoch < recipe.epochs() {
        if !run.epoch(&groups, &judged)? {
            break;
        }
    }
    Ok(Outcome {
        best: places.out.join(BEST),
        complete: run.state.epoch == recipe.epochs(),
        points: run.state.points,
    })
}

/// The weights with the best validation.
pub const BEST: &str = "best.safetensors";

/// The mean of the weights at the ends of the phases that say so.
pub const AVERAGE: &str = "average.safetensors";

/// The recipe's data sets, as they were read.
struct ReadData {
    sources: Vec<Faces>,
    validation: Faces,
}

impl ReadData {
    fn of(recipe: &Recipe, data: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            sources: recipe
                .data
                .iter()
                .map(|s| read(s, data))
                .collect::<anyhow::Result<_>>()?,
            validation: read(&recipe.validation, data)?,
        })
    }

    /// The pictures of each source.
    fn groups(&self, recipe: &Recipe) -> Vec<Vec<&Face>> {
        let sources = self.sources.iter().zip(&recipe.data);
        sources.map(|(faces, source)| chosen(faces, source)).collect()
    }

    fn names(&self) -> Names {
        let most = |of: fn(&Faces) -> usize| self.sources.iter().map(of).max().unwrap_or(0);
        Names {
            identities: most(|d| d.identities.len()),
            ethnicities: most(|d| d.ethnicities.len()),
        }
    }
}

fn read(source: &Source, data: &Path) -> anyhow::Result<Faces> {
    let folder = data.join(&source.path);
    let mut faces = source.format.read(&folder)?;
    if let Some(table) = &source.teachers {
        teachers::teach(
            &mut faces,
            (&folder, &source.split),
            (&data.join(table), source.taught),
        )?;
    }
    for (why, count) in faces.skipped_by_reason() {
        log::warn!("{}: {count} item(s) left out: {why}", source.path.display());
    }
    Ok(faces)
}

/// The pictures of a source: its split, without those that the set knows to be in another split, too.
fn chosen<'a>(faces: &'a Faces, source: &Source) -> Vec<&'a Face> {
    let mut chosen = faces.split(&source.split);
    chosen.retain(|face| !face.known_duplicate);
    if source.limit > 0 {
        chosen = spread(&chosen, source.limit);
    }
    chosen
}

/// At most so many of the faces, evenly spread.
fn spread<'a>(faces: &[&'a Face], most: usize) -> Vec<&'a Face> {
    let count = most.min(faces.len());
    (0..count).map(|i| faces[i * faces.len() / count]).collect()
}

/// A progress bar on stderr; nothing where stderr is no terminal.
pub fn progress(length: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}");
    let bar = ProgressBar::new(length as u64).with_prefix(what.to_owned());
    match style.context("the template is fixed") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
