//! Raw pixels as cameras give them, and their way to RGB.
//!
//! YUV is taken for ITU-R BT.601 with the limited range (luma 16..=235), which is what USB cameras send and what the
//! V4L2 default means. The error of a camera that means another matrix is below what its white balance does.

use serde::Serialize;

/// How pixels lie in memory; the names are V4L2's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PixelFormat {
    /// A JPEG file per frame (`MJPG`, `JPEG`).
    Mjpg,
    /// 4:2:2, packed: Y0 U Y1 V (`YUYV`).
    Yuyv,
    /// 4:2:0: a plane of Y, then one of U and V in turns with half the rows (`NV12`).
    Nv12,
    /// Brightness only (`GREY`).
    Grey,
    /// R, G, B, one byte each (`RGB3`).
    Rgb3,
}

impl PixelFormat {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Mjpg, Self::Yuyv, Self::Nv12, Self::Grey, Self::Rgb3];

    /// The format of a V4L2 code; `None` if affectd does not read it.
    pub(crate) fn of_code(code: [u8; 4]) -> Option<Self> {
        if &code == b"JPEG" {
            return Some(Self::Mjpg);
        }
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// V4L2's four characters.
    pub(crate) fn code(self) -> [u8; 4] {
        *match self {
            Self::Mjpg => b"MJPG",
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Grey => b"GREY",
            Self::Rgb3 => b"RGB3",
        }
    }

    /// The same as text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mjpg => "MJPG",
            Self::Yuyv => "YUYV",
            Self::Nv12 => "NV12",
            Self::Grey => "GREY",
            Self::Rgb3 => "RGB3",
        }
    }
}

/// Size and shape of a raw frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) format: PixelFormat,
    /// Pixels per row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Bytes from the begin of a row to that of the next, padding included.
    pub(crate) stride: usize,
}

impl Layout {
    /// Rows without padding.
    pub(crate) fn packed(format: PixelFormat, width: usize, height: usize) -> Self {
        let mut layout = Self {
            format,
            width,
            height,
            stride: 0,
        };
        layout.stride = layout.row();
        layout
    }

    /// With the stride that a driver tells. Some tell 0, or less than a row takes: then there is no padding.
    pub(crate) fn with_stride(format: PixelFormat, width: usize, height: usize, stride: usize) -> Self {
        let packed = Self::packed(format, width, height);
        Self {
            stride: stride.max(packed.stride),
            ..packed
        }
    }

    /// Bytes of a row that hold pixels. An odd last pixel has its colour to itself.
    fn row(&self) -> usize {
        match self.format {
            PixelFormat::Mjpg => 0,
            PixelFormat::Yuyv => self.width.div_ceil(2) * 4,
            PixelFormat::Nv12 => self.width.div_ceil(2) * 2,
            PixelFormat::Grey => self.width,
            PixelFormat::Rgb3 => self.width * 3,
        }
    }

    /// Rows of bytes: NV12 has its colour below the brightness.
    fn rows(&self) -> usize {
        match self.format {
            PixelFormat::Nv12 => self.height + self.height.div_ceil(2),
            _ => self.height,
        }
    }

    /// The least bytes of a whole frame; the padding of its last row may be missing. 0 for JPEGs and for no pixels.
    pub(crate) fn least_bytes(&self) -> usize {
        match self.rows() {
            0 => 0,
            rows => (rows - 1) * self.stride + self.row(),
        }
    }

    /// Writes the frame in `bytes` to `rgb` as `width · height · 3` bytes. False, and `rgb` is void, if `bytes` is
    /// shorter than a frame, or holds JPEGs.
    #[must_use]
    pub(crate) fn write_rgb(&self, bytes: &[u8], rgb: &mut Vec<u8>) -> bool {
        if self.format == PixelFormat::Mjpg || bytes.len() < self.least_bytes() {
            return false;
        }
        rgb.clear();
        rgb.reserve(self.width * self.height * 3);
        let row = |number: usize| &bytes[number * self.stride..][..self.row()];
        for y in 0..self.height {
            match self.format {
                PixelFormat::Mjpg => {}
                PixelFormat::Rgb3 => rgb.extend_from_slice(row(y)),
                PixelFormat::Grey => rgb.extend(row(y).iter().flat_map(|&luma| [luma; 3])),
                PixelFormat::Yuyv => {
                    for pair in row(y).chunks_exact(4) {
                        let chroma = Chroma::new(pair[1], pair[3]);
                        rgb.extend(chroma.pixel(pair[0]));
                        rgb.extend(chroma.pixel(pair[2]));
                    }
                    // The second half of an odd last pair is no pixel.
                    rgb.truncate((y + 1) * self.width * 3);
                }
                PixelFormat::Nv12 => {
                    let colours = row(self.height + y / 2).chunks_exact(2);
                    for (luma, colour) in row(y).chunks(2).zip(colours) {
                        let chroma = Chroma::new(colour[0], colour[1]);
                        luma.iter().for_each(|&luma| rgb.extend(chroma.pixel(luma)));
                    }
                    rgb.truncate((y + 1) * self.width * 3);
                }
            }
        }
        true
    }
}

/// What the colour of a pixel adds to its brightness, in 256ths.
struct Chroma {
    red: i32,
    green: i32,
    blue: i32,
}

impl Chroma {
    fn new(u: u8, v: u8) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        Self {
            red: 409 * v,
            green: -100 * u - 208 * v,
            blue: 516 * u,
        }
    }

    fn pixel(&self, luma: u8) -> [u8; 3] {
        let luma = 298 * (i32::from(luma) - 16) + 128;
        [self.red, self.green, self.blue].map(|colour| ((luma + colour) >> 8).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(layout: Layout, bytes: &[u8]) -> Vec<u8> {
        let mut rgb = vec![9; 7];
        assert!(layout.write_rgb(bytes, &mut rgb), "{layout:?}");
        assert_eq!(rgb.len(), layout.width * layout.height * 3);
        rgb
    }

    /// Y, U, V of a colour by the formula of BT.601 in floating point.
    fn yuv([r, g, b]: [u8; 3]) -> [u8; 3] {
        let [r, g, b] = [r, g, b].map(f64::from);
        let y = 16.0 + 0.2568 * r + 0.5041 * g + 0.0979 * b;
        let u = 128.0 - 0.1482 * r - 0.2910 * g + 0.4392 * b;
        let v = 128.0 + 0.4392 * r - 0.3678 * g - 0.0714 * b;
        [y, u, v].map(|x| x.round() as u8)
    }

    const COLOURS: [[u8; 3]; 6] = [
        [0, 0, 0],
        [255, 255, 255],
        [200, 30, 40],
        [20, 180, 60],
        [10, 40, 220],
        [224, 172, 140],
    ];

    fn close(a: &[u8], b: &[u8]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 3)
    }

    #[test]
    fn yuyv_and_nv12_give_the_colours_that_were_put_in() {
        for colour in COLOURS {
            let [y, u, v] = yuv(colour);
            let pixels = rgb(Layout::packed(PixelFormat::Yuyv, 2, 1), &[y, u, y, v]);
            assert!(
                pixels.chunks(3).all(|p| close(p, &colour)),
                "{colour:?}: {pixels:?}"
            );
            let pixels = rgb(Layout::packed(PixelFormat::Nv12, 2, 2), &[y, y, y, y, u, v]);
            assert!(
                pixels.chunks(3).all(|p| close(p, &colour)),
                "{colour:?}: {pixels:?}"
            );
        }
    }

    #[test]
    fn every_brightness_and_colour_stays_in_range() {
        let all = |step| (0..=255u8).step_by(step);
        for (y, u, v) in all(5).flat_map(|y| all(15).flat_map(move |u| all(15).map(move |v| (y, u, v)))) {
            let exact = |add: f64| (1.164 * (f64::from(y) - 16.0) + add).clamp(0.0, 255.0);
            let (cu, cv) = (f64::from(u) - 128.0, f64::from(v) - 128.0);
            let expected = [
                exact(1.596 * cv),
                exact(-0.391 * cu - 0.813 * cv),
                exact(2.018 * cu),
            ];
            let got = Chroma::new(u, v).pixel(y);
            for (got, expected) in got.iter().zip(expected) {
                assert!((f64::from(*got) - expected).abs() < 2.0, "{y} {u} {v}");
            }
        }
    }

    #[test]
    fn padding_at_the_end_of_rows_is_skipped() {
        let pad = [99; 5];
        let grey = [&[1, 2, 3][..], &pad, &[4, 5, 6]].concat();
        let layout = Layout::with_stride(PixelFormat::Grey, 3, 2, 8);
        assert_eq!(
            rgb(layout, &grey),
            [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6]
        );
        let colours = [&[1, 2, 3][..], &pad, &[4, 5, 6], &pad].concat();
        let layout = Layout::with_stride(PixelFormat::Rgb3, 1, 2, 8);
        assert_eq!(rgb(layout, &colours), [1, 2, 3, 4, 5, 6]);
        let [y, u, v] = yuv(COLOURS[2]);
        let yuyv = [&[y, u, y, v][..], &pad, &[y, u, y, v], &pad].concat();
        let pixels = rgb(Layout::with_stride(PixelFormat::Yuyv, 2, 2, 9), &yuyv);
        assert!(pixels.chunks(3).all(|p| close(p, &COLOURS[2])), "{pixels:?}");
        let nv12 = [&[y, y][..], &pad, &[y, y], &pad, &[u, v]].concat();
        let pixels = rgb(Layout::with_stride(PixelFormat::Nv12, 2, 2, 7), &nv12);
        assert!(pixels.chunks(3).all(|p| close(p, &COLOURS[2])), "{pixels:?}");
    }

    #[test]
    fn odd_sizes_have_their_last_column_and_row() {
        let [y, u, v] = yuv(COLOURS[3]);
        let yuyv = [y, u, y, v, y, u, 0, v].repeat(3);
        let layout = Layout::packed(PixelFormat::Yuyv, 3, 3);
        assert_eq!(layout.least_bytes(), 24);
        assert!(rgb(layout, &yuyv).chunks(3).all(|p| close(p, &COLOURS[3])));
        // Rows of three pixels take four bytes, and three rows share two rows of colours.
        let layout = Layout::packed(PixelFormat::Nv12, 3, 3);
        let nv12 = [[y, y, y, 0].repeat(3), [u, v].repeat(4)].concat();
        assert_eq!(layout.least_bytes(), nv12.len());
        assert!(rgb(layout, &nv12).chunks(3).all(|p| close(p, &COLOURS[3])));
    }

    #[test]
    fn a_frame_that_is_too_short_is_refused_at_any_length() {
        for format in [
            PixelFormat::Yuyv,
            PixelFormat::Nv12,
            PixelFormat::Grey,
            PixelFormat::Rgb3,
        ] {
            for (width, height, stride) in [(5, 3, 0), (4, 4, 40), (1, 1, 1)] {
                let layout = Layout::with_stride(format, width, height, stride);
                let whole = vec![50; layout.least_bytes()];
                let mut out = Vec::new();
                assert!(layout.write_rgb(&whole, &mut out));
                for length in 0..whole.len() {
                    assert!(
                        !layout.write_rgb(&whole[..length], &mut out),
                        "{layout:?} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_pixels_are_no_frame_and_codes_are_known() {
        assert_eq!(Layout::packed(PixelFormat::Grey, 0, 0).least_bytes(), 0);
        assert!(rgb(Layout::packed(PixelFormat::Nv12, 4, 0), &[]).is_empty());
        for format in PixelFormat::ALL {
            assert_eq!(PixelFormat::of_code(format.code()), Some(format));
            assert_eq!(format.name().as_bytes(), format.code());
        }
        assert_eq!(PixelFormat::of_code(*b"JPEG"), Some(PixelFormat::Mjpg));
        assert_eq!(PixelFormat::of_code(*b"RG10"), None);
    }
}
