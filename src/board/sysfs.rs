//! Heat and power, as the kernel tells them in /sys. Nothing is executed, and what a board does not tell is `None`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Thermal zones that measure no processor: on Jetson boards `PMIC-Die` always reads 100 °C.
const NOT_THE_PROCESSOR: [&str; 4] = ["pmic", "iwlwifi", "battery", "nvme"];
/// Names under which boards list the processor's own sensor.
const PROCESSOR: [&str; 3] = ["cpu", "soc", "pkg"];
/// Outside of this no sensor is believed, in °C.
const PLAUSIBLE: std::ops::Range<f64> = -40.0..150.0;

/// Bits of the Raspberry Pi firmware's `get_throttled`.
const UNDER_VOLTAGE: u32 = 1 << 0;
const CAPPED: u32 = 1 << 1;
const THROTTLED: u32 = 1 << 2;
const SOFT_LIMIT: u32 = 1 << 3;
const UNDER_VOLTAGE_SINCE_BOOT: u32 = 1 << 16;

/// The tree in which the kernel describes the board.
#[derive(Debug, Clone)]
pub(crate) struct Sysfs {
    root: PathBuf,
}

/// A temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Zone {
    /// The kernel's name, such as `cpu-thermal`.
    pub(crate) name: String,
    pub(crate) celsius: f64,
}

/// Something that cools: a fan, or the processor running slower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cooling {
    /// The kernel's name, such as `pwm-fan` or `cpufreq-cpu0`.
    pub(crate) name: String,
    /// How hard it works now, 0 to `most`.
    pub(crate) state: u32,
    pub(crate) most: u32,
}

/// Heat and power at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Heat {
    pub(crate) zones: Vec<Zone>,
    pub(crate) cooling: Vec<Cooling>,
    /// What a Raspberry Pi's firmware says, as bits.
    pub(crate) firmware: Option<u32>,
    /// Whether the power supply's monitor raises an alarm (`rpi_volt`).
    pub(crate) voltage_alarm: Option<bool>,
}

impl Sysfs {
    /// The tree below `root`: `/` on a board, a made-up one in a test.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.join("sys"),
        }
    }

    /// Reads heat and power.
    pub(crate) fn heat(&self) -> Heat {
        let zone = |folder: PathBuf| {
            let celsius = number::<f64>(&folder.join("temp"))? / 1000.0;
            let name = text(&folder.join("type"))?;
            PLAUSIBLE.contains(&celsius).then_some(Zone { name, celsius })
        };
        let cooling = |folder: PathBuf| {
            Some(Cooling {
                name: text(&folder.join("type"))?,
                state: number(&folder.join("cur_state"))?,
                most: number(&folder.join("max_state"))?,
            })
        };
        let alarm = |folder: PathBuf| {
            let is_supply = text(&folder.join("name"))? == "rpi_volt";
            let alarm = || number::<u8>(&folder.join("in0_lcrit_alarm"));
            is_supply.then(alarm).flatten().map(|alarm| alarm != 0)
        };
        let thermal = self.root.join("class/thermal");
        let folders = |prefix| entries(&thermal, prefix).into_iter();
        Heat {
            zones: folders("thermal_zone").filter_map(zone).collect(),
            cooling: folders("cooling_device").filter_map(cooling).collect(),
            firmware: self.firmware(),
            voltage_alarm: entries(&self.root.join("class/hwmon"), "hwmon")
                .into_iter()
                .find_map(alarm),
        }
    }

    /// `get_throttled` of a Raspberry Pi's firmware: hexadecimal, with or without 0x. The folder above it is called
    /// differently on different boards (`soc`, `soc@107c000000`).
    fn firmware(&self) -> Option<u32> {
        let platform = entries(&self.root.join("devices/platform"), "soc");
        let below = platform.iter().flat_map(|soc| entries(soc, "soc"));
        let word = platform
            .iter()
            .cloned()
            .chain(below)
            .find_map(|folder| text(&folder.join("get_throttled")))?;
        u32::from_str_radix(word.trim_start_matches("0x"), 16).ok()
    }

    /// What the board is called: by its device tree, or by a PC's firmware.
    pub(crate) fn model(&self) -> Option<String> {
        let tree = self.root.join("firmware/devicetree/base/model");
        text(&tree).or_else(|| text(&self.root.join("class/dmi/id/product_name")))
    }

    /// Whether it is a Raspberry Pi.
    pub(crate) fn is_raspberry_pi(&self) -> bool {
        let compatible = fs::read_to_string(self.root.join("firmware/devicetree/base/compatible"));
        compatible.is_ok_and(|makers| makers.split('\0').any(|name| name.starts_with("raspberrypi,")))
    }
}

impl Heat {
    /// Temperature of the processor in °C: the hottest of its own sensors, or of all where none is named after it.
    pub(crate) fn celsius(&self) -> Option<f64> {
        let named = |zone: &&Zone, names: &[&str]| {
            let name = zone.name.to_lowercase();
            names.iter().any(|part| name.contains(part))
        };
        let hottest = |zones: &mut dyn Iterator<Item = &Zone>| zones.map(|z| z.celsius).reduce(f64::max);
        let believed = || self.zones.iter().filter(|zone| !named(zone, &NOT_THE_PROCESSOR));
        hottest(&mut believed().filter(|zone| named(zone, &PROCESSOR))).or_else(|| hottest(&mut believed()))
    }

    /// How many sensors could be read.
    pub(crate) fn sensors(&self) -> usize {
        self.zones.len()
    }

    /// Whether the processor runs slower now than it could, because of heat or power.
    pub(crate) fn throttled(&self) -> Option<bool> {
        let slowed = |c: &&Cooling| c.name.contains("cpufreq") || c.name == "Processor";
        let states: Vec<u32> = self.cooling.iter().filter(slowed).map(|c| c.state).collect();
        let by_kernel = (!states.is_empty()).then(|| states.iter().any(|state| *state > 0));
        let by_firmware = self
            .firmware
            .map(|bits| bits & (CAPPED | THROTTLED | SOFT_LIMIT) != 0);
        either(by_kernel, by_firmware)
    }

    /// Whether the supply's voltage is too low now.
    pub(crate) fn under_voltage(&self) -> Option<bool> {
        either(
            self.firmware.map(|bits| bits & UNDER_VOLTAGE != 0),
            self.voltage_alarm,
        )
    }

    /// Whether it was too low at any time since the board was switched on.
    pub(crate) fn under_voltage_since_boot(&self) -> Option<bool> {
        self.firmware.map(|bits| bits & UNDER_VOLTAGE_SINCE_BOOT != 0)
    }
}

/// Yes if one says yes; nothing if neither says anything.
fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some(a), Some(b)) => Some(a || b),
    }
}

/// The entries of a folder whose names begin with `prefix`, in order.
fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = all
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The text of a file without white space and zero bytes at its end; `None` if there is none.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_end_matches(['\0', '\n', ' ']);
    (!text.is_empty()).then(|| text.to_owned())
}

fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files, as the kernel of a board would show it.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Sysfs) {
        let root = tempfile::tempdir().expect("a folder");
        for (path, content) in files {
            let path = root.path().join("sys").join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, content).expect("written");
        }
        let sysfs = Sysfs::new(root.path());
        (root, sysfs)
    }

    #[test]
    fn a_raspberry_pi_with_a_weak_supply() {
        let (_root, sysfs) = tree(&[
            ("class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("class/thermal/thermal_zone0/temp", "81302\n"),
            ("class/thermal/cooling_device0/type", "cpufreq-cpu0\n"),
            ("class/thermal/cooling_device0/cur_state", "0\n"),
            ("class/thermal/cooling_device0/max_state", "5\n"),
            ("class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("class/hwmon/hwmon1/name", "rpi_volt\n"),
            ("class/hwmon/hwmon1/in0_lcrit_alarm", "1\n"),
            ("devices/platform/soc/soc:firmware/get_throttled", "50005\n"),
            (
                "firmware/devicetree/base/model",
                "Raspberry Pi 4 Model B Rev 1.5\0",
            ),
            (
                "firmware/devicetree/base/compatible",
                "raspberrypi,4-model-b\0brcm,bcm2711\0",
            ),
        ]);
        let heat = sysfs.heat();
        assert_eq!(heat.celsius(), Some(81.302));
        assert_eq!(heat.throttled(), Some(true));
        assert_eq!(heat.under_voltage(), Some(true));
        assert_eq!(heat.under_voltage_since_boot(), Some(true));
        assert_eq!(sysfs.model().as_deref(), Some("Raspberry Pi 4 Model B Rev 1.5"));
        assert!(sysfs.is_raspberry_pi());
    }

    #[test]
    fn each_bit_of_the_firmware_means_one_thing() {
        for (word, throttled, under_voltage, since_boot) in [
            ("0", false, false, false),
            ("0x0", false, false, false),
            ("1", false, true, false),
            ("2", true, false, false),
            ("4", true, false, false),
            ("8", true, false, false),
            ("10000", false, false, true),
            ("e0000", false, false, false),
        ] {
            let file = "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled";
            let (_root, sysfs) = tree(&[(file, word)]);
            let heat = sysfs.heat();
            assert_eq!(heat.throttled(), Some(throttled), "{word}");
            assert_eq!(heat.under_voltage(), Some(under_voltage), "{word}");
            assert_eq!(heat.under_voltage_since_boot(), Some(since_boot), "{word}");
        }
    }

    #[test]
    fn a_jetson_whose_power_chip_reads_a_hundred() {
        let (_root, sysfs) = tree(&[
            ("class/thermal/thermal_zone0/type", "GPU-therm\n"),
            ("class/thermal/thermal_zone0/temp", "44000\n"),
            ("class/thermal/thermal_zone1/type", "CPU-therm\n"),
            ("class/thermal/thermal_zone1/temp", "46500\n"),
            ("class/thermal/thermal_zone2/type", "PMIC-Die\n"),
            ("class/thermal/thermal_zone2/temp", "100000\n"),
            ("class/thermal/thermal_zone3/type", "CV0-therm\n"),
            ("class/thermal/thermal_zone3/temp", "-256000\n"),
            ("class/thermal/cooling_device0/type", "pwm-fan\n"),
            ("class/thermal/cooling_device0/cur_state", "3\n"),
            ("class/thermal/cooling_device0/max_state", "3\n"),
            ("class/thermal/cooling_device1/type", "thermal-cpufreq-0\n"),
            ("class/thermal/cooling_device1/cur_state", "2\n"),
            ("class/thermal/cooling_device1/max_state", "10\n"),
        ]);
        let heat = sysfs.heat();
        assert_eq!(heat.celsius(), Some(46.5));
        assert_eq!(heat.zones.len(), 3, "what cannot be is no measurement");
        assert_eq!(
            heat.throttled(),
            Some(true),
            "a fan at full speed is none, a slow processor is"
        );
        assert_eq!(heat.under_voltage(), None, "nobody measures it there");
        assert!(!sysfs.is_raspberry_pi());
    }

    #[test]
    fn a_machine_that_tells_nothing() {
        let (_root, sysfs) = tree(&[("class/thermal/thermal_zone0/type", "x\n")]);
        assert_eq!(sysfs.heat(), Heat::default());
        let heat = sysfs.heat();
        assert_eq!(
            (heat.celsius(), heat.throttled(), heat.under_voltage()),
            (None, None, None)
        );
        assert_eq!(sysfs.model(), None);
    }
}
