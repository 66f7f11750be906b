//! What an auditor wants to know later: which configuration ran since when, every pause, and when
//! somebody aimed the camera. No faces, no counts.
//!
//! Each line goes to the log and to `audit.log` in the state directory.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::clock::rfc3339;
use crate::config::Config;
use crate::progress::PausedBy;

/// Name of the file in the state directory; a full one is kept beside it as `audit.log.1`.
const FILE: &str = "audit.log";
/// When the file is full.
const FULL: u64 = 256 * 1024;

/// The audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<PathBuf>,
}

impl Audit {
    /// Kept in `state`, the state directory; without one, only in the log.
    pub(crate) fn kept_in(state: Option<PathBuf>) -> Self {
        Self {
            file: state.map(|folder| folder.join(FILE)),
        }
    }

    /// affectd starts with this configuration. Says so if it is not the one of the last start.
    pub(crate) fn configuration(&self, config: &Config) {
        let line = format!(
            "configuration {}: min_group {}, {} masks, place {:?}",
            config.sha256(),
            config.privacy.min_group,
            config.camera.mask.len(),
            config.deployment.place,
        );
        let before = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let before = before.as_deref().unwrap_or_default();
        let last = before.lines().rev().find(|line| line.contains(" configuration "));
        if last.is_none_or(|last| !last.ends_with(&line)) {
            self.write(&line);
        }
    }

    /// A privacy pause begins or ends, by the button or by a command.
    pub(crate) fn pause(&self, by: PausedBy, begins: bool) {
        self.write(match (by, begins) {
            (PausedBy::Button, true) => "pause begins",
            (PausedBy::Button, false) => "pause ends",
            (PausedBy::Command, true) => "pause by command begins",
            (PausedBy::Command, false) => "pause by command ends",
        });
    }

    /// Somebody begins or ends to aim the camera: then the page shows where faces are.
    pub(crate) fn aiming(&self, begins: bool) {
        self.write(if begins { "aiming begins" } else { "aiming ends" });
    }

    fn write(&self, line: &str) {
        log::info!("Audit: {line}.");
        let Some(file) = &self.file else { return };
        if fs::metadata(file).is_ok_and(|data| data.len() > FULL)
            && let Err(error) = fs::rename(file, file.with_extension("log.1"))
        {
            log::warn!("`{}` is full and cannot be put aside: {error}.", file.display());
        }
        let line = format!("{} {line}\n", rfc3339(SystemTime::now()));
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            log::warn!(
                "`{}` cannot be written: {error}; the line is in the log only.",
                file.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_configuration_and_pauses_are_told_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let audit = || Audit::kept_in(Some(folder.path().to_owned()));
        let mut config = Config::for_replay();
        audit().configuration(&config);
        audit().configuration(&config);
        audit().pause(PausedBy::Button, true);
        audit().pause(PausedBy::Button, false);
        audit().configuration(&config);
        config.privacy.min_group = 9;
        audit().configuration(&config);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("configuration ") && lines[0].contains("min_group 5, 0 masks"));
        assert_eq!(lines[1..3], ["pause begins", "pause ends"]);
        assert!(lines[3].contains("min_group 9"));
    }
}
