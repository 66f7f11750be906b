//! One training run: from its start weights or its last checkpoint, epoch by epoch.

use std::time::{Duration, Instant};

use affect_core::manifest::Input;
use anyhow::bail;
use burn::module::Module as _;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use rayon::prelude::*;

use super::checkpoint::{self, CheckpointError, State};
use super::curves::{self, Point};
use super::order::{mixed, order};
use super::recipe::{Phase, Recipe};
use super::start::start_weights;
use super::step::{self, Batch};
use super::target::{Target, log_prior};
use super::{AVERAGE, BEST, Places, progress, validate};
use crate::data::{Face, sample};
use crate::device;
use crate::network::Network;
use crate::network::plan::Plan;
use crate::weights::Weights;
use crate::weights::mean::mean;

/// How often a checkpoint is made within an epoch.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(180);

pub(super) struct Run<'a> {
    recipe: &'a Recipe,
    places: &'a Places,
    device: Device,
    targets: Vec<Target>,
    network: Network,
    optimiser: ModuleOptimizer,
    pub(super) state: State,
    started: Instant,
    steps_left: usize,
    /// Per source: the number after its last picture, and per head what is added to the logits.
    pub(super) priors: Vec<(usize, Vec<Vec<f32>>)>,
    /// Names of the data's ethnicities, for the weight file.
    pub(super) ethnicities: String,
}

impl<'a> Run<'a> {
    /// `measured` are pictures to measure batch norm on, where the start weights have it folded.
    pub(super) fn begin(
        places: &'a Places,
        recipe: &'a Recipe,
        targets: Vec<Target>,
        measured: &[&Face],
    ) -> anyhow::Result<Self> {
        let device = super::card::open(places.device, &recipe.network)?.autodiff();
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
        let network = Network::new(plan, &weights, &device).map_err(|source| CheckpointError::Network {
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
            priors: Vec::new(),
            ethnicities: String::new(),
        })
    }

    /// Counts the priors of the sources, if the recipe takes them out.
    pub(super) fn count_priors(&mut self, groups: &[Vec<&Face>]) {
        let power = self.recipe.loss.prior;
        let mut end = 0;
        for group in groups {
            end += group.len();
            let priors = self.targets.iter().map(|target| log_prior(target, group, power));
            self.priors.push((end, priors.collect()));
        }
    }

    /// One epoch, or the rest of it. False: stopped before its end.
    pub(super) fn epoch(&mut self, groups: &[Vec<&Face>], judged: &[&Face]) -> anyhow::Result<bool> {
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
        self.average(&point)?;
        self.state.points.push(point);
        self.state.epoch += 1;
        self.state.step = 0;
        self.state.loss_sum = 0.0;
        curves::write(&self.places.out, &self.state.points)?;
        self.save()
    }

    /// At the end of a phase that goes into the average: keeps its weights, and writes the mean of all that were kept.
    fn average(&self, point: &Point) -> anyhow::Result<()> {
        let ends: Vec<usize> = self.recipe.averaged().filter(|end| *end <= point.epoch).collect();
        if ends.last() != Some(&point.epoch) {
            return Ok(());
        }
        let kept = |end: usize| self.places.out.join(format!("after-{end}.safetensors"));
        self.described(point).write(&kept(point.epoch))?;
        let all = ends.into_iter().map(|end| Weights::read(&kept(end)));
        let mean = mean(&all.collect::<Result<Vec<_>, _>>()?)?;
        Ok(mean.write(&self.places.out.join(AVERAGE))?)
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
            priors: vec![Vec::new(); self.targets.len()],
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
        for (number, face) in part {
            for (target, out) in self.targets.iter().zip(&mut batch.targets) {
                target.append(face, out);
            }
            if let Some((_, priors)) = self.priors.iter().find(|(end, _)| number < end) {
                for (prior, out) in priors.iter().zip(&mut batch.priors) {
                    out.extend(prior);
                }
            }
        }
        Ok(batch)
    }
}

/// Adam without any moments yet.
fn fresh(recipe: &Recipe) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_weight_decay(recipe.optimiser.weight_decay)
        .init()
}

/// The first step that learns in a phase.
fn learning_from(phase: &Phase, plan: &Plan) -> usize {
    match phase.learns.as_str() {
        "all" => 0,
        "heads" => plan.embedding,
        step => plan.steps.iter().position(|s| s.name == step).unwrap_or(0),
    }
}
