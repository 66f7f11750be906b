//! Names for this device and this run.

use std::path::Path;

use sha2::{Digest, Sha256};

use affect_vision::hex;

/// What a device is called, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceId {
    pub(crate) name: String,
    /// As a part of a sentence.
    pub(crate) origin: &'static str,
}

/// A device that has nothing to be called by.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "This device has no name: neither the board nor /etc/machine-id gives one. Set [deployment] device, or let `systemd-machine-id-setup` make a machine id."
)]
pub(crate) struct Nameless;

impl DeviceId {
    /// `configured`, or the board's serial number, as a Raspberry Pi and a Jetson give it; else one derived from the
    /// system's machine id, which itself is to be kept confidential (machine-id(5)).
    ///
    /// # Errors
    /// [`Nameless`] if there is none of them.
    pub(crate) fn of(configured: Option<&str>, root: &Path) -> Result<Self, Nameless> {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let id = |name: String, origin| Ok(Self { name, origin });
        if let Some(name) = configured {
            return id(name.to_owned(), "set by [deployment] device");
        }
        let serial: String = read("proc/device-tree/serial-number")
            .to_lowercase()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        // Boards without one give zeros.
        if serial.chars().any(|c| c != '0') {
            return id(serial, "the board's serial number");
        }
        match read("etc/machine-id").trim() {
            "" | "uninitialized" => Err(Nameless),
            machine => id(
                hex(&Sha256::digest(format!("affectd device id {machine}")))[..12].to_owned(),
                "made from /etc/machine-id, which copies of this system's disk share: give each copy a [deployment] device",
            ),
        }
    }
}

/// Random numbers of the operating system, 64 bits at a time. A system without them cannot promise privacy, so
/// there is no going on without.
pub(crate) fn system_random() -> Box<dyn FnMut() -> u64 + Send> {
    Box::new(|| match getrandom::u64() {
        Ok(number) => number,
        Err(error) => panic!("The operating system gives no random numbers: {error}"),
    })
}

/// What every message says of its sender.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// The device's id.
    pub(crate) device: String,
    /// The site's name.
    pub(crate) site: String,
    /// A random name for this run.
    pub(crate) boot_id: String,
}

/// A random name for this run of the daemon.
pub(crate) fn boot_id() -> String {
    let mut random = system_random();
    format!("{:016x}", random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_called_by_what_is_its_own_and_never_by_nothing() {
        let name = |serial: &str, machine: &str| {
            let root = tempfile::tempdir().expect("a folder");
            for (path, text) in [
                ("proc/device-tree/serial-number", serial),
                ("etc/machine-id", machine),
            ] {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
                std::fs::write(path, text).expect("written");
            }
            DeviceId::of(None, root.path())
        };
        let of_board = name("10000000ABCDEF01\0", "abc\n").expect("named");
        assert_eq!(of_board.name, "10000000abcdef01");
        assert_eq!(of_board.origin, "the board's serial number");
        let of_machine = name("0000000000000000\0", "abc\n").expect("named");
        assert_eq!(of_machine, name("", "abc").expect("named"));
        assert!(
            of_machine.name.len() == 12 && of_machine.origin.contains("copies"),
            "{of_machine:?}"
        );
        assert_ne!(of_machine.name, name("", "abd").expect("named").name);
        for machine in ["", "\n", "uninitialized\n"] {
            assert_eq!(name("", machine), Err(Nameless));
        }
        let root = Path::new("/no/such/root");
        assert_eq!(DeviceId::of(Some("door"), root).expect("named").name, "door");
    }
}
