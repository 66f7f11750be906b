//! Which of a camera's modes is taken. A pure function over what the camera lists and what was measured of it.

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use super::super::pixels::PixelFormat;

/// A mode that gives this part of the wanted rate is as good as one that gives all of it.
const ENOUGH: f64 = 0.9;

/// What is wanted of a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wish {
    /// Size in pixels that the frames shall at least have.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Frames per second.
    pub(crate) fps: f64,
    /// The one format that may be taken, if not any.
    pub(crate) format: Option<PixelFormat>,
}

/// What a camera lists of one format and size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Offer {
    pub(crate) format: PixelFormat,
    pub(crate) size: Size,
    /// Frames per second; empty if the driver does not say.
    pub(crate) rates: Vec<f64>,
}

/// Sizes in pixels that a camera has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Size {
    One {
        width: u32,
        height: u32,
    },
    /// Any from the least to the most, in steps; each is width and height.
    Range {
        least: [u32; 2],
        most: [u32; 2],
        step: [u32; 2],
    },
}

/// One way to run a camera.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Mode {
    pub(crate) format: PixelFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Frames per second that the camera lists, or that were asked for where it lists none.
    pub(crate) fps: f64,
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, rate) = (self.format.name(), (self.fps * 10.0).round() / 10.0);
        write!(out, "{format} {}×{} px at {rate} fps", self.width, self.height)
    }
}

/// A mode and the frames per second that it really gave, 0 if it did not even start.
pub(crate) type Measured = (Mode, f64);

/// The mode to take; `None` if the camera lists none that affectd reads. In this order: the wanted rate is reached,
/// by what was measured where it was; the wanted size is covered; with as few pixels as possible; in a format that is
/// cheap to read. So raw pixels come before JPEGs, and JPEGs are taken where raw pixels are too slow for the bus.
pub(crate) fn choose(offers: &[Offer], wish: &Wish, measured: &[Measured]) -> Option<Mode> {
    let modes = offers
        .iter()
        .filter(|offer| wish.format.is_none_or(|format| format == offer.format))
        .map(|offer| offer.mode(wish));
    modes.min_by(|a, b| rank(a, wish, measured).compare(&rank(b, wish, measured)))
}

impl Offer {
    /// The mode of this offer that comes nearest to the wish.
    fn mode(&self, wish: &Wish) -> Mode {
        let (width, height) = self.size.nearest(wish);
        // The slowest rate that is fast enough: faster frames would be dropped, and cost the bus and the exposure.
        let enough = self.rates.iter().copied().filter(|rate| *rate >= wish.fps * 0.99);
        let fps = enough
            .min_by(f64::total_cmp)
            .or_else(|| self.rates.iter().copied().max_by(f64::total_cmp))
            .unwrap_or(wish.fps);
        Mode {
            format: self.format,
            width,
            height,
            fps,
        }
    }
}

impl Size {
    /// The size that is the smallest to cover the wish, or else the largest.
    pub(super) fn nearest(self, wish: &Wish) -> (u32, u32) {
        let (least, most, step) = match self {
            Self::One { width, height } => return (width, height),
            Self::Range { least, most, step } => (least, most, step),
        };
        let one = |wished: u32, at: usize| {
            let step = step[at].max(1);
            let steps = wished.saturating_sub(least[at]).div_ceil(step);
            let upper = most[at].saturating_sub(least[at]) / step;
            least[at] + steps.min(upper) * step
        };
        (one(wish.width, 0), one(wish.height, 1))
    }
}

/// Ranks a mode: the least is the best.
#[derive(Debug, Clone, Copy)]
struct Rank {
    /// Tenths of the wanted rate that are missed; 0 if as good as none.
    missed: u8,
    too_small: bool,
    pixels: u64,
    format: u8,
}

impl Rank {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        // Where no size is large enough, the largest is best.
        let size = |rank: &Self| {
            if rank.too_small {
                (Some(Reverse(rank.pixels)), 0)
            } else {
                (None, rank.pixels)
            }
        };
        (self.missed, size(self), self.format).cmp(&(other.missed, size(other), other.format))
    }
}

fn rank(mode: &Mode, wish: &Wish, measured: &[Measured]) -> Rank {
    let known = measured.iter().find(|(measured, _)| measured == mode);
    let part = known.map_or(mode.fps, |(_, rate)| *rate) / wish.fps;
    Rank {
        missed: if part >= ENOUGH {
            0
        } else {
            ((1.0 - part) * 10.0).ceil() as u8
        },
        too_small: mode.width < wish.width || mode.height < wish.height,
        pixels: u64::from(mode.width) * u64::from(mode.height),
        format: match mode.format {
            PixelFormat::Yuyv => 0,
            PixelFormat::Nv12 => 1,
            PixelFormat::Rgb3 => 2,
            PixelFormat::Mjpg => 3,
            // Without colour, expressions are read less well.
            PixelFormat::Grey => 4,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish = Wish {
        width: 640,
        height: 480,
        fps: 10.0,
        format: None,
    };

    fn offer(format: PixelFormat, width: u32, height: u32, rates: &[f64]) -> Offer {
        Offer {
            format,
            size: Size::One { width, height },
            rates: rates.to_vec(),
        }
    }

    fn mode(format: PixelFormat, width: u32, height: u32, fps: f64) -> Mode {
        Mode {
            format,
            width,
            height,
            fps,
        }
    }

    /// What a common USB 2 camera lists.
    fn webcam() -> Vec<Offer> {
        use PixelFormat::{Mjpg, Yuyv};
        let all = [30.0, 24.0, 15.0, 10.0, 5.0];
        vec![
            offer(Yuyv, 320, 240, &all),
            offer(Yuyv, 640, 480, &all),
            offer(Yuyv, 1280, 720, &[10.0, 5.0]),
            offer(Yuyv, 1920, 1080, &[5.0]),
            offer(Mjpg, 640, 480, &all),
            offer(Mjpg, 1280, 720, &all),
            offer(Mjpg, 1920, 1080, &all),
        ]
    }

    #[test]
    fn raw_pixels_are_taken_where_they_are_fast_enough_and_jpegs_elsewhere() {
        let cases = [
            (640, 480, 10.0, mode(PixelFormat::Yuyv, 640, 480, 10.0)),
            (640, 480, 12.0, mode(PixelFormat::Yuyv, 640, 480, 15.0)),
            (320, 200, 30.0, mode(PixelFormat::Yuyv, 320, 240, 30.0)),
            (1280, 720, 10.0, mode(PixelFormat::Yuyv, 1280, 720, 10.0)),
            (1280, 720, 15.0, mode(PixelFormat::Mjpg, 1280, 720, 15.0)),
            (1600, 900, 10.0, mode(PixelFormat::Mjpg, 1920, 1080, 10.0)),
            // More than there is: the largest size; more frames than there are: the most.
            (4000, 3000, 10.0, mode(PixelFormat::Mjpg, 1920, 1080, 10.0)),
            (640, 480, 60.0, mode(PixelFormat::Yuyv, 640, 480, 30.0)),
        ];
        for (width, height, fps, expected) in cases {
            let wish = Wish {
                width,
                height,
                fps,
                ..WISH
            };
            assert_eq!(choose(&webcam(), &wish, &[]), Some(expected), "{wish:?}");
        }
    }

    #[test]
    fn what_was_measured_counts_more_than_what_is_listed() {
        let raw = mode(PixelFormat::Yuyv, 640, 480, 10.0);
        let jpeg = mode(PixelFormat::Mjpg, 640, 480, 10.0);
        assert_eq!(choose(&webcam(), &WISH, &[(raw, 9.2)]), Some(raw));
        assert_eq!(choose(&webcam(), &WISH, &[(raw, 4.0)]), Some(jpeg));
        // In the dark every mode is slow: then the best of what was measured, and no going round in circles.
        let all: Vec<Measured> = webcam().iter().map(|offer| (offer.mode(&WISH), 5.0)).collect();
        assert_eq!(choose(&webcam(), &WISH, &all), Some(raw));
        // A mode that does not even start (no bandwidth) is the last.
        assert_eq!(
            choose(&webcam(), &WISH, &[(raw, 0.0), (jpeg, 1.0)]).map(|m| m.width),
            Some(1280)
        );
    }

    #[test]
    fn a_format_that_is_asked_for_is_the_only_one() {
        let only = |format| Wish {
            format: Some(format),
            ..WISH
        };
        let jpeg = mode(PixelFormat::Mjpg, 640, 480, 10.0);
        assert_eq!(choose(&webcam(), &only(PixelFormat::Mjpg), &[]), Some(jpeg));
        assert_eq!(choose(&webcam(), &only(PixelFormat::Nv12), &[]), None);
        assert_eq!(choose(&[], &WISH, &[]), None);
    }

    #[test]
    fn colour_comes_before_grey_and_unknown_rates_are_trusted() {
        let offers = [
            offer(PixelFormat::Grey, 640, 480, &[30.0]),
            offer(PixelFormat::Rgb3, 640, 480, &[]),
        ];
        assert_eq!(
            choose(&offers, &WISH, &[]),
            Some(mode(PixelFormat::Rgb3, 640, 480, 10.0))
        );
    }

    #[test]
    fn a_range_of_sizes_is_met_in_its_steps() {
        let size = Size::Range {
            least: [32, 16],
            most: [1920, 1080],
            step: [16, 2],
        };
        let near = |width, height| {
            size.nearest(&Wish {
                width,
                height,
                ..WISH
            })
        };
        assert_eq!(near(640, 480), (640, 480));
        assert_eq!(near(641, 481), (656, 482));
        assert_eq!(near(1, 1), (32, 16));
        assert_eq!(near(5000, 5000), (1920, 1080));
        let continuous = Size::Range {
            least: [2, 1],
            most: [1000, 1000],
            step: [0, 0],
        };
        assert_eq!(continuous.nearest(&WISH), (640, 480), "a step of 0 is one of 1");
    }
}
