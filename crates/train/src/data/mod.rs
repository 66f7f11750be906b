//! Data sets: labelled face pictures, read from the layouts in which they are published.

pub mod augment;
pub mod faces;
pub mod ferplus;
pub mod folder;
pub mod lfw;
pub mod sample;
pub mod table;

pub use faces::{DataError, Face, Faces, Gender, Skipped};

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The layouts that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)] // see the readers
pub enum Format {
    Ferplus,
    Folder,
    Lfw,
}

impl Format {
    /// Reads a data set.
    ///
    /// # Errors
    /// [`DataError`] if nothing can be read; single bad items are skipped and named in [`Faces::skipped`].
    pub fn read(self, path: &Path) -> Result<Faces, DataError> {
        match self {
            Self::Ferplus => ferplus::read(path),
            Self::Folder => folder::read(path),
            Self::Lfw => lfw::read(path),
        }
    }
}
