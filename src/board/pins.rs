//! The pins of lamp and button: `rppal` on a Raspberry Pi, the GPIO character device elsewhere, behind one trait.

use std::path::{Path, PathBuf};

use gpiocdev::line::{Bias, Value};

use super::sysfs::Sysfs;
use crate::config::{BoardKind, Indicator};

/// The lamp and the button. What is not configured is dark, or never down.
pub(crate) trait Pins: Send {
    /// Switches the lamp.
    ///
    /// # Errors
    /// If the line cannot be set any more.
    fn light(&mut self, on: bool) -> Result<(), PinError>;

    /// Whether the button is held down.
    ///
    /// # Errors
    /// If the line cannot be read any more.
    fn is_down(&mut self) -> Result<bool, PinError>;
}

/// Why a pin cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// On a Raspberry Pi.
    #[error(
        "Pin {pin} of [indicator] cannot be used on this Raspberry Pi ({cause}): check its GPIO number, that no other program uses it, and that affectd may open /dev/gpiomem (group `gpio`); on another board, or if this goes on, set board = \"gpiochip\"."
    )]
    RaspberryPi { pin: u32, cause: rppal::gpio::Error },
    /// On any other board.
    #[error("Line {pin} of [indicator] cannot be used on {} ({cause}): check chip and line (`gpioinfo` lists them), that no other program uses it, and that affectd may open the chip (group `gpio`).", chip.display())]
    Chip {
        pin: u32,
        chip: PathBuf,
        cause: gpiocdev::Error,
    },
}

/// Opens the configured pins; `None`, with nothing touched, if there are none.
///
/// # Errors
/// [`PinError`] if a pin cannot be had.
pub(crate) fn open(indicator: &Indicator, sysfs: &Sysfs) -> Result<Option<Box<dyn Pins>>, PinError> {
    let (led, button) = (indicator.led(), indicator.button());
    if led.is_none() && button.is_none() {
        return Ok(None);
    }
    let raspberry_pi = match indicator.board {
        BoardKind::Auto => sysfs.is_raspberry_pi(),
        BoardKind::RaspberryPi => true,
        BoardKind::Gpiochip => false,
    };
    let low = indicator.led_active_low;
    Ok(Some(match raspberry_pi {
        true => Box::new(RaspberryPi::open(led, low, button)?),
        false => Box::new(Chip::open(&indicator.chip, led, low, button)?),
    }))
}

/// Pins by their GPIO number.
struct RaspberryPi {
    led: Option<rppal::gpio::OutputPin>,
    active_low: bool,
    button: Option<rppal::gpio::InputPin>,
}

impl RaspberryPi {
    fn open(led: Option<u32>, active_low: bool, button: Option<u32>) -> Result<Self, PinError> {
        let pin = |pin: u32| {
            let number = u8::try_from(pin).unwrap_or(u8::MAX);
            let got = rppal::gpio::Gpio::new().and_then(|gpio| gpio.get(number));
            got.map_err(|cause| PinError::RaspberryPi { pin, cause })
        };
        let dark = |pin: rppal::gpio::Pin| match active_low {
            true => pin.into_output_high(),
            false => pin.into_output_low(),
        };
        Ok(Self {
            led: led.map(pin).transpose()?.map(dark),
            active_low,
            button: button
                .map(pin)
                .transpose()?
                .map(rppal::gpio::Pin::into_input_pullup),
        })
    }
}

impl Pins for RaspberryPi {
    fn light(&mut self, on: bool) -> Result<(), PinError> {
        if let Some(led) = &mut self.led {
            led.write((on != self.active_low).into());
        }
        Ok(())
    }

    fn is_down(&mut self) -> Result<bool, PinError> {
        Ok(self.button.as_ref().is_some_and(|button| button.is_low()))
    }
}

/// Lines of a GPIO chip by their number. Both lines are active when the lamp shines and the button is down.
struct Chip {
    chip: PathBuf,
    led: Option<(u32, gpiocdev::Request)>,
    button: Option<(u32, gpiocdev::Request)>,
}

impl Chip {
    fn open(chip: &Path, led: Option<u32>, active_low: bool, button: Option<u32>) -> Result<Self, PinError> {
        let request = |pin: u32, output: bool| {
            let mut builder = gpiocdev::Request::builder();
            builder.on_chip(chip).with_consumer("affectd").with_line(pin);
            match output {
                true if active_low => builder.as_active_low().as_output(Value::Inactive),
                true => builder.as_output(Value::Inactive),
                false => builder.as_input().as_active_low().with_bias(Bias::PullUp),
            };
            let request = builder.request().map_err(error(chip, pin))?;
            Ok((pin, request))
        };
        Ok(Self {
            chip: chip.to_owned(),
            led: led.map(|pin| request(pin, true)).transpose()?,
            button: button.map(|pin| request(pin, false)).transpose()?,
        })
    }
}

fn error(chip: &Path, pin: u32) -> impl FnOnce(gpiocdev::Error) -> PinError {
    let chip = chip.to_owned();
    move |cause| PinError::Chip { pin, chip, cause }
}

impl Pins for Chip {
    fn light(&mut self, on: bool) -> Result<(), PinError> {
        let Some((pin, request)) = &self.led else {
            return Ok(());
        };
        let set = request.set_value(*pin, if on { Value::Active } else { Value::Inactive });
        set.map_err(error(&self.chip, *pin))
    }

    fn is_down(&mut self) -> Result<bool, PinError> {
        let Some((pin, request)) = &self.button else {
            return Ok(false);
        };
        let value = request.value(*pin).map_err(error(&self.chip, *pin))?;
        Ok(value == Value::Active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [indicator] with `more` in it.
    fn indicator(more: &str) -> Indicator {
        let mut text = crate::config::Config::for_replay().effective_toml();
        text = text.replace("/dev/gpiochip0", "/dev/there-is-no-such-chip");
        crate::config::from_str(&text.replace("led_pin = -1", more))
            .expect("accepted")
            .indicator
    }

    #[test]
    fn without_pins_nothing_is_touched() {
        let pins = open(&indicator("led_pin = -1"), &Sysfs::new(Path::new("/nowhere")));
        assert!(matches!(pins, Ok(None)));
    }

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let Err(error) = open(&indicator("led_pin = 17"), &Sysfs::new(Path::new("/nowhere"))) else {
            panic!("there is no such chip");
        };
        let words = error.to_string();
        assert!(
            words.starts_with("Line 17 of [indicator] cannot be used on /dev/there-is-no-such-chip"),
            "{words}"
        );
    }
}
