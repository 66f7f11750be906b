//! What networks are computed on: the processor, or a graphics card.

use burn::tensor::Device;
use clap::ValueEnum;

/// A kind of device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics card, by Vulkan; needs a program built with `--features vulkan`.
    Vulkan,
}

/// The processor. Everything but training is computed on it.
#[must_use]
pub fn cpu() -> Device {
    Device::flex()
}

/// Whether a device is the processor.
#[must_use]
pub fn is_cpu(device: &Device) -> bool {
    *device == cpu()
}

#[cfg(feature = "vulkan")]
#[allow(clippy::unnecessary_wraps)] // as without the feature
pub(crate) fn vulkan() -> anyhow::Result<Device> {
    Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "vulkan"))]
pub(crate) fn vulkan() -> anyhow::Result<Device> {
    anyhow::bail!(
        "This program was built without Vulkan. Build it with `--features vulkan`, or leave out --device."
    )
}
