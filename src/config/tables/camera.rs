//! `[camera]`: where the frames come from and which parts of them are not looked at.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAME, NAME_FORM};
use crate::config::{Secret, duration, optional};
use crate::redact::percent_encoded;

/// Where the frames come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Camera {
    /// Short name of the camera, the fourth level of its topics.
    #[schemars(regex(pattern = NAME), extend("x-form" = NAME_FORM))]
    pub(crate) name: String,
    /// A camera, best by a name that stays the same, such as "/dev/v4l/by-id/…" (`affectd cameras` lists them); or a
    /// folder of pictures, one picture (JPEG or PNG), an .mjpeg file or a video file. Empty: none yet.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) source: Option<PathBuf>,
    /// Instead of `source`: the address of a network camera, without user name and password. affectd reads it through
    /// ffmpeg, or through `command` if that is given, too; what it is to log in with stands in no program's arguments.
    #[serde(with = "optional")]
    #[schemars(
        with = "String",
        regex(pattern = r#"^((rtsps?|https?)://[^\s"'<>`]{1,2000})?$"#),
        extend("x-form" = "rtsp://, rtsps://, http:// or https://, then the camera and what follows it, without blanks or quotes")
    )]
    pub(crate) url: Option<String>,
    /// User name at the network camera. Empty: it asks for none.
    #[serde(with = "optional")]
    #[schemars(with = "String", length(max = 256))]
    pub(crate) username: Option<String>,
    /// File that holds the network camera's password in its first line, as [mqtt] password_file does for the broker.
    /// Empty: no password.
    #[serde(with = "optional")]
    #[schemars(with = "String")]
    pub(crate) password_file: Option<PathBuf>,
    /// The password that was read from `password_file`.
    #[serde(skip)]
    pub(crate) password: Option<Secret>,
    /// Instead of `source`: a program and its arguments that writes frames to its standard output, for a CSI camera or
    /// a Jetson. It is started again whenever it ends. Ready ones are in config/presets. With `url` it finds the
    /// address, with user name and password, in its environment as AFFECTD_CAMERA_URL.
    #[schemars(length(max = 200), extend("x-form" = "a list of texts, the program first: [\"program\", \"--option\"]"))]
    pub(crate) command: Vec<String>,
    /// Frames per second to take. Of a file: at which it is played.
    #[schemars(range(min = 0.1, max = 60.0))]
    pub(crate) fps: f64,
    /// Width of the frames in pixels. A camera is set to its smallest size that is as large as `width` and `height`;
    /// a command that writes raw pixels must write exactly this size. Larger frames show faces further away.
    #[schemars(range(min = 16, max = 8192))]
    pub(crate) width: u32,
    /// Height of the frames in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub(crate) height: u32,
    /// How many degrees of the room the lens sees from left to right: a Raspberry Pi's camera 2 sees 62, its camera 3 66, a
    /// wide one 102. By it the reach is told; nothing else depends on it.
    #[schemars(range(min = 10.0, max = 170.0))]
    pub(crate) field_of_view: f64,
    /// What the frames are made of, if it must be a certain format.
    pub(crate) format: Format,
    /// How long a camera or a command may give no frame before it is opened anew.
    #[serde(with = "duration::text")]
    #[schemars(with = "duration::Text", extend("x-minimum" = "1s", "x-maximum" = "2m"))]
    pub(crate) frame_timeout: Duration,
    /// How fast a file is played.
    pub(crate) pace: Pace,
    /// Whether a file starts again when it ends.
    pub(crate) repeat: bool,
    /// Whether a recording is judged as if it came from a camera: set by `affectd replay --as-camera` alone.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) as_camera: bool,
    /// Part of the frame in which no face is looked at, such as a till or a neighbour's window. One block for each.
    #[schemars(length(max = 64))]
    pub(crate) mask: Vec<Mask>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            name: "camera".to_owned(),
            source: None,
            url: None,
            username: None,
            password_file: None,
            password: None,
            command: Vec::new(),
            fps: 10.0,
            width: 640,
            height: 480,
            field_of_view: 62.0,
            format: Format::Auto,
            frame_timeout: Duration::from_secs(5),
            pace: Pace::Realtime,
            repeat: false,
            as_camera: false,
            mask: Vec::new(),
        }
    }
}

impl Camera {
    /// The network camera's address with what it is to log in with; `None` if there is no such camera.
    pub(crate) fn address(&self) -> Option<Secret> {
        let url = self.url.as_deref()?;
        let Some((scheme, (username, rest))) = url.split_once("://").and_then(|(scheme, rest)| {
            let username = self.username.as_deref()?;
            Some((scheme, (username, rest)))
        }) else {
            return Some(Secret::around(url));
        };
        let password = self.password.as_ref().map_or_else(String::new, |password| {
            format!(":{}", percent_encoded(password.reveal()))
        });
        Some(Secret::around(format!(
            "{scheme}://{}{password}@{rest}",
            percent_encoded(username)
        )))
    }
}

/// What the frames of a camera or a command are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// of a camera: the best of what it offers; of a command: JPEGs
    #[default]
    Auto,
    /// JPEGs, one after the other (MJPG)
    Mjpg,
    /// raw 4:2:2 pixels (YUYV)
    Yuyv,
    /// raw 4:2:0 pixels (NV12)
    Nv12,
    /// raw grey pixels (GREY); expressions are read less well without colour
    Grey,
    /// raw RGB pixels (RGB3)
    Rgb3,
}

/// Speed of a source that is a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// at `fps`, as a camera would
    #[default]
    Realtime,
    /// as fast as the board can
    Fast,
}

/// A part of the frame in which no face is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mask {
    /// What the mask is called in messages.
    #[schemars(length(min = 1, max = 64), example = &"till")]
    pub(crate) name: String,
    /// Why it is there.
    #[schemars(example = &"staff")]
    pub(crate) kind: MaskKind,
    /// Corners in order along the outline, each [x, y] as fractions of the frame's width and height, from the top
    /// left. A face whose centre lies inside is dropped before its expression is read.
    #[schemars(
        length(min = 3, max = 64),
        inner(inner(range(min = 0.0, max = 1.0))),
        transform = in_fractions,
        example = [[0.0, 0.5], [0.3, 0.5], [0.3, 1.0], [0.0, 1.0]],
        extend("x-form" = "at least three corners: [[x, y], [x, y], [x, y]]")
    )]
    pub(crate) polygon: Vec<[f64; 2]>,
}

impl From<&Mask> for affect_core::geometry::Mask {
    fn from(mask: &Mask) -> Self {
        let corners = mask.polygon.iter();
        Self {
            polygon: corners.map(|corner| corner.map(|c| c as f32)).collect(),
        }
    }
}

/// Says of a corner out of range what people mean by it.
fn in_fractions(schema: &mut schemars::Schema) {
    if let Some(coordinate) = schema.pointer_mut("/items/items")
        && let Some(coordinate) = coordinate.as_object_mut()
    {
        let why = "corners are parts of the frame, not pixels: 320 of 1280 px is 0.25";
        coordinate.insert("x-why".to_owned(), why.into());
    }
}

/// Why a part of the frame is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaskKind {
    /// people work there
    Staff,
    /// people there are none of our business
    Privacy,
}
