//! `affectd retire`: takes away what a broker keeps of a device that was renamed or is no more.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};

use affect_core::report::Status;

use super::{ConfigFiles, Exit, Failure, device_or_own, print};
use crate::daemon::settings;
use crate::publish::{self, Settings};
use crate::{homeassistant, redact};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
    /// The device, if it is not the configured one: its name as the third level of its topics.
    #[arg(long)]
    device: Option<String>,
    /// The site, if it is not the configured one.
    #[arg(long)]
    site: Option<String>,
    /// The first levels of its topics, if they are not the configured ones.
    #[arg(long)]
    base: Option<String>,
    /// A camera's name, if it is not the configured one. (Brokers that list what they keep tell it by themselves.)
    #[arg(long)]
    camera: Vec<String>,
    /// Take it away without asking.
    #[arg(long)]
    yes: bool,
    /// Also where the device is online.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let device = device_or_own(arguments.device.as_deref(), &config)?;
    let site = arguments.site.as_ref().unwrap_or(&config.deployment.site);
    let mqtt_base = arguments.base.as_ref().unwrap_or(&config.mqtt.base);
    for name in [&device, site].into_iter().chain(&arguments.camera) {
        let is_level = !name.is_empty() && !name.contains(['/', '+', '#']);
        usage(is_level, || format!("`{name}` is no level of a topic."))?;
    }
    let is_base = !mqtt_base.is_empty() && !mqtt_base.contains(['+', '#']);
    usage(is_base, || format!("`{mqtt_base}` is no start of a topic."))?;
    let settings = settings(&config);
    let base = format!("{mqtt_base}/{site}/{device}");
    let cameras = match arguments.camera.is_empty() {
        true => vec![config.camera.name.clone()],
        false => arguments.camera.clone(),
    };
    let discovery = homeassistant::topic(&config.mqtt.homeassistant_prefix, &device);
    let found = find(&settings, &base, &cameras, &discovery)?;
    if found.topics.is_empty() {
        print(format_args!(
            "The broker keeps nothing of `{base}`, or does not let {} read it.",
            settings.username.as_deref().unwrap_or("anonymous clients")
        ))?;
        return Ok(());
    }
    print(format_args!("The broker keeps of `{base}`:"))?;
    for topic in &found.topics {
        print(format_args!("  {}", redact::line(topic)))?;
    }
    if found.is_online && !arguments.force {
        let words = format!(
            "`{base}` is online: it would send all of this again. Stop it first; or, if it is gone for good and the broker has only not noticed yet, add --force."
        );
        return Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(words)));
    }
    if !arguments.yes && !is_agreed(&found.topics)? {
        let words = "Nothing was taken away: add --yes to do it.";
        return Err(Failure::new(Exit::Usage, anyhow::Error::msg(words)));
    }
    let topics: Vec<String> = found.topics.into_iter().collect();
    publish::remove(&settings, &topics).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let left = publish::kept(&settings, &topics).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    if !left.is_empty() {
        let left: Vec<&str> = left.keys().map(String::as_str).collect();
        let words = format!(
            "The broker still keeps {}: let {} write there in the broker's access rules.",
            left.join(", "),
            settings.username.as_deref().unwrap_or("anonymous clients")
        );
        return Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(words)));
    }
    print(format_args!("Taken away: {} messages.", topics.len()))?;
    Ok(())
}

struct Found {
    topics: BTreeSet<String>,
    is_online: bool,
}

/// What the broker keeps of a device. Some do not tell by a filter what they keep, so the known topics are asked for one by one,
/// too.
fn find(settings: &Settings, base: &str, cameras: &[String], discovery: &str) -> Result<Found, Failure> {
    let mut wanted = vec![
        format!("{base}/#"),
        format!("{base}/status"),
        format!("{base}/info"),
        discovery.to_owned(),
    ];
    for camera in cameras {
        wanted.extend(["latest", "state"].map(|word| format!("{base}/{camera}/{word}")));
    }
    let kept = publish::kept(settings, &wanted).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let status = kept.get(&format!("{base}/status"));
    Ok(Found {
        is_online: status.is_some_and(|word| word == Status::Online.word().as_bytes()),
        topics: kept.into_keys().collect(),
    })
}

/// Asks, if somebody is there to answer.
fn is_agreed(topics: &BTreeSet<String>) -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Ok(false);
    }
    let mut err = std::io::stderr();
    write!(err, "Take away these {} messages? [y/N] ", topics.len())?;
    err.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn usage(holds: bool, words: impl FnOnce() -> String) -> Result<(), Failure> {
    match holds {
        true => Ok(()),
        false => Err(Failure::new(Exit::Usage, anyhow::Error::msg(words()))),
    }
}
