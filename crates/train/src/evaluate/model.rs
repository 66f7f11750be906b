//! Whatever can be evaluated: a model folder in the daemon's interpreter, or a weight file in float.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use affect_core::expression::Expression;
use affect_core::geometry::Rect;
use affect_core::manifest::{Activation, Manifest};
use affect_core::preprocess::Picture;
use affect_tflite::{Delegate, Options, Runtime};
use affect_vision::{Detector, DetectorSettings, Engine, LoadedModel};
use anyhow::{Context as _, bail};
use burn::tensor::Device;

use crate::data::faces::expression_by_name;
use crate::data::{Face, sample};
use crate::network::Network;
use crate::network::architecture::Architecture;
use crate::network::plan::Plan;
use crate::train::target::{SECOND_CLASSES, SECOND_HEAD};
use crate::train::validate::{predict, probabilities};
use crate::weights::Weights;

/// The answers of one head to all faces.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// `expression`, `second_expression`, `age`, `gender` or `ethnicity`.
    pub head: String,
    /// Of the last axis, where it has names.
    pub labels: Vec<String>,
    /// For age: L of eq. (1).
    pub most_probable: usize,
    /// Per face, probabilities; for a single logit that of `male`.
    pub scores: Vec<Vec<f32>>,
}

/// What was asked, and how long it took.
#[derive(Debug, Clone)]
pub struct Run {
    /// Per head.
    pub answers: Vec<Answers>,
    /// Of a model in the interpreter.
    pub time: Option<FaceTime>,
    /// Its name for the report.
    pub title: String,
}

/// How long one face takes: medians over all faces, so that a moment in which the machine does something else does not count.
#[derive(Debug, Clone, Copy)]
pub struct FaceTime {
    /// Crop, resize, normalisation, network and reading; decoding is left out.
    pub whole: Duration,
    /// The network alone.
    pub invoke: Duration,
}

impl Run {
    /// The answers of a head.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<&Answers> {
        self.answers.iter().find(|answers| answers.head == name)
    }
}

/// Asks a model about faces. `path` is a model folder, the `.tflite` in it, or a `.safetensors` weight file, which
/// can also be asked at another `size` of its input.
///
/// # Errors
/// Whatever is wrong with the model, the runtime library or a picture.
pub fn ask(path: &Path, size: Option<usize>, faces: &[&Face], runtime: &Path) -> anyhow::Result<Run> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match ending {
        "safetensors" => ask_network(path, size, faces),
        _ if size.is_some() => bail!(
            "{}: a model file has one size of its input; only weight files (.safetensors) are asked at another.",
            path.display()
        ),
        "tflite" => {
            let folder = path.parent().unwrap_or(Path::new("."));
            let run = ask_interpreter(folder, faces, runtime).with_context(|| {
                format!("{}: a .tflite alone does not say its labels and channel order, so `model.toml` must lie beside it", path.display())
            })?;
            Ok(run)
        }
        _ if path.is_dir() => ask_interpreter(path, faces, runtime),
        _ => bail!(
            "{}: a model is a folder with `model.toml`, the `.tflite` in it, or a `.safetensors` weight file.",
            path.display()
        ),
    }
}

/// The network of a weight file, with the heads it was saved with.
///
/// # Errors
/// If the file is damaged or does not say which network it is.
pub fn open_network(path: &Path, device: &Device) -> anyhow::Result<(Plan, Weights, Network)> {
    open_network_at(path, None, device)
}

/// The same for pictures of another size than it was trained on: convolutions do not mind.
///
/// # Errors
/// As [`open_network`], or if the networks do not work at that size.
pub fn open_network_at(
    path: &Path,
    size: Option<usize>,
    device: &Device,
) -> anyhow::Result<(Plan, Weights, Network)> {
    let weights = Weights::read(path)?;
    let plan = plan_of(&weights, size).with_context(|| path.display().to_string())?;
    let network = Network::new(plan.clone(), &weights, device)?;
    Ok((plan, weights, network))
}

/// What the places of a weight file's expression head mean: its word `labels`, or all eight in storage order.
#[must_use]
pub fn expression_labels(weights: &Weights) -> Vec<Expression> {
    let labels = weights
        .about
        .get("labels")
        .map(String::as_str)
        .unwrap_or_default();
    let named: Vec<Expression> = labels.split(", ").filter_map(expression_by_name).collect();
    if named.is_empty() {
        Expression::ALL.to_vec()
    } else {
        named
    }
}

/// The plan that a weight file's words `architecture` and `heads` describe. `size` takes the place of the input's size in
/// those words.
///
/// # Errors
/// If they do not.
pub fn plan_of(weights: &Weights, size: Option<usize>) -> anyhow::Result<Plan> {
    let word = |name: &str| weights.about.get(name).map(String::as_str);
    let text = word("architecture").context("The weights do not say which network they belong to.")?;
    let mut architecture: Architecture = serde_json::from_str(text).with_context(|| {
        format!(
            "The weights say that they belong to `{text}`, which is no description of a network: import them again."
        )
    })?;
    architecture.size = size.unwrap_or(architecture.size);
    let heads: Vec<(&str, usize)> = word("heads")
        .unwrap_or_default()
        .split(", ")
        .filter_map(|head| head.split_once(' '))
        .filter_map(|(name, classes)| Some((name, classes.parse().ok()?)))
        .collect();
    let backbone = architecture.plan().map_err(anyhow::Error::msg)?;
    let mut plan = backbone.with_heads(&heads);
    plan.input = sample::input_of(&weights.about, plan.size);
    Ok(plan)
}

fn ask_network(path: &Path, size: Option<usize>, faces: &[&Face]) -> anyhow::Result<Run> {
    let device = crate::device::cpu();
    let (plan, weights, network) = open_network_at(path, size, &device)?;
    let scores = predict(&network, faces, &device)?;
    let ethnicities = weights.about.get("ethnicities").cloned().unwrap_or_default();
    let answers = plan.heads.iter().zip(scores).map(|(head, scores)| Answers {
        head: head.name.clone(),
        labels: match head.name.as_str() {
            "expression" => names(&expression_labels(&weights)),
            SECOND_HEAD => names(&Expression::ALL[..SECOND_CLASSES]),
            "ethnicity" => ethnicities.split(", ").map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        most_probable: 2,
        scores,
    });
    Ok(Run {
        answers: answers.collect(),
        time: None,
        title: title(path, &plan, "float"),
    })
}

/// What a weight file is called in a report.
#[must_use]
pub fn title(path: &Path, plan: &Plan, numbers: &str) -> String {
    format!("{} ({numbers}, {}, {} px)", path.display(), plan.title, plan.size)
}

fn ask_interpreter(folder: &Path, faces: &[&Face], runtime: &Path) -> anyhow::Result<Run> {
    let model = LoadedModel::open(folder)?;
    let options = Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let mut engine = Engine::new(&Runtime::load(runtime)?, &model, &options)?;
    let (mut heads, logits) = heads(&model.manifest);
    let (mut whole, mut invoke) = (Vec::new(), Vec::new());
    for face in faces {
        let picture = sample::picture(face)?;
        let region = face
            .region
            .unwrap_or(Rect::of_image(picture.width, picture.height));
        let picture = Picture::new(picture.width, picture.height, &picture.rgb)?;
        let started = Instant::now();
        engine
            .fill(&picture, &region)
            .with_context(|| face.path.display().to_string())?;
        let before = Instant::now();
        engine.invoke()?;
        invoke.push(before.elapsed());
        for (role, answers) in &mut heads {
            let shape = model.manifest.output(role).map(|o| o.shape.iter().product());
            let (Some(place), Some(length)) = (model.output(role), shape) else {
                bail!("The manifest of `{}` has no output `{role}`.", folder.display());
            };
            let mut values = vec![0.0; length];
            engine.read(place, &mut values)?;
            answers
                .scores
                .push(if logits { probabilities(&values) } else { values });
        }
        whole.push(started.elapsed());
    }
    Ok(Run {
        answers: heads.into_iter().map(|(_, answers)| answers).collect(),
        time: median(whole)
            .zip(median(invoke))
            .map(|(whole, invoke)| FaceTime { whole, invoke }),
        title: model.manifest.id,
    })
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn names(labels: &[Expression]) -> Vec<String> {
    labels.iter().map(|label| label.name().to_owned()).collect()
}

/// What a model answers, with the role of each output; and whether the values are logits.
fn heads(manifest: &Manifest) -> (Vec<(String, Answers)>, bool) {
    let mut heads = Vec::new();
    let mut head = |name: &str, role: &str, labels: Vec<String>, most_probable: usize| {
        let answers = Answers {
            head: name.to_owned(),
            labels,
            most_probable,
            scores: Vec::new(),
        };
        heads.push((role.to_owned(), answers));
    };
    let mut logits = true;
    if let Some(expression) = &manifest.expression {
        head("expression", &expression.output, names(&expression.labels), 0);
        logits = expression.activation == Activation::Softmax;
    }
    if let Some(second) = &manifest.second_expression {
        head(SECOND_HEAD, &second.output, names(&second.labels), 0);
    }
    if let Some(attributes) = &manifest.attributes {
        if let Some(age) = &attributes.age {
            head("age", &age.output, Vec::new(), age.most_probable);
        }
        if let Some(gender) = &attributes.gender {
            head("gender", &gender.output, Vec::new(), 0);
        }
        if let Some(ethnicity) = &attributes.ethnicity {
            head("ethnicity", &ethnicity.output, ethnicity.labels.clone(), 0);
        }
    }
    (heads, logits)
}

/// Finds the largest face of every picture, as the daemon would, and makes it the region to look at. Faces without
/// one are left out; returns how many.
///
/// # Errors
/// Whatever is wrong with the detector, the runtime library or a picture.
pub fn detect(folder: &Path, faces: &mut Vec<Face>, runtime: &Path) -> anyhow::Result<usize> {
    let before = faces.len();
    let mut found = detect_all(folder, faces.iter(), runtime)?.into_iter();
    faces.retain_mut(|face| {
        face.region = found.next().and_then(|regions| regions.first().copied());
        face.region.is_some()
    });
    Ok(before - faces.len())
}

/// Finds all faces of every picture, as the daemon would: per picture their boxes, by falling size.
///
/// # Errors
/// Whatever is wrong with the detector, the runtime library or a picture.
pub fn detect_all<'a>(
    folder: &Path,
    pictures: impl Iterator<Item = &'a Face>,
    runtime: &Path,
) -> anyhow::Result<Vec<Vec<Rect>>> {
    let model = LoadedModel::open(folder)?;
    let settings = DetectorSettings {
        score_threshold: 0.6,
        nms_iou: 0.3,
        min_face_px: 24.0,
    };
    let options = Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let mut detector = Detector::new(&Runtime::load(runtime)?, &model, &options, settings)?;
    let area = |rect: &Rect| rect.w * rect.h;
    pictures
        .map(|face| {
            let picture = sample::picture(face)?;
            let picture = Picture::new(picture.width, picture.height, &picture.rgb)?;
            let mut regions: Vec<Rect> = detector.detect(&picture)?.iter().map(|f| f.rect).collect();
            regions.sort_by(|a, b| area(b).total_cmp(&area(a)));
            Ok(regions)
        })
        .collect()
}

/// The manifest of a model folder.
///
/// # Errors
/// If it cannot be read.
pub fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join("model.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Manifest::from_toml(&text).with_context(|| path.display().to_string())
}

/// The TensorFlow Lite library: `AFFECTD_TFLITE`, or the one that `make setup` fetched.
#[must_use]
pub fn runtime_path() -> PathBuf {
    std::env::var_os("AFFECTD_TFLITE").map_or_else(
        || {
            PathBuf::from(format!(
                "runtime/{}/libtensorflowlite_c.so",
                std::env::consts::ARCH
            ))
        },
        PathBuf::from,
    )
}
