//! `affectd doctor`: one report for a support ticket. No faces, no secrets; what is wrong stands where it is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use affect_core::health::BoardHealth;
use affect_core::report::ModelInfo;
use affect_vision::hex;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cameras::{self, Listed};
use super::check::broker;
use super::{ConfigFiles, Failure, print};
use crate::board::{Heat, Sysfs, board_health};
use crate::clock::{rfc3339, system_clock_synced};
use crate::config::Config;
use crate::place::state_dir;
use crate::setup::Setup;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFiles,
}

/// All that is reported. The text is made from the JSON, so that both say the same.
#[derive(Debug, Serialize)]
struct Report {
    affectd: About,
    board: Board,
    health: BoardHealth,
    sensors: Heat,
    cameras: Vec<Camera>,
    config: Finding<ConfigInfo>,
    models: Finding<Models>,
    broker: Finding<String>,
    clock: Clock,
    disks: BTreeMap<String, Finding<Disk>>,
}

/// What was found, or why nothing was.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Finding<T> {
    Found(T),
    Problem { problem: String },
}

impl<T, E: Into<anyhow::Error>> From<Result<T, E>> for Finding<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(found) => Self::Found(found),
            Err(error) => Self::Problem {
                problem: format!("{:#}", error.into()),
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct About {
    version: &'static str,
    architecture: &'static str,
}

#[derive(Debug, Serialize)]
struct Board {
    model: Option<String>,
    kernel: String,
    system: Option<String>,
    processors: Option<usize>,
    memory_mib: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Camera {
    device: PathBuf,
    /// Its other names.
    also: Vec<PathBuf>,
    name: String,
    driver: String,
    bus: String,
    /// What affectd reads of it.
    offers: Vec<String>,
    /// Formats that it does not read.
    not_read: Vec<String>,
    /// What would be chosen.
    chosen: Option<String>,
    problem: Option<String>,
}

impl From<Listed> for Camera {
    fn from(listed: Listed) -> Self {
        Self {
            offers: listed.offers(),
            not_read: listed.unread().into_iter().map(str::to_owned).collect(),
            device: listed.source,
            also: listed.also,
            name: listed.name,
            driver: listed.driver,
            bus: listed.bus,
            chosen: listed.chosen.map(|mode| mode.to_string()),
            problem: listed.problem,
        }
    }
}

#[derive(Debug, Serialize)]
struct ConfigInfo {
    /// Of the values in effect, which hold no password.
    sha256: String,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Models {
    runtime: String,
    detector: ModelInfo,
    expression: ModelInfo,
}

#[derive(Debug, Serialize)]
struct Clock {
    now: String,
    synchronised: bool,
}

#[derive(Debug, Serialize)]
struct Disk {
    free_mib: u64,
    total_mib: u64,
    read_only: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = gather(Path::new("/"), arguments.config.load());
    let value = serde_json::to_value(report).map_err(std::io::Error::from)?;
    if arguments.json {
        print(format_args!("{value:#}"))?;
    } else {
        let mut text = String::new();
        write_text(&mut text, &value, 0);
        print(text.trim())?;
    }
    Ok(())
}

/// Looks at the machine whose files lie below `root`, and at what the configuration names.
fn gather(root: &Path, config: Result<Config, Failure>) -> Report {
    let sysfs = Sysfs::new(root);
    let sensors = sysfs.heat();
    let config = config.map_err(|failure| failure.error);
    let of_config = |config: &anyhow::Result<Config>| match config {
        Ok(config) => Ok(config.clone()),
        Err(_) => Err(anyhow::anyhow!(
            "not looked at, because the configuration is wrong"
        )),
    };
    Report {
        affectd: About {
            version: env!("CARGO_PKG_VERSION"),
            architecture: std::env::consts::ARCH,
        },
        board: board(root, &sysfs),
        health: board_health(&sensors),
        sensors,
        cameras: cameras(&root.join("dev"), config.as_ref().ok()),
        models: of_config(&config).and_then(|config| models(&config)).into(),
        broker: of_config(&config).and_then(|config| broker(&config)).into(),
        config: config
            .map(|config| ConfigInfo {
                sha256: hex(&Sha256::digest(config.effective_toml())),
                warnings: config.warnings(),
            })
            .into(),
        clock: Clock {
            now: rfc3339(SystemTime::now()),
            synchronised: system_clock_synced(),
        },
        disks: disks(root),
    }
}

fn board(root: &Path, sysfs: &Sysfs) -> Board {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let system = fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
    let memory = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let kib =
        value(&memory, "MemTotal:").and_then(|kib| kib.split_ascii_whitespace().next()?.parse::<u64>().ok());
    Board {
        model: sysfs.model(),
        kernel: format!("{} {}", text(name.release()), text(name.machine())),
        system: value(&system, "PRETTY_NAME="),
        processors: std::thread::available_parallelism().ok().map(Into::into),
        memory_mib: kib.map(|kib| kib / 1024),
    }
}

/// Every camera, and what a configuration would choose of it; without one, what the defaults would.
fn cameras(devices: &Path, config: Option<&Config>) -> Vec<Camera> {
    let defaults = Config::for_replay();
    let listed = cameras::list(devices, config.unwrap_or(&defaults));
    listed.into_iter().map(Into::into).collect()
}

fn models(config: &Config) -> anyhow::Result<Models> {
    let info = Setup::open(config)?.info(config);
    Ok(Models {
        runtime: info.runtime,
        detector: info.detector,
        expression: info.model,
    })
}

/// The disks that the system and the state directory lie on.
fn disks(root: &Path) -> BTreeMap<String, Finding<Disk>> {
    let state = state_dir().unwrap_or_else(|| root.join("var/lib/affectd"));
    let folders = [root.to_owned(), state]
        .into_iter()
        .filter(|folder| folder.exists());
    folders
        .map(|folder| {
            let disk = rustix::fs::statvfs(&folder).map(|disk| Disk {
                free_mib: disk.f_bavail.saturating_mul(disk.f_frsize) >> 20,
                total_mib: disk.f_blocks.saturating_mul(disk.f_frsize) >> 20,
                read_only: disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
            });
            (folder.display().to_string(), disk.into())
        })
        .collect()
}

/// Writes a value as indented lines `key: value`.
fn write_text(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.replace('_', " "), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, value)| ((n + 1).to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in entries {
        let plain = match value {
            Value::Null => "unknown".to_owned(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Value::String(text) => text.replace('\n', &format!("\n{indent}  ")),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(_) | Value::Object(_) => String::new(),
            Value::Number(number) => number.to_string(),
        };
        out.push_str(format!("{indent}{key}: {plain}").trim_end());
        out.push('\n');
        write_text(out, value, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A made-up machine with two cameras, of which one has a stable name.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, content) in [
            ("dev/video0", ""),
            ("dev/video1", ""),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "51540\n"),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n"),
            (
                "sys/firmware/devicetree/base/model",
                "Raspberry Pi 5 Model B Rev 1.0\0",
            ),
            (
                "etc/os-release",
                "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
            ),
            ("proc/meminfo", "MemTotal:        8253856 kB\nMemFree: 1 kB\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, content).expect("written");
        }
        let links = root.path().join("dev/v4l/by-id");
        fs::create_dir_all(&links).expect("made");
        symlink("../../video0", links.join("usb-HD_Webcam-video-index0")).expect("linked");
        root
    }

    #[test]
    fn a_report_of_a_machine_whose_configuration_is_wrong() {
        let root = machine();
        let wrong = Failure::new(
            super::super::Exit::Config,
            anyhow::anyhow!("affectd.toml:3:1: no such key"),
        );
        let report = gather(root.path(), Err(wrong));
        let value = serde_json::to_value(report).expect("plain data");
        // Files that are no devices: named by the name that stays the same, with what is wrong with them.
        let camera = &value["cameras"][0];
        let device = root.path().join("dev/v4l/by-id/usb-HD_Webcam-video-index0");
        assert_eq!(camera["device"], device.to_str().expect("UTF-8"));
        assert_eq!(value["cameras"].as_array().map(Vec::len), Some(2));
        assert!(
            camera["problem"]
                .as_str()
                .is_some_and(|p| p.starts_with("it cannot be asked what it is")),
            "{camera}"
        );
        assert_eq!(value["board"]["model"], "Raspberry Pi 5 Model B Rev 1.0");
        assert_eq!(value["board"]["system"], "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(value["board"]["memory_mib"], 8060);
        assert_eq!(value["health"]["celsius"], 51.5);
        assert_eq!(value["health"]["throttled"], false);
        assert_eq!(value["health"]["under_voltage_since_boot"], true);
        assert_eq!(value["config"]["problem"], "affectd.toml:3:1: no such key");
        assert!(
            value["models"]["problem"]
                .as_str()
                .is_some_and(|p| p.starts_with("not looked at"))
        );
        let mut text = String::new();
        write_text(&mut text, &value, 0);
        for line in [
            "board:\n  model: Raspberry Pi 5 Model B Rev 1.0\n",
            "  throttled: no\n",
            "    problem: it cannot be asked what it is",
            "config:\n  problem: affectd.toml:3:1: no such key\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
    }
}
