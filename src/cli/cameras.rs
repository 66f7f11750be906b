//! `affectd cameras`: which cameras there are, by names that stay the same, and what would be chosen of each.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::columns::folded;
use super::{ConfigFiles, Failure, print};
use crate::capture::v4l2::{Camera, Mode, Offer, Size, V4l2, Wish, choose, find};
use crate::config::Config;
use crate::redact;
use crate::setup::wish;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFiles,
}

/// What is known of a device.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    /// The name to configure as [camera] source.
    source: PathBuf,
    /// Its other names.
    also: Vec<PathBuf>,
    /// The name for people.
    pub(super) name: String,
    driver: String,
    /// Where it is plugged in.
    bus: String,
    /// Codes of all its formats, those that affectd does not read too.
    formats: Vec<String>,
    /// What affectd reads of it.
    pub(super) offers: Vec<Offer>,
    /// What would be chosen.
    pub(super) chosen: Option<Mode>,
    /// Why it cannot be used, if it cannot.
    problem: Option<String>,
}

impl Listed {
    /// Codes of the formats that affectd does not read.
    pub(super) fn not_read(&self) -> Vec<&str> {
        let known = |code: &&str| self.offers.iter().any(|offer| offer.format.name() == *code);
        let codes = self.formats.iter().map(String::as_str);
        codes.filter(|code| !known(code)).collect()
    }

    /// Why it cannot be used, if it cannot.
    pub(super) fn problem(&self) -> Option<&str> {
        match (&self.problem, &self.chosen) {
            (Some(problem), _) => Some(problem),
            (None, Some(_)) => None,
            (None, None) => Some("it has no format that affectd reads"),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Without a configuration the defaults tell what is wanted of a camera: this is asked before there is one.
    let config = if arguments.config.config.is_empty() {
        Config::for_replay()
    } else {
        arguments.config.load()?
    };
    let wish = wish(&config.camera);
    let devices = find::devices(Path::new("/dev"));
    let cameras: Vec<Listed> = devices
        .iter()
        .filter_map(|names| look::<V4l2>(names, &wish))
        .collect();
    if arguments.json {
        let text = serde_json::to_string_pretty(&cameras).map_err(std::io::Error::from)?;
        return Ok(print(text)?);
    }
    if cameras.is_empty() {
        let none = "No camera is found. Is it plugged in? A CSI camera needs a preset of config/presets; see [camera] command.";
        print(folded(none, 0))?;
    }
    for camera in &cameras {
        print(text(camera))?;
    }
    Ok(())
}

/// Asks a device what it is. `None` if it captures no pictures at all, as many of a camera's files do not.
pub(super) fn look<C: Camera>(names: &find::Names, wish: &Wish) -> Option<Listed> {
    let source = names.best().to_owned();
    let others = names.stable.iter().chain([&names.node]);
    let mut listed = Listed {
        also: others.filter(|name| **name != source).cloned().collect(),
        source,
        name: String::new(),
        driver: String::new(),
        bus: String::new(),
        formats: Vec::new(),
        offers: Vec::new(),
        chosen: None,
        problem: None,
    };
    let asked = C::open(&names.node).and_then(|camera| Ok((camera.identify()?, camera)));
    let (identity, camera) = match asked {
        Ok(asked) => asked,
        Err(cause) => {
            listed.problem = Some(format!("it cannot be asked what it is: {cause}"));
            return Some(listed);
        }
    };
    if !identity.captures && !identity.multi_planar {
        return None;
    }
    listed.problem = identity.fault().map(|fault| fault.to_string());
    (listed.name, listed.driver, listed.bus) = (identity.name, identity.driver, identity.bus);
    match camera.list() {
        Ok((offers, codes)) => {
            if listed.problem.is_none() {
                listed.chosen = choose(&offers, wish, &[]);
            }
            (listed.offers, listed.formats) = (offers, codes);
        }
        Err(cause) => listed.problem = Some(format!("its formats cannot be listed: {cause}")),
    }
    Some(listed)
}

fn text(camera: &Listed) -> String {
    let mut out = redact::line(&camera.source.display().to_string());
    out.push('\n');
    let mut line = |what: &str, text: String| {
        let _ = writeln!(out, "    {what:<8} {}", redact::line(&text));
    };
    for name in &camera.also {
        line("also", name.display().to_string());
    }
    if !camera.name.is_empty() {
        line(
            "camera",
            format!("{} (driver {}, {})", camera.name, camera.driver, camera.bus),
        );
    }
    for offer in &camera.offers {
        line("offers", in_words(offer));
    }
    let not_read = camera.not_read();
    if !not_read.is_empty() {
        line("not read", not_read.join(", "));
    }
    if let Some(problem) = camera.problem() {
        line("problem", problem.to_owned());
    } else if let Some(mode) = &camera.chosen {
        line("chosen", mode.to_string());
    }
    out
}

/// An offer, such as `YUYV 640×480 px at 30, 7.5 fps`.
pub(super) fn in_words(offer: &Offer) -> String {
    let rates: Vec<String> = offer.rates.iter().map(|rate| format!("{rate:.4}")).collect();
    let rates = rates
        .iter()
        .map(|rate| rate.trim_end_matches('0').trim_end_matches('.'));
    let rates = rates.collect::<Vec<_>>().join(", ");
    format!("{} {} px at {rates} fps", offer.format.name(), size(offer.size))
}

fn size(size: Size) -> String {
    match size {
        Size::One { width, height } => format!("{width}×{height}"),
        Size::Range { least, most, .. } => format!("{}×{} to {}×{}", least[0], least[1], most[0], most[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::PixelFormat;

    #[test]
    fn a_camera_is_shown_with_what_it_offers_and_what_is_chosen() {
        let offers = vec![
            Offer {
                format: PixelFormat::Yuyv,
                size: Size::One {
                    width: 640,
                    height: 480,
                },
                rates: vec![30.0, 7.5],
            },
            Offer {
                format: PixelFormat::Mjpg,
                size: Size::Range {
                    least: [16, 16],
                    most: [1920, 1080],
                    step: [2, 2],
                },
                rates: vec![30.0],
            },
        ];
        let camera = Listed {
            source: "/dev/v4l/by-id/usb-Cam-video-index0".into(),
            also: vec!["/dev/video3".into()],
            name: "Cam".to_owned(),
            driver: "uvcvideo".to_owned(),
            bus: "usb-1".to_owned(),
            formats: ["YUYV", "MJPG", "H264"].map(str::to_owned).into(),
            chosen: choose(&offers, &wish(&Config::for_replay().camera), &[]),
            offers,
            problem: None,
        };
        let expected = "/dev/v4l/by-id/usb-Cam-video-index0
    also     /dev/video3
    camera   Cam (driver uvcvideo, usb-1)
    offers   YUYV 640×480 px at 30, 7.5 fps
    offers   MJPG 16×16 to 1920×1080 px at 30 fps
    not read H264
    chosen   YUYV 640×480 px at 30 fps
";
        assert_eq!(text(&camera), expected);
        let json = serde_json::to_value(&camera).unwrap();
        assert_eq!(json["offers"][0]["size"]["width"], 640);
        assert_eq!(json["chosen"]["format"], "yuyv");
    }
}
