//! The training half of affectd: data sets, networks, the paper's training stages, evaluation, int8 export.
//!
//! The way of a model: published weights ([`weights`]) or none → [`train`] by a recipe on [`data`] →
//! a weight file → int8 → evaluation in the interpreter that the daemon uses.
//! Crop, resize and normalisation are `affect-core`'s, the daemon's own code.

pub mod data;
pub mod device;
pub mod evaluate;
pub mod group;
pub mod int8;
pub mod network;
pub mod train;
pub mod weights;

/// SHA-256 as hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    affect_vision::hex(&sha2::Sha256::digest(bytes))
}
