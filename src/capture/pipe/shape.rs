//! Whether a command's raw frames have the size that is configured. Nothing in their bytes says so; but a camera that stands
//! still shows nearly the same picture again and again, so the bytes repeat themselves after the length of a frame.

use super::super::pixels::{Layout, PixelFormat};

/// Frames that are compared with each other. What is wrong by one row only shows after some.
const FRAMES: usize = 4;
/// Smaller frames are not judged.
const LEAST_BYTES: usize = 1024;
/// Bytes of a frame that are compared.
const SAMPLES: usize = 2048;
/// Another length must fit so much better than the configured one to be believed.
const CLEARLY: f64 = 2.0;
/// Bytes that differ by less in the mean are the same, but for noise.
const SAME: f64 = 2.0;
/// So often the same must be found.
const VOTES: u32 = 2;
/// After so many comparisons that say nothing, in the dark or before a moving scene, it is given up.
const MOST_TRIES: u32 = 20;

/// Sizes that cameras are often set to.
const USUAL: [(usize, usize); 8] = [
    (320, 240),
    (640, 360),
    (640, 480),
    (800, 600),
    (1280, 720),
    (1280, 960),
    (1920, 1080),
    (3840, 2160),
];

/// Looks at the first frames of a stream.
#[derive(Debug)]
pub(super) struct ShapeWatch {
    layout: Layout,
    /// What is compared next.
    bytes: Vec<u8>,
    /// What was found last, and how often in a row.
    found: Found,
    votes: u32,
    tries: u32,
}

/// What the bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Nothing,
    /// They repeat themselves as they should.
    Sound,
    /// JPEGs.
    Jpegs,
    /// They repeat themselves after another length, which would fit this.
    Other(usize, String),
}

impl ShapeWatch {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            bytes: Vec::new(),
            found: Found::Nothing,
            votes: 0,
            tries: 0,
        }
    }

    /// Whether frames may be used: they may be, from the first comparison on that finds nothing wrong.
    pub(super) fn lets_through(&self) -> bool {
        let size = self.layout.least_bytes();
        size < LEAST_BYTES || (self.tries > 0 && matches!(self.found, Found::Nothing | Found::Sound))
    }

    /// Takes in what came; what is wrong with it, once that is certain.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Option<Found> {
        let need = self.layout.least_bytes() * FRAMES;
        while !piece.is_empty() && !self.is_done() {
            let (mine, rest) = piece.split_at(piece.len().min(need - self.bytes.len()));
            self.bytes.extend_from_slice(mine);
            piece = rest;
            if self.tries == 0 && begins_as_jpeg(&self.bytes) {
                // No need to wait until so many have come that they would fill a raw frame.
                (self.found, self.votes) = (Found::Jpegs, VOTES);
            } else if self.bytes.len() == need {
                self.vote();
                self.bytes.clear();
            }
        }
        if self.is_done() {
            self.bytes = Vec::new();
        }
        let certain = self.votes >= VOTES && matches!(self.found, Found::Jpegs | Found::Other(..));
        certain.then(|| self.found.clone())
    }

    fn is_done(&self) -> bool {
        let certain = self.votes >= VOTES && self.found != Found::Nothing;
        self.layout.least_bytes() < LEAST_BYTES || certain || self.tries >= MOST_TRIES
    }

    fn vote(&mut self) {
        self.tries += 1;
        let found = judge(&self.layout, &self.bytes);
        self.votes = if found == self.found { self.votes + 1 } else { 1 };
        self.found = found;
    }
}

fn begins_as_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&crate::jpeg::START) && bytes.get(3).is_some_and(|mark| *mark >= 0xC0)
}

/// What some frames in a row say.
fn judge(layout: &Layout, bytes: &[u8]) -> Found {
    if bytes.windows(4).filter(|four| begins_as_jpeg(four)).count() > FRAMES {
        return Found::Jpegs;
    }
    let size = layout.least_bytes();
    let own = difference(bytes, size, size);
    let others: Vec<(f64, usize, String)> = others(layout)
        .into_iter()
        .filter(|(length, _)| *length != size && (size / 2..size * 5 / 2).contains(length))
        .map(|(length, what)| (difference(bytes, length, size), length, what))
        .collect();
    let Some((best, longest, _)) = others.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else {
        return Found::Nothing;
    };
    // Where one frame fits, several do.
    let fits = |other: &&(f64, usize, String)| longest % other.1 == 0 && other.0 <= best * 1.25;
    let (_, length, what) = match others.iter().filter(fits).min_by_key(|other| other.1) {
        Some(shortest) => shortest,
        None => return Found::Nothing,
    };
    let others_mean = others.iter().map(|(difference, ..)| difference).sum::<f64>() / others.len() as f64;
    if own > SAME && best * CLEARLY < own {
        Found::Other(*length, what.clone())
    } else if own * CLEARLY < others_mean {
        Found::Sound
    } else {
        Found::Nothing
    }
}

/// How much the bytes of the first half of a frame of `size` bytes differ, in the mean, from those that come one, two,
/// three frames of `length` bytes later: the most of these, for a wrong length may fit some of them.
fn difference(bytes: &[u8], length: usize, size: usize) -> f64 {
    let step = (size / 2 / SAMPLES).max(1);
    let after = |later: usize| {
        // Not always the same channel.
        let places = (0..size / 2).step_by(step).map(|place| place + place % 3);
        let differences = places.filter_map(|place| Some(bytes[place].abs_diff(*bytes.get(place + later)?)));
        let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), d| (sum + f64::from(d), count + 1.0));
        sum / f64::max(count, 1.0)
    };
    let frames = (bytes.len() - size / 2) / length;
    (1..=frames)
        .map(|frames| after(frames * length))
        .fold(0.0, f64::max)
}

/// Lengths that frames have when something was set wrongly, and what that may be; the likeliest first.
fn others(layout: &Layout) -> Vec<(usize, String)> {
    let (format, width, height) = (layout.format, layout.width, layout.height);
    let mut others = Vec::new();
    let mut size = |format: PixelFormat, width: usize, height: usize| {
        let what = format!("{width}×{height} px in {}", format.name());
        others.push((Layout::packed(format, width, height).least_bytes(), what));
    };
    for other in PixelFormat::ALL {
        size(other, width, height);
    }
    // Odd widths of formats with pairs of pixels have the size of the next even one.
    for more in (2..=16).step_by(2).chain((1..16).step_by(2)) {
        size(format, width + more, height);
        size(format, width.saturating_sub(more), height);
        size(format, width, height + more);
        size(format, width, height.saturating_sub(more));
    }
    for (other_width, other_height) in USUAL {
        PixelFormat::ALL
            .into_iter()
            .for_each(|other| size(other, other_width, other_height));
    }
    for multiple in [8_usize, 16, 32, 64, 128, 256, 512] {
        let stride = layout.stride.next_multiple_of(multiple);
        let padded = Layout::with_stride(format, width, height, stride);
        // Here the last row is padded, too.
        let rows = padded.least_bytes().div_ceil(stride);
        others.push((rows * stride, format!("rows padded to {stride} bytes")));
        let rows = rows.next_multiple_of(16);
        others.push((
            rows * stride,
            format!("rows padded to {stride} bytes and {rows} rows"),
        ));
    }
    let rows = layout.least_bytes().div_ceil(layout.stride.max(1));
    for stride in
        (layout.stride + 1..=layout.stride + 48).chain(layout.stride.saturating_sub(48)..layout.stride)
    {
        others.push((
            rows * stride,
            format!("rows of {stride} bytes, not of {}", layout.stride),
        ));
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene of soft spots, as a camera with some noise that shakes a little sees it in frame `number`.
    fn scene(layout: &Layout, number: usize, noise: u64) -> Vec<u8> {
        let mut dice = number as u64 * 7919 + 12345;
        let mut random = move || {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            dice >> 33
        };
        let size = layout.least_bytes();
        let row = layout.stride.max(1);
        (0..size)
            .map(|place| {
                let (x, y) = ((place % row) as f64 + (number % 2) as f64, (place / row) as f64);
                let light =
                    110.0 + 50.0 * (x / 23.0).sin() * (y / 17.0).cos() + 30.0 * ((x + 2.0 * y) / 61.0).sin();
                let noise = if noise == 0 { 0 } else { random() % (2 * noise) };
                (light + noise as f64).clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    fn watched(configured: Layout, written: &Layout, noise: u64) -> (ShapeWatch, Option<Found>) {
        let mut watch = ShapeWatch::new(configured);
        let mut last = None;
        for number in 0..12 {
            for piece in scene(written, number, noise).chunks(4096) {
                last = last.or(watch.push(piece));
            }
        }
        (watch, last)
    }

    #[test]
    fn frames_of_the_configured_size_are_sound() {
        for format in [
            PixelFormat::Yuyv,
            PixelFormat::Nv12,
            PixelFormat::Grey,
            PixelFormat::Rgb3,
        ] {
            for noise in [0, 3, 8] {
                let layout = Layout::packed(format, 320, 240);
                let (watch, found) = watched(layout, &layout, noise);
                assert_eq!(found, None, "{layout:?}");
                assert!(watch.lets_through());
                assert_eq!(
                    (watch.found, watch.tries),
                    (Found::Sound, VOTES),
                    "{layout:?}, noise {noise}"
                );
            }
        }
    }

    #[test]
    fn frames_of_another_size_are_found_with_what_it_may_be() {
        let yuyv = |width, height| Layout::packed(PixelFormat::Yuyv, width, height);
        for (written, what) in [
            (yuyv(322, 240), "322×240 px in YUYV"),
            (yuyv(318, 240), "318×240 px in YUYV"),
            (yuyv(320, 248), "320×248 px in YUYV"),
            (yuyv(320, 239), "320×239 px in YUYV"),
            (Layout::packed(PixelFormat::Rgb3, 320, 240), "320×240 px in RGB3"),
            (Layout::packed(PixelFormat::Nv12, 320, 240), "320×240 px in NV12"),
        ] {
            let (watch, found) = watched(yuyv(320, 240), &written, 3);
            assert_eq!(found, Some(Found::Other(written.least_bytes(), what.to_owned())));
            assert!(!watch.lets_through());
        }
        let one_pixel = Layout::packed(PixelFormat::Grey, 321, 240);
        let (_, found) = watched(Layout::packed(PixelFormat::Grey, 320, 240), &one_pixel, 3);
        assert_eq!(
            found,
            Some(Found::Other(321 * 240, "321×240 px in GREY".to_owned()))
        );
    }

    #[test]
    fn padded_rows_and_jpegs_are_told_as_such() {
        let layout = Layout::packed(PixelFormat::Grey, 300, 100);
        let mut watch = ShapeWatch::new(layout);
        let mut found = None;
        for number in 0..20 {
            for row in scene(&layout, number, 2).chunks(300) {
                found = found.or(watch.push(&[row, &[0; 20]].concat()));
            }
        }
        assert_eq!(
            found,
            Some(Found::Other(32_000, "rows padded to 320 bytes".to_owned()))
        );
        let mut watch = ShapeWatch::new(layout);
        let jpeg = crate::jpeg::stream_tests::jpeg(3000);
        let found = (0..100).find_map(|_| watch.push(&jpeg));
        assert_eq!(found, Some(Found::Jpegs));
    }

    #[test]
    fn a_dark_or_changing_scene_says_nothing_and_is_let_through() {
        let layout = Layout::packed(PixelFormat::Grey, 320, 240);
        let mut dark = ShapeWatch::new(layout);
        assert!(!dark.lets_through());
        for _ in 0..100 {
            assert_eq!(dark.push(&vec![16; layout.least_bytes()]), None);
        }
        assert!(dark.lets_through() && dark.bytes.is_empty());
        let tiny = ShapeWatch::new(Layout::packed(PixelFormat::Grey, 4, 1));
        assert!(tiny.lets_through());
    }
}
