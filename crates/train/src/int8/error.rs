//! Why a network could not be exported.

use super::calibrate::LEAST_PICTURES;
use crate::weights::WeightError;

/// Why a network could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// Too few pictures.
    #[error(
        "{found} calibration picture(s) are too few: at least {LEAST_PICTURES} are needed, some hundreds of different people are good."
    )]
    Calibration {
        /// How many there were.
        found: usize,
    },
    /// It would let people be recognised.
    #[error("The head `{0}` is not exported: no model for the device tells people apart (docs/privacy.md).")]
    Identity(String),
}
