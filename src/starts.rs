//! How often the daemon started, and what went before: a small file in the state directory, without anything of people.

use std::path::{Path, PathBuf};

use affect_core::health::{StartCause, Starts};
use serde::{Deserialize, Serialize};

use crate::place;

/// Name of the file in the state directory.
const FILE: &str = "starts";
/// What the kernel calls this start of the system.
const SYSTEM: &str = "/proc/sys/kernel/random/boot_id";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    count: u64,
    unexpected: u64,
    /// What became of the last start.
    end: End,
    /// The start of the system in which it ran.
    system: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// None yet: it runs, or was killed.
    #[default]
    Running,
    Stopped,
    Failed,
}

/// This start. Dropped without [`Started::ends_well`], it has failed.
#[derive(Debug)]
pub(crate) struct Started {
    file: PathBuf,
    record: Record,
    cause: StartCause,
}

impl Started {
    /// The daemon starts, and remembers that in `state`, the state directory.
    pub(crate) fn now(state: &Path) -> Self {
        Self::in_system(state, &std::fs::read_to_string(SYSTEM).unwrap_or_default())
    }

    fn in_system(state: &Path, system: &str) -> Self {
        let file = state.join(FILE);
        let system = system.trim().to_owned();
        let before = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str::<Record>(&text).ok());
        let cause = before
            .as_ref()
            .map_or(StartCause::First, |before| cause(before, &system));
        let unexpected = matches!(cause, StartCause::Failed | StartCause::Killed | StartCause::Power);
        let before = before.unwrap_or_default();
        let record = Record {
            count: before.count.saturating_add(1),
            unexpected: before.unexpected.saturating_add(u64::from(unexpected)),
            end: End::Running,
            system,
        };
        if unexpected {
            log::warn!(
                cause = word(cause);
                "This start was not asked for: affectd {}. It is start {}, and the {}. of that kind.",
                in_words(cause),
                record.count,
                record.unexpected
            );
        }
        let started = Self { file, record, cause };
        started.write();
        started
    }

    /// As it is published.
    pub(crate) fn told(&self) -> Starts {
        Starts {
            count: self.record.count,
            unexpected: self.record.unexpected,
            cause: self.cause,
        }
    }

    /// The daemon ends as it was asked to.
    pub(crate) fn ends_well(&mut self) {
        self.record.end = End::Stopped;
    }

    fn write(&self) {
        let written = serde_json::to_string(&self.record)
            .map_err(std::io::Error::from)
            .and_then(|text| place::store(&self.file, &text));
        if let Err(error) = written {
            log::warn!(
                "`{}` cannot be written ({error}), so starts are not counted.",
                self.file.display()
            );
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.record.end == End::Running {
            self.record.end = End::Failed;
        }
        self.write();
    }
}

fn cause(before: &Record, system: &str) -> StartCause {
    match (before.end, before.system == system) {
        (End::Running, true) => StartCause::Killed,
        (End::Running, false) => StartCause::Power,
        (End::Stopped, true) => StartCause::Stopped,
        (End::Stopped, false) => StartCause::Reboot,
        (End::Failed, _) => StartCause::Failed,
    }
}

/// As in the health.
fn word(cause: StartCause) -> &'static str {
    match cause {
        StartCause::First => "first",
        StartCause::Stopped => "stopped",
        StartCause::Reboot => "reboot",
        StartCause::Failed => "failed",
        StartCause::Killed => "killed",
        StartCause::Power => "power",
    }
}

/// As a part of a sentence.
fn in_words(cause: StartCause) -> &'static str {
    match cause {
        StartCause::Killed => {
            "was killed or crashed while it ran (`journalctl -u affectd -b` tells of a watchdog, `journalctl -k` of memory that ran out)"
        }
        StartCause::Power => "was not stopped before the system started anew, as after a power cut",
        StartCause::Failed => "ended with an error, which is in the log",
        StartCause::First | StartCause::Stopped | StartCause::Reboot => "was stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_before_is_told_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = |system: &str| Started::in_system(folder.path(), system);
        let told = |started: &Started| {
            let told = started.told();
            (told.count, told.unexpected, told.cause)
        };
        let mut first = start("a\n");
        assert_eq!(told(&first), (1, 0, StartCause::First));
        first.ends_well();
        drop(first);
        let mut second = start("a");
        assert_eq!(told(&second), (2, 0, StartCause::Stopped));
        second.ends_well();
        drop(second);
        let third = start("b");
        assert_eq!(told(&third), (3, 0, StartCause::Reboot));
        // Killed: nobody drops it.
        std::mem::forget(third);
        let fourth = start("b");
        assert_eq!(told(&fourth), (4, 1, StartCause::Killed));
        std::mem::forget(fourth);
        let fifth = start("c");
        assert_eq!(told(&fifth), (5, 2, StartCause::Power));
        // An error: dropped without a word.
        drop(fifth);
        assert_eq!(told(&start("c")), (6, 3, StartCause::Failed));
        std::fs::write(folder.path().join(FILE), "damaged").expect("written");
        assert_eq!(told(&start("c")), (1, 0, StartCause::First));
    }

    #[test]
    fn the_words_are_those_of_the_health() {
        for cause in [
            StartCause::First,
            StartCause::Stopped,
            StartCause::Reboot,
            StartCause::Failed,
            StartCause::Killed,
            StartCause::Power,
        ] {
            assert_eq!(serde_json::to_value(cause).expect("a word"), word(cause));
        }
    }
}
