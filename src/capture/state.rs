//! The state of a camera, and when there is something new to tell of it. Pure: time comes as an argument.

use std::time::SystemTime;

use affect_core::report::CameraStateWord;

/// A state that shall be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) state: CameraStateWord,
    /// Since when the camera is in this state, for whatever cause.
    pub(crate) since: SystemTime,
}

/// Follows one camera.
#[derive(Debug, Default)]
pub(crate) struct States {
    current: Option<(CameraStateWord, &'static str, SystemTime)>,
}

impl States {
    /// The present state; `None` before the first.
    pub(crate) fn word(&self) -> Option<CameraStateWord> {
        self.current.map(|(state, ..)| state)
    }

    /// The camera is in `state`, by a cause of `kind`. Gives what to tell: once for each state and kind of cause,
    /// however often it is said. A new cause of the same state does not begin it anew.
    pub(crate) fn enter(
        &mut self,
        state: CameraStateWord,
        kind: &'static str,
        now: SystemTime,
    ) -> Option<Change> {
        let since = match self.current {
            Some((same, same_kind, _)) if (same, same_kind) == (state, kind) => return None,
            Some((same, _, since)) if same == state => since,
            _ => now,
        };
        self.current = Some((state, kind, since));
        Some(Change { state, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CameraStateWord::{Busy, NoData, NoDevice, NoSignal, Paused, Streaming};
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn each_change_is_told_once_with_its_begin() {
        // (second, state, kind, told: since which second)
        let story = [
            (0, NoDevice, "open", Some(0)),
            (1, NoDevice, "open", None),
            (2, NoDevice, "open", None),
            (3, Busy, "start", Some(3)),
            (4, Streaming, "", Some(4)),
            (5, Streaming, "", None),
            (9, NoData, "silent", Some(9)),
            (12, Streaming, "", Some(12)),
            (15, Paused, "button", Some(15)),
            (16, Paused, "button", None),
            (20, Streaming, "", Some(20)),
            (21, NoDevice, "read", Some(21)),
        ];
        let mut states = States::default();
        for (second, state, kind, told) in story {
            let change = states.enter(state, kind, at(second));
            let expected = told.map(|since| Change {
                state,
                since: at(since),
            });
            assert_eq!(change, expected, "second {second}");
        }
    }

    #[test]
    fn another_cause_is_told_but_does_not_begin_the_state_anew() {
        let mut states = States::default();
        states.enter(NoSignal, "ended", at(5));
        let change = states.enter(NoSignal, "set format", at(8));
        assert_eq!(
            change,
            Some(Change {
                state: NoSignal,
                since: at(5)
            })
        );
    }
}
