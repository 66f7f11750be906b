//! The promise on real pictures: one person gets no numbers whatever he does, and a group does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::Path;

use common::{affectd, root, stderr, stdout};
use image::imageops::{FilterType, overlay, resize};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

const SIZE: (u32, u32) = (640, 480);

fn picture(name: &str) -> RgbImage {
    image::open(root().join("tests/data/images").join(name))
        .unwrap()
        .to_rgb8()
}

/// Writes pictures one after the other.
fn clip(path: &Path, frames: impl Iterator<Item = RgbImage>) {
    let mut bytes = Vec::new();
    for frame in frames {
        let mut jpeg = std::io::Cursor::new(Vec::new());
        frame.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        bytes.extend(jpeg.into_inner());
    }
    std::fs::write(path, bytes).unwrap();
}

fn replay(path: &Path, fps: u32, more: &[&str]) -> Vec<Value> {
    let output = affectd()
        .arg("replay")
        .arg(path)
        .args(["--fps", &fps.to_string()])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A scattered number for `i`, the same each time.
fn scattered(i: u32, below: u32) -> u32 {
    (i.wrapping_mul(2_654_435_761) >> 8) % below
}

#[test]
fn one_person_gets_no_numbers_whatever_he_does() {
    let folder = tempfile::tempdir().unwrap();
    let portrait = picture("portrait.jpg");
    let small = |height: u32| {
        let width = portrait.width() * height / portrait.height();
        resize(&portrait, width, height, FilterType::Triangle)
    };
    let (near, far) = (small(260), small(150));
    type Way = fn(u32) -> (i64, i64, bool);
    let ways: [(&str, Way); 4] = [
        ("stands here and there for two seconds each", |i| {
            (
                i64::from(scattered(i / 8, 440)),
                i64::from(scattered(i / 8 + 99, 220)),
                true,
            )
        }),
        ("is elsewhere in every frame", |i| {
            (
                i64::from(scattered(i, 440)),
                i64::from(scattered(i + 99, 220)),
                i % 2 == 0,
            )
        }),
        ("walks to and fro", |i| {
            (i64::from((i * 20) % 800).abs_diff(400) as i64, 120, true)
        }),
        ("comes and goes", |i| (150, 100, i / 6 % 2 == 0)),
    ];
    for (what, way) in ways {
        let path = folder.path().join("one.mjpeg");
        clip(
            &path,
            (0..72).map(|i| {
                let (x, y, is_near) = way(i);
                let mut frame = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([90, 100, 110]));
                let face = if is_near { &near } else { &far };
                if what != "comes and goes" || is_near {
                    overlay(&mut frame, face, x, y);
                }
                frame
            }),
        );
        for (fps, more) in [(4, &[][..]), (4, &["--as-camera"]), (1, &["--as-camera"])] {
            let windows = replay(&path, fps, more);
            assert!(!windows.is_empty());
            for window in &windows {
                assert_eq!(
                    window["suppressed"]["min_group"], 5,
                    "{what}, {fps} fps: {window}"
                );
            }
        }
    }
}

#[test]
fn a_group_that_moves_is_told_and_pictures_of_it_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let friends = resize(&picture("five_friends.jpg"), 700, 467, FilterType::Triangle);
    let mut told = Vec::new();
    for sway in [6.0, 0.0] {
        let path = folder.path().join("group.mjpeg");
        clip(
            &path,
            (0..160u32).map(|i| {
                let mut frame = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([90, 100, 110]));
                let x = -30.0 + sway * (f64::from(i) / 10.0).sin();
                overlay(&mut frame, &friends, x.round() as i64, 5);
                // A camera's noise.
                for (n, pixel) in frame.pixels_mut().enumerate() {
                    let noise = scattered(n as u32 ^ i << 20, 9) as u8;
                    pixel.0 = pixel.0.map(|level| level.saturating_add(noise));
                }
                frame
            }),
        );
        let as_camera = replay(&path, 4, &["--as-camera"]);
        told.push(
            as_camera
                .iter()
                .filter(|window| window["people"].is_object())
                .count(),
        );
        assert!(as_camera[0]["people"].is_null(), "the first window of a start");
        // Whoever plays a recording knows that nobody is there.
        assert!(replay(&path, 4, &[])[0]["people"].is_object());
    }
    assert!(
        told[0] >= 2,
        "five who sit are told from the second window on: {told:?}"
    );
    assert_eq!(told[1], 0, "a picture of them is nobody");
}
