//! Lamp and button at work: the lamp shows a sign, the button begins and ends a pause.

use std::time::Duration;

use super::button::{Debounce, Pause};
use super::pins::{PinError, Pins};
use super::sign::Sign;
use crate::progress::Progress;

/// The pins with what they mean.
pub(crate) struct Panel {
    pins: Box<dyn Pins>,
    debounce: Debounce,
    lit: bool,
    /// Whether trouble with the pins was logged.
    told: bool,
}

impl Panel {
    /// Over opened pins, with the lamp dark.
    pub(crate) fn new(mut pins: Box<dyn Pins>) -> Self {
        let down = pins.is_down().unwrap_or(false);
        Self {
            pins,
            debounce: Debounce::starting(down),
            lit: false,
            told: false,
        }
    }

    /// Looks at the button and sets the lamp. Called every few milliseconds.
    pub(crate) fn turn(&mut self, now: Duration, sign: Sign, pause: &Pause, progress: &Progress) {
        match self.pins.is_down() {
            Ok(down) if self.debounce.is_pressed(down, now) => {
                let paused = !progress.is_paused();
                // First the pause, then what is written about it.
                progress.set_paused(paused);
                pause.remember(paused);
            }
            Ok(_) => {}
            Err(error) => self.tell(&error),
        }
        self.light(sign.is_lit(now));
    }

    fn light(&mut self, on: bool) {
        if on != self.lit {
            self.lit = on;
            if let Err(error) = self.pins.light(on) {
                self.tell(&error);
            }
        }
    }

    fn tell(&mut self, error: &PinError) {
        if !self.told {
            self.told = true;
            log::error!("{error}");
        }
    }
}

impl Drop for Panel {
    /// Nobody looks any more.
    fn drop(&mut self) {
        self.light(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    #[derive(Clone, Default)]
    struct Board {
        down: Arc<AtomicBool>,
        lit: Arc<AtomicBool>,
    }

    impl Pins for Board {
        fn light(&mut self, on: bool) -> Result<(), PinError> {
            self.lit.store(on, Relaxed);
            Ok(())
        }

        fn is_down(&mut self) -> Result<bool, PinError> {
            Ok(self.down.load(Relaxed))
        }
    }

    #[test]
    fn a_press_pauses_and_the_next_one_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let pause = Pause::new(Some(folder.path().to_owned()));
        let progress = Progress::new(Arc::default());
        let board = Board::default();
        let mut panel = Panel::new(Box::new(board.clone()));
        let mut now = Duration::ZERO;
        let mut hold = |down: bool, panel: &mut Panel| {
            board.down.store(down, Relaxed);
            for _ in 0..10 {
                now += Duration::from_millis(20);
                panel.turn(now, Sign::Streaming, &pause, &progress);
            }
        };
        hold(false, &mut panel);
        assert!(board.lit.load(Relaxed) && !progress.is_paused());
        hold(true, &mut panel);
        assert!(progress.is_paused() && pause.is_on());
        hold(false, &mut panel);
        assert!(progress.is_paused(), "letting go changes nothing");
        hold(true, &mut panel);
        assert!(!progress.is_paused() && !pause.is_on());
        drop(panel);
        assert!(!board.lit.load(Relaxed), "the lamp goes out with the daemon");
    }
}
