//! Golden vectors: inputs and outputs that an independent implementation recorded beside a model. Running them
//! proves labels, channel order, normalisation and decoding on the machine at hand.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};

use affect_core::expression::Expression;
use affect_core::geometry::Rect;
use affect_core::manifest::Task;
use affect_core::preprocess::Picture;
use affect_tflite::{Options, Runtime, regular};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::capture::Image;
use affect_vision::{Classifier, Detector, DetectorSettings, Engine, LoadedModel, hex};

use crate::vision::Decoder;

/// Longest file of a recording that is read, in bytes.
const LONGEST: u64 = 64 << 20;

#[derive(Debug, Deserialize)]
struct Recording {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    image: String,
    /// Left, top, width and height in pixels; the whole picture if absent.
    #[serde(rename = "box")]
    region: Option<[f32; 4]>,
    input: Option<GoldenInput>,
    #[serde(default)]
    outputs: BTreeMap<String, GoldenOutput>,
    faces: Option<Vec<GoldenFace>>,
    #[serde(default)]
    tolerance_px: f32,
    #[serde(default)]
    tolerance_score: f32,
}

/// The input tensor as it is stored.
#[derive(Debug, Deserialize)]
struct GoldenInput {
    first: Vec<f32>,
    sum: f64,
    tolerance_levels: f32,
}

#[derive(Debug, Deserialize)]
struct GoldenOutput {
    /// By label, from the model's source: the manifest's labels are held against it.
    #[serde(default)]
    scores: BTreeMap<Expression, f32>,
    /// For outputs without names: the real values.
    #[serde(default)]
    values: Vec<f32>,
    tolerance: f32,
}

#[derive(Debug, Deserialize)]
struct GoldenFace {
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
    landmarks: [[f32; 2]; 5],
}

/// How one case went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The picture.
    pub(crate) image: String,
    /// What differs from the recording; empty if nothing does.
    pub(crate) differences: Vec<String>,
    /// The network's input and its outputs, bit for bit. They tell machines apart that agree within the tolerance.
    pub(crate) bits: Bits,
}

/// The beginnings of SHA-256 sums of the values in the input tensor and in each output, by role.
#[derive(Debug)]
pub(crate) struct Bits(Vec<(String, String)>);

impl Bits {
    fn of(model: &LoadedModel, engine: &mut Engine) -> anyhow::Result<Self> {
        let mut bits = vec![("input".to_owned(), digest(&engine.stored_input()?))];
        for (output, place) in model.manifest.outputs.iter().zip(&model.outputs) {
            let mut values = vec![0.0; model.file.outputs()[*place].len()];
            engine.read(*place, &mut values)?;
            bits.push((output.role.clone(), digest(&values)));
        }
        Ok(Self(bits))
    }
}

impl Display for Bits {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (role, sum) in &self.0 {
            write!(f, " {role}={sum}")?;
        }
        Ok(())
    }
}

fn digest(values: &[f32]) -> String {
    let mut sum = Sha256::new();
    values.iter().for_each(|value| sum.update(value.to_le_bytes()));
    hex(&sum.finalize()).chars().take(16).collect()
}

/// Why golden vectors could not be run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GoldenError {
    /// A file is missing or cannot be read.
    #[error("The golden file `{}` cannot be read ({cause}); it belongs to the model's folder.", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// Not the format.
    #[error("`{}` is no recording of golden vectors: {cause}.", path.display())]
    Format { path: PathBuf, cause: serde_json::Error },
    /// The model did not run.
    #[error("The model does not run on `{image}`: {cause:#}.")]
    Run { image: String, cause: anyhow::Error },
    /// Nothing was recorded.
    #[error("`{}` has no case, so it proves nothing.", path.display())]
    NoCase { path: PathBuf },
}

/// Runs every recorded case of a model.
pub(crate) fn run(
    runtime: &Runtime,
    model: &LoadedModel,
    options: &Options,
) -> Result<Vec<Outcome>, GoldenError> {
    let path = model.folder.join(&model.manifest.golden.file);
    let text = regular::read_text(&path, LONGEST).map_err(|cause| GoldenError::Unreadable {
        path: path.clone(),
        cause,
    })?;
    let recording: Recording = serde_json::from_str(&text).map_err(|cause| GoldenError::Format {
        path: path.clone(),
        cause,
    })?;
    if recording.cases.is_empty() {
        return Err(GoldenError::NoCase { path });
    }
    let mut decoder = Decoder::default();
    let case = |case: &Case| {
        let image = read(&model.folder, &case.image)?;
        let run = || {
            let (width, height, rgb) = decoder.decode(image)?;
            let picture = Picture::new(width, height, rgb)?;
            match model.manifest.task {
                Task::Expression => run_expression(runtime, model, options, case, &picture),
                Task::Attributes => run_attributes(runtime, model, options, case, &picture),
                Task::Detector => run_detector(runtime, model, options, case, &picture),
            }
        };
        let (differences, bits) = run().map_err(|cause| GoldenError::Run {
            image: case.image.clone(),
            cause,
        })?;
        Ok(Outcome {
            image: case.image.clone(),
            differences,
            bits,
        })
    };
    recording.cases.iter().map(case).collect()
}

fn read(folder: &Path, name: &str) -> Result<Image, GoldenError> {
    let path = folder.join(name);
    match regular::read(&path, LONGEST) {
        Ok(bytes) => Ok(Image::Encoded {
            bytes,
            name: name.to_owned(),
        }),
        Err(cause) => Err(GoldenError::Unreadable { path, cause }),
    }
}

fn run_expression(
    runtime: &Runtime,
    model: &LoadedModel,
    options: &Options,
    case: &Case,
    picture: &Picture<'_>,
) -> anyhow::Result<(Vec<String>, Bits)> {
    let mut classifier = Classifier::new(runtime, model, options, 0.0)?;
    classifier.engine().fill(picture, &region(case, picture))?;
    let mut differences = compare_input(case, classifier.engine())?;
    let scores = classifier.run()?;
    let head = model.manifest.expression.as_ref();
    for (role, golden) in &case.outputs {
        let labels = head
            .filter(|head| head.output == *role)
            .map(|head| &head.labels[..])
            .unwrap_or_default();
        if labels.len() != golden.scores.len() || !labels.iter().all(|l| golden.scores.contains_key(l)) {
            differences.push(format!(
                "other labels were recorded for `{role}`: {:?}",
                golden.scores.keys()
            ));
        }
        for (label, wanted) in &golden.scores {
            let found = scores[label.index()];
            if (found - wanted).abs() > golden.tolerance {
                differences.push(format!("{} is {found:.3}, recorded {wanted:.3}", label.name()));
            }
        }
    }
    let bits = Bits::of(model, classifier.engine())?;
    Ok((differences, bits))
}

fn run_attributes(
    runtime: &Runtime,
    model: &LoadedModel,
    options: &Options,
    case: &Case,
    picture: &Picture<'_>,
) -> anyhow::Result<(Vec<String>, Bits)> {
    let mut engine = Engine::new(runtime, model, options)?;
    engine.fill(picture, &region(case, picture))?;
    let mut differences = compare_input(case, &mut engine)?;
    engine.invoke()?;
    for (role, golden) in &case.outputs {
        let Some(place) = model.output(role) else {
            differences.push(format!("there is no output `{role}`"));
            continue;
        };
        let mut found = vec![0.0; golden.values.len()];
        engine.read(place, &mut found)?;
        let far = |(found, wanted): &(&f32, &f32)| (*found - *wanted).abs() > golden.tolerance;
        if let Some((found, wanted)) = found.iter().zip(&golden.values).find(far) {
            differences.push(format!("a value of `{role}` is {found:.3}, recorded {wanted:.3}"));
        }
    }
    let bits = Bits::of(model, &mut engine)?;
    Ok((differences, bits))
}

/// The part of the picture that a case is about.
fn region(case: &Case, picture: &Picture<'_>) -> Rect {
    match case.region {
        Some([x, y, w, h]) => Rect { x, y, w, h },
        None => Rect::of_image(picture.width(), picture.height()),
    }
}

fn compare_input(case: &Case, engine: &mut Engine) -> anyhow::Result<Vec<String>> {
    let mut differences = Vec::new();
    let Some(golden) = &case.input else {
        return Ok(differences);
    };
    let stored = engine.stored_input()?;
    let far = |(found, wanted): &(&f32, &f32)| (*found - *wanted).abs() > golden.tolerance_levels;
    if let Some((found, wanted)) = stored.iter().zip(&golden.first).find(far) {
        differences.push(format!("an input value is {found}, recorded {wanted}"));
    }
    // Differences of rounding cancel over a whole tensor; a wrong channel order or mean does not.
    let sum: f64 = stored.iter().map(|v| f64::from(*v)).sum();
    let allowed = f64::from(golden.tolerance_levels) * stored.len() as f64 * 0.1;
    if (sum - golden.sum).abs() > allowed {
        differences.push(format!("the input sums to {sum:.1}, recorded {:.1}", golden.sum));
    }
    Ok(differences)
}

fn run_detector(
    runtime: &Runtime,
    model: &LoadedModel,
    options: &Options,
    case: &Case,
    picture: &Picture<'_>,
) -> anyhow::Result<(Vec<String>, Bits)> {
    let settings = DetectorSettings {
        score_threshold: 0.6,
        nms_iou: 0.3,
        min_face_px: 1.0,
    };
    let mut detector = Detector::new(runtime, model, options, settings)?;
    detector
        .engine()
        .fill(picture, &Rect::of_image(picture.width(), picture.height()))?;
    let mut differences = compare_input(case, detector.engine())?;
    let faces = detector.detect(picture)?;
    let golden = case.faces.as_deref().unwrap_or_default();
    if faces.len() != golden.len() {
        differences.push(format!("{} faces, recorded {}", faces.len(), golden.len()));
    }
    for wanted in golden {
        let [x, y, w, h] = wanted.rect;
        let rect = Rect { x, y, w, h };
        let Some(face) = faces
            .iter()
            .max_by(|a, b| a.rect.iou(&rect).total_cmp(&b.rect.iou(&rect)))
        else {
            continue;
        };
        let found = [face.rect.x, face.rect.y, face.rect.w, face.rect.h];
        let corners = found.iter().zip(&wanted.rect);
        let points = face
            .landmarks
            .iter()
            .flatten()
            .zip(wanted.landmarks.iter().flatten());
        if corners
            .chain(points)
            .any(|(a, b)| (a - b).abs() > case.tolerance_px)
        {
            differences.push(format!(
                "a face is at {:?}, recorded {:?}",
                face.rect, wanted.rect
            ));
        }
        if (face.score - wanted.score).abs() > case.tolerance_score {
            differences.push(format!(
                "a score is {:.3}, recorded {:.3}",
                face.score, wanted.score
            ));
        }
    }
    let bits = Bits::of(model, detector.engine())?;
    Ok((differences, bits))
}
