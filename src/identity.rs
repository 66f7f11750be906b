//! Names for this device and this run.

use sha2::{Digest, Sha256};

use affect_vision::hex;

/// The device's id: the board's serial number, as a Raspberry Pi and a Jetson give it; else one derived from the
/// system's machine id, which itself is to be kept confidential (machine-id(5)).
pub(crate) fn device_id() -> String {
    let serial = std::fs::read_to_string("/proc/device-tree/serial-number").unwrap_or_default();
    let serial: String = serial
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if !serial.is_empty() {
        return serial;
    }
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    match machine.trim() {
        "" | "uninitialized" => "unnamed".to_owned(),
        id => hex(&Sha256::digest(format!("affectd device id {id}")))[..12].to_owned(),
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
