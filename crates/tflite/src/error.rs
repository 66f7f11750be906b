//! What can go wrong, in whole sentences.

use std::path::PathBuf;

use crate::tensor::ElementType;

/// An error of the library, a model, a delegate or a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library cannot be loaded.
    #[error("The TensorFlow Lite library `{}` cannot be loaded: {cause}. In a checkout run `make setup`; it must be built for this machine's architecture ({}).", path.display(), std::env::consts::ARCH)]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// A shared library, but not TensorFlow Lite's C library.
    #[error("`{}` is not a TensorFlow Lite C library that affectd can use: it has no `{symbol}`. affectd needs libtensorflowlite_c.so 2.17; in a checkout run `make setup`.", path.display())]
    Symbol {
        /// The library.
        path: PathBuf,
        /// What is missing.
        symbol: String,
    },
    /// A version whose structures are laid out differently.
    #[error("`{}` is TensorFlow Lite {found}, but affectd is built for 2.17 (the layout of the delegate options differs between versions): install libtensorflowlite_c.so 2.17.", path.display())]
    Version {
        /// The library.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// The model cannot be read from disk.
    #[error("The model `{}` cannot be read: {cause}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is something else.
    #[error("The model is not a TensorFlow Lite file: {0}. Give a .tflite file.")]
    Foreign(String),
    /// The file says it is a model, but its structure is damaged.
    #[error(
        "The model's structure is damaged: {0}. Fetch the file anew; if it was just converted, convert it again."
    )]
    Corrupt(String),
    /// A sound file that uses something which affectd does not run.
    #[error(
        "The model uses something that affectd does not run: {0}. Face networks need none of it; convert the model with a static batch and built-in operators."
    )]
    Unsupported(String),
    /// The library refused.
    #[error("TensorFlow Lite failed to {action}{}", if said.is_empty() { ", and did not say why.".to_owned() } else { format!(": {said}.") })]
    Refused {
        /// What was to be done.
        action: &'static str,
        /// What its error reporter said.
        said: String,
    },
    /// A delegate could not be made.
    #[error("The delegate `{name}` cannot be used: {cause}")]
    Delegate {
        /// Its name or path.
        name: String,
        /// Why, and what to do.
        cause: String,
    },
    /// A tensor that is not there, or not of that type.
    #[error("The model has no {place} {index} of type {wanted:?} and {length} values; {found}.")]
    Tensor {
        /// `input` or `output`.
        place: &'static str,
        /// Which one.
        index: usize,
        /// The type that was asked for.
        wanted: ElementType,
        /// The length that was asked for, 0 if any would do.
        length: usize,
        /// What there is.
        found: String,
    },
}
