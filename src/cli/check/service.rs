//! `affectd check --service`: systemd runs the check with everything that the unit says, so that it sees what the service
//! would: its user, its credentials, its folder, its devices, its limits.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::{Exit, Failure};

/// The unit.
const UNIT: &str = "affectd.service";
/// Settings of a unit that are about its life as a service, and not about what it may do.
const NOT_TAKEN: [&str; 18] = [
    "Type",
    "NotifyAccess",
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecCondition",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "WatchdogSec",
    "WatchdogSignal",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "RestartForceExitStatus",
    "PIDFile",
];

/// Runs the check as the service, on `files`, and passes on what it says.
pub(super) fn run(files: &[PathBuf]) -> Result<(), Failure> {
    let unavailable = |words: String| Failure::new(Exit::Unavailable, anyhow::anyhow!(words));
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        return Err(unavailable(
            "systemd does not run here, so there is no service to look as: `affectd check` without --service looks as you.".to_owned(),
        ));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(unavailable(
            "only root may have systemd run something as the service: `sudo affectd check --service`."
                .to_owned(),
        ));
    }
    let told = Command::new("systemctl")
        .args(["cat", "--no-pager", UNIT])
        .output()
        .map_err(|error| unavailable(format!("systemctl cannot be run ({error}).")))?;
    if !told.status.success() {
        return Err(unavailable(format!(
            "systemd knows no {UNIT}: install the package, or systemd/{UNIT} as /etc/systemd/system/{UNIT}."
        )));
    }
    let program = std::env::current_exe()?;
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--pipe", "--wait", "--collect"]);
    // One user for both, so that its folder is not given to another one while the service runs.
    command.args(["--property", "User=affectd"]);
    for setting in settings(&String::from_utf8_lossy(&told.stdout)) {
        command.arg("--property").arg(setting);
    }
    command.arg(program).arg("check");
    for file in files {
        command.arg("-c").arg(std::path::absolute(file)?);
    }
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| unavailable(format!("systemd-run cannot be run ({error}).")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::new(
            Exit::of(code).unwrap_or(Exit::Software),
            anyhow::anyhow!("the service would not be ready: see above."),
        )),
        None => Err(unavailable("the check was ended by a signal.".to_owned())),
    }
}

/// The settings of `[Service]` in a unit and its drop-ins, as systemd-run takes them. An empty one takes back what was said
/// before.
fn settings(unit: &str) -> Vec<String> {
    let mut section = "";
    let mut settings: Vec<String> = Vec::new();
    for line in unit.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let Some((key, _)) = line.split_once('=') else {
            continue;
        };
        let key = key.trim();
        if section == "[Service]" && !NOT_TAKEN.contains(&key) && key != "User" {
            settings.push(line.to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_unit_allows_is_taken_over_and_its_life_is_not() {
        let unit = include_str!("../../../systemd/affectd.service");
        let drop_in = "# /etc/systemd/system/affectd.service.d/x.conf\n[Service]\nRestartSec=1\nSupplementaryGroups=spi\n[Unit]\nRequires=x\n";
        let settings = settings(&format!("# /usr/lib/systemd/system/{UNIT}\n{unit}{drop_in}"));
        for setting in [
            "DynamicUser=yes",
            "LoadCredential=affectd.mqtt-password",
            "StateDirectory=affectd",
            "DevicePolicy=closed",
            "DeviceAllow=char-video4linux rw",
            "CapabilityBoundingSet=",
            "SupplementaryGroups=spi",
        ] {
            assert!(settings.iter().any(|taken| taken == setting), "{setting}");
        }
        for setting in [
            "ExecStart",
            "Restart",
            "WatchdogSec",
            "Type",
            "Requires",
            "WantedBy",
            "Description",
        ] {
            assert!(
                !settings.iter().any(|taken| taken.starts_with(setting)),
                "{setting}"
            );
        }
    }
}
