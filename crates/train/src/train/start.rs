//! The weights that a run starts from.

use std::path::Path;

use anyhow::bail;

use super::validate;
use crate::data::{Face, sample};
use crate::device;
use crate::network::architecture::Architecture;
use crate::network::plan::Plan;
use crate::weights::Weights;
use crate::weights::unfold::unfold;

/// Weights to start from, as far as they fit; what is fresh must be heads only.
/// Weights whose batch norm is folded get it back if the network has one, measured on training pictures.
pub(super) fn start_weights(
    path: &Path,
    network: &Architecture,
    plan: &Plan,
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
        let pictures = validate::tensor_of(measured, &folded.input, &device::cpu())?;
        known = unfold(&folded, &known, pictures, &device::cpu())?;
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
