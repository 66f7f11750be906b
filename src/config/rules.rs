//! Rules that tie several values together, or that need more than the schema can say.

mod broker;
mod camera;
mod status;

use std::path::{Path, PathBuf};
use std::time::Duration;

use affect_core::gate::{LONGEST_GAP, PUBLIC_MIN_GROUP_FLOOR};
use affect_core::geometry::{self, Rect};

use super::CONFIG_VERSION;
use super::duration;
use super::entry::{self, Table};
use super::problem::Problems;
use super::secret::{self, Secret};
use super::tables::{Basis, Camera, Delegate, Mask, Place, Window};
use crate::capture::is_device;

pub(super) use camera::apart;

/// Smallest area of a mask, as a fraction of the frame. What is smaller hides nothing.
const SMALLEST_MASK: f64 = 1e-6;
/// Places along each side of the frame at which is looked whether a mask covers it.
const GRID: usize = 100;

/// The shortest window of a camera: `min_group` people must be seen at once over three seconds of it.
const SHORTEST_LIVE_WINDOW: Duration = Duration::from_secs(5);

/// What was read from the files of secrets.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    pub(super) mqtt: Option<Secret>,
    pub(super) camera: Option<Secret>,
    pub(super) status: Option<Secret>,
}

/// Applies every rule to the merged tree. Absent and refused values break no rule. Returns what was read on the way.
pub(super) fn check(table: &Table, problems: &mut Problems) -> Passwords {
    version(table, problems);
    place(table, problems);
    min_group(table, problems);
    pace(table, problems);
    budget(table, problems);
    delegate(table, problems);
    broker::check(table, problems);
    username(table, problems);
    camera::check(table, problems);
    masks(table, problems);
    pins(table, problems);
    let passwords = Passwords {
        mqtt: password(table, problems, "mqtt", Some("a broker")),
        camera: password(table, problems, "camera", Some("a camera")),
        status: password(table, problems, "status", None),
    };
    status::check(table, &passwords, problems);
    passwords
}

fn version(table: &Table, problems: &mut Problems) {
    let path = ["config_version"];
    let (Some(entry), Some(version)) = (entry::get(table, &path), entry::read::<i64>(table, &path)) else {
        return;
    };
    if version == i64::from(CONFIG_VERSION) {
        return;
    }
    let note = if version > i64::from(CONFIG_VERSION) {
        format!(
            "it was written for a newer affectd than {}: update affectd",
            env!("CARGO_PKG_VERSION")
        )
    } else {
        "`affectd config migrate` makes it one of today".to_owned()
    };
    let what = format!(
        "`config_version` is {}; this affectd reads {CONFIG_VERSION}",
        problems.text(&entry.span).trim()
    );
    problems.add(&entry.span, "", what, note);
}

/// Reading emotions where people work or learn is forbidden in the European Union, but for two reasons.
fn place(table: &Table, problems: &mut Problems) {
    let Some(entry) = entry::get(table, &["deployment", "place"]) else {
        return;
    };
    let what = match entry::read(table, &["deployment", "place"]) {
        Some(Place::Workplace) => "`place` is \"workplace\", where it is forbidden to read emotions",
        Some(Place::Education) => "`place` is \"education\", where it is forbidden to read emotions",
        _ => return,
    };
    let declared = match entry::get(table, &["deployment", "basis"]) {
        None => Some(Basis::None),
        Some(_) => entry::read(table, &["deployment", "basis"]),
    };
    if declared == Some(Basis::None) {
        let note = "EU AI Act, Art. 5(1)(f): lawful for medical or safety reasons alone; if that is why it hangs \
                    there, declare basis = \"medical\" or basis = \"safety\"";
        problems.add(&entry.span, "deployment", what, note);
    }
}

/// Where strangers come and go, nothing is said of fewer than five.
fn min_group(table: &Table, problems: &mut Problems) {
    let path = ["privacy", "min_group"];
    let (Some(entry), Some(least)) = (entry::get(table, &path), entry::read::<u32>(table, &path)) else {
        return;
    };
    let place: Option<Place> = entry::read(table, &["deployment", "place"]);
    if least < PUBLIC_MIN_GROUP_FLOOR && place.is_some_and(Place::is_public) {
        let what = format!("`min_group` is {least}, in a place where strangers come and go");
        let note = format!(
            "there nothing is said of fewer than {PUBLIC_MIN_GROUP_FLOOR}: write min_group = {PUBLIC_MIN_GROUP_FLOOR} or more"
        );
        problems.add(&entry.span, "privacy", what, note);
    }
}

/// A camera whose people cannot be followed from frame to frame, or whose windows are too short to have numbers.
fn pace(table: &Table, problems: &mut Problems) {
    let source: String = entry::read(table, &["camera", "source"]).unwrap_or_default();
    let command: Vec<String> = entry::read(table, &["camera", "command"]).unwrap_or_default();
    let url: String = entry::read(table, &["camera", "url"]).unwrap_or_default();
    if command.is_empty() && url.is_empty() && !is_device(Path::new(&source)) {
        frames_in_a_window(table, problems);
        return;
    }
    let path = ["camera", "fps"];
    if let (Some(entry), Some(fps)) = (entry::get(table, &path), entry::read::<f64>(table, &path))
        && fps * LONGEST_GAP.as_secs_f64() < 2.0
    {
        let what = format!("`fps` is {fps}, which is too slow to follow anybody from frame to frame");
        problems.add(&entry.span, "camera", what, "write fps = 1.0 or more");
    }
    let path = ["window", "length"];
    let length: Option<String> = entry::read(table, &path);
    if let (Some(entry), Some(length)) = (
        entry::get(table, &path),
        length.and_then(|text| duration::parse(&text)),
    ) && length < SHORTEST_LIVE_WINDOW
    {
        let what = "`length` is too short for a camera: no window would have numbers".to_owned();
        let note = "people must be seen at once for three seconds; write length = \"5s\" or more";
        problems.add(&entry.span, "window", what, note);
    }
}

/// Too few readings for any group.
fn budget(table: &Table, problems: &mut Problems) {
    let path = ["model", "classify_budget_hz"];
    let (Some(entry), Some(budget)) = (entry::get(table, &path), entry::read::<f64>(table, &path)) else {
        return;
    };
    let least = entry::read::<u32>(table, &["privacy", "min_group"]).unwrap_or(PUBLIC_MIN_GROUP_FLOOR);
    if budget < f64::from(least) {
        let what = format!(
            "`classify_budget_hz` is {budget}, fewer readings a second than the {least} people that a report needs"
        );
        let note = "each of them must be read within a second, so no window would have numbers: raise it, or leave it out";
        problems.add(&entry.span, "model", what, note);
    }
}

/// A library that would not be used.
fn delegate(table: &Table, problems: &mut Problems) {
    let Some(library) = entry::get(table, &["model", "delegate_library"]) else {
        return;
    };
    let given =
        entry::read::<String>(table, &["model", "delegate_library"]).is_some_and(|path| !path.is_empty());
    let delegate = match entry::read(table, &["model", "delegate"]) {
        Some(Delegate::Xnnpack) => "xnnpack",
        Some(Delegate::None) => "none",
        _ => return,
    };
    if given {
        let what = format!("`delegate_library` is given, but `delegate` is \"{delegate}\"");
        let note = "write delegate = \"edgetpu\" or \"auto\", or leave the library out";
        problems.add(&library.span, "model", what, note);
    }
}

fn username(table: &Table, problems: &mut Problems) {
    let path = ["mqtt", "username"];
    let name = entry::read::<String>(table, &path).unwrap_or_default();
    if let (Some((what, note)), Some(entry)) = (camera::username_fault(&name), entry::get(table, &path)) {
        problems.add(&entry.span, "mqtt", what, note);
    }
}

fn masks(table: &Table, problems: &mut Problems) {
    let path = ["camera", "mask"];
    let (Some(entry), Some(masks)) = (entry::get(table, &path), entry::read::<Vec<Mask>>(table, &path))
    else {
        return;
    };
    let entry::Value::Array(places) = &entry.value else {
        return;
    };
    for (mask, place) in masks.iter().zip(places) {
        if area(&mask.polygon) < SMALLEST_MASK {
            let what = format!("the polygon of mask {:?} has no area", mask.name);
            let note =
                "its corners lie on one line, or its outline crosses itself, so that it would hide nothing";
            problems.add(&place.span, "camera.mask", what, note);
        }
    }
    if hide_everything(&masks) {
        let note = "nobody would ever be seen: corners are parts of the frame from the top left, 0 to 1; a mask is what is *not* looked at";
        problems.add(&entry.span, "camera", "`mask` covers the whole frame", note);
    }
}

/// Whether no place of the frame is left to look at, on a grid of [`GRID`] × [`GRID`] places.
fn hide_everything(masks: &[Mask]) -> bool {
    let masks: Vec<geometry::Mask> = masks.iter().map(Into::into).collect();
    let covered = |x: usize, y: usize| {
        let place = Rect {
            x: x as f32 + 0.5,
            y: y as f32 + 0.5,
            ..Rect::default()
        };
        masks.iter().any(|mask| mask.covers(&place, GRID, GRID))
    };
    (0..GRID * GRID).all(|place| covered(place % GRID, place / GRID))
}

/// A frame has to come in every window, or most windows are empty for no reason that anybody sees.
fn frames_in_a_window(table: &Table, problems: &mut Problems) {
    let fps = entry::read::<f64>(table, &["camera", "fps"]);
    let length = entry::read::<String>(table, &["window", "length"]).and_then(|text| duration::parse(&text));
    let (rate, window) = (
        fps.unwrap_or(Camera::default().fps),
        length.unwrap_or(Window::default().length),
    );
    let frames = rate * window.as_secs_f64();
    let (table_name, key) = if fps.is_some() {
        ("camera", "fps")
    } else {
        ("window", "length")
    };
    if frames >= 1.0 {
        return;
    }
    if let Some(entry) = entry::get(table, &[table_name, key]) {
        let written = duration::format(window);
        let what = format!("at {rate} frames per second not every window of {written} has a frame");
        let note = format!(
            "write fps = {:.1} or more in [camera], or length = \"{}s\" or more in [window]",
            (10.0 / window.as_secs_f64()).ceil() / 10.0,
            (1.0 / rate).ceil()
        );
        problems.add(&entry.span, table_name, what, note);
    }
}

/// Area of a polygon by the shoelace formula.
fn area(polygon: &[[f64; 2]]) -> f64 {
    let next = polygon.iter().cycle().skip(1);
    polygon
        .iter()
        .zip(next)
        .map(|([x0, y0], [x1, y1])| x0 * y1 - x1 * y0)
        .sum::<f64>()
        .abs()
        / 2.0
}

/// A pin cannot be lamp and button at once.
fn pins(table: &Table, problems: &mut Problems) {
    let pin = |key| entry::read::<i64>(table, &["indicator", key]).filter(|pin| *pin >= 0);
    let (Some(led), Some(button)) = (pin("led_pin"), pin("button_pin")) else {
        return;
    };
    if let Some(entry) = entry::get(table, &["indicator", "button_pin"])
        && led == button
    {
        let what = format!("`button_pin` is {button}, and so is `led_pin`");
        problems.add(&entry.span, "indicator", what, "give each a pin of its own");
    }
}

/// The password of a table, which stands in a file; for `whom`, if they want a user name with it.
fn password(table: &Table, problems: &mut Problems, name: &str, whom: Option<&str>) -> Option<Secret> {
    let entry = entry::get(table, &[name, "password_file"])?;
    let path = entry::read::<PathBuf>(table, &[name, "password_file"])?;
    if path.as_os_str().is_empty() {
        return None;
    }
    let username = entry::get(table, &[name, "username"]);
    let nameless = username.is_none()
        || entry::read::<String>(table, &[name, "username"]).is_some_and(|name| name.is_empty());
    if let Some(whom) = whom
        && nameless
    {
        let what = "`password_file` is given, but `username` is not";
        let note = format!("{whom} takes a password only together with a user name");
        problems.add(&entry.span, name, what, note);
    }
    match Secret::read(&path) {
        Ok(secret) => Some(secret),
        Err(why) => {
            let what = format!("no password can be read from {}: {why}", path.display());
            problems.add(
                &entry.span,
                name,
                what,
                secret::advice(&format!("{name}-password")),
            );
            None
        }
    }
}
