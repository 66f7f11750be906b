//! The model manifest, `model.toml`: the truth about a model file (docs/decisions, "The manifest is the truth").
//!
//! Peers guess label order, channel order and normalisation from file names, and get them wrong. Here they
//! are written down once, checked against the file, and used by daemon and trainer alike.

mod check;

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
}
