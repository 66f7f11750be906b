//! Boxes in files of the MOTChallenge form, one a line: frame from 1 on, track or -1, left, top, width, height, score.

use std::fmt::Write as _;
use std::path::Path;

use affect_core::geometry::Rect;
use anyhow::{Context, Result, ensure};

use crate::scene::SceneFrame;
use crate::score::Labelled;

/// Writes boxes that belong to somebody.
pub fn write(path: &Path, frames: &[Vec<Labelled>]) -> Result<()> {
    let mut text = String::new();
    for (frame, boxes) in frames.iter().enumerate() {
        for one in boxes {
            line(&mut text, frame, &one.id.to_string(), &one.rect, 1.0)?;
        }
    }
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes what the detector gives.
pub fn write_detections(path: &Path, frames: &[SceneFrame]) -> Result<()> {
    let mut text = String::new();
    for (frame, boxes) in frames.iter().map(|frame| &frame.boxes).enumerate() {
        for one in boxes {
            line(&mut text, frame, "-1", &one.rect, one.score)?;
        }
    }
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn line(text: &mut String, frame: usize, id: &str, rect: &Rect, score: f32) -> Result<()> {
    let Rect { x, y, w, h } = rect;
    writeln!(text, "{},{id},{x:.2},{y:.2},{w:.2},{h:.2},{score:.3}", frame + 1)?;
    Ok(())
}

/// Reads boxes that belong to somebody, of so many frames.
pub fn read(path: &Path, frames: usize) -> Result<Vec<Vec<Labelled>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut all = vec![Vec::new(); frames];
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let values: Vec<f64> = line
            .split(',')
            .map(|value| value.trim().parse())
            .collect::<Result<_, _>>()
            .with_context(|| format!("{}: these are not numbers", place()))?;
        ensure!(
            values.len() >= 6,
            "{}: {} values, but six are needed",
            place(),
            values.len()
        );
        let frame = values[0] as usize;
        ensure!(
            (1..=frames).contains(&frame),
            "{}: frame {frame} of {frames}",
            place()
        );
        all[frame - 1].push(Labelled {
            id: values[1] as u64,
            rect: Rect {
                x: values[2] as f32,
                y: values[3] as f32,
                w: values[4] as f32,
                h: values[5] as f32,
            },
        });
    }
    Ok(all)
}
