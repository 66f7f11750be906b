//! The model manifest, `model.toml`: the truth about a model file (docs/decisions, "The manifest is the truth").
//!
//! Peers guess label order, channel order and normalisation from file names, and get them wrong. Here they
//! are written down once, checked against the file, and used by daemon and trainer alike.

use serde::{Deserialize, Serialize};

use crate::expression::Expression;

/// The manifest version that this code reads.
pub const MANIFEST_VERSION: u32 = 1;

/// Everything that one must know to run a model, and to say honestly what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`MANIFEST_VERSION`].
    pub manifest_version: u32,
    /// The name that reports carry: lower case letters, digits and dashes.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What the model does.
    pub task: Task,
    /// Whether this model only holds the place of a better one of our own.
    #[serde(default)]
    pub stand_in: bool,
    /// File name of the model, beside the manifest.
    pub file: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub sha256: String,
    /// The same network as Google's compiler made it for the Edge TPU. Its tensors have the names, shapes, types and
    /// quantisation of `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_tpu: Option<EdgeTpuFile>,
    /// Licence of the weights.
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
    /// The one input.
    pub input: Input,
    /// Every output that the product reads.
    pub outputs: Vec<Output>,
    /// How to read the expression output; required for [`Task::Expression`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<ExpressionHead>,
    /// A head that learnt another labelling of the same pictures (FER2013's own labels beside the votes of FER+), so that the
    /// model can be compared with others by it. The daemon does not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_expression: Option<ExpressionHead>,
    /// How to read the attribute outputs; required for [`Task::Attributes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<AttributeHeads>,
    /// How the group's mood is derived; required for [`Task::Expression`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Accuracy that was measured, each with the command that measured it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
    /// Recorded inputs and outputs of an independent implementation.
    pub golden: Golden,
}

/// A model file for the Edge TPU, beside the one for the processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeTpuFile {
    /// File name, beside the manifest.
    pub file: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub sha256: String,
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Finds faces (YuNet's heads).
    Detector,
    /// Reads the expression of a face crop.
    Expression,
    /// Reads age, gender or ethnicity of a face crop, for group histograms only.
    Attributes,
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Detector => "detector",
            Self::Expression => "expression",
            Self::Attributes => "attributes",
        })
    }
}

/// The input tensor, shape `[1, height, width, channels]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name in the file.
    pub tensor: String,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Order of the channels in the tensor.
    pub channels: Channels,
    /// Type of one element.
    #[serde(rename = "type")]
    pub element: Element,
    /// Per channel, in the order of `channels`: input value = (pixel − mean) / std, pixel 0..=255.
    pub mean: Vec<f32>,
    /// Per channel; never 0.
    pub std: Vec<f32>,
    /// For integer inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<Quantisation>,
    /// How a region of the picture comes to the input's shape.
    pub fit: Fit,
}

/// Order of colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
    /// One channel: luma by ITU-R 601 in Pillow's integer arithmetic.
    Grey,
}

impl Channels {
    /// How many channels there are.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// Type of a tensor's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Element {
    Int8,
    Uint8,
    Float32,
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Float32 => "float32",
        })
    }
}

/// Affine quantisation: real = scale · (stored − zero_point).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantisation {
    /// Greater than 0.
    pub scale: f32,
    /// Within the range of the element type.
    pub zero_point: i32,
}

/// How a region of the picture comes to the input's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Keep the aspect, put the picture at the top left, leave the rest black.
    Letterbox,
    /// Resize to the input whatever the aspect: the paper's face crops.
    Stretch,
}

/// One output tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// What it holds: `expression`, or one of YuNet's heads such as `cls_8`.
    pub role: String,
    /// Name in the file.
    pub tensor: String,
    /// Shape with the batch first.
    pub shape: Vec<usize>,
    /// Type of one element.
    #[serde(rename = "type")]
    pub element: Element,
    /// For integer outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<Quantisation>,
}

/// How the expression output is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpressionHead {
    /// Role of the output.
    pub output: String,
    /// Labels in the order of the tensor's last axis.
    pub labels: Vec<Expression>,
    /// What the tensor holds.
    pub activation: Activation,
}

/// How attribute outputs are read; at least one head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeHeads {
    /// Age in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<AgeHead>,
    /// One logit: the larger, the more probably male.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gender: Option<GenderHead>,
    /// Ethnicity as its data set labels it. Release packages have no model with this head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethnicity: Option<EthnicityHead>,
}

/// Logits of one class per year from 0, read by the paper's eq. (1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeHead {
    /// Role of the output.
    pub output: String,
    /// L of eq. (1): the number of most probable ages over which the expectation is taken.
    pub most_probable: usize,
}

/// See [`AttributeHeads::gender`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenderHead {
    /// Role of the output.
    pub output: String,
}

/// Logits, one per label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthnicityHead {
    /// Role of the output.
    pub output: String,
    /// In the order of the tensor's last axis.
    pub labels: Vec<String>,
}

/// What a classifier's output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Probabilities already.
    None,
    /// Logits: softmax is still to be applied.
    Softmax,
}

/// How the mood of a group is derived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mood {
    /// The method.
    pub method: MoodMethod,
    /// For [`MoodMethod::Classifier`]: the file beside the manifest ([`crate::mood::MoodClassifier`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// For [`MoodMethod::Classifier`]: SHA-256 of that file, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether it only holds the place of a trained classifier.
    #[serde(default)]
    pub interim: bool,
}

/// The known ways to a mood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoodMethod {
    /// From the mean expression scores of the group descriptor ([`crate::mood`]).
    ExpressionScores,
    /// By a classifier that was trained on group descriptors ([`crate::mood::MoodClassifier`]).
    Classifier,
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// On which data.
    pub on: String,
    /// How to measure it again.
    pub command: String,
}

/// Where the golden vectors are, and who recorded them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// File name beside the manifest.
    pub file: String,
    /// The independent implementation.
    pub recorded_with: String,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, a missing key, an unknown key or a wrong type; the text has line and column.
    #[error("The manifest cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Readable, but contradicting itself. One sentence each.
    #[error("The manifest contradicts itself: {}", .0.join(" "))]
    Contradictions(Vec<String>),
}

impl Manifest {
    /// Reads a manifest and checks it in itself; [`Manifest`] against the file is checked where the file is.
    ///
    /// # Errors
    /// [`ManifestError`], with everything that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let found = manifest.contradictions();
        if found.is_empty() {
            Ok(manifest)
        } else {
            Err(ManifestError::Contradictions(found))
        }
    }

    /// The output with this role.
    #[must_use]
    pub fn output(&self, role: &str) -> Option<&Output> {
        self.outputs.iter().find(|output| output.role == role)
    }

    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.manifest_version != MANIFEST_VERSION {
            found.push(format!(
                "manifest_version is {}, but this program reads version {MANIFEST_VERSION}: use a model made for it.",
                self.manifest_version
            ));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if self.id.is_empty() || !self.id.chars().all(plain) {
            found.push(format!(
                "id `{}` must be lower case letters, digits, dots and dashes.",
                self.id
            ));
        }
        let compiled = self.edge_tpu.as_ref();
        let sums = [
            ("sha256", Some(&self.sha256)),
            ("edge_tpu.sha256", compiled.map(|c| &c.sha256)),
        ];
        for (key, sum) in sums {
            if sum.is_some_and(|sum| sum.len() != 64 || !sum.chars().all(|c| c.is_ascii_hexdigit())) {
                found.push(format!("{key} must be 64 hexadecimal digits."));
            }
        }
        let files = [
            ("file", Some(&self.file)),
            ("edge_tpu.file", compiled.map(|c| &c.file)),
            ("golden.file", Some(&self.golden.file)),
        ];
        for (key, file) in files.into_iter().filter_map(|(key, file)| Some((key, file?))) {
            if file.is_empty() || file.contains(['/', '\\']) {
                found.push(format!(
                    "{key} `{file}` must be a file name in the manifest's folder, without a path."
                ));
            }
        }
        self.input.contradictions(&mut found);
        for output in &self.outputs {
            check_quantisation(
                &format!("output `{}`", output.role),
                output.element,
                output.quantisation,
                &mut found,
            );
        }
        match self.task {
            Task::Expression => self.expression_contradictions(&mut found),
            Task::Attributes => self.attribute_contradictions(&mut found),
            Task::Detector if self.expression.is_some() => {
                found.push("A detector has no [expression] table.".to_owned());
            }
            Task::Detector => {}
        }
        found
    }

    fn attribute_contradictions(&self, found: &mut Vec<String>) {
        let Some(heads) = &self.attributes else {
            found.push("An attribute model needs an [attributes] table.".to_owned());
            return;
        };
        let classes = [
            heads.age.as_ref().map(|h| (&h.output, None)),
            heads.gender.as_ref().map(|h| (&h.output, Some(1))),
            heads
                .ethnicity
                .as_ref()
                .map(|h| (&h.output, Some(h.labels.len()))),
        ];
        if classes.iter().all(Option::is_none) {
            found.push("[attributes] has none of age, gender and ethnicity.".to_owned());
        }
        if heads.age.as_ref().is_some_and(|age| age.most_probable == 0) {
            found.push("attributes.age.most_probable must be at least 1.".to_owned());
        }
        for (role, wanted) in classes.into_iter().flatten() {
            match (self.output(role).and_then(|output| output.shape.last()), wanted) {
                (None, _) => found.push(format!(
                    "[attributes] names `{role}`, which is no [[outputs]] role."
                )),
                (Some(classes), Some(wanted)) if *classes != wanted => found.push(format!(
                    "[attributes] reads {wanted} value(s) from output `{role}`, which has {classes}."
                )),
                _ => {}
            }
        }
    }

    fn expression_contradictions(&self, found: &mut Vec<String>) {
        let Some(head) = &self.expression else {
            found.push("An expression model needs an [expression] table.".to_owned());
            return;
        };
        match &self.mood {
            None => found.push("An expression model needs a [mood] table.".to_owned()),
            Some(mood) if mood.method == MoodMethod::Classifier => {
                let file = mood.file.as_deref().unwrap_or_default();
                if file.is_empty() || file.contains(['/', '\\']) || mood.sha256.is_none() {
                    found.push("mood.method `classifier` needs mood.file, a file name in the manifest's folder, and mood.sha256.".to_owned());
                }
            }
            Some(_) => {}
        }
        self.label_contradictions("expression", head, found);
        if let Some(second) = &self.second_expression {
            self.label_contradictions("second_expression", second, found);
        }
    }

    fn label_contradictions(&self, table: &str, head: &ExpressionHead, found: &mut Vec<String>) {
        for (place, label) in head.labels.iter().enumerate() {
            if head.labels[..place].contains(label) {
                found.push(format!("{table}.labels names `{}` twice.", label.name()));
            }
        }
        match self.output(&head.output) {
            None => found.push(format!("{table}.output names `{}`, which is no [[outputs]] role.", head.output)),
            Some(output) if output.shape.last() != Some(&head.labels.len()) => found.push(format!(
                "{table}.labels has {} labels, but output `{}` has shape {:?}: one label per value of its last axis is needed.",
                head.labels.len(),
                output.role,
                output.shape
            )),
            Some(_) => {}
        }
    }
}

impl Input {
    fn contradictions(&self, found: &mut Vec<String>) {
        let count = self.channels.count();
        if self.mean.len() != count || self.std.len() != count {
            found.push(format!(
                "input.mean and input.std need {count} value(s), one per channel."
            ));
        }
        if self.std.iter().any(|s| !s.is_normal()) || self.mean.iter().any(|m| !m.is_finite()) {
            found.push("input.std must not be 0, and mean and std must be finite numbers.".to_owned());
        }
        if !(8..=4096).contains(&self.width) || !(8..=4096).contains(&self.height) {
            found.push(format!(
                "input is {}×{} px, but 8 to 4096 is supported.",
                self.width, self.height
            ));
        }
        check_quantisation("input", self.element, self.quantisation, found);
    }
}

fn check_quantisation(
    place: &str,
    element: Element,
    quantisation: Option<Quantisation>,
    found: &mut Vec<String>,
) {
    let range = match element {
        Element::Int8 => -128..=127,
        Element::Uint8 => 0..=255,
        Element::Float32 => {
            if quantisation.is_some() {
                found.push(format!("{place} is float32, so it has no quantisation."));
            }
            return;
        }
    };
    match quantisation {
        None => found.push(format!(
            "{place} is {element}, so it needs quantisation = {{ scale, zero_point }}."
        )),
        Some(q) if !(q.scale.is_normal() && q.scale > 0.0 && range.contains(&q.zero_point)) => {
            found.push(format!(
                "{place} has scale {} and zero point {}: out of range.",
                q.scale, q.zero_point
            ));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const EXAMPLE: &str = r#"
manifest_version = 1
id = "tiny"
title = "A tiny model"
task = "expression"
stand_in = true
file = "tiny.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
licence = "MIT"
source = "made up"
[input]
tensor = "input"
width = 64
height = 64
channels = "grey"
type = "int8"
mean = [127.5]
std = [127.5]
quantisation = { scale = 0.0078, zero_point = 0 }
fit = "stretch"
[[outputs]]
role = "expression"
tensor = "out"
shape = [1, 3]
type = "float32"
[expression]
output = "expression"
labels = ["anger", "happiness", "neutral"]
activation = "none"
[mood]
method = "expression_scores"
interim = true
[golden]
file = "golden.json"
recorded_with = "nothing"
"#;

    fn complaint(from: &str, to: &str) -> String {
        assert!(EXAMPLE.contains(from), "the example has no `{from}`");
        Manifest::from_toml(&EXAMPLE.replace(from, to))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_sound_manifest_is_read() {
        let manifest = Manifest::from_toml(EXAMPLE).unwrap();
        assert_eq!(manifest.output("expression").unwrap().tensor, "out");
        assert_eq!(manifest.expression.unwrap().labels[2], Expression::Neutral);
    }

    #[test]
    fn every_contradiction_is_named() {
        assert!(complaint("manifest_version = 1", "manifest_version = 9").contains("reads version 1"));
        assert!(complaint("\"neutral\"]", "\"neutral\", \"fear\"]").contains("4 labels"));
        assert!(complaint("\"neutral\"]", "\"anger\"]").contains("twice"));
        assert!(complaint("\"neutral\"]", "\"bored\"]").contains("bored"));
        assert!(complaint("std = [127.5]", "std = [0.0]").contains("must not be 0"));
        assert!(complaint("std = [127.5]", "std = [1.0, 1.0]").contains("1 value(s)"));
        assert!(complaint("channels = \"grey\"", "channels = \"rgb\"").contains("3 value(s)"));
        assert!(complaint("zero_point = 0", "zero_point = 200").contains("out of range"));
        assert!(complaint("output = \"expression\"", "output = \"age\"").contains("no [[outputs]] role"));
        assert!(complaint("file = \"tiny.tflite\"", "file = \"../tiny.tflite\"").contains("file name"));
        assert!(complaint("id = \"tiny\"", "id = \"Tiny Model\"").contains("lower case"));
        let compiled = |file: &str| {
            let table = format!("[edge_tpu]\nfile = \"{file}\"\nsha256 = \"12\"\n[input]");
            complaint("[input]", &table)
        };
        assert!(compiled("a/b.tflite").contains("edge_tpu.file `a/b.tflite` must be a file name"));
        assert!(compiled("b.tflite").contains("edge_tpu.sha256 must be 64"));
        assert!(complaint("title = ", "tittle = ").contains("tittle"));
    }
}
