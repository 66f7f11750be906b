//! `affect-train group`: classifiers of groups and videos, side by side, and the file that the daemon loads.

use std::path::{Path, PathBuf};
use std::time::Instant;

use affect_core::mood::{DESCRIPTOR, MoodClass};
use affect_train::data::augment::Augmentation;
use affect_train::data::{DataError, Face, Faces};
use affect_train::evaluate::metrics::Rate;
use affect_train::evaluate::model::{detect_all, runtime_path};
use affect_train::group::compose::{self, Person};
use affect_train::group::forest::{Forest, TREES};
use affect_train::group::linear::LinearSvc;
use affect_train::group::{Clip, Descriptor, Samples, clips, features, rule, sharpness};
use anyhow::{Context as _, bail};
use rand::SeedableRng as _;

use super::Set;
use super::mood::{install_linear, install_rule, short};

/// Frames of a composed scene.
const FRAMES: usize = 10;
/// Augmented takes of every face that is put into scenes.
const TAKES: usize = 4;
/// Every fifth person or clip fits the scores' sharpness and measures, and is not trained on.
const HELD_OUT: usize = 5;

/// Groups per set of --rooms.
const ROOMS: usize = 600;

/// How the daemon tells moods.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Linear,
    Rule,
}

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Whose answers describe faces: a model folder (its expression scores) or a `.safetensors` weight file (its
    /// embeddings, as in the paper).
    #[arg(long)]
    pub(super) model: PathBuf,
    /// Labelled clips (afew, vgaf, group_scenes) as FORMAT:PATH[:SPLIT]; with --scenes single labelled faces.
    #[arg(long)]
    pub(super) train: Set,
    /// Labelled clips to measure on.
    #[arg(long)]
    pub(super) test: Vec<Set>,
    /// Compose so many scenes from the single faces of --train.
    #[arg(long, default_value_t = 0)]
    pub(super) scenes: usize,
    /// The paper's descriptor: `group` of all faces, `single` of the largest face.
    #[arg(long, value_enum, default_value_t = Descriptor::Group)]
    pub(super) descriptor: Descriptor,
    /// A detector's model folder, to find the faces in frames whose table does not say where they are.
    #[arg(long)]
    detector: Option<PathBuf>,
    /// LinearSVC's C: how much a sample on the wrong side costs.
    #[arg(long, default_value_t = 1.0)]
    cost: f64,
    /// For everything random.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Also measure on groups of five people of one mood, composed from the single labelled faces of this set: faces that neither the
    /// model nor the classifier has learnt from.
    #[arg(long)]
    pub(super) rooms: Vec<Set>,
    /// How the daemon shall tell moods with the expression model (--model): `linear` writes the classifier beside it, `rule` has it sum
    /// the mean scores of the expressions that speak for each mood.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "linear")]
    install: Option<Method>,
    /// Write the training descriptors and the first test set's as `train.csv` and `test.csv` into this folder
    /// (class first), for other tools.
    #[arg(long)]
    descriptors: Option<PathBuf>,
    /// The TensorFlow Lite library.
    #[arg(long, default_value_os_t = runtime_path())]
    runtime: PathBuf,
}

#[allow(clippy::print_stdout)] // the tables are what this command is for
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (trained, held_out) = training_clips(arguments)?;
    let mut tests = vec![("held out of the training".to_owned(), held_out)];
    for set in &arguments.test {
        tests.push((short(set), labelled_clips(arguments, set)?));
    }
    for set in &arguments.rooms {
        tests.push((format!("rooms of {}", short(set)), rooms(arguments, set)?));
    }
    let classes = classes(&trained);
    let train = Samples::for_training(&trained, &classes, arguments.descriptor)?;
    let features = train.rows[0].len();
    let tests: Vec<(String, Samples)> = tests
        .into_iter()
        .map(|(name, clips)| {
            let samples = Samples::for_measuring(&clips, &classes, arguments.descriptor, features)?;
            Ok((name, samples))
        })
        .collect::<Result<_, DataError>>()?;
    if let Some(folder) = &arguments.descriptors {
        write_descriptors(&folder.join("train.csv"), &train)?;
        write_descriptors(&folder.join("test.csv"), &tests[tests.len().min(2) - 1].1)?;
    }
    println!(
        "{} training clips of {}; {features} numbers each.\n",
        train.rows.len(),
        classes.join(", ")
    );

    let started = Instant::now();
    let linear = LinearSvc::fit(&train, arguments.cost, arguments.seed);
    let linear_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let forest = Forest::fit(&train, TREES, arguments.seed);
    let forest_seconds = started.elapsed().as_secs_f64();
    let moods = classes == MoodClass::ALL.map(MoodClass::name) && features == DESCRIPTOR;
    println!(
        "| data | clips | rule | LinearSVC ({linear_seconds:.2} s) | Random Forest, {TREES} trees ({forest_seconds:.2} s) |\n|---|---|---|---|---|"
    );
    let mut figures = Vec::new();
    for (name, samples) in &tests {
        let of = samples.rows.len();
        // The right answers of one class, or of all.
        let row = |title: &str, samples: &Samples| {
            let of = samples.rows.len();
            let by_rule = moods.then(|| Rate::new(samples.count_right(rule), of));
            let by_plane = Rate::new(samples.count_right(|row| linear.decide(row)), of);
            let by_trees = Rate::new(samples.count_right(|row| forest.decide(row)), of);
            println!(
                "| {title} | {of} | {} | {} | {} |",
                by_rule.as_ref().map_or("–".to_owned(), percent),
                percent(&by_plane),
                percent(&by_trees)
            );
            (by_rule.map(|rate| rate.value), by_plane.value)
        };
        let (by_rule, by_plane) = row(name, samples);
        if moods {
            for (class, mood) in classes.iter().enumerate() {
                let these = samples.of_class(class);
                if !these.rows.is_empty() {
                    row(&format!("… {mood}"), &these);
                }
            }
        }
        let value = match arguments.install {
            Some(Method::Rule) => by_rule.unwrap_or(by_plane),
            _ => by_plane,
        };
        figures.push((name.as_str(), of, value));
    }
    if arguments.install == Some(Method::Rule) {
        install_rule(arguments, moods, &figures)?;
    }
    if arguments.install == Some(Method::Linear) {
        let sharpness = sharpness(&tests[0].1, |row| linear.decide(row));
        install_linear(arguments, linear, sharpness, &classes, &figures)?;
    }
    Ok(())
}

/// Groups of five people of one mood.
fn rooms(arguments: &Arguments, source: &Set) -> anyhow::Result<Vec<Clip>> {
    let set = source.format.read(&source.path)?;
    let mut faces: Vec<&Face> = set.split(&source.split);
    faces.retain(|face| face.majority().is_some() && !face.known_duplicate);
    let rooms = compose::rooms(&people(arguments, &faces)?, ROOMS, FRAMES, arguments.seed);
    if rooms.is_empty() {
        bail!(
            "Rooms need faces of all three moods (happiness; neutral or surprise; a negative expression): {} has not.",
            source.text
        );
    }
    Ok(rooms)
}

fn percent(rate: &Rate) -> String {
    format!(
        "{:.2} % ({:.2}–{:.2})",
        rate.value * 100.0,
        rate.low * 100.0,
        rate.high * 100.0
    )
}

/// The names of the classes in alphabetical order, which for moods is the daemon's.
fn classes(clips: &[Clip]) -> Vec<String> {
    let mut classes: Vec<String> = clips.iter().map(|clip| clip.label.clone()).collect();
    classes.sort();
    classes.dedup();
    classes
}

/// Clips to train on, and those that are held out.
fn training_clips(arguments: &Arguments) -> anyhow::Result<(Vec<Clip>, Vec<Clip>)> {
    if arguments.scenes == 0 {
        return Ok(split(labelled_clips(arguments, &arguments.train)?));
    }
    let set = arguments.train.format.read(&arguments.train.path)?;
    let faces: Vec<&Face> = set
        .split(&arguments.train.split)
        .into_iter()
        .filter(|face| face.majority().is_some())
        .collect();
    if faces.is_empty() {
        bail!(
            "{} has no faces with an expression to compose scenes from.",
            arguments.train.text
        );
    }
    let (people, others) = split(people(arguments, &faces)?);
    let scenes = compose::scenes(&people, arguments.scenes, FRAMES, arguments.seed);
    let held_out = compose::scenes(&others, arguments.scenes / HELD_OUT, FRAMES, arguments.seed + 1);
    if scenes.is_empty() || held_out.is_empty() {
        bail!(
            "Scenes need people of all three moods (happiness; neutral or surprise; a negative expression), at least {HELD_OUT} of each: {} has not.",
            arguments.train.text
        );
    }
    Ok((scenes, held_out))
}

fn split<T>(items: Vec<T>) -> (Vec<T>, Vec<T>) {
    let (mut trained, mut held_out) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        if index % HELD_OUT == HELD_OUT - 1 {
            &mut held_out
        } else {
            &mut trained
        }
        .push(item);
    }
    (trained, held_out)
}

/// What the model answers to each face, taken several times as cameras in rooms would.
fn people(arguments: &Arguments, faces: &[&Face]) -> anyhow::Result<Vec<Person>> {
    let changes = Augmentation {
        flip: 0.5,
        rotate: 8.0,
        shift: 0.05,
        scale: 0.08,
        brightness: 0.1,
        contrast: 0.2,
        shrink: 0.3,
        shrink_to: 28.0,
        ..Augmentation::default()
    };
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut people: Vec<Person> = faces
        .iter()
        .filter_map(|face| face.majority())
        .map(|expression| Person {
            takes: Vec::new(),
            speaks_for: MoodClass::of(expression),
        })
        .collect();
    for _ in 0..TAKES {
        let taken: Vec<Face> = faces
            .iter()
            .map(|face| changes.take(face, &mut rng))
            .collect::<Result<_, _>>()?;
        let answers = features(
            &arguments.model,
            &taken.iter().collect::<Vec<_>>(),
            &arguments.runtime,
        )?;
        people
            .iter_mut()
            .zip(answers)
            .for_each(|(person, answer)| person.takes.push(answer));
    }
    Ok(people)
}

/// The clips of a set, their faces found by the detector where the set does not say where they are.
fn labelled_clips(arguments: &Arguments, source: &Set) -> anyhow::Result<Vec<Clip>> {
    let set: Faces = source.format.read(&source.path)?;
    for (why, count) in set.skipped_by_reason() {
        log::warn!("{}: {count} item(s) left out: {why}", source.text);
    }
    let pictures = set.split(&source.split);
    let found: Vec<Face> = match &arguments.detector {
        Some(folder) if pictures.iter().any(|picture| picture.region.is_none()) => {
            let regions = detect_all(folder, pictures.iter().copied(), &arguments.runtime)?;
            let with = |(picture, regions): (&&Face, Vec<_>)| -> Vec<Face> {
                regions
                    .into_iter()
                    .map(|region| Face {
                        region: Some(region),
                        ..(*picture).clone()
                    })
                    .collect()
            };
            pictures.iter().zip(regions).flat_map(with).collect()
        }
        _ => pictures.iter().map(|picture| (*picture).clone()).collect(),
    };
    let faces: Vec<&Face> = found.iter().collect();
    let answers = features(&arguments.model, &faces, &arguments.runtime)?;
    clips(&pictures, &faces, answers).with_context(|| source.text.clone())
}

fn write_descriptors(path: &Path, samples: &Samples) -> anyhow::Result<()> {
    let mut text = String::new();
    for (row, label) in samples.rows.iter().zip(&samples.labels) {
        text.push_str(&label.to_string());
        row.iter().for_each(|value| text.push_str(&format!(",{value}")));
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
