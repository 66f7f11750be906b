//! What lies around a face, made random: so that a network cannot tell from it where a picture comes from.
//!
//! Data sets differ in what they leave around a face, and in how often each expression occurs. A network that learns from two of
//! them learns the one by the other: faces cut out on black come from a set with even classes, so black means fewer neutral answers.

use affect_core::geometry::Rect;
use rand::Rng;

use super::pixels::{Pixels, is_grey};

/// Up to this value a pixel is black: JPEG leaves no exact 0.
const BLACK: u8 = 12;

/// From this part of a picture on, black that touches its border is a mask and no shadow.
const LEAST_MASK: f32 = 0.08;

/// A picture with another surround: where it has been cut out on black, the black is painted over; elsewhere the face is cut out,
/// by an outline such as jaw and forehead have.
pub(super) fn replaced(picture: &Pixels, region: &Rect, rng: &mut impl Rng) -> Pixels {
    let mut changed = picture.clone();
    let outside = masked(picture).unwrap_or_else(|| outline(picture, region, rng));
    let paint = Paint::draw(picture, rng);
    for (place, _) in outside.iter().enumerate().filter(|(_, outside)| **outside) {
        let (x, y) = (place % picture.width, place / picture.width);
        let colour = paint.at(x as f32 / picture.width as f32, y as f32 / picture.height as f32);
        changed.rgb[place * 3..][..3].copy_from_slice(&colour);
    }
    changed
}

/// The black that is connected to the border and the dark seam beside it, if it is as much as masks are.
fn masked(picture: &Pixels) -> Option<Vec<bool>> {
    let (width, height) = (picture.width, picture.height);
    let black = |place: usize| picture.rgb[place * 3..][..3].iter().all(|v| *v <= BLACK);
    let mut outside = vec![false; width * height];
    let border = (0..width * height).filter(|place| {
        let (x, y) = (place % width, place / width);
        x == 0 || y == 0 || x == width - 1 || y == height - 1
    });
    let mut open: Vec<usize> = border.filter(|place| black(*place)).collect();
    open.iter().for_each(|place| outside[*place] = true);
    while let Some(place) = open.pop() {
        for next in neighbours(place, width, height) {
            if !outside[next] && black(next) {
                outside[next] = true;
                open.push(next);
            }
        }
    }
    let count = outside.iter().filter(|outside| **outside).count();
    if (count as f32) < LEAST_MASK * outside.len() as f32 {
        return None;
    }
    let inner = outside.clone();
    for place in (0..inner.len()).filter(|place| inner[*place]) {
        neighbours(place, width, height).for_each(|next| outside[next] = true);
    }
    Some(outside)
}

fn neighbours(place: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (place % width, place / width);
    let all = [
        (x > 0).then(|| place - 1),
        (x + 1 < width).then(|| place + 1),
        (y > 0).then(|| place - width),
        (y + 1 < height).then(|| place + width),
    ];
    all.into_iter().flatten()
}

/// What lies outside of an egg that stands on its narrow end, a little turned, in the region.
fn outline(picture: &Pixels, region: &Rect, rng: &mut impl Rng) -> Vec<bool> {
    let mut between = |low: f32, high: f32| low + (high - low) * rng.random::<f32>();
    let (radius_x, radius_y) = (between(0.38, 0.52) * region.w, between(0.42, 0.54) * region.h);
    let centre = (
        region.x + region.w * between(0.46, 0.54),
        region.y + region.h * between(0.46, 0.54),
    );
    let narrower = between(0.0, 0.3);
    let power = between(2.0, 3.5);
    let (sin, cos) = between(-12.0, 12.0).to_radians().sin_cos();
    (0..picture.width * picture.height)
        .map(|place| {
            let dx = (place % picture.width) as f32 + 0.5 - centre.0;
            let dy = (place / picture.width) as f32 + 0.5 - centre.1;
            let y = (cos * dy - sin * dx) / radius_y;
            let x = (cos * dx + sin * dy) / (radius_x * (1.0 - narrower * y.clamp(0.0, 1.0)));
            x.abs().powf(power) + y.abs().powf(power) > 1.0
        })
        .collect()
}

/// What a surround is painted with.
enum Paint {
    /// One colour; black is one.
    Flat([f32; 3]),
    /// Colours at the points of a coarse grid, and what lies between them.
    Blurred { side: usize, colours: Vec<[f32; 3]> },
}

impl Paint {
    fn draw(picture: &Pixels, rng: &mut impl Rng) -> Self {
        // A colourful surround of a grey face would tell as much as a black one.
        let grey = is_grey(picture);
        let mut colour = || {
            let light = 255.0 * rng.random::<f32>();
            let tint: [f32; 3] = std::array::from_fn(|_| 60.0 * (rng.random::<f32>() - 0.5));
            tint.map(|tint| (light + if grey { 0.0 } else { tint }).clamp(0.0, 255.0))
        };
        let first = colour();
        let side = 2 + (colour()[0] / 43.0) as usize;
        let colours: Vec<[f32; 3]> = (0..side * side).map(|_| colour()).collect();
        match rng.random::<f32>() {
            0.0..0.35 => Self::Flat([0.0; 3]),
            0.35..0.6 => Self::Flat(first),
            _ => Self::Blurred { side, colours },
        }
    }

    /// At a place from 0 to 1.
    fn at(&self, x: f32, y: f32) -> [u8; 3] {
        match self {
            Self::Flat(colour) => colour.map(|v| v.round() as u8),
            Self::Blurred { side, colours } => {
                let last = (side - 1) as f32;
                let (x, y) = (x * last, y * last);
                let (left, top) = (x as usize, y as usize);
                let (right, below) = ((left + 1).min(side - 1), (top + 1).min(side - 1));
                let (fx, fy) = (x - left as f32, y - top as f32);
                std::array::from_fn(|c| {
                    let of = |column: usize, row: usize| colours[row * side + column][c];
                    let upper = of(left, top) * (1.0 - fx) + of(right, top) * fx;
                    let lower = of(left, below) * (1.0 - fx) + of(right, below) * fx;
                    (upper * (1.0 - fy) + lower * fy).round() as u8
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A grey square, a bright disc in it, black outside of the disc if it is to be cut out.
    fn face(cut_out: bool) -> Pixels {
        let side = 40;
        let rgb = (0..side * side)
            .flat_map(|place| {
                let (x, y) = ((place % side) as f32 - 19.5, (place / side) as f32 - 19.5);
                let inside = x * x + y * y < 15.0 * 15.0;
                [if inside {
                    180
                } else if cut_out {
                    3
                } else {
                    90
                }; 3]
            })
            .collect();
        Pixels {
            width: side,
            height: side,
            rgb,
        }
    }

    fn with(picture: &Pixels, seed: u64) -> Pixels {
        let region = Rect::of_image(picture.width, picture.height);
        replaced(picture, &region, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn pixel(picture: &Pixels, x: usize, y: usize) -> [u8; 3] {
        std::array::from_fn(|c| picture.rgb[(y * picture.width + x) * 3 + c])
    }

    #[test]
    fn faces_cut_out_on_black_get_another_surround_and_keep_their_face() {
        let before = face(true);
        let corners: Vec<u8> = (0..30).map(|seed| pixel(&with(&before, seed), 0, 0)[0]).collect();
        assert!(corners.contains(&0), "some stay black: {corners:?}");
        let painted = corners.iter().filter(|v| **v > BLACK).count();
        assert!(painted > 10, "most are painted over: {corners:?}");
        for seed in 0..30 {
            let after = with(&before, seed);
            for (x, y) in [(20, 20), (12, 14), (28, 25)] {
                assert_eq!(pixel(&after, x, y), [180; 3], "the face stays, seed {seed}");
            }
            assert!(
                after.rgb.as_chunks::<3>().0.iter().all(|p| p[0] == p[1]),
                "grey stays grey"
            );
        }
    }

    #[test]
    fn whole_pictures_are_cut_out_and_some_on_black() {
        let before = face(false);
        let changed: Vec<Pixels> = (0..30).map(|seed| with(&before, seed)).collect();
        assert!(changed.iter().any(|after| pixel(after, 0, 0) == [0; 3]));
        assert!(changed.iter().all(|after| pixel(after, 20, 20) == [180; 3]));
        assert!(
            changed
                .iter()
                .filter(|after| pixel(after, 0, 0) != [90; 3])
                .count()
                > 25
        );
    }

    #[test]
    fn a_dark_corner_is_no_mask() {
        let mut dark = face(false);
        for place in 0..60 {
            dark.rgb[place * 3..][..3].fill(2);
        }
        assert_eq!(masked(&dark), None);
        assert!(masked(&face(true)).is_some());
    }
}
