//! Groups and videos as a whole: descriptors of clips ([`affect_core::descriptor`]) and classifiers on them.

pub mod compose;
pub mod forest;
pub mod linear;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affect_core::descriptor::{GroupDescriptor, single_face_descriptor};
use affect_core::expression::EXPRESSIONS;
use affect_core::mood::{MoodClass, scores};
use anyhow::Context as _;

use crate::data::faces::expression_by_name;
use crate::data::{DataError, Face};
use crate::evaluate::model::{ask, open_network};
use crate::train::validate::embed;

/// A clip: the features of the faces in its frames, and what people say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// `[frames][faces][features]`; the first face of a frame is its largest.
    pub frames: Vec<Vec<Vec<f64>>>,
    /// The class, by name.
    pub label: String,
}

/// Which of the paper's descriptors a clip gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Descriptor {
    /// Mean and deviation over faces, then over frames: groups (VGAF).
    Group,
    /// Mean, maximum, minimum and deviation over frames of the largest face: one person (AFEW).
    Single,
}

/// Descriptors with their classes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// `[samples][features]`.
    pub rows: Vec<Vec<f64>>,
    /// Class of each, below `classes`.
    pub labels: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl Clip {
    /// The descriptor; `None` if no frame had a face.
    #[must_use]
    pub fn describe(&self, descriptor: Descriptor) -> Option<Vec<f64>> {
        match descriptor {
            Descriptor::Group => {
                let mut group = GroupDescriptor::default();
                for faces in &self.frames {
                    group.add_frame(faces.iter().map(Vec::as_slice));
                }
                group.vector()
            }
            Descriptor::Single => {
                let largest = self.frames.iter().filter_map(|faces| faces.first());
                single_face_descriptor(&largest.map(Vec::as_slice).collect::<Vec<_>>())
            }
        }
    }
}

impl Samples {
    /// For training: clips without a face are left out.
    ///
    /// # Errors
    /// [`DataError::Classes`] if a class has no clip left, or a clip is of none of the classes.
    pub fn for_training(
        clips: &[Clip],
        classes: &[String],
        descriptor: Descriptor,
    ) -> Result<Self, DataError> {
        let mut samples = Self {
            classes: classes.len(),
            ..Self::default()
        };
        for clip in clips {
            if let Some(row) = clip.describe(descriptor) {
                samples.rows.push(row);
                samples.labels.push(class_of(&clip.label, classes)?);
            }
        }
        match (0..classes.len()).find(|class| !samples.labels.contains(class)) {
            Some(empty) => Err(DataError::Classes(format!(
                "No training clip with a face is `{}`: remove the class or add clips.",
                classes[empty]
            ))),
            None => Ok(samples),
        }
    }

    /// For measuring: a clip without a face gets the zero descriptor, as in the paper.
    ///
    /// # Errors
    /// [`DataError::Classes`] if a clip is of none of the classes.
    pub fn for_measuring(
        clips: &[Clip],
        classes: &[String],
        descriptor: Descriptor,
        features: usize,
    ) -> Result<Self, DataError> {
        let labels = clips.iter().map(|clip| class_of(&clip.label, classes));
        Ok(Self {
            rows: clips
                .iter()
                .map(|clip| clip.describe(descriptor).unwrap_or_else(|| vec![0.0; features]))
                .collect(),
            labels: labels.collect::<Result<_, _>>()?,
            classes: classes.len(),
        })
    }

    /// Those of one class.
    #[must_use]
    pub fn of_class(&self, class: usize) -> Self {
        let chosen = (0..self.rows.len()).filter(|i| self.labels[*i] == class);
        let (rows, labels) = chosen.map(|i| (self.rows[i].clone(), class)).unzip();
        Self {
            rows,
            labels,
            classes: self.classes,
        }
    }

    /// How often the largest of `decide`'s numbers is that of the right class.
    pub fn count_right(&self, decide: impl Fn(&[f64]) -> Vec<f64>) -> usize {
        let right = |(row, label): &(&Vec<f64>, &usize)| largest(&decide(row)) == **label;
        self.rows.iter().zip(&self.labels).filter(right).count()
    }
}

/// The mood by the rule: mean expression scores, each for the class that it speaks for, without any classifier.
#[must_use]
pub fn rule(row: &[f64]) -> Vec<f64> {
    // The descriptor begins with the means over faces and frames; that it was scaled to length 1 changes no comparison.
    let mean: [f64; EXPRESSIONS] = std::array::from_fn(|i| row.get(i).copied().unwrap_or(0.0));
    scores(&mean).map_or_else(|| vec![0.0; MoodClass::ALL.len()], |mood| mood.to_vec())
}

/// The place of the largest number; the first wins a tie.
#[must_use]
pub fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

fn class_of(label: &str, classes: &[String]) -> Result<usize, DataError> {
    classes.iter().position(|class| class == label).ok_or_else(|| {
        DataError::Classes(format!(
            "A clip is `{label}`, which is none of the classes {}.",
            classes.join(", ")
        ))
    })
}

/// Of each picture of a clip: the size of each face and what was found in it.
type Frames<'a> = BTreeMap<&'a PathBuf, Vec<(f32, Vec<f64>)>>;

/// Clips of a data set that says which clip a picture belongs to. `pictures` are all of its pictures; `faces` and
/// `features` (side by side) what was found in them.
///
/// # Errors
/// [`DataError::Classes`] if the data set has no clips.
pub fn clips(pictures: &[&Face], faces: &[&Face], features: Vec<Vec<f64>>) -> Result<Vec<Clip>, DataError> {
    let mut found: BTreeMap<&str, (String, Frames<'_>)> = BTreeMap::new();
    for face in pictures {
        let label = match (&face.mood, face.majority()) {
            (Some(mood), _) => mood.clone(),
            (None, Some(expression)) => expression.name().to_owned(),
            (None, None) => continue,
        };
        if let Some(clip) = &face.clip {
            found.entry(clip).or_insert_with(|| (label, BTreeMap::new()));
        }
    }
    if found.is_empty() {
        return Err(DataError::Classes(
            "The data set has no clips with labels: give one in the layout afew, vgaf or group_scenes, or compose scenes from single faces (--scenes).".to_owned(),
        ));
    }
    for (face, features) in faces.iter().zip(features) {
        let clip = face.clip.as_deref().and_then(|clip| found.get_mut(clip));
        if let Some((_, frames)) = clip {
            let area = face.region.map_or(0.0, |region| region.w * region.h);
            frames.entry(&face.path).or_default().push((area, features));
        }
    }
    Ok(found
        .into_values()
        .map(|(label, frames)| Clip {
            label,
            frames: sorted(frames),
        })
        .collect())
}

/// Frames in the order of their names, faces by falling size.
fn sorted(frames: Frames<'_>) -> Vec<Vec<Vec<f64>>> {
    frames
        .into_values()
        .map(|mut faces| {
            faces.sort_by(|a, b| b.0.total_cmp(&a.0));
            faces.into_iter().map(|(_, features)| features).collect()
        })
        .collect()
}

/// What a model says about each face: a folder's expression scores in storage order, or a weight file's embeddings.
///
/// # Errors
/// Whatever is wrong with the model, the runtime library or a picture.
pub fn features(model: &Path, faces: &[&Face], runtime: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    if model.extension().is_some_and(|ending| ending == "safetensors") {
        let device = crate::device::cpu();
        let (_, _, network) = open_network(model, &device)?;
        let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
        return Ok(embed(&network, faces, &device)?.into_iter().map(wide).collect());
    }
    let answers = ask(model, None, faces, runtime)?.answers;
    let expression = answers
        .into_iter()
        .find(|answers| answers.head == "expression")
        .with_context(|| format!("{} reads no expressions.", model.display()))?;
    let places: Vec<usize> = expression
        .labels
        .iter()
        .filter_map(|label| Some(expression_by_name(label)?.index()))
        .collect();
    let stored = |scores: Vec<f32>| {
        let mut row = vec![0.0; EXPRESSIONS];
        places
            .iter()
            .zip(scores)
            .for_each(|(place, score)| row[*place] = f64::from(score));
        row
    };
    Ok(expression.scores.into_iter().map(stored).collect())
}

/// The factor on the decisions with which their softmax is most likely to give the right classes.
pub fn sharpness(samples: &Samples, decide: impl Fn(&[f64]) -> Vec<f64>) -> f64 {
    let decisions: Vec<Vec<f64>> = samples.rows.iter().map(|row| decide(row)).collect();
    let loss = |factor: f64| -> f64 {
        let of = |(decision, label): (&Vec<f64>, &usize)| {
            let most = decision[largest(decision)];
            let sum: f64 = decision.iter().map(|d| (factor * (d - most)).exp()).sum();
            sum.ln() - factor * (decision[*label] - most)
        };
        decisions.iter().zip(&samples.labels).map(of).sum()
    };
    // From 0.1 to 100 in steps of 2 %: the loss is smooth, and nothing hangs on more digits.
    let candidates = (0..350).map(|step| 0.1 * 1.02f64.powi(step));
    candidates
        .min_by(|a, b| loss(*a).total_cmp(&loss(*b)))
        .unwrap_or(1.0)
}
