//! Model folders: the manifest, the file it describes, and whether the two agree.

use std::path::{Path, PathBuf};

use affect_core::manifest::{Element, Manifest, ManifestError, Mood, Quantisation, Task};
use affect_core::mood::{MoodClassifier, MoodClassifierError};
use affect_tflite::{ElementType, Model, TensorInfo, regular};
use sha2::{Digest, Sha256};

/// Longest file of a model's folder that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// A model whose file is what its manifest says.
#[derive(Debug)]
pub struct LoadedModel {
    /// The folder.
    pub folder: PathBuf,
    /// The truth about the file.
    pub manifest: Manifest,
    /// The file that is run, verified.
    pub file: Model,
    /// For each of the manifest's outputs, its place among the file's outputs.
    pub outputs: Vec<usize>,
    /// SHA-256 of the file that is run, hexadecimal.
    pub sha256: String,
    /// The trained classifier of moods that belongs to the model, if there is one.
    pub mood: Option<MoodClassifier>,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages name the fields
pub enum ModelError {
    /// A file of the folder cannot be read.
    #[error("The model file `{}` cannot be read ({cause}): a model is a folder with `model.toml` and the files it names.", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// The manifest is wrong in itself.
    #[error("`{}`: {cause}", path.display())]
    Manifest { path: PathBuf, cause: ManifestError },
    /// The file is not the one that the manifest was written for.
    #[error("`{}` has the SHA-256 {found}, but its manifest says {wanted}: the file was changed, or the manifest belongs to another one. Restore the pair from its source.", path.display())]
    OtherFile {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    /// The classifier of moods is wrong in itself.
    #[error("`{}`: {cause}", path.display())]
    Mood {
        path: PathBuf,
        cause: MoodClassifierError,
    },
    /// The file is no sound model.
    #[error(transparent)]
    File(#[from] affect_tflite::Error),
    /// The file's tensors are not those of the manifest. One sentence each.
    #[error("`{}` does not match its manifest: {}", path.display(), differences.join(" "))]
    Mismatch { path: PathBuf, differences: Vec<String> },
    /// The model does something else.
    #[error("`{}` is a model for the task `{found}`, but the configuration uses it as {wanted}: set [detector] model and [model] path each to its own kind.", folder.display())]
    Task {
        folder: PathBuf,
        found: Task,
        wanted: Task,
    },
}

impl LoadedModel {
    /// Reads the model in `folder` and checks file against manifest.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("model.toml");
        let text = regular::read_text(&path, LONGEST).map_err(|cause| ModelError::Unreadable {
            path: path.clone(),
            cause,
        })?;
        let manifest = Manifest::from_toml(&text).map_err(|cause| ModelError::Manifest { path, cause })?;
        let mood = match &manifest.mood {
            Some(Mood {
                file: Some(file),
                sha256: Some(sha256),
                ..
            }) => Some(mood_classifier(folder.join(file), sha256)?),
            _ => None,
        };
        let (file, outputs) = model_file(folder.join(&manifest.file), &manifest.sha256, &manifest)?;
        Ok(Self {
            folder: folder.to_owned(),
            sha256: manifest.sha256.clone(),
            manifest,
            file,
            outputs,
            mood,
        })
    }

    /// The same model with its file for the Edge TPU, which is checked against the manifest like the other one; `None`
    /// if the manifest names none.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn for_edge_tpu(&self) -> Option<Result<Self, ModelError>> {
        let compiled = self.manifest.edge_tpu.as_ref()?;
        let path = self.folder.join(&compiled.file);
        let made = model_file(path, &compiled.sha256, &self.manifest).map(|(file, outputs)| Self {
            folder: self.folder.clone(),
            manifest: self.manifest.clone(),
            file,
            outputs,
            sha256: compiled.sha256.clone(),
            mood: self.mood.clone(),
        });
        Some(made)
    }

    /// The same, for a model that must do `wanted`.
    pub fn open_as(folder: &Path, wanted: Task) -> Result<Self, ModelError> {
        let model = Self::open(folder)?;
        if model.manifest.task == wanted {
            Ok(model)
        } else {
            Err(ModelError::Task {
                folder: model.folder,
                found: model.manifest.task,
                wanted,
            })
        }
    }

    /// The place of the output with this role among the file's outputs.
    pub fn output(&self, role: &str) -> Option<usize> {
        let place = self
            .manifest
            .outputs
            .iter()
            .position(|output| output.role == role)?;
        self.outputs.get(place).copied()
    }
}

/// A model file that must have this SHA-256 and the manifest's tensors, and the places of its outputs.
fn model_file(path: PathBuf, sha256: &str, manifest: &Manifest) -> Result<(Model, Vec<usize>), ModelError> {
    let file = Model::from_bytes(read_verified(&path, sha256)?)?;
    match compare(manifest, &file) {
        Ok(outputs) => Ok((file, outputs)),
        Err(differences) => Err(ModelError::Mismatch { path, differences }),
    }
}

fn mood_classifier(path: PathBuf, sha256: &str) -> Result<MoodClassifier, ModelError> {
    let bytes = read_verified(&path, sha256)?;
    MoodClassifier::from_toml(&String::from_utf8_lossy(&bytes))
        .map_err(|cause| ModelError::Mood { path, cause })
}

/// A file that must have this SHA-256.
fn read_verified(path: &Path, wanted: &str) -> Result<Vec<u8>, ModelError> {
    let bytes = regular::read(path, LONGEST).map_err(|cause| ModelError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let found = hex(&Sha256::digest(&bytes));
    if found.eq_ignore_ascii_case(wanted) {
        Ok(bytes)
    } else {
        Err(ModelError::OtherFile {
            path: path.to_owned(),
            found,
            wanted: wanted.to_owned(),
        })
    }
}

/// Lower case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The places of the manifest's outputs in the file, or everything in which the two differ.
fn compare(manifest: &Manifest, file: &Model) -> Result<Vec<usize>, Vec<String>> {
    let mut differences = Vec::new();
    let input = &manifest.input;
    let shape = [1, input.height, input.width, input.channels.count()];
    match file.inputs() {
        [only] => {
            differences.extend(difference(
                "input",
                only,
                &input.tensor,
                &shape,
                input.element,
                input.quantisation,
            ));
        }
        inputs => differences.push(format!(
            "The file has {} inputs; exactly one is supported.",
            inputs.len()
        )),
    }
    let mut places = Vec::new();
    for output in &manifest.outputs {
        let place = format!("output `{}`", output.role);
        match file
            .outputs()
            .iter()
            .position(|found| found.name == output.tensor)
        {
            Some(i) => {
                let found = &file.outputs()[i];
                differences.extend(difference(
                    &place,
                    found,
                    &output.tensor,
                    &output.shape,
                    output.element,
                    output.quantisation,
                ));
                places.push(i);
            }
            None => {
                let names: Vec<&str> = file.outputs().iter().map(|t| t.name.as_str()).collect();
                differences.push(format!(
                    "The manifest's {place} is tensor `{}`, but the file's outputs are {names:?}.",
                    output.tensor
                ));
            }
        }
    }
    if differences.is_empty() {
        Ok(places)
    } else {
        Err(differences)
    }
}

fn difference(
    place: &str,
    found: &TensorInfo,
    name: &str,
    shape: &[usize],
    element: Element,
    quantisation: Option<Quantisation>,
) -> Option<String> {
    let same_element = matches!(
        (element, found.element),
        (Element::Int8, ElementType::Int8)
            | (Element::Uint8, ElementType::Uint8)
            | (Element::Float32, ElementType::Float32)
    );
    let same_quantisation = match (quantisation, &found.quantisation) {
        (Some(ours), Some(theirs)) => {
            (ours.scale - theirs.scale).abs() <= ours.scale * 1e-5 && ours.zero_point == theirs.zero_point
        }
        (None, None) => true,
        _ => false,
    };
    if found.name == name && found.shape == shape && same_element && same_quantisation {
        return None;
    }
    Some(format!(
        "The manifest's {place} is `{name}`, {element} {shape:?}, quantisation {quantisation:?}; the file's is `{}`, {:?} {:?}, quantisation {:?}.",
        found.name, found.element, found.shape, found.quantisation
    ))
}
