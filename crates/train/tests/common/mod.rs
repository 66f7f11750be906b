//! Small made-up data sets: drawn faces whose expression is the shape of the mouth, in the published layouts.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};

/// The program under test.
pub fn affect_train() -> Command {
    Command::new(env!("CARGO_BIN_EXE_affect-train"))
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The TensorFlow Lite library that `make setup` fetched.
pub fn runtime() -> std::path::PathBuf {
    root().join(format!(
        "runtime/{}/libtensorflowlite_c.so",
        std::env::consts::ARCH
    ))
}

/// A drawn face: `mouth` 0 flat, 1 up, 2 down, 3 open; skin and size of the eyes vary with `person`.
pub fn face(mouth: usize, person: usize, noise: usize) -> RgbImage {
    let tone = 90 + (person * 37 % 120) as i32;
    let mut picture = RgbImage::from_fn(48, 48, |x, y| {
        let grain = ((x as usize * 31 + y as usize * 17 + noise * 101) % 13) as i32;
        let v = (tone + grain).clamp(0, 255) as u8;
        Rgb([v, (f32::from(v) * 0.85) as u8, (f32::from(v) * 0.7) as u8])
    });
    let mut dot = |x: i32, y: i32, radius: i32| {
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                let (x, y) = (x + dx + (noise % 3) as i32 - 1, y + dy);
                if (0..48).contains(&x) && (0..48).contains(&y) {
                    picture.put_pixel(x as u32, y as u32, Rgb([20, 10, 10]));
                }
            }
        }
    };
    let eye = 1 + (person % 3) as i32;
    dot(14, 16, eye);
    dot(34, 16, eye);
    for step in -10..=10i32 {
        let bend = step * step / 12;
        let y = match mouth {
            0 => 34,
            1 => 38 - bend,
            2 => 30 + bend,
            _ => 34 + if step % 2 == 0 { 6 } else { -4 },
        };
        dot(24 + step, y, 1);
    }
    picture
}

/// `<class>/<picture>` for four expressions.
pub fn expressions(folder: &Path, each: usize) {
    for (mouth, class) in ["neutral", "happiness", "sadness", "surprise"].iter().enumerate() {
        for split in ["train", "valid"] {
            let below = folder.join(split).join(class);
            std::fs::create_dir_all(&below).unwrap();
            let count = if split == "train" { each } else { each / 3 + 1 };
            for number in 0..count {
                let noise = number + usize::from(split == "valid") * 1000;
                face(mouth, noise % 7, noise)
                    .save(below.join(format!("{number}.png")))
                    .unwrap();
            }
        }
    }
}

/// The other four classes, which a network of eight needs.
pub fn all_expressions(folder: &Path, each: usize) {
    expressions(folder, each);
    for class in ["fear", "anger", "disgust", "contempt"] {
        for split in ["train", "valid"] {
            let below = folder.join(split).join(class);
            std::fs::create_dir_all(&below).unwrap();
            for number in 0..each / 4 + 1 {
                face(class.len() % 4, class.len(), number * 7)
                    .save(below.join(format!("{number}.png")))
                    .unwrap();
            }
        }
    }
}

/// `<person>/<picture>`.
pub fn people(folder: &Path, count: usize, each: usize) {
    for person in 0..count {
        let below = folder.join(format!("person_{person}"));
        std::fs::create_dir_all(&below).unwrap();
        for number in 0..each {
            face(number % 4, person, number)
                .save(below.join(format!("{number}.png")))
                .unwrap();
        }
    }
}

/// `<age>_<gender>_<race>_<date>.png`.
pub fn ages(folder: &Path, count: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for number in 0..count {
        let (age, gender, race) = (20 + number % 40, number % 2, number % 5);
        let name = format!("{age}_{gender}_{race}_{number}.png");
        face(gender, race * 3, number).save(folder.join(name)).unwrap();
    }
}

/// A recipe for a network small enough for a test.
pub fn recipe(stage: &str, format: &str, split: &str, more: &str, phases: &str) -> String {
    let validation = if split.is_empty() { "" } else { "valid" };
    format!(
        r#"stage = "{stage}"
seed = 3
[network]
name = "mobilenet-v1"
width = 0.25
size = 48
[[data]]
format = "{format}"
path = "set"
split = "{split}"
[validation]
format = "{format}"
path = "set"
split = "{validation}"
[optimiser]
batch = 16
shards = 2
{more}
{phases}"#
    )
}
