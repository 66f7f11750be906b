//! `affectd homeassistant`: what Home Assistant is told of this device, and how that is taken back.

use affect_core::manifest::Task;
use affect_vision::LoadedModel;

use super::{ConfigFiles, Exit, Failure, device_or_own, print};
use crate::daemon::settings;
use crate::setup::{SetupError, names};
use crate::{homeassistant, place, publish};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
    /// Take the device and its entities out of Home Assistant, by taking the discovery away from the broker.
    #[arg(long)]
    remove: bool,
    /// Of another device, such as one that was renamed.
    #[arg(long, value_name = "DEVICE", requires = "remove")]
    device: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let device = device_or_own(arguments.device.as_deref(), &config)?;
    let topic = homeassistant::topic(&config.mqtt.homeassistant_prefix, &device);
    if arguments.remove {
        if device.contains(['/', '+', '#']) || device.is_empty() {
            let words = anyhow::anyhow!("`{device}` is no name of a device.");
            return Err(Failure::new(Exit::Usage, words));
        }
        publish::remove(&settings(&config), std::slice::from_ref(&topic))
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        print(format_args!("Removed {topic}"))?;
        if config.mqtt.homeassistant && arguments.device.is_none() {
            print(
                "[mqtt] homeassistant is on: while it is, a running affectd sends it again on its next connection.",
            )?;
        }
        return Ok(());
    }
    let folder =
        place::model(&config.model.path, config.model.models_dir.as_deref()).map_err(SetupError::NotFound)?;
    let model = LoadedModel::open_as(&folder, Task::Expression).map_err(SetupError::from)?;
    let head = model.manifest.expression.as_ref();
    let labels = head.map(|head| head.labels.clone()).unwrap_or_default();
    let message = homeassistant::message(&config, &labels, &names(&config));
    print(serde_json::json!({"topic": topic, "payload": message, "sent": config.mqtt.homeassistant}))?;
    Ok(())
}
