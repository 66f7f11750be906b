//! Model folders at work: a file that is what its manifest says, its network behind the shared preprocessing, and
//! the two networks of the product, detector and classifier.
//!
//! The daemon runs these on frames; the trainer evaluates with the very same code.
#![forbid(unsafe_code)]

mod classifier;
mod detector;
mod engine;
mod model;

use std::path::PathBuf;

pub use classifier::Classifier;
pub use detector::{Detector, DetectorSettings};
pub use engine::{Engine, EngineError};
pub use model::{LoadedModel, ModelError, hex};

/// Why a network could not be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages name the fields
pub enum OpenError {
    /// The interpreter could not be made.
    #[error(transparent)]
    Interpreter(#[from] affect_tflite::Error),
    /// A detector without one of YuNet's heads.
    #[error("The detector `{}` has no output with the role `{role}` and {values} values: YuNet's heads cls, obj, bbox and kps at strides 8, 16 and 32 are needed, and the input's sides must be multiples of 32.", folder.display())]
    Head {
        folder: PathBuf,
        role: String,
        values: usize,
    },
    /// An expression model without its head.
    #[error("The model `{}` has no [expression] head in its manifest.", folder.display())]
    NoExpression { folder: PathBuf },
}
