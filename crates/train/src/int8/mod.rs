//! From float weights to a full-int8 `.tflite` file: fold, calibrate, quantise, correct the biases, write.
//!
//! Weights are symmetric per output channel, activations per tensor by the range seen on calibration pictures,
//! input and outputs int8 (Jacob et al., 2018). Bias correction (Nagel et al., 2019) moves every bias by the mean
//! error that quantisation causes in its channel.

pub mod calibrate;
pub mod check;
mod draw;
mod error;
pub mod export;
pub mod fold;
pub mod graph;
pub mod write;

pub use error::ExportError;
pub use export::{Exported, Options, export};
