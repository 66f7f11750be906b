//! Checkpoints: a folder that is complete or not there, so that a kill or a full disk costs minutes at most.

use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::curves::Point;
use crate::weights::{WeightError, Weights};

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// SHA-256 of the recipe: another recipe does not go on from here.
    pub recipe: String,
    /// Epochs that are complete.
    pub epoch: usize,
    /// Steps of the next epoch that are complete.
    pub step: usize,
    /// Sum of the losses of those steps.
    pub loss_sum: f64,
    /// What every complete epoch came to.
    pub points: Vec<Point>,
    /// The lowest validation loss so far.
    pub best: Option<f32>,
    /// Seconds of training before.
    pub seconds: f64,
}

/// Why a checkpoint cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read or written.
    #[error("The checkpoint {} cannot be used: {why}. {hint}", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Its weights are not this network's.
    #[error("The checkpoint {} cannot be used: {source} {DELETE}", path.display())]
    Network {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        source: WeightError,
    },
}

const DELETE: &str = "Choose another --out folder, or delete this one to start again.";
const FREE: &str = "Free some space; the previous checkpoint is intact and the same command goes on from it.";

/// The three files of one checkpoint.
const WEIGHTS: &str = "weights.safetensors";
const OPTIMISER: &str = "optimiser.bpk";
const STATE: &str = "state.json";

/// Where the checkpoint of a run lies.
#[must_use]
pub fn folder(out: &Path) -> PathBuf {
    out.join("checkpoint")
}

/// Writes a checkpoint beside the last one, then takes its place.
///
/// # Errors
/// [`CheckpointError::Broken`]; the last checkpoint is then as it was.
pub fn save(
    out: &Path,
    weights: &Weights,
    optimiser: &ModuleOptimizer,
    state: &State,
) -> Result<(), CheckpointError> {
    let (place, part, old) = (
        folder(out),
        out.join("checkpoint.part"),
        out.join("checkpoint.old"),
    );
    let broken = |why: String| CheckpointError::Broken {
        path: part.clone(),
        why,
        hint: FREE,
    };
    let written = || -> Result<(), String> {
        let _ = std::fs::remove_dir_all(&part);
        std::fs::create_dir_all(&part).map_err(|e| e.to_string())?;
        weights.write(&part.join(WEIGHTS)).map_err(|e| e.to_string())?;
        let bytes = optimiser.into_bytes().map_err(|e| e.to_string())?;
        crate::weights::write_whole(&part.join(OPTIMISER), &bytes).map_err(|e| e.to_string())?;
        let json = serde_json::to_vec_pretty(state).map_err(|e| e.to_string())?;
        crate::weights::write_whole(&part.join(STATE), &json).map_err(|e| e.to_string())?;
        // Two renames: between them the old one still lies beside, and `load` finds it there.
        let _ = std::fs::remove_dir_all(&old);
        if place.exists() {
            std::fs::rename(&place, &old).map_err(|e| e.to_string())?;
        }
        std::fs::rename(&part, &place).map_err(|e| e.to_string())?;
        let _ = std::fs::remove_dir_all(&old);
        Ok(())
    };
    written().map_err(broken)
}

/// A checkpoint's parts; `None` if the run has not begun.
///
/// # Errors
/// [`CheckpointError`] if it is damaged or of another recipe.
pub fn load(
    out: &Path,
    recipe: &str,
    optimiser: ModuleOptimizer,
) -> Result<Option<(Weights, ModuleOptimizer, State)>, CheckpointError> {
    let place = [folder(out), out.join("checkpoint.old")]
        .into_iter()
        .find(|place| place.is_dir());
    let Some(place) = place else { return Ok(None) };
    let broken = |why: String| CheckpointError::Broken {
        path: place.clone(),
        why,
        hint: DELETE,
    };
    let json = std::fs::read(place.join(STATE)).map_err(|e| broken(format!("{STATE}: {e}")))?;
    let state: State = serde_json::from_slice(&json).map_err(|e| broken(format!("{STATE}: {e}")))?;
    if state.recipe != recipe {
        return Err(broken("it was made with another recipe or seed".to_owned()));
    }
    let weights = Weights::read(&place.join(WEIGHTS)).map_err(|e| broken(e.to_string()))?;
    let optimiser = optimiser
        .load(place.join(OPTIMISER))
        .map_err(|e| broken(format!("{OPTIMISER}: {e}")))?;
    Ok(Some((weights, optimiser, state)))
}
