//! A training recipe: one TOML file says everything that a run depends on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::Format;
use crate::data::augment::Augmentation;
use crate::network::architecture::Architecture;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The paper's stage.
    pub stage: Stage,
    /// For initial weights, order and augmentation.
    pub seed: u64,
    /// The backbone.
    pub network: Architecture,
    /// Weight file to start from; fresh weights without it. Relative to the recipe or `--weights`.
    #[serde(default)]
    pub start: Option<PathBuf>,
    /// Pictures to train on.
    pub data: Vec<Source>,
    /// Pictures to measure on after every epoch.
    pub validation: Source,
    /// How wrong answers count.
    #[serde(default)]
    pub loss: Loss,
    /// How weights are changed.
    pub optimiser: Optimiser,
    /// What is done to training pictures.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// One after the other.
    pub phase: Vec<Phase>,
}

/// What is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Who it is: stage 1 of the paper. The head is thrown away afterwards.
    Identity,
    /// Age, gender and ethnicity on a frozen base: stage 2.
    Attributes,
    /// The eight expressions: stage 3.
    Emotion,
}

/// Part of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its layout.
    pub format: Format,
    /// Below the folder given with `--data`.
    pub path: PathBuf,
    /// Which split; everything if empty.
    #[serde(default)]
    pub split: String,
    /// The part of its pictures that each epoch takes, at random: 0 to 1.
    #[serde(default = "one")]
    pub share: f32,
    /// At most so many pictures, evenly spread: 0 is all.
    #[serde(default)]
    pub limit: usize,
    /// What teachers answer for its pictures: a table that `models/recipes/teach.py` writes, below the folder given with `--data`.
    #[serde(default)]
    pub teachers: Option<PathBuf>,
    /// How much of the target is the teachers' answer, 0 to 1; pictures without a label have nothing else.
    #[serde(default = "half")]
    pub taught: f32,
}

/// The loss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// How classes are weighted.
    pub class_weights: ClassWeights,
    /// Learn the annotators' distribution instead of their majority.
    pub soft_labels: bool,
    /// How much a second head for the data set's other labelling counts (FER2013's own labels beside the votes of
    /// FER+), next to 1 for the first; without it there is no such head.
    pub second_labels: f32,
    /// This part of every label is spread over all classes.
    pub smoothing: f32,
    /// The prior of each source to this power is added to the network's answer while it learns (Menon et al., 2021): then it
    /// need not learn from what a picture is, where it comes from, how often each expression occurs there. 1 is all of it.
    pub prior: f32,
}

/// Weights of classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Every picture counts the same.
    #[default]
    None,
    /// The paper's eq. (2): largest class ÷ this class, the sum divided by the number of pictures.
    Paper,
    /// The square root of it.
    Root,
}

/// Adam, with sharpness-aware minimisation (SAM) around it where `sam_rho` is not 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimiser {
    /// Pictures per step.
    pub batch: usize,
    /// Parts of a batch that a processor computes side by side, each with batch norm of its own. Part of the result: fixed,
    /// whatever the machine. A graphics card computes the whole batch as one.
    #[serde(default = "two")]
    pub shards: usize,
    /// Radius ρ of SAM's first step; 0 switches SAM off.
    #[serde(default)]
    pub sam_rho: f32,
    /// Decoupled weight decay (AdamW).
    #[serde(default)]
    pub weight_decay: f32,
}

/// Epochs with the same setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For the progress bar and the curves.
    pub name: String,
    /// How many.
    pub epochs: usize,
    /// Learning rate at the start.
    pub rate: f64,
    /// Learning rate at the end, reached along a cosine; the same as at the start if absent.
    #[serde(default)]
    pub final_rate: Option<f64>,
    /// `heads`, `all`, or the first step of the backbone that learns, as in `conv_dw_4`.
    #[serde(default = "all")]
    pub learns: String,
    /// Whether the weights at its end go into `average.safetensors`, the mean over all such phases: several descents from a
    /// higher rate, of which the mean is better than each (stochastic weight averaging, Izmailov et al., 2018).
    #[serde(default)]
    pub average: bool,
    /// Another input size than the network's, for cheaper epochs at the beginning.
    #[serde(default)]
    pub size: Option<usize>,
}

fn one() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
}

fn two() -> usize {
    2
}

fn all() -> String {
    "all".to_owned()
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Not readable.
    #[error("{}: {source}.", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, or a key is unknown, missing or of another type.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// With line and column.
        source: Box<toml::de::Error>,
    },
    /// Readable, but impossible.
    #[error("{}: {why}", path.display())]
    Sense {
        /// Which.
        path: PathBuf,
        /// A whole sentence.
        why: String,
    },
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::File {
            path: path.to_owned(),
            source,
        })?;
        let recipe: Self = toml::from_str(&text).map_err(|source| RecipeError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        match recipe.nonsense() {
            None => Ok(recipe),
            Some(why) => Err(RecipeError::Sense {
                path: path.to_owned(),
                why,
            }),
        }
    }

    fn nonsense(&self) -> Option<String> {
        let plan = match self.network.plan() {
            Ok(plan) => plan,
            Err(why) => return Some(why),
        };
        if self.data.is_empty() || self.phase.is_empty() {
            return Some("A recipe needs at least one [[data]] and one [[phase]] table.".to_owned());
        }
        let Optimiser {
            batch,
            shards,
            sam_rho,
            ..
        } = self.optimiser;
        if shards == 0 || batch < shards {
            return Some(format!(
                "A batch of {batch} cannot be split into {shards} shards."
            ));
        }
        if !(0.0..=1.0).contains(&sam_rho) {
            return Some(format!(
                "optimiser.sam_rho is {sam_rho}, but 0 to 1 makes sense; the paper's authors use 0.05."
            ));
        }
        if !(0.0..=10.0).contains(&self.loss.second_labels) {
            return Some(format!(
                "loss.second_labels is {}, but it is a weight next to 1, 0 to 10.",
                self.loss.second_labels
            ));
        }
        if !(0.0..=2.0).contains(&self.loss.prior) {
            return Some(format!(
                "loss.prior is {}, but it is a power of the sources' priors, 0 to 2.",
                self.loss.prior
            ));
        }
        if let Some(source) = self.data.iter().find(|s| !(0.0..=1.0).contains(&s.taught)) {
            return Some(format!(
                "{} has taught = {}, but it is a part, 0 to 1.",
                source.path.display(),
                source.taught
            ));
        }
        for phase in &self.phase {
            let known = ["heads", "all"].contains(&phase.learns.as_str())
                || plan.steps.iter().any(|step| step.name == phase.learns);
            if !known {
                return Some(format!(
                    "Phase `{}` learns from `{}`, which is neither `heads`, `all` nor a step of the network (the first is `{}`).",
                    phase.name, phase.learns, plan.steps[0].name
                ));
            }
            if !(phase.rate > 0.0 && phase.rate < 1.0) {
                return Some(format!(
                    "Phase `{}` has rate {}, but it must lie between 0 and 1.",
                    phase.name, phase.rate
                ));
            }
        }
        None
    }

    /// Epochs of all phases.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.phase.iter().map(|phase| phase.epochs).sum()
    }

    /// After how many epochs each phase ends that goes into the average.
    pub fn averaged(&self) -> impl Iterator<Item = usize> {
        let mut end = 0;
        self.phase.iter().filter_map(move |phase| {
            end += phase.epochs;
            phase.average.then_some(end)
        })
    }

    /// The phase of an epoch, and the epoch's number in it.
    #[must_use]
    pub fn phase_of(&self, epoch: usize) -> Option<(&Phase, usize)> {
        let mut before = 0;
        for phase in &self.phase {
            if epoch < before + phase.epochs {
                return Some((phase, epoch - before));
            }
            before += phase.epochs;
        }
        None
    }
}

impl Phase {
    /// The learning rate after `part` of the phase, 0 to 1.
    #[must_use]
    pub fn rate_at(&self, part: f64) -> f64 {
        let last = self.final_rate.unwrap_or(self.rate);
        last + (self.rate - last) * 0.5 * (1.0 + (part * std::f64::consts::PI).cos())
    }
}
