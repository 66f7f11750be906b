//! `affect-train evaluate`: the paper's tables for one model on one data set.

use std::collections::BTreeSet;
use std::path::PathBuf;

use affect_core::manifest::Measured;
use affect_train::data::{Face, Faces, Format};
use affect_train::evaluate::change::Change;
use affect_train::evaluate::model::{Run, ask, detect, open_network_at, read_manifest, runtime_path, title};
use affect_train::evaluate::rank::rank_1;
use affect_train::evaluate::recognition::embed_int8;
use affect_train::evaluate::report::{Report, report};
use affect_train::evaluate::sets::{Row, markdown, with_means};
use affect_train::train::validate::embed;
use anyhow::{Context as _, bail};

use super::Set;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A model folder, the `.tflite` in it, or a `.safetensors` weight file.
    #[arg(long)]
    model: PathBuf,
    /// The data set.
    #[arg(long, required_unless_present = "set")]
    data: Option<PathBuf>,
    /// Its layout.
    #[arg(long, default_value = "folder")]
    format: Format,
    /// Instead of --data: several data sets, each as FORMAT:PATH or FORMAT:PATH:SPLIT; expressions on all of them, and the mean, in
    /// one table.
    #[arg(long, conflicts_with_all = ["data", "format", "split", "record", "int8", "people"])]
    set: Vec<Set>,
    /// With --set: also with the faces changed like this, e.g. `ellipse`, `size=24` or `aspect=0.75`; several times if wanted.
    #[arg(long, requires = "set")]
    change: Vec<Change>,
    /// Which split; everything without it.
    #[arg(long, default_value = "")]
    split: String,
    /// A detector's model folder: look at the largest face that it finds in each picture, not at whole pictures.
    #[arg(long)]
    detector: Option<PathBuf>,
    /// For a weight file: another side of the input than it was trained at, pixels.
    #[arg(long)]
    size: Option<usize>,
    /// For `lfw`: also measure the network in int8, quantised with pictures of this set (FORMAT:PATH or
    /// FORMAT:PATH:SPLIT).
    #[arg(long)]
    int8: Option<Set>,
    /// For `lfw`: only the people named in this file, one per line.
    #[arg(long)]
    people: Option<PathBuf>,
    /// Read ages from so many of the most probable ones (L of the paper's eq. (1)), whatever the model's manifest says.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100), conflicts_with_all = ["set", "record"])]
    most_probable: Option<u8>,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
    /// Also write the figures into the model's manifest.
    #[arg(long)]
    record: bool,
    /// The TensorFlow Lite library.
    #[arg(long, default_value_os_t = runtime_path())]
    runtime: PathBuf,
}

#[allow(clippy::print_stdout)] // the report is what this command is for
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(data) = &arguments.data else {
        return several(arguments);
    };
    let mut set = arguments.format.read(data)?;
    if let Some(detector) = &arguments.detector {
        let without = detect(detector, &mut set.faces, &arguments.runtime)?;
        log::info!("{without} picture(s) without a face that the detector finds are left out.");
    }
    for (why, count) in set.skipped_by_reason() {
        log::info!("{count} item(s) left out: {why}");
    }
    let mut faces = set.split(&arguments.split);
    if faces.is_empty() {
        bail!("{} has no split `{}`.", data.display(), arguments.split);
    }
    let all = faces.len();
    faces.retain(|face| !face.known_duplicate);
    let name = data
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let data = format!(
        "{name}{}",
        if arguments.split.is_empty() {
            String::new()
        } else {
            format!(", split {}", arguments.split)
        }
    );
    let duplicates = all - faces.len();
    let report = if arguments.format == Format::Lfw {
        recognition(arguments, &set, faces, &data)?
    } else {
        let mut run = ask(&arguments.model, arguments.size, &faces, &arguments.runtime)?;
        if let Some(most_probable) = arguments.most_probable {
            let ages = run.answers.iter_mut().filter(|answers| answers.head == "age");
            ages.for_each(|answers| answers.most_probable = usize::from(most_probable));
        }
        report(&run, &data, &set, &faces, duplicates)
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.markdown());
    }
    if arguments.record {
        record(arguments, (&name, &report))?;
    }
    Ok(())
}

/// One table of several sets, as they are and changed.
#[allow(clippy::print_stdout)] // the table is what this command is for
fn several(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut rows, mut model) = (Vec::new(), String::new());
    for set in &arguments.set {
        let mut data = set.format.read(&set.path)?;
        if let Some(detector) = &arguments.detector {
            let without = detect(detector, &mut data.faces, &arguments.runtime)?;
            log::info!(
                "{}: {without} picture(s) without a face that the detector finds are left out.",
                set.text
            );
        }
        let mut faces: Vec<&Face> = data.split(&set.split);
        faces.retain(|face| !face.known_duplicate && face.majority().is_some());
        if faces.is_empty() {
            bail!("{}: no face here has a label of expression.", set.text);
        }
        let folder = set.path.file_name().unwrap_or_default().to_string_lossy();
        let name = match set.split.as_str() {
            "" => folder.into_owned(),
            split => format!("{folder} {split}"),
        };
        for change in std::iter::once(None).chain(arguments.change.iter().map(Some)) {
            let changed: Vec<Face> = match change {
                None => Vec::new(),
                Some(change) => faces
                    .iter()
                    .map(|face| change.of(face))
                    .collect::<Result<_, _>>()?,
            };
            let seen: Vec<&Face> = match change {
                None => faces.clone(),
                Some(_) => changed.iter().collect(),
            };
            let run = ask(&arguments.model, arguments.size, &seen, &arguments.runtime)?;
            let found = report(&run, &name, &data, &seen, 0);
            let expression = found
                .expression
                .with_context(|| format!("{}: model and data share no expression.", set.text))?;
            let change = change.map(ToString::to_string).unwrap_or_default();
            rows.push(Row::of(&name, &change, &expression));
            model = run.title;
        }
    }
    let rows = with_means(rows);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", markdown(&model, &rows));
    }
    Ok(())
}

/// Calibration pictures of `--int8`.
const CALIBRATION: usize = 256;

/// LFW: the embeddings of a weight file's network; no exported model has them.
fn recognition(
    arguments: &Arguments,
    set: &Faces,
    mut faces: Vec<&Face>,
    data: &str,
) -> anyhow::Result<Report> {
    if let Some(file) = &arguments.people {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let wanted: BTreeSet<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let missing = wanted
            .iter()
            .filter(|name| !set.identities.iter().any(|known| known == *name));
        for name in missing {
            log::warn!("{}: `{name}` is not in the data.", file.display());
        }
        faces.retain(|face| {
            face.identity
                .is_some_and(|i| wanted.contains(set.identities[i].as_str()))
        });
    }
    let people: Vec<usize> = faces.iter().filter_map(|face| face.identity).collect();
    let device = affect_train::device::cpu();
    let (plan, weights, network) = open_network_at(&arguments.model, arguments.size, &device)?;
    let rank = |embeddings: &[Vec<f32>]| {
        rank_1(embeddings, &people)
            .with_context(|| format!("{data}: fewer than two people have more than one picture."))
    };
    let float = rank(&embed(&network, &faces, &device)?)?;
    let run = Run {
        answers: Vec::new(),
        time: None,
        title: title(&arguments.model, &plan, "float"),
    };
    let mut found = report(&run, data, set, &faces, 0);
    found.rank_1 = Some(float);
    if let Some(calibration) = &arguments.int8 {
        let pictures = super::export::pictures(std::slice::from_ref(calibration), CALIBRATION, &plan.input)?;
        let int8 = embed_int8(&plan, &weights, &pictures, &faces, &arguments.runtime, &device)?;
        found.rank_1_int8 = Some(rank(&int8)?);
    }
    Ok(found)
}

/// Writes the figures into `model.toml`, in place of those on the same data.
fn record(arguments: &Arguments, (data, report): (&str, &Report)) -> anyhow::Result<()> {
    let mut manifest = read_manifest(&arguments.model)?;
    let on = format!("{}: {} faces", report.data, report.faces);
    let split = if arguments.split.is_empty() {
        String::new()
    } else {
        format!(" --split {}", arguments.split)
    };
    let detector = arguments.detector.as_ref().and_then(|path| path.file_name());
    let detector = detector.map_or_else(String::new, |name| {
        format!(" --detector models/{}", name.to_string_lossy())
    });
    let format = serde_json::to_value(arguments.format)?;
    let command = format!(
        "affect-train evaluate --model models/{} --data {} --format {}{split}{detector}",
        manifest.id,
        data,
        format.as_str().unwrap_or_default(),
    );
    manifest.measured.retain(|known| known.on != on);
    let mut add = |what: String, value: f64| {
        manifest.measured.push(Measured {
            what,
            value: (value * 1e4).round() / 1e4,
            on: on.clone(),
            command: command.clone(),
        });
    };
    if let Some(e) = &report.expression {
        add(
            format!("expression accuracy, {} classes", e.labels.len()),
            e.accuracy.value,
        );
        add(
            "expression accuracy, 7 classes, using only their scores".to_owned(),
            e.seven.value,
        );
        if let Some(other) = &e.seven_other_labels {
            add(
                "expression accuracy, 7 classes, the set's second labels".to_owned(),
                other.value,
            );
        }
        if let Some(second) = &e.seven_second_head {
            add(
                "expression accuracy, 7 classes, the set's second labels, by the head that learnt them"
                    .to_owned(),
                second.value,
            );
        }
        add("expected calibration error".to_owned(), e.calibration_error);
    }
    if let Some(error) = report.age_error {
        add("age, mean absolute error in years".to_owned(), error);
    }
    if let Some(gender) = &report.gender {
        add("gender accuracy".to_owned(), gender.value);
    }
    if let Some(ethnicity) = &report.ethnicity {
        add("ethnicity accuracy".to_owned(), ethnicity.value);
    }
    super::export::write_manifest(&arguments.model, &manifest)
}
