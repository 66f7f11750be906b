//! The pure domain of affectd: what the daemon and the trainer share.
//!
//! No I/O, no clock, no threads: data, time and randomness come in as arguments, so every rule can be tested as a
//! table. The way of the data through the modules:
//!
//! ```text
//! Picture ──preprocess──> tensor ··· heads ──detection──> Face ──tracker──> Track ──sampling──> whose turn
//!     SeenFace ──gate (attendance, statistics)──> GroupStatistics ──release──> Verdict ──report──> payload
//! ```
#![forbid(unsafe_code)]

pub mod attendance;
pub mod attributes;
pub mod command;
pub mod descriptor;
pub mod detection;
pub mod expression;
pub mod gate;
pub mod geometry;
pub mod health;
pub mod liveness;
pub mod manifest;
pub mod mood;
mod motion;
pub mod preprocess;
pub mod random;
pub mod release;
pub mod report;
pub mod sampling;
pub mod statistics;
mod stay;
pub mod surroundings;
pub mod tracker;
pub mod window;
