//! What affectd shows of itself: one sign at a time, as a pattern of the lamp and as a line for systemd.

use std::time::Duration;

use affect_core::report::CameraStateWord;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Models are loaded; no frame was looked at yet.
    Starting,
    /// People in front of the camera are looked at.
    Streaming,
    /// The same, and the page shows where faces are.
    Aiming,
    /// Nobody is looked at, by wish.
    Paused,
    /// There are no frames.
    NoCamera,
    /// Frames are looked at, but nobody can be told.
    NoBroker,
}

/// How long the lamp changes while somebody looks for the device, and how often, in milliseconds.
const BLINK: u128 = 100;
const BLINK_EVERY: u128 = 400;

/// What the sign depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Facts {
    pub(crate) paused: bool,
    /// Whether the page shows where faces are.
    pub(crate) aiming: bool,
    /// Whether a frame was looked at in this run.
    pub(crate) first_frame: bool,
    pub(crate) camera: Option<CameraStateWord>,
    pub(crate) connected: bool,
}

impl Sign {
    /// The sign for these facts. What concerns the people in front of the camera comes first.
    pub(crate) fn of(facts: &Facts) -> Self {
        use CameraStateWord::{Paused, Streaming};
        match facts.camera {
            _ if facts.paused => Self::Paused,
            _ if facts.aiming => Self::Aiming,
            Some(Streaming | Paused) | None if !facts.first_frame => Self::Starting,
            Some(Streaming | Paused) | None if !facts.connected => Self::NoBroker,
            Some(Streaming | Paused) | None => Self::Streaming,
            Some(_) => Self::NoCamera,
        }
    }

    /// How long the pattern takes, and the stretches of it in which the lamp is on, in milliseconds. The lamp is on
    /// most of the time only while people are looked at.
    fn pattern(self) -> (u128, &'static [(u128, u128)]) {
        match self {
            Self::Starting => (250, &[(0, 125)]),
            Self::Streaming => (1000, &[(0, 1000)]),
            Self::Aiming => (500, &[(0, 350)]),
            Self::Paused => (4000, &[(0, 60)]),
            Self::NoCamera => (2000, &[(0, 150), (300, 450)]),
            Self::NoBroker => (2000, &[(0, 1400), (1550, 1700), (1850, 2000)]),
        }
    }

    /// Whether people in front of the camera are looked at, or may be in a moment.
    fn looks(self) -> bool {
        match self {
            Self::Starting | Self::Streaming | Self::Aiming | Self::NoBroker => true,
            Self::Paused | Self::NoCamera => false,
        }
    }

    /// Whether the lamp is on, `time` after the daemon's start, while somebody looks for the device: it blinks. While the camera
    /// looks it is never dark for longer than a blink, and while it does not, it is never lit for longer.
    pub(crate) fn is_lit_to_be_found(self, time: Duration) -> bool {
        let blinks = time.as_millis() % BLINK_EVERY < BLINK;
        blinks != self.looks()
    }

    /// Whether the lamp is on, `time` after the daemon's start.
    pub(crate) fn is_lit(self, time: Duration) -> bool {
        let (period, lit) = self.pattern();
        let at = time.as_millis() % period;
        lit.iter().any(|(from, to)| (*from..*to).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Sign; 6] = [
        Sign::Starting,
        Sign::Streaming,
        Sign::Aiming,
        Sign::Paused,
        Sign::NoCamera,
        Sign::NoBroker,
    ];

    /// The pattern over four seconds, a character for 50 ms.
    fn drawn(sign: Sign) -> String {
        let at = |tick: u64| sign.is_lit(Duration::from_millis(tick * 50));
        (0..80).map(|tick| if at(tick) { '#' } else { '.' }).collect()
    }

    #[test]
    fn patterns_look_like_this() {
        assert_eq!(drawn(Sign::Starting)[..20], *"###..###..###..###..");
        assert_eq!(drawn(Sign::Streaming), "#".repeat(80));
        assert_eq!(drawn(Sign::Paused), format!("##{}", ".".repeat(78)));
        assert_eq!(
            drawn(Sign::NoCamera)[..40],
            *"###...###..............................."
        );
        assert_eq!(
            drawn(Sign::NoBroker)[..40],
            *"############################...###...###"
        );
    }

    #[test]
    fn no_two_look_alike_and_only_a_looking_camera_is_mostly_lit() {
        for (index, sign) in ALL.into_iter().enumerate() {
            let drawn_here = drawn(sign);
            assert!(ALL[index + 1..].iter().all(|other| drawn(*other) != drawn_here));
            let lit = drawn_here.matches('#').count();
            let looks = matches!(
                sign,
                Sign::Streaming | Sign::NoBroker | Sign::Starting | Sign::Aiming
            );
            assert_eq!(lit > 40, looks, "{sign:?}");
        }
    }

    #[test]
    fn who_looks_for_the_device_sees_it_blink_and_the_people_see_whether_it_looks() {
        for sign in ALL {
            let at = |ms: u64| sign.is_lit_to_be_found(Duration::from_millis(ms));
            let drawn: String = (0..80)
                .map(|tick| if at(tick * 50) { '#' } else { '.' })
                .collect();
            let (longest_dark, longest_lit) = (
                drawn.split('#').map(str::len).max().unwrap_or(0) * 50,
                drawn.split('.').map(str::len).max().unwrap_or(0) * 50,
            );
            match sign {
                Sign::Starting | Sign::Streaming | Sign::Aiming | Sign::NoBroker => {
                    assert!(longest_dark == 100 && longest_lit == 300, "{sign:?} {drawn}")
                }
                Sign::Paused | Sign::NoCamera => {
                    assert!(longest_dark == 300 && longest_lit == 100, "{sign:?} {drawn}")
                }
            }
            assert_ne!(drawn, self::drawn(sign));
        }
    }

    #[test]
    fn the_people_come_first() {
        let facts = |paused, first_frame, camera, connected| Facts {
            paused,
            aiming: false,
            first_frame,
            camera,
            connected,
        };
        let streaming = Some(CameraStateWord::Streaming);
        for (facts, sign) in [
            (facts(false, false, None, false), Sign::Starting),
            (facts(false, false, streaming, true), Sign::Starting),
            (facts(false, true, streaming, true), Sign::Streaming),
            (facts(false, true, streaming, false), Sign::NoBroker),
            (
                facts(false, true, Some(CameraStateWord::NoDevice), false),
                Sign::NoCamera,
            ),
            (
                facts(false, false, Some(CameraStateWord::NoData), true),
                Sign::NoCamera,
            ),
            (
                facts(true, true, Some(CameraStateWord::NoDevice), false),
                Sign::Paused,
            ),
            (facts(true, false, None, false), Sign::Paused),
        ] {
            assert_eq!(Sign::of(&facts), sign, "{facts:?}");
            let aiming = Sign::of(&Facts {
                aiming: true,
                ..facts
            });
            assert_eq!(aiming, if facts.paused { Sign::Paused } else { Sign::Aiming });
        }
    }
}
