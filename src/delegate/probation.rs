//! How often the daemon failed with the Edge TPU. A hang or a crash in use ends in a restart, and a trial of a moment may
//! go well again each time; so every start with the Edge TPU counts as a failure until it has proved itself.
//!
//! The count is a small file in the state directory. It is written before the first use and taken back when a minute of
//! work went well, or when the daemon ends in an orderly way. A count of another boot of the machine does not count: a
//! power cycle is what cures an Edge TPU that is stuck.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// Name of the file in the state directory.
const FILE: &str = "edge_tpu_failures";
/// So many failures in a row, and the Edge TPU is used no more.
const MOST: u32 = 3;
/// How long the networks must have worked.
const PROVED: Duration = Duration::from_secs(60);
/// The kernel's name for this boot.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Failures since the machine was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failures {
    file: PathBuf,
    count: u32,
}

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    boot: String,
    failures: u32,
}

impl Failures {
    /// As the state directory `state` has them.
    pub(crate) fn read(state: &Path) -> Self {
        Self::read_in(state, &boot())
    }

    fn read_in(state: &Path, boot: &str) -> Self {
        let file = state.join(FILE);
        let record = fs::read_to_string(&file).unwrap_or_default();
        // No file is no failure. One that was cut off by a loss of power is of another boot.
        let record = serde_json::from_str::<Record>(&record).ok();
        let count = record
            .filter(|record| record.boot == boot)
            .map_or(0, |record| record.failures);
        Self { file, count }
    }

    /// Why the Edge TPU must not be used, if it must not.
    pub(crate) fn forbid(&self) -> Option<String> {
        (self.count >= MOST).then(|| {
            format!(
                "affectd hung or crashed {} times in a row in its first minute of work with the Edge TPU, so it is not used until the device is started anew. Or unplug it and plug it in again, delete `{}` and start affectd anew.",
                self.count,
                self.file.display()
            )
        })
    }

    fn write(&self, count: u32) -> io::Result<()> {
        if count == 0 {
            return match fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let record = Record {
            boot: boot(),
            failures: count,
        };
        fs::write(&self.file, serde_json::to_vec(&record)?)
    }
}

fn boot() -> String {
    fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
}

/// A daemon that has not proved itself with the Edge TPU. Dropped, it takes its failure back.
#[derive(Debug)]
pub(crate) struct Probation {
    failures: Failures,
    /// Whether this start still counts as a failure.
    open: bool,
    /// Frames in which every network has run, and when the first of them was.
    frames: u64,
    first: Option<Duration>,
}

impl Probation {
    /// Begins one: from now on, this start is a failure.
    pub(crate) fn begin(state: &Path) -> Self {
        let failures = Failures::read(state);
        let written = failures.write(failures.count + 1);
        if let Err(error) = &written {
            log::warn!(
                "`{}` cannot be written ({error}), so an Edge TPU that hangs would be used again after every restart; make its folder writable for affectd.",
                failures.file.display()
            );
        }
        Self {
            failures,
            open: written.is_ok(),
            frames: 0,
            first: None,
        }
    }

    /// Takes in how many `frames` every network has run on until `now`.
    pub(crate) fn look(&mut self, now: Duration, frames: u64) {
        if !self.open || frames == self.frames {
            return;
        }
        self.frames = frames;
        let first = *self.first.get_or_insert(now);
        if now.saturating_sub(first) >= PROVED {
            log::info!("The Edge TPU has worked for a minute.");
            self.close(0);
        }
    }

    /// The Edge TPU failed: this start stays a failure.
    pub(crate) fn fail(mut self) {
        self.open = false;
    }

    fn close(&mut self, count: u32) {
        self.open = false;
        if let Err(error) = self.failures.write(count) {
            log::warn!("`{}` cannot be written: {error}.", self.failures.file.display());
        }
    }
}

impl Drop for Probation {
    fn drop(&mut self) {
        if self.open {
            self.close(self.failures.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn count(state: &tempfile::TempDir) -> u32 {
        Failures::read(state.path()).count
    }

    #[test]
    fn a_start_is_a_failure_until_a_minute_went_well() {
        let state = state();
        let seconds = Duration::from_secs;
        let mut probation = Probation::begin(state.path());
        assert_eq!(count(&state), 1);
        // No time counts before the first face was read, and none in which nobody was.
        probation.look(seconds(100), 0);
        probation.look(seconds(200), 1);
        probation.look(seconds(259), 2);
        probation.look(seconds(300), 2);
        assert_eq!(count(&state), 1);
        probation.look(seconds(301), 3);
        assert_eq!(count(&state), 0);
        assert!(!state.path().join(FILE).exists());
    }

    #[test]
    fn failures_in_a_row_forbid_it_and_an_orderly_end_is_none() {
        let state = state();
        for before in 0..MOST {
            assert_eq!(Failures::read(state.path()).forbid(), None);
            drop(Probation::begin(state.path()));
            assert_eq!(count(&state), before, "an orderly end");
            Probation::begin(state.path()).fail();
            assert_eq!(count(&state), before + 1);
        }
        let why = Failures::read(state.path()).forbid().expect("a reason");
        assert!(why.contains("3 times in a row") && why.contains(FILE), "{why}");
    }

    #[test]
    fn another_boot_or_a_damaged_file_begins_anew() {
        let state = state();
        Probation::begin(state.path()).fail();
        assert_eq!(Failures::read_in(state.path(), "another").count, 0);
        fs::write(state.path().join(FILE), "{\"boot").expect("written");
        assert_eq!(count(&state), 0);
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_is_no_obstacle() {
        let mut probation = Probation::begin(Path::new("/proc/none"));
        probation.look(Duration::ZERO, 1);
        probation.look(PROVED, 2);
        assert_eq!(Failures::read(Path::new("/proc/none")).forbid(), None);
    }
}
