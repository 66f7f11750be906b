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

use super::cameras::{in_words, look};
use super::check::{broker, memory};
use super::columns::folded;
use super::{ConfigFiles, Failure, print};
use crate::board::{Heat, Sysfs, board_health};
use crate::capture::v4l2::{Camera, V4l2, Wish, find};
use crate::clock::{for_people, rfc3339, system_clock_synced};
use crate::config::Config;
use crate::place::state_dir;
use crate::redact;
use crate::setup::{Setup, names, wish};

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
    cameras: Vec<CameraDevice>,
    config: Finding<ConfigInfo>,
    models: Finding<Models>,
    broker: Finding<String>,
    memory: Finding<String>,
    clock: Clock,
    disks: BTreeMap<String, Finding<Disk>>,
}

/// What was found, or why nothing was.
#[derive(Debug, PartialEq, Serialize)]
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

#[derive(Debug, PartialEq, Serialize)]
struct CameraDevice {
    device: PathBuf,
    /// The driver's name for it.
    name: Option<String>,
    /// Names that stay the same when devices are renumbered.
    links: Vec<PathBuf>,
    /// What affectd reads of it, as `affectd cameras` says it: format, size, rates.
    offers: Vec<String>,
    /// Codes of its formats that affectd does not read.
    not_read: Vec<String>,
    /// The mode that would be chosen, or why it is no camera for affectd.
    chosen: Finding<String>,
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
    local: String,
    synchronised: bool,
}

#[derive(Debug, Serialize)]
struct Disk {
    free_mib: u64,
    total_mib: u64,
    read_only: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = gather::<V4l2>(Path::new("/"), arguments.config.load());
    let mut value = serde_json::to_value(report).map_err(std::io::Error::from)?;
    redact::json(&mut value);
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
fn gather<C: Camera>(root: &Path, config: Result<Config, Failure>) -> Report {
    let sysfs = Sysfs::new(root);
    let sensors = sysfs.heat();
    let config = config.map_err(|failure| failure.error);
    // Without a configuration the defaults tell what is wanted of a camera.
    let wish = config.as_ref().map_or_else(
        |_| wish(&Config::for_replay().camera),
        |config| wish(&config.camera),
    );
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
        cameras: cameras::<C>(root, &wish),
        models: of_config(&config).and_then(|config| models(&config)).into(),
        broker: of_config(&config).and_then(|config| broker(&config)).into(),
        memory: of_config(&config).and_then(|config| memory(&config)).into(),
        config: config
            .map(|config| ConfigInfo {
                sha256: hex(&Sha256::digest(config.effective_toml())),
                warnings: config.warnings(),
            })
            .into(),
        clock: Clock {
            now: rfc3339(SystemTime::now()),
            local: for_people(SystemTime::now()),
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

/// Every `/dev/video*` with its stable names and what it offers.
fn cameras<C: Camera>(root: &Path, wish: &Wish) -> Vec<CameraDevice> {
    // As the machine itself calls it, whatever root it was looked at through.
    let own = |path: &PathBuf| Path::new("/").join(path.strip_prefix(root).unwrap_or(path));
    let devices = find::devices(&root.join("dev"));
    let reported = devices.iter().map(|names| {
        let number = names.node.file_name().unwrap_or_default();
        let name = root.join("sys/class/video4linux").join(number).join("name");
        let mut device = CameraDevice {
            device: own(&names.node),
            name: fs::read_to_string(name).ok().map(|name| name.trim().to_owned()),
            links: names.stable.iter().map(own).collect(),
            offers: Vec::new(),
            not_read: Vec::new(),
            chosen: Finding::Problem {
                problem: "it captures no pictures".to_owned(),
            },
        };
        if let Some(listed) = look::<C>(names, wish) {
            device.offers = listed.offers.iter().map(in_words).collect();
            device.not_read = listed.not_read().into_iter().map(str::to_owned).collect();
            device.chosen = match (listed.problem(), &listed.chosen) {
                (None, Some(mode)) => Finding::Found(mode.to_string()),
                (problem, _) => Finding::Problem {
                    problem: problem.unwrap_or_default().to_owned(),
                },
            };
        }
        device
    });
    reported.collect()
}

fn models(config: &Config) -> anyhow::Result<Models> {
    let info = Setup::open(config)?.info(config, &names(config));
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
        let line = folded(&format!("{indent}{key}: {plain}"), indent.len() + 2);
        out.push_str(line.trim_end());
        out.push('\n');
        write_text(out, value, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::v4l2::tests::Fake;
    use std::os::unix::fs::symlink;

    /// A made-up machine with two cameras, of which one has a stable name.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, content) in [
            ("dev/video0", ""),
            ("dev/video1", ""),
            ("sys/class/video4linux/video0/name", "HD Webcam: HD Webcam\n"),
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
        let report = gather::<Fake>(root.path(), Err(wrong));
        let camera = |device: &str, name: Option<&str>, links: &[&str]| CameraDevice {
            device: device.into(),
            name: name.map(str::to_owned),
            links: links.iter().map(PathBuf::from).collect(),
            offers: ["GREY 4×2 px at 10 fps", "MJPG 4×2 px at 10 fps"]
                .map(str::to_owned)
                .into(),
            not_read: vec!["RG10".to_owned()],
            chosen: Finding::Found("MJPG 4×2 px at 10 fps".to_owned()),
        };
        let link = "/dev/v4l/by-id/usb-HD_Webcam-video-index0";
        assert_eq!(
            report.cameras,
            [
                camera("/dev/video0", Some("HD Webcam: HD Webcam"), &[link]),
                camera("/dev/video1", None, &[]),
            ]
        );
        let value = serde_json::to_value(report).expect("plain data");
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
            "cameras:\n  1:\n    device: /dev/video0\n    name: HD Webcam: HD Webcam\n    links:\n      1: /dev/v4l/by-id/usb",
            "    offers:\n      1: GREY 4×2 px at 10 fps\n      2: MJPG 4×2 px at 10 fps\n    not read:\n      1: RG10\n    chosen: MJPG 4×2",
            "config:\n  problem: affectd.toml:3:1: no such key\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_camera_does_not_end_the_report() {
        let root = machine();
        let wish = wish(&Config::for_replay().camera);
        for camera in cameras::<V4l2>(root.path(), &wish) {
            let Finding::Problem { problem } = camera.chosen else {
                panic!("{camera:?}");
            };
            assert!(problem.contains("cannot be asked what it is"), "{problem}");
        }
    }
}
