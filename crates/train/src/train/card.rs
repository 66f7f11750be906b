//! Whether a graphics card computes what the processor does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::bail;
use burn::module::Module as _;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor, TensorData};

use super::step::{Batch, step};
use crate::device::{Kind, cpu, vulkan};
use crate::network::architecture::Architecture;
use crate::network::{Network, values};
use crate::weights::Weights;

/// The device of this kind. A graphics card must first learn for three steps what the processor learns.
///
/// # Errors
/// The program was not built for it, there is none, or it computes something else.
pub fn open(kind: Kind, network: &Architecture) -> anyhow::Result<Device> {
    if kind == Kind::Cpu {
        return Ok(cpu());
    }
    let device = vulkan()?;
    let errors = compare(&device, network)?;
    log::info!("The graphics card computes what the processor does: {errors}.");
    Ok(device)
}

/// How far a device is off, relative to the largest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Logits of fresh weights.
    pub fresh: f32,
    /// Logits after three steps of SGD with SAM.
    pub learnt: f32,
    /// The losses of these steps.
    pub loss: f32,
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "logits within {:.1e}, after three steps within {:.1e}, losses within {:.1e}",
            self.fresh, self.learnt, self.loss
        )
    }
}

/// How far off a device may be. Cards multiply with fewer digits, and steps amplify that.
const MOST: Errors = Errors {
    fresh: 5e-3,
    learnt: 5e-2,
    loss: 5e-3,
};

/// Compares a device with the processor, on a network with random weights.
///
/// # Errors
/// It does not work, or is further off than rounding explains.
pub fn compare(device: &Device, network: &Architecture) -> anyhow::Result<Errors> {
    let wanted = learn(network, &cpu())?;
    // The framework panics where a driver or a card is missing.
    let found = catch_unwind(AssertUnwindSafe(|| learn(network, device)));
    let Ok(found) = found else {
        bail!(
            "No graphics card works here: the lines above say why. Install its Vulkan driver, or leave out --device."
        );
    };
    let found = found?;
    let [fresh, learnt, loss] = std::array::from_fn(|i| distance(&found[i], &wanted[i]));
    let errors = Errors { fresh, learnt, loss };
    if errors.fresh < MOST.fresh && errors.learnt < MOST.learnt && errors.loss < MOST.loss {
        Ok(errors)
    } else {
        bail!(
            "The graphics card computes something else than the processor: {errors}. Update its driver, or leave out --device."
        )
    }
}

/// Small: large steps on few pictures multiply what is only rounding.
const RATE_AND_RHO: (f64, f32) = (1e-3, 1e-3);

const SIDE: usize = 48;
const COUNT: usize = 8;

/// Logits of fresh weights, logits after three steps, losses of the steps.
fn learn(network: &Architecture, on: &Device) -> anyhow::Result<[Vec<f32>; 3]> {
    let network = Architecture {
        size: SIDE,
        folded: false,
        ..network.clone()
    };
    let plan = network
        .plan()
        .map_err(anyhow::Error::msg)?
        .with_heads(&[("expression", COUNT)]);
    let device = on.clone().autodiff();
    let weights = Weights::random(&plan, 7);
    let mut network = Network::new(plan, &weights, &device)?.freeze_unless(|_| true);
    let pictures: Vec<f32> = (0..COUNT * 3 * SIDE * SIDE)
        .map(|i| ((i as f32) * 0.37).sin() * ((i / SIDE) as f32 * 0.11).cos())
        .collect();
    let logits = |network: &Network| {
        let picture = TensorData::new(pictures.clone(), [COUNT, 3, SIDE, SIDE]);
        values(
            network
                .valid()
                .forward(Tensor::from_data(picture, on))
                .swap_remove(0),
        )
    };
    let fresh = logits(&network);
    let one_of_each = (0..COUNT * COUNT).map(|i| f32::from(u8::from(i % (COUNT + 1) == 0)));
    let batch = [Batch {
        pictures: pictures.clone(),
        targets: vec![one_of_each.collect()],
        priors: Vec::new(),
        count: COUNT,
    }];
    let mut optimiser = SgdConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..3 {
        let (next, loss) = step(network, &mut optimiser, &batch, RATE_AND_RHO, &device);
        network = next;
        losses.push(loss);
    }
    Ok([fresh, logits(&network), losses])
}

/// The largest difference, relative to the largest value.
fn distance(found: &[f32], wanted: &[f32]) -> f32 {
    let most = wanted.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    let differences = found.iter().zip(wanted).map(|(f, w)| (f - w).abs() / most);
    differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
