//! What every reader gives: faces with whatever labels the data set has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use affect_core::expression::{EXPRESSIONS, Expression};
use affect_core::geometry::Rect;

use super::pixels::Pixels;

/// One labelled face picture. Absent labels are `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Face {
    /// The picture.
    pub path: PathBuf,
    /// The picture itself, where it is no file of its own.
    pub inline: Option<Arc<Pixels>>,
    /// Where the face is in it; the whole picture if absent.
    pub region: Option<Rect>,
    /// `train`, `valid`, `test` or what the data set calls it; empty if it has no splits.
    pub split: String,
    /// The part of annotators who chose each expression, in the order of [`Expression::ALL`]; one 1 where
    /// there is a single label.
    pub expression: Option<[f32; EXPRESSIONS]>,
    /// A second, different labelling of the same picture (FER2013's own labels beside FER+).
    pub other_expression: Option<Expression>,
    /// What teachers answered for it, where a recipe has a table of that.
    pub taught: Option<Taught>,
    /// Years.
    pub age: Option<f32>,
    /// As labelled.
    pub gender: Option<Gender>,
    /// Place in [`Faces::ethnicities`].
    pub ethnicity: Option<usize>,
    /// Place in [`Faces::identities`].
    pub identity: Option<usize>,
    /// The mood of the group in a clip: `positive`, `neutral` or `negative`.
    pub mood: Option<String>,
    /// Which clip a frame belongs to, for data sets of videos.
    pub clip: Option<String>,
    /// The data set itself says that this picture is in another split, too.
    pub known_duplicate: bool,
}

/// The teachers' answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taught {
    /// In the order of [`Expression::ALL`].
    pub answer: [f32; EXPRESSIONS],
    /// How much of the target it is, beside the face's own label.
    pub share: f32,
}

/// As the data sets label it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum Gender {
    Female,
    Male,
}

/// A data set.
#[derive(Debug, Clone, Default)]
pub struct Faces {
    /// All that is usable.
    pub faces: Vec<Face>,
    /// Names of the ethnicity labels.
    pub ethnicities: Vec<String>,
    /// Names of the people.
    pub identities: Vec<String>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

/// One item that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// File, and line for tables: `labels.csv:17`.
    pub place: String,
    /// A whole sentence.
    pub why: String,
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("{}: {source}.", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not the layout that was asked for.
    #[error("{} is not a data set in this layout: {why}", path.display())]
    Layout {
        /// Where.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Not a single usable item.
    #[error("{} has no usable face picture{}.", path.display(), first_reason(skipped))]
    Empty {
        /// Where.
        path: PathBuf,
        /// What was left out.
        skipped: Vec<Skipped>,
    },
    /// A class without items, or only one class.
    #[error("{0}")]
    Classes(String),
}

fn first_reason(skipped: &[Skipped]) -> String {
    skipped.first().map_or_else(String::new, |first| {
        format!(
            ": {} item(s) were left out, the first, {}, because: {}",
            skipped.len(),
            first.place,
            first.why
        )
    })
}

/// The label for one expression alone.
#[must_use]
pub fn certain(expression: Expression) -> [f32; EXPRESSIONS] {
    let mut label = [0.0; EXPRESSIONS];
    label[expression.index()] = 1.0;
    label
}

/// The expression that a data set calls by this name, whatever its spelling.
#[must_use]
pub fn expression_by_name(name: &str) -> Option<Expression> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "neutral" => Expression::Neutral,
        "happiness" | "happy" | "smiling" => Expression::Happiness,
        "sadness" | "sad" => Expression::Sadness,
        "surprise" | "surprised" => Expression::Surprise,
        "fear" | "fearful" => Expression::Fear,
        "anger" | "angry" => Expression::Anger,
        "disgust" | "disgusted" => Expression::Disgust,
        "contempt" | "contemptuous" => Expression::Contempt,
        _ => return None,
    })
}

impl Face {
    /// The expression that most annotators chose; the first wins a tie.
    #[must_use]
    pub fn majority(&self) -> Option<Expression> {
        self.expression
            .map(|label| affect_core::expression::dominant(&label).0)
    }
}

impl Faces {
    /// Those of one split; all if `split` is empty.
    #[must_use]
    pub fn split(&self, split: &str) -> Vec<&Face> {
        let faces = self.faces.iter();
        faces
            .filter(|face| split.is_empty() || face.split == split)
            .collect()
    }

    /// Leaves an item out, with the reason.
    pub fn skip(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.skipped.push(Skipped {
            place: place.into(),
            why: why.into(),
        });
    }

    /// The data set, or [`DataError::Empty`] if nothing is in it.
    ///
    /// # Errors
    /// [`DataError::Empty`].
    pub fn filled(self, path: &Path) -> Result<Self, DataError> {
        if self.faces.is_empty() {
            return Err(DataError::Empty {
                path: path.to_owned(),
                skipped: self.skipped,
            });
        }
        Ok(self)
    }

    /// The number for a name in a list of names, which grows as names are met.
    pub fn number(names: &mut Vec<String>, name: &str) -> usize {
        names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    }

    /// How many items were left out for each reason.
    #[must_use]
    pub fn skipped_by_reason(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for item in &self.skipped {
            *counts.entry(item.why.as_str()).or_default() += 1;
        }
        counts
    }
}

/// Files of a folder with a picture's ending, sorted by name.
///
/// # Errors
/// [`DataError::File`].
pub fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    files(folder, &["png", "jpg", "jpeg"])
}

/// Files of a folder with one of these endings, sorted by name.
///
/// # Errors
/// [`DataError::File`].
pub fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let wanted = |path: &PathBuf| {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        endings.contains(&ending.to_ascii_lowercase().as_str())
    };
    Ok(entries(folder)?.into_iter().filter(wanted).collect())
}

/// Folders of a folder, sorted by name.
///
/// # Errors
/// [`DataError::File`].
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = |source| DataError::File {
        path: folder.to_owned(),
        source,
    };
    let mut found = std::fs::read_dir(folder)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    found.sort();
    Ok(found)
}

/// A path's last part as text.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
