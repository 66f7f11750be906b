//! Data sets: labelled face pictures, read from the layouts in which they are published.

pub mod affectnet;
pub mod augment;
pub mod clips;
pub mod faces;
pub mod fer2013;
pub mod ferplus;
pub mod folder;
pub mod lfw;
pub mod list;
pub mod matlab;
pub mod people;
pub mod pixels;
pub mod sample;
pub mod scenes;
pub mod summary;
mod surround;
pub mod table;
pub mod teachers;
pub mod utkface;
pub mod video;
pub mod wiki;

pub use faces::{DataError, Face, Faces, Gender, Skipped, Taught};

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The layouts that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)] // see the readers
pub enum Format {
    Affectnet,
    Afew,
    Csv,
    Fer2013,
    Ferplus,
    Folder,
    GroupScenes,
    ImdbWiki,
    Lfw,
    Utkface,
    Vgaf,
    Vggface2,
}

impl Format {
    /// Reads a data set.
    ///
    /// # Errors
    /// [`DataError`] if nothing can be read; single bad items are skipped and named in [`Faces::skipped`].
    pub fn read(self, path: &Path) -> Result<Faces, DataError> {
        match self {
            Self::Affectnet => affectnet::read(path),
            Self::Afew => clips::read_afew(path),
            Self::Csv => list::read(path),
            Self::Fer2013 => fer2013::read(path),
            Self::Ferplus => ferplus::read(path),
            Self::Folder => folder::read(path),
            Self::GroupScenes => scenes::read(path),
            Self::ImdbWiki => wiki::read(path),
            Self::Lfw | Self::Vggface2 => lfw::read(path),
            Self::Utkface => utkface::read(path),
            Self::Vgaf => clips::read_vgaf(path),
        }
    }
}
