//! Evaluation: the paper's tables for a model in the daemon's interpreter, or for float weights.

pub mod calibrate;
pub mod change;
mod expression;
mod markdown;
pub mod metrics;
pub mod model;
pub mod rank;
pub mod recognition;
pub mod report;
pub mod sets;
