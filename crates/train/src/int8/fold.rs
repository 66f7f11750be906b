//! Folds batch norm into the convolution before it.

use crate::network::plan::{Operation, Plan};
use crate::weights::{Array, WeightError, Weights};

/// The same network without batch norm: γ / √(σ² + ε) goes into the kernel, the rest into a bias.
///
/// # Errors
/// [`WeightError`] if the weights are not the plan's.
pub fn fold(plan: &Plan, weights: &Weights) -> Result<(Plan, Weights), WeightError> {
    let (mut plan, mut folded) = (plan.clone(), Weights::default());
    folded.about.clone_from(&weights.about);
    let epsilon = plan.epsilon as f32;
    for step in &mut plan.steps {
        let name = |part: &str| format!("{}.{part}", step.name);
        match &mut step.operation {
            Operation::Convolution(c) => {
                let mut kernel = weights.get(&name("kernel"), &c.kernel_shape())?.clone();
                let mut bias = Array {
                    shape: vec![c.outputs],
                    values: vec![0.0; c.outputs],
                };
                if c.norm {
                    let part = |part: &str| weights.get(&name(part), &[c.outputs]).map(|a| &a.values);
                    let (gamma, beta) = (part("gamma")?, part("beta")?);
                    let (mean, variance) = (part("mean")?, part("variance")?);
                    let each = kernel.values.len() / c.outputs;
                    for (channel, values) in kernel.values.chunks_exact_mut(each).enumerate() {
                        let scale = gamma[channel] / (variance[channel] + epsilon).sqrt();
                        values.iter_mut().for_each(|v| *v *= scale);
                        bias.values[channel] = beta[channel] - mean[channel] * scale;
                    }
                    c.norm = false;
                } else {
                    bias = weights.get(&name("bias"), &[c.outputs])?.clone();
                }
                folded.insert(name("kernel"), kernel);
                folded.insert(name("bias"), bias);
            }
            Operation::Dense(d) => {
                folded.insert(
                    name("kernel"),
                    weights.get(&name("kernel"), &[d.outputs, d.inputs])?.clone(),
                );
                folded.insert(name("bias"), weights.get(&name("bias"), &[d.outputs])?.clone());
            }
            _ => {}
        }
    }
    Ok((plan, folded))
}
