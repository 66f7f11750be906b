//! `affect-scenes`: how well people are followed, in scenes whose truth is known.
//!
//! See `docs/measurements.md` for the last result.
#![allow(clippy::print_stdout)] // what it prints is its purpose

use std::collections::BTreeMap;
use std::path::PathBuf;

use affect_scenes::Kind;
use affect_scenes::earlier::Way;
use affect_scenes::follow;
use affect_scenes::mot;
use affect_scenes::scene::{SceneSettings, frames};
use affect_scenes::score::{Score, score};
use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Measures how well affectd's tracker follows people, in scenes whose truth is known")]
struct Arguments {
    /// What people do.
    #[arg(long, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// How many people there are at any time.
    #[arg(long, value_delimiter = ',', default_value = "5,15,30,60")]
    people: Vec<usize>,
    /// Frames per second.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,10,15")]
    fps: Vec<f64>,
    /// Length of a scene in seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Scenes of each kind, each with a seed of its own.
    #[arg(long, default_value_t = 3)]
    scenes: u64,
    /// First seed. (Those below 100 were used to choose the tracker's constants.)
    #[arg(long, default_value_t = 101)]
    seed: u64,
    /// Folder into which truth, detections and our tracks are written, and from which `NAME.TRACKER.txt` of others are read.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kinds = match arguments.kind.is_empty() {
        true => Kind::ALL.to_vec(),
        false => arguments.kind.clone(),
    };
    println!(
        "| people | number | fps | tracker | IDF1 | of faces found | switches | fragments | count error | mixed tracks | tracks per person |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for kind in kinds {
        for people in &arguments.people {
            for fps in &arguments.fps {
                row(&arguments, kind, *people, *fps)?;
            }
        }
    }
    Ok(())
}

/// All trackers on the scenes of one kind.
fn row(arguments: &Arguments, kind: Kind, people: usize, fps: f64) -> Result<()> {
    let mut scores: BTreeMap<String, (Score, Score)> = BTreeMap::new();
    for number in 0..arguments.scenes {
        let settings = SceneSettings {
            kind,
            people,
            fps,
            seconds: arguments.seconds,
            seed: arguments.seed + number,
        };
        let frames = frames(&settings);
        let truth = follow::truth(&frames);
        let known = follow::known(&frames);
        let found = follow::found(&truth, &known);
        let mut given = vec![
            ("1 overlap".to_owned(), follow::earlier(&frames, Way::Overlap)),
            (
                "2 prediction".to_owned(),
                follow::earlier(&frames, Way::Prediction),
            ),
            ("3 ours".to_owned(), follow::ours(&frames)),
            ("5 known".to_owned(), known),
        ];
        if let Some(folder) = &arguments.folder {
            let name = format!("{kind:?}-{people}-{fps}-{}", settings.seed).to_lowercase();
            mot::write(&folder.join(format!("{name}.truth.txt")), &truth)?;
            mot::write_detections(&folder.join(format!("{name}.boxes.txt")), &frames)?;
            for (tracker, tracks) in &given {
                mot::write(
                    &folder.join(format!("{name}.{}.txt", tracker.replace(' ', "-"))),
                    tracks,
                )?;
            }
            let start = format!("{name}.other-");
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                let file = path
                    .file_name()
                    .and_then(|file| file.to_str())
                    .unwrap_or_default();
                if let Some(tracker) = file
                    .strip_prefix(&start)
                    .and_then(|rest| rest.strip_suffix(".txt"))
                {
                    given.push((format!("4 {tracker}"), mot::read(&path, frames.len())?));
                }
            }
        }
        for (tracker, tracks) in given {
            let (all, of_found) = scores.entry(tracker).or_default();
            all.add(&score(&truth, &tracks));
            of_found.add(&score(&found, &tracks));
        }
    }
    for (tracker, (score, of_found)) in scores {
        println!(
            "| {} | {people} | {fps} | {} | {:.3} | {:.3} | {} | {} | {:.1} % | {} of {} | {:.2} |",
            format!("{kind:?}").to_lowercase(),
            &tracker[2..],
            score.idf1(),
            of_found.idf1(),
            score.switches,
            score.fragments,
            100.0 * score.count_error(),
            score.mixed,
            score.tracks,
            score.tracks as f64 / score.people.max(1) as f64,
        );
    }
    Ok(())
}
