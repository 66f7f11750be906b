//! Weights by name, apart from any framework: what importers give, checkpoints hold and the int8 writer reads.
//!
//! Names are `<step>.<part>`: `kernel` (`[outputs, inputs, side, side]`, or `[outputs, inputs]` for a dense
//! layer), `bias`, or `gamma`, `beta`, `mean`, `variance` where batch norm is not folded.

mod array;
pub mod keras;
pub mod mean;
pub mod tfjs;
pub mod tflite;
pub mod unfold;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub use array::{Array, halves, permuted, transposed};

use crate::network::plan::{Operation, Plan};

/// Arrays by name, and a few words about them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    arrays: BTreeMap<String, Array>,
    /// What a safetensors file keeps as its metadata: which network, trained on what.
    pub about: BTreeMap<String, String>,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// Not there.
    #[error("The weights have no array `{0}`: they belong to another network.")]
    Missing(String),
    /// There, but not as the network needs it.
    #[error(
        "The weights' array `{name}` has shape {found:?}, but the network needs {wanted:?}: they belong to another network."
    )]
    Shape {
        /// Which array.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// In the network.
        wanted: Vec<usize>,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}.", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{} is damaged or not a weight file: {why}.", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Weights {
    /// No arrays yet, but words about them.
    #[must_use]
    pub fn described(about: BTreeMap<String, String>) -> Self {
        Self {
            arrays: BTreeMap::new(),
            about,
        }
    }

    /// Stores an array under a name.
    pub fn insert(&mut self, name: String, array: Array) {
        self.arrays.insert(name, array);
    }

    /// The array of this name, if it has this shape.
    ///
    /// # Errors
    /// [`WeightError::Missing`] or [`WeightError::Shape`].
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Array, WeightError> {
        let array = self
            .find(name)
            .ok_or_else(|| WeightError::Missing(name.to_owned()))?;
        if array.shape == shape {
            Ok(array)
        } else {
            Err(WeightError::Shape {
                name: name.to_owned(),
                found: array.shape.clone(),
                wanted: shape.to_vec(),
            })
        }
    }

    /// The array of this name, whatever its shape.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// Gives a step another name: an imported dense layer becomes a head.
    ///
    /// # Errors
    /// [`WeightError::Missing`] if there is no such step.
    pub fn rename_step(&mut self, from: &str, to: &str) -> Result<(), WeightError> {
        let parts = ["kernel", "bias"];
        for part in parts {
            let name = format!("{from}.{part}");
            let array = self.arrays.remove(&name).ok_or(WeightError::Missing(name))?;
            self.insert(format!("{to}.{part}"), array);
        }
        Ok(())
    }

    /// All arrays in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Array)> {
        self.arrays.iter()
    }

    /// Fresh weights for a network: He's normal initialisation for kernels, 0.01 for heads, 0 for biases.
    #[must_use]
    pub fn random(plan: &Plan, seed: u64) -> Self {
        let mut weights = Self::default();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for step in &plan.steps {
            let mut put = |part: &str, array: Array| weights.insert(format!("{}.{part}", step.name), array);
            match step.operation {
                Operation::Convolution(c) => {
                    let shape = c.kernel_shape().to_vec();
                    let fan_in: usize = shape[1..].iter().product();
                    put(
                        "kernel",
                        Array::normal(shape, (2.0 / fan_in as f32).sqrt(), &mut rng),
                    );
                    if c.norm {
                        put("gamma", Array::filled(c.outputs, 1.0));
                        put("beta", Array::filled(c.outputs, 0.0));
                        put("mean", Array::filled(c.outputs, 0.0));
                        put("variance", Array::filled(c.outputs, 1.0));
                    } else {
                        put("bias", Array::filled(c.outputs, 0.0));
                    }
                }
                Operation::Dense(d) => {
                    put("kernel", Array::normal(vec![d.outputs, d.inputs], 0.01, &mut rng));
                    put("bias", Array::filled(d.outputs, 0.0));
                }
                _ => {}
            }
        }
        weights
    }

    /// These weights where they fit the plan by name and shape, fresh ones elsewhere. Returns what was fresh.
    #[must_use]
    pub fn fitted(&self, plan: &Plan, seed: u64) -> (Self, Vec<String>) {
        let mut weights = Self::random(plan, seed);
        let mut fresh = Vec::new();
        for (name, array) in &mut weights.arrays {
            match self.arrays.get(name) {
                Some(known) if known.shape == array.shape => array.clone_from(known),
                _ => fresh.push(name.clone()),
            }
        }
        weights.about.clone_from(&self.about);
        (weights, fresh)
    }

    /// Reads a safetensors file with f32 or f16 arrays.
    ///
    /// # Errors
    /// [`WeightError::File`] or [`WeightError::Damaged`].
    pub fn read(path: &Path) -> Result<Self, WeightError> {
        let damaged = |why: String| WeightError::Damaged {
            path: path.to_owned(),
            why,
        };
        let bytes = std::fs::read(path).map_err(|source| WeightError::File {
            path: path.to_owned(),
            source,
        })?;
        let (_, head) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let mut weights = Self {
            about: head.metadata().clone().unwrap_or_default().into_iter().collect(),
            ..Self::default()
        };
        for (name, view) in file.tensors() {
            let values = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
                Dtype::F16 => halves(view.data()),
                other => {
                    return Err(damaged(format!(
                        "`{name}` holds {other:?}, but only F32 and F16 are read"
                    )));
                }
            };
            weights.insert(
                name,
                Array {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(weights)
    }

    /// Writes a safetensors file: first under another name, then renamed, so that a full disk or a power cut
    /// leaves the old file as it was.
    ///
    /// # Errors
    /// [`WeightError::File`].
    pub fn write(&self, path: &Path) -> Result<(), WeightError> {
        let file_error = |source| WeightError::File {
            path: path.to_owned(),
            source,
        };
        let bytes: BTreeMap<&String, Vec<u8>> = self
            .arrays
            .iter()
            .map(|(name, array)| (name, array.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let views = self
            .arrays
            .iter()
            .map(|(name, array)| {
                let view = TensorView::new(Dtype::F32, array.shape.clone(), &bytes[name]);
                view.map(|view| (name, view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| file_error(std::io::Error::other(e)))?;
        let about = (!self.about.is_empty()).then(|| self.about.clone().into_iter().collect());
        let file = safetensors::serialize(views, about).map_err(|e| file_error(std::io::Error::other(e)))?;
        write_whole(path, &file).map_err(file_error)
    }
}

/// Writes a file under a temporary name beside it, then renames it.
///
/// # Errors
/// What the system says; the old file, if any, is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let written = std::fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&part, path))
        .inspect_err(|_| {
            // What is left of a failed attempt is of no use; that it could not be removed adds nothing.
            let _ = std::fs::remove_file(&part);
        })
}
