//! The privacy button: from a bouncing contact to presses, and a pause that outlives the daemon.

use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use crate::progress::{PausedBy, Progress};

/// How long a contact must keep still to be believed.
const STILL: Duration = Duration::from_millis(40);
/// Names of the files in the state directory that say that a pause is on.
const BUTTON_FILE: &str = "paused";
const COMMAND_FILE: &str = "paused-by-command";

/// Turns what a contact shows into presses.
#[derive(Debug, Default)]
pub(crate) struct Debounce {
    /// What is believed.
    down: bool,
    /// Since when the contact shows something else.
    changed: Option<Duration>,
}

impl Debounce {
    /// Takes in what the contact shows `now`; true once for each press, when it begins. A button that is down from
    /// the start counts as pressed only when it was let go in between.
    pub(crate) fn is_pressed(&mut self, down: bool, now: Duration) -> bool {
        if down == self.down {
            self.changed = None;
            return false;
        }
        let since = *self.changed.get_or_insert(now);
        if now.saturating_sub(since) < STILL {
            return false;
        }
        self.changed = None;
        self.down = down;
        down
    }

    /// A button that shows `down` when the daemon starts.
    pub(crate) fn starting(down: bool) -> Self {
        Self { down, changed: None }
    }
}

/// The pauses that the button and commands ask for, remembered over a restart.
#[derive(Debug)]
pub(crate) struct Pauses {
    button: Pause,
    command: Pause,
}

impl Pauses {
    /// Remembered in `state`, the state directory; without one, until the daemon ends.
    pub(crate) fn new(state: Option<PathBuf>) -> Self {
        Self {
            button: Pause::new(state.clone(), BUTTON_FILE),
            command: Pause::new(state, COMMAND_FILE),
        }
    }

    /// Whether `by` has one on.
    pub(crate) fn is_on(&self, by: PausedBy) -> bool {
        self.of(by).is_on()
    }

    /// Begins or ends one. First the pause, then what is written about it.
    pub(crate) fn set(&self, by: PausedBy, on: bool, progress: &Progress) {
        progress.set_paused(by, on);
        self.of(by).remember(on);
    }

    /// The button is pressed: whoever stands at the device has the last word. A press ends what a press began, and with it what
    /// commands asked for; any other begins a pause that no command ends, also where a command had begun one.
    pub(crate) fn press(&self, progress: &Progress) {
        if progress.is_paused_by(PausedBy::Button) {
            if progress.is_paused_by(PausedBy::Command) {
                self.set(PausedBy::Command, false, progress);
            }
            self.set(PausedBy::Button, false, progress);
        } else {
            self.set(PausedBy::Button, true, progress);
        }
    }

    fn of(&self, by: PausedBy) -> &Pause {
        match by {
            PausedBy::Button => &self.button,
            PausedBy::Command => &self.command,
        }
    }
}

/// A pause that is remembered over a restart, as an empty file in the state directory.
#[derive(Debug)]
struct Pause {
    file: Option<PathBuf>,
}

impl Pause {
    fn new(state: Option<PathBuf>, name: &str) -> Self {
        Self {
            file: state.map(|folder| folder.join(name)),
        }
    }

    /// Whether a pause is on. If that cannot be found out, it is: nobody is looked at by mistake.
    fn is_on(&self) -> bool {
        let Some(file) = &self.file else { return false };
        match fs::symlink_metadata(file) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                log::error!(
                    "Whether a privacy pause is on cannot be read from `{}` ({error}), so it is taken for on; press the button to go on.",
                    file.display()
                );
                true
            }
        }
    }

    /// Remembers whether it is on.
    fn remember(&self, on: bool) {
        let Some(file) = &self.file else { return };
        let done = match on {
            true => fs::File::create(file).and_then(|file| file.sync_all()),
            false => match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        // The folder, too: else a power cut takes the change back, and somebody is looked at who was not to be.
        let done = done.and_then(|()| match file.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        });
        if let Err(error) = done {
            log::error!(
                "The privacy pause works now, but would not be the same after a restart: `{}` cannot be written ({error}); make its folder writable for affectd.",
                file.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of presses in a drawing of the contact, a character for 10 ms: `#` is down.
    fn presses(drawing: &str) -> usize {
        let mut debounce = Debounce::starting(drawing.starts_with('#'));
        let samples = drawing.chars().enumerate();
        samples
            .filter(|(index, shown)| {
                debounce.is_pressed(*shown == '#', Duration::from_millis(*index as u64 * 10))
            })
            .count()
    }

    #[test]
    fn a_press_is_one_however_it_bounces() {
        for (drawing, expected) in [
            ("......................", 0),
            ("...######.............", 1),
            ("...#.#.##.#######.....", 1),
            ("...#######.#.##.#.....", 1),
            ("...#.#..#.............", 0),
            ("...###................", 0),
            ("..######......#######.", 2),
            ("..#######.#.##..######", 1),
            ("..####################", 1),
            ("######################", 0),
            ("#########.......######", 1),
        ] {
            assert_eq!(presses(drawing), expected, "{drawing}");
        }
    }

    #[test]
    fn a_pause_outlives_the_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let pause = || Pause::new(Some(folder.path().to_owned()), BUTTON_FILE);
        assert!(!pause().is_on());
        pause().remember(true);
        pause().remember(true);
        assert!(pause().is_on());
        pause().remember(false);
        pause().remember(false);
        assert!(!pause().is_on());
    }

    #[test]
    fn what_cannot_be_read_is_a_pause() {
        let folder = tempfile::tempdir().expect("a folder");
        let no_folder = folder.path().join("file");
        fs::write(&no_folder, "").expect("written");
        assert!(Pause::new(Some(no_folder), BUTTON_FILE).is_on());
        assert!(!Pause::new(None, BUTTON_FILE).is_on());
    }

    #[test]
    fn what_the_button_began_only_the_button_ends_and_it_has_the_last_word() {
        use PausedBy::{Button, Command};
        let folder = tempfile::tempdir().expect("a folder");
        let pauses = Pauses::new(Some(folder.path().to_owned()));
        let progress = Progress::new(std::sync::Arc::default());
        pauses.press(&progress);
        pauses.set(Command, false, &progress);
        assert!(progress.is_paused(), "a command does not end the button's pause");
        pauses.set(Command, true, &progress);
        pauses.set(Command, false, &progress);
        assert!(progress.is_paused() && pauses.is_on(Button) && !pauses.is_on(Command));
        pauses.press(&progress);
        assert!(!progress.is_paused());
        // A press during a command's pause makes it the button's; the next one ends both.
        pauses.set(Command, true, &progress);
        pauses.press(&progress);
        pauses.set(Command, false, &progress);
        assert!(progress.is_paused());
        pauses.set(Command, true, &progress);
        pauses.press(&progress);
        assert!(!progress.is_paused() && !pauses.is_on(Button) && !pauses.is_on(Command));
    }

    #[test]
    fn the_end_of_a_pause_by_command_is_heeded_once_whoever_ends_it() {
        use PausedBy::{Button, Command};
        let pauses = Pauses::new(None);
        let progress = Progress::new(std::sync::Arc::default());
        pauses.set(Command, false, &progress);
        assert!(!progress.heed_resumption(), "none had begun");
        pauses.set(Command, true, &progress);
        assert!(!progress.heed_resumption());
        pauses.set(Command, false, &progress);
        assert!(progress.heed_resumption() && !progress.heed_resumption());
        pauses.set(Button, true, &progress);
        pauses.set(Button, false, &progress);
        assert!(!progress.heed_resumption(), "the button costs what it cost");
        pauses.set(Command, true, &progress);
        pauses.press(&progress);
        pauses.press(&progress);
        assert!(progress.heed_resumption());
    }
}
