//! Lamp and button at work: the lamp shows a sign, the button begins and ends a pause.

use std::time::Duration;

use super::button::{Debounce, Pauses};
use super::pins::{PinError, Pins};
use super::sign::Sign;
use crate::progress::Progress;

/// The pins with what they mean.
pub(crate) struct Panel {
    pins: Box<dyn Pins>,
    debounce: Debounce,
    /// What the lamp was last set to; unknown before, and after it could not be set.
    lit: Option<bool>,
    /// When there was trouble with the pins last; it is logged once until there was none for a while.
    trouble: Option<Duration>,
}

/// Pins without trouble for so long work again.
const SOUND: Duration = Duration::from_secs(10);

impl Panel {
    /// Over opened pins, with the lamp dark.
    pub(crate) fn new(mut pins: Box<dyn Pins>) -> Self {
        let down = pins.is_down().unwrap_or(false);
        Self {
            pins,
            debounce: Debounce::starting(down),
            lit: None,
            trouble: None,
        }
    }

    /// Looks at the button and sets the lamp, which blinks where `shown` is to be found. Called every few milliseconds.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        (sign, shown): (Sign, bool),
        pauses: &Pauses,
        progress: &Progress,
    ) {
        match self.pins.is_down() {
            Ok(down) if self.debounce.is_pressed(down, now) => {
                pauses.press(progress);
            }
            Ok(_) => {}
            Err(error) => self.tell(&error, now),
        }
        let lit = match shown {
            true => sign.is_lit_to_be_found(now),
            false => sign.is_lit(now),
        };
        self.light(lit, now);
        if self.trouble.is_some_and(|last| now.saturating_sub(last) > SOUND) {
            self.trouble = None;
            log::info!("Lamp and button work again.");
        }
    }

    /// Sets the lamp, again and again until it could be set: it must not stay dark while the camera looks.
    fn light(&mut self, on: bool, now: Duration) {
        if self.lit == Some(on) {
            return;
        }
        self.lit = match self.pins.light(on) {
            Ok(()) => Some(on),
            Err(error) => {
                self.tell(&error, now);
                None
            }
        };
    }

    fn tell(&mut self, error: &PinError, now: Duration) {
        if self.trouble.replace(now).is_none() {
            log::error!("{error} It is tried again and again.");
        }
    }
}

impl Drop for Panel {
    /// Nobody looks any more.
    fn drop(&mut self) {
        self.light(false, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::PausedBy;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    #[derive(Clone, Default)]
    struct Board {
        down: Arc<AtomicBool>,
        lit: Arc<AtomicBool>,
        fails: Arc<AtomicBool>,
    }

    impl Pins for Board {
        fn light(&mut self, on: bool) -> Result<(), PinError> {
            if self.fails.load(Relaxed) {
                return Err(PinError::Chip {
                    pin: 1,
                    chip: "/dev/gpiochip0".into(),
                    cause: gpiocdev::Error::InvalidArgument("it is gone".to_owned()),
                });
            }
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
        let pause = Pauses::new(Some(folder.path().to_owned()));
        let progress = Progress::new(Arc::default());
        let board = Board::default();
        let mut panel = Panel::new(Box::new(board.clone()));
        let mut now = Duration::ZERO;
        let mut hold = |down: bool, panel: &mut Panel| {
            board.down.store(down, Relaxed);
            for _ in 0..10 {
                now += Duration::from_millis(20);
                panel.turn(now, (Sign::Streaming, false), &pause, &progress);
            }
        };
        hold(false, &mut panel);
        assert!(board.lit.load(Relaxed) && !progress.is_paused());
        hold(true, &mut panel);
        assert!(progress.is_paused() && pause.is_on(PausedBy::Button));
        hold(false, &mut panel);
        assert!(progress.is_paused(), "letting go changes nothing");
        hold(true, &mut panel);
        assert!(!progress.is_paused() && !pause.is_on(PausedBy::Button));
        drop(panel);
        assert!(!board.lit.load(Relaxed), "the lamp goes out with the daemon");
    }

    #[test]
    fn a_lamp_that_could_not_be_lit_once_is_lit_as_soon_as_it_can() {
        let (pause, progress) = (Pauses::new(None), Progress::new(Arc::default()));
        let board = Board::default();
        let mut panel = Panel::new(Box::new(board.clone()));
        let mut turn = |ms| {
            panel.turn(
                Duration::from_millis(ms),
                (Sign::Streaming, false),
                &pause,
                &progress,
            )
        };
        board.fails.store(true, Relaxed);
        (0..5).for_each(|n| turn(n * 20));
        assert!(!board.lit.load(Relaxed));
        board.fails.store(false, Relaxed);
        turn(100);
        assert!(board.lit.load(Relaxed), "the camera looks");
        turn(10_200);
        assert!(panel.trouble.is_none(), "a later fault is told again");
    }
}
