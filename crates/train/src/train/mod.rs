//! Training: the paper's three stages, each told by a recipe.
//!
//! One loop for all: what differs is which heads a network has, what they should answer ([`target`]) and which
//! layers learn. Order and augmentation of every epoch are drawn from (seed, epoch, picture), so that a run
//! that was killed goes on exactly as if it had not been.

pub mod checkpoint;
pub mod curves;
pub mod recipe;
pub mod step;
pub mod target;
pub mod validate;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use affect_core::manifest::Input;
use anyhow::{Context as _, bail};
use burn::module::Module as _;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::data::{Face, Faces, sample};
use crate::device::{self, Kind};
use crate::network::Network;
use crate::network::architecture::Architecture;
use crate::weights::Weights;
use crate::weights::unfold::unfold;
use checkpoint::State;
use curves::Point;
use recipe::{Phase, Recipe, Source};
use step::Batch;
use target::{Names, Target};

/// How often a checkpoint is made within an epoch.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(180);

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
    let recipe = Recipe::read(&places.recipe)?;
    let data = recipe
        .data
        .iter()
        .map(|s| read(s, &places.data))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let validation = read(&recipe.validation, &places.data)?;
    let groups: Vec<Vec<&Face>> = data
        .iter()
        .zip(&recipe.data)
        .map(|(faces, source)| chosen(faces, source))
        .collect();
    let judged = chosen(&validation, &recipe.validation);
    let every: Vec<&Face> = groups.iter().flatten().copied().collect();
    let most = |of: fn(&Faces) -> usize| data.iter().map(of).max().unwrap_or(0);
    let names = Names {
        identities: most(|d| d.identities.len()),
        ethnicities: most(|d| d.ethnicities.len()),
    };
    let targets = Target::of_stage(&recipe, &every, &names)?;
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

fn read(source: &Source, data: &Path) -> anyhow::Result<Faces> {
    let faces = source.format.read(&data.join(&source.path))?;
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

struct Run<'a> {
    recipe: &'a Recipe,
    places: &'a Places,
    device: Device,
    targets: Vec<Target>,
    network: Network,
    optimiser: ModuleOptimizer,
    state: State,
    started: Instant,
    steps_left: usize,
    ethnicities: String,
}

impl<'a> Run<'a> {
    /// `measured` are pictures to measure batch norm on, where the start weights have it folded.
    fn begin(
        places: &'a Places,
        recipe: &'a Recipe,
        targets: Vec<Target>,
        measured: &[&Face],
    ) -> anyhow::Result<Self> {
        let device = places.device.open(&recipe.network)?.autodiff();
        let heads: Vec<(&str, usize)> = targets.iter().map(|t| (t.head.as_str(), t.classes)).collect();
        let mut plan = recipe
            .network
            .plan()
            .map_err(anyhow::Error::msg)?
            .with_heads(&heads);
        let digest = crate::sha256(serde_json::to_string(recipe)?.as_bytes());
        let (weights, optimiser, state) = match checkpoint::load(&places.out, &digest, fresh(recipe))? {
            Some((weights, optimiser, state)) => {
                log::info!("Going on after epoch {}, step {}.", state.epoch, state.step);
                (weights, optimiser, state)
            }
            None => {
                let start = places.start.clone().or_else(|| recipe.start.clone());
                let weights = match &start {
                    None => Weights::random(&plan, recipe.seed),
                    Some(path) => start_weights(path, &recipe.network, &plan, (recipe.seed, measured))?,
                };
                let state = State {
                    recipe: digest,
                    ..State::default()
                };
                (weights, fresh(recipe), state)
            }
        };
        plan.input = sample::input_of(&weights.about, plan.size);
        let network =
            Network::new(plan, &weights, &device).map_err(|source| checkpoint::CheckpointError::Network {
                path: checkpoint::folder(&places.out),
                source,
            })?;
        Ok(Self {
            recipe,
            places,
            device,
            targets,
            network,
            optimiser,
            state,
            started: Instant::now(),
            steps_left: places.stop_after.unwrap_or(usize::MAX),
            ethnicities: String::new(),
        })
    }

    /// One epoch, or the rest of it. False: stopped before its end.
    fn epoch(&mut self, groups: &[Vec<&Face>], judged: &[&Face]) -> anyhow::Result<bool> {
        let epoch = self.state.epoch;
        let Some((phase, epoch_in_phase)) = self.recipe.phase_of(epoch) else {
            return Ok(false);
        };
        let order = order(groups, &self.recipe.data, self.recipe.seed, epoch);
        let batches: Vec<&[(usize, &Face)]> = order.chunks(self.recipe.optimiser.batch).collect();
        if epoch_in_phase == 0 && self.state.step == 0 {
            // Moments of another phase belong to other layers or another rate.
            self.optimiser = fresh(self.recipe);
        }
        let from = learning_from(phase, self.network.plan());
        let network = self.network.clone().freeze_unless(|index| index >= from);
        self.network = network;

        let bar = progress(
            batches.len(),
            &format!("epoch {}/{} {}", epoch + 1, self.recipe.epochs(), phase.name),
        );
        bar.set_position(self.state.step as u64);
        let mut saved = Instant::now();
        for (number, batch) in batches.iter().enumerate().skip(self.state.step) {
            if self.steps_left == 0 {
                self.save()?;
                return Ok(false);
            }
            self.steps_left -= 1;
            let part = (epoch_in_phase as f64 + number as f64 / batches.len() as f64) / phase.epochs as f64;
            let size = phase.size.unwrap_or(self.network.plan().size);
            let shards = self.shards(batch, size, epoch)?;
            let rates = (phase.rate_at(part), self.recipe.optimiser.sam_rho);
            let network = self.network.clone();
            let (network, loss) = step::step(network, &mut self.optimiser, &shards, rates, &self.device);
            if !loss.is_finite() {
                let files: Vec<String> = batch
                    .iter()
                    .take(3)
                    .map(|(_, f)| f.path.display().to_string())
                    .collect();
                bail!(
                    "The loss is no longer a number in epoch {}, batch {} of {} (pictures {}, …). Lower the rate ({}) or look at these pictures; the checkpoint is from before.",
                    epoch + 1,
                    number + 1,
                    batches.len(),
                    files.join(", "),
                    rates.0
                );
            }
            self.network = network;
            self.state.step = number + 1;
            self.state.loss_sum += f64::from(loss);
            bar.inc(1);
            bar.set_message(format!(
                "loss {:.4}",
                self.state.loss_sum / self.state.step as f64
            ));
            if saved.elapsed() > CHECKPOINT_EVERY {
                self.save()?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        self.finish_epoch(phase, judged, batches.len())?;
        Ok(true)
    }

    fn finish_epoch(&mut self, phase: &Phase, judged: &[&Face], batches: usize) -> anyhow::Result<()> {
        let network = self.network.valid();
        let verdicts = validate::validate(
            &network,
            judged,
            &self.targets,
            &self.device.clone().without_autodiff(),
        )?;
        let point = Point {
            epoch: self.state.epoch + 1,
            phase: phase.name.clone(),
            train_loss: self.state.loss_sum / batches.max(1) as f64,
            validation: verdicts,
            seconds: self.state.seconds + self.started.elapsed().as_secs_f64(),
        };
        let judgement: Vec<String> = point
            .validation
            .iter()
            .map(|(head, loss, figure)| format!("{head} {figure:.4} (loss {loss:.4})"))
            .collect();
        log::info!(
            "Epoch {}/{} ({}): training loss {:.4}; validation {}; {:.0} s.",
            point.epoch,
            self.recipe.epochs(),
            phase.name,
            point.train_loss,
            judgement.join(", "),
            point.seconds
        );
        let loss = point
            .validation
            .iter()
            .map(|(_, loss, _)| *loss as f32)
            .sum::<f32>();
        // The best by loss: it moves where accuracy on a few thousand pictures only jumps.
        if self.state.best.is_none_or(|best| loss < best) {
            self.state.best = Some(loss);
            self.described(&point).write(&self.places.out.join(BEST))?;
        }
        self.state.points.push(point);
        self.state.epoch += 1;
        self.state.step = 0;
        self.state.loss_sum = 0.0;
        curves::write(&self.places.out, &self.state.points)?;
        self.save()
    }

    fn described(&self, point: &Point) -> Weights {
        let mut weights = self.network.valid().weights();
        weights.about.extend(self.recipe.network.about());
        let heads: Vec<String> = self
            .targets
            .iter()
            .map(|t| format!("{} {}", t.head, t.classes))
            .collect();
        if !self.ethnicities.is_empty() {
            weights
                .about
                .insert("ethnicities".to_owned(), self.ethnicities.clone());
        }
        weights.about.insert("heads".to_owned(), heads.join(", "));
        weights
            .about
            .insert("recipe".to_owned(), crate::data::faces::name(&self.places.recipe));
        weights.about.insert("epoch".to_owned(), point.epoch.to_string());
        weights
    }

    fn save(&mut self) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        state.seconds += self.started.elapsed().as_secs_f64();
        // In training mode the last update of the running statistics would be lost.
        let weights = self.network.valid().weights();
        checkpoint::save(&self.places.out, &weights, &self.optimiser, &state)?;
        Ok(())
    }

    fn shards(&self, batch: &[(usize, &Face)], size: usize, epoch: usize) -> anyhow::Result<Vec<Batch>> {
        // A processor computes parts of a batch side by side, a card all of it at once.
        let count = if device::is_cpu(&self.device) {
            self.recipe.optimiser.shards.min(batch.len())
        } else {
            1
        };
        let parts = batch.chunks(batch.len().div_ceil(count));
        parts.map(|part| self.batch(part, size, epoch)).collect()
    }

    fn batch(&self, part: &[(usize, &Face)], size: usize, epoch: usize) -> anyhow::Result<Batch> {
        let mut batch = Batch {
            targets: vec![Vec::new(); self.targets.len()],
            count: part.len(),
            ..Batch::default()
        };
        let input = Input {
            width: size,
            height: size,
            ..self.network.plan().input.clone()
        };
        let pictures = part.par_iter().map(|&(number, face)| {
            let seed = mixed(&[self.recipe.seed, epoch as u64, number as u64]);
            let mut picture = Vec::new();
            sample::append(
                &mut picture,
                face,
                &input,
                Some((&self.recipe.augmentation, seed)),
            )?;
            anyhow::Ok(picture)
        });
        batch.pictures = pictures.collect::<anyhow::Result<Vec<_>>>()?.concat();
        for (_, face) in part {
            for (target, out) in self.targets.iter().zip(&mut batch.targets) {
                target.append(face, out);
            }
        }
        Ok(batch)
    }
}

/// Weights to start from, as far as they fit; what is fresh must be heads only.
/// Weights whose batch norm is folded get it back if the network has one, measured on training pictures.
fn start_weights(
    path: &Path,
    network: &Architecture,
    plan: &crate::network::plan::Plan,
    (seed, measured): (u64, &[&Face]),
) -> anyhow::Result<Weights> {
    let mut known = Weights::read(path)?;
    let first = &plan.steps[0].name;
    if !network.folded
        && known.find(&format!("{first}.gamma")).is_none()
        && known.find(&format!("{first}.bias")).is_some()
    {
        let folded = Architecture {
            folded: true,
            ..network.clone()
        };
        let mut folded = folded.plan().map_err(anyhow::Error::msg)?;
        folded.input = sample::input_of(&known.about, folded.size);
        let pictures = validate::tensor_of(measured, &folded.input, &crate::device::cpu())?;
        known = unfold(&folded, &known, pictures, &crate::device::cpu())?;
        log::info!(
            "{}: batch norm put back, measured on {} pictures.",
            path.display(),
            measured.len()
        );
    }
    let (weights, fresh) = known.fitted(plan, seed);
    let backbone = |name: &String| {
        let step = name.rsplit_once('.').map_or(name.as_str(), |(step, _)| step);
        plan.steps[..plan.embedding].iter().any(|s| s.name == step)
    };
    if let Some(missing) = fresh.iter().find(|name| backbone(name)) {
        bail!(
            "{} does not fit {}: `{missing}` is missing or has another shape.",
            path.display(),
            plan.title
        );
    }
    Ok(weights)
}

/// Adam without any moments yet.
fn fresh(recipe: &Recipe) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_weight_decay(recipe.optimiser.weight_decay)
        .init()
}

/// The first step that learns in a phase.
fn learning_from(phase: &Phase, plan: &crate::network::plan::Plan) -> usize {
    match phase.learns.as_str() {
        "all" => 0,
        "heads" => plan.embedding,
        step => plan.steps.iter().position(|s| s.name == step).unwrap_or(0),
    }
}

/// The pictures of an epoch in their order, each with its number among all.
fn order<'a>(
    groups: &[Vec<&'a Face>],
    sources: &[Source],
    seed: u64,
    epoch: usize,
) -> Vec<(usize, &'a Face)> {
    let mut rng = ChaCha8Rng::seed_from_u64(mixed(&[seed, epoch as u64]));
    let mut order = Vec::new();
    let mut before = 0;
    for (group, source) in groups.iter().zip(sources) {
        let mut part: Vec<_> = group
            .iter()
            .enumerate()
            .map(|(i, face)| (before + i, *face))
            .collect();
        part.shuffle(&mut rng);
        part.truncate(((group.len() as f32 * source.share).ceil() as usize).min(group.len()));
        before += group.len();
        order.extend(part);
    }
    order.shuffle(&mut rng);
    order
}

/// Several numbers to one seed (SplitMix64).
fn mixed(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |state: u64, number| {
        let mut z = (state ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
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
