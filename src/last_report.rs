//! When the last report with numbers went out, kept over a restart: a time, and nothing of anybody.
//!
//! Whoever was in that report may be followed no more after a restart, so nothing is released until
//! [`SILENCE`] has passed since. To spare the card, the file says until when reports *may* have gone out, a few minutes
//! ahead; a clean end makes it exact.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use affect_core::gate::SILENCE;

use crate::clock::Moment;
use crate::place::store;

/// Name of the file in the state directory.
const FILE: &str = "last-report";
/// How far ahead the file is written.
const AHEAD: Duration = Duration::from_secs(300);

/// The time of the last report.
#[derive(Debug, Default)]
pub(crate) struct LastReport {
    file: Option<PathBuf>,
    /// What the file says.
    written: Option<SystemTime>,
    last: Option<SystemTime>,
    /// Whether the reports are of a recording, of which nobody need be protected.
    of_recording: bool,
    /// Whether the file could not be written, so that it was said.
    told: bool,
}

impl LastReport {
    /// Kept in `state`, the state directory. Without one nothing is kept, so that every start waits.
    pub(crate) fn kept_in(state: Option<PathBuf>) -> Self {
        Self {
            file: state.map(|folder| folder.join(FILE)),
            ..Self::default()
        }
    }

    /// Of a recording: nothing is kept, and nothing waits.
    pub(crate) fn of_recording() -> Self {
        let mut last = Self::default();
        last.of_recording = true;
        last
    }

    /// For how long from stream time 0 nothing may be said, since a report went out before; `None` if there was none, or
    /// it is long ago. If that cannot be found out, or the clock cannot be relied on, it is taken for just now.
    pub(crate) fn silent_for(&self, now: Moment) -> Option<Duration> {
        let Some(file) = &self.file else {
            if self.of_recording {
                return None;
            }
            log::warn!(
                "There is no state directory, so whether a report has just gone out cannot be told, and nothing is released for {} minutes: run affectd by systemd, or set STATE_DIRECTORY.",
                SILENCE.as_secs() / 60
            );
            return Some(SILENCE);
        };
        // What cannot be written at the start could not be written after a report either.
        let text = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => store(file, "a trial")
                .and_then(|()| std::fs::remove_file(file))
                .map(|()| None),
            read => read.and_then(|text| store(file, &text).map(|()| Some(text))),
        };
        let text = match text {
            Ok(None) => return None,
            Ok(Some(text)) => text,
            Err(error) => {
                log::warn!(
                    "When the last report went out cannot be read from and written to `{}` ({error}), so nothing is released for {} minutes, nor after that: make the file and its folder writable for affectd.",
                    file.display(),
                    SILENCE.as_secs() / 60
                );
                return Some(SILENCE);
            }
        };
        let last = humantime::parse_rfc3339(text.trim()).ok();
        let since = last.and_then(|last| now.wall.duration_since(last).ok());
        let silent = match since {
            Some(since) if now.synced => SILENCE.checked_sub(since)?,
            // Written ahead, or by a clock that was set since.
            _ => match last.and_then(|last| last.duration_since(now.wall).ok()) {
                Some(ahead) if now.synced && ahead <= AHEAD => SILENCE + ahead,
                _ => SILENCE + AHEAD,
            },
        };
        log::info!(
            "A report went out before this start, so nothing is released for {} s: whoever came or went meanwhile cannot be told.",
            silent.as_secs()
        );
        Some(silent)
    }

    /// A report is to go out; whether it may: its time must be on the disk first. By a clock that is not set the time says
    /// nothing, so that the next start waits.
    pub(crate) fn note(&mut self, now: Moment) -> bool {
        if !now.synced {
            self.last = None;
            let unset = SystemTime::UNIX_EPOCH;
            return self.written == Some(unset) || self.write(unset, "by a clock that was not set");
        }
        let now = now.wall;
        self.last = Some(now);
        let is_ahead = |written: SystemTime| now <= written && written <= now + AHEAD * 2;
        self.written.is_some_and(is_ahead) || self.write(now + AHEAD, &text(now + AHEAD))
    }

    /// Writes what stands for a time; whether it is on the disk now.
    fn write(&mut self, time: SystemTime, text: &str) -> bool {
        let Some(file) = &self.file else { return true };
        let stored = store(file, text);
        match &stored {
            Ok(()) => (self.written, self.told) = (Some(time), false),
            Err(error) if !self.told => {
                self.told = true;
                log::error!(
                    "`{}` cannot be written ({error}), so after a restart affectd would not know that a report has just gone out: windows are held until its folder is writable for affectd.",
                    file.display()
                );
            }
            Err(_) => {}
        }
        stored.is_ok()
    }
}

fn text(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

impl Drop for LastReport {
    /// A clean end: the file says the exact time.
    fn drop(&mut self) {
        if let Some(last) = self.last
            && self.written.is_some()
        {
            self.write(last, &text(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: SystemTime, synced: bool) -> Moment {
        Moment {
            stream: Duration::ZERO,
            wall,
            synced,
        }
    }

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_fresh_device_starts_at_once_and_one_that_reported_waits() {
        let folder = tempfile::tempdir().unwrap();
        let kept = || LastReport::kept_in(Some(folder.path().to_owned()));
        assert_eq!(kept().silent_for(moment(noon(), true)), None);
        let mut running = kept();
        running.note(moment(noon(), true));
        // Power is lost now: the file is ahead, so more is waited rather than less.
        assert_eq!(
            kept().silent_for(moment(noon() + MINUTE, true)),
            Some(SILENCE + MINUTE * 4)
        );
        drop(running);
        assert_eq!(
            kept().silent_for(moment(noon() + MINUTE, true)),
            Some(SILENCE - MINUTE)
        );
        assert_eq!(kept().silent_for(moment(noon() + MINUTE * 11, true)), None);
    }

    #[test]
    fn without_a_state_directory_every_start_waits_but_that_of_a_recording() {
        let now = moment(noon(), true);
        assert_eq!(LastReport::kept_in(None).silent_for(now), Some(SILENCE));
        assert_eq!(LastReport::of_recording().silent_for(now), None);
    }

    #[test]
    fn a_clock_that_cannot_be_relied_on_means_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = LastReport::kept_in(Some(folder.path().to_owned()));
        running.note(moment(noon(), true));
        drop(running);
        let kept = LastReport::kept_in(Some(folder.path().to_owned()));
        for moment in [
            moment(noon() + MINUTE * 60, false),
            moment(noon() - MINUTE * 60, true),
        ] {
            assert!(kept.silent_for(moment).unwrap() >= SILENCE);
        }
        // Noted by a clock that was hours behind, and set before the next start.
        let mut running = LastReport::kept_in(Some(folder.path().to_owned()));
        running.note(moment(noon() - MINUTE * 180, false));
        drop(running);
        let kept = LastReport::kept_in(Some(folder.path().to_owned()));
        assert!(kept.silent_for(moment(noon(), true)).unwrap() >= SILENCE);
        let nowhere = LastReport::kept_in(Some(folder.path().join("gone")));
        assert_eq!(nowhere.silent_for(moment(noon(), true)), Some(SILENCE));
        std::fs::write(folder.path().join(FILE), "damaged").unwrap();
        assert!(kept.silent_for(moment(noon(), true)).unwrap() >= SILENCE);
    }

    #[test]
    fn what_cannot_be_written_holds_reports_and_makes_the_next_start_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = LastReport::kept_in(Some(folder.path().to_owned()));
        assert!(running.note(moment(noon(), true)));
        // A folder in its place: nothing can be renamed to it, whoever asks.
        let file = folder.path().join(FILE);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        std::fs::write(file.join("x"), "").unwrap();
        assert!(
            running.note(moment(noon() + MINUTE, true)),
            "what is on the disk still holds"
        );
        assert!(!running.note(moment(noon() + MINUTE * 6, true)));
        let next = LastReport::kept_in(Some(folder.path().to_owned()));
        assert_eq!(
            next.silent_for(moment(noon() + MINUTE * 600, true)),
            Some(SILENCE)
        );
    }

    #[test]
    fn the_card_is_written_every_five_minutes_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let mut running = LastReport::kept_in(Some(folder.path().to_owned()));
        let mut texts = std::collections::BTreeSet::new();
        for window in 0..240 {
            running.note(moment(noon() + Duration::from_secs(15 * window), true));
            texts.insert(std::fs::read_to_string(&file).unwrap());
        }
        assert!(
            (11..=13).contains(&texts.len()),
            "{} writes in an hour",
            texts.len()
        );
    }
}
