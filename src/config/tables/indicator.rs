//! `[indicator]`: a lamp that shows what affectd does, and a button that makes it look away.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lamp that shows whether the camera looks, and a button that makes it look away. Without pins, no GPIO is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Indicator {
    /// Pin of the lamp: the GPIO number on a Raspberry Pi, the line's number within its chip on other boards. -1: no
    /// lamp.
    #[schemars(range(min = -1, max = 1023))]
    led_pin: i32,
    /// Whether the lamp shines when its pin is low.
    pub(crate) led_active_low: bool,
    /// Pin of the privacy button, which connects it to ground. -1: no button.
    #[schemars(range(min = -1, max = 1023))]
    button_pin: i32,
    /// How the pins are reached.
    pub(crate) board: BoardKind,
    /// Device of the chip that has the pins. Not used on a Raspberry Pi.
    #[schemars(with = "String", length(min = 1))]
    pub(crate) chip: PathBuf,
}

impl Indicator {
    /// Pin of the lamp.
    pub(crate) fn led(&self) -> Option<u32> {
        u32::try_from(self.led_pin).ok()
    }

    /// Pin of the button.
    pub(crate) fn button(&self) -> Option<u32> {
        u32::try_from(self.button_pin).ok()
    }
}

impl Default for Indicator {
    fn default() -> Self {
        Self {
            led_pin: -1,
            led_active_low: false,
            button_pin: -1,
            board: BoardKind::Auto,
            chip: "/dev/gpiochip0".into(),
        }
    }
}

/// How the pins are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BoardKind {
    /// as a Raspberry Pi's on one, by `chip` elsewhere
    #[default]
    Auto,
    /// by the registers of a Raspberry Pi
    RaspberryPi,
    /// by the GPIO device in `chip`, as on a Jetson
    Gpiochip,
}
