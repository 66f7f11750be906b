//! Scenes with ground truth for the tracker: people who sit, stand, walk, cross and hide one another, as a camera sees them and a
//! detector finds them; and how well a tracker follows them.
//!
//! ```text
//! people ──scene──> truth, boxes ──follow (ours, earlier)──> tracks ──score──> IDF1, switches, fragments, count error
//!                         └──mot──> files for trackers from elsewhere ──┘
//! ```
#![forbid(unsafe_code)]

pub mod earlier;
pub mod follow;
pub mod mot;
pub mod scene;
pub mod score;

mod people;

pub use people::Kind;
