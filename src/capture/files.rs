//! A folder of pictures, or one picture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Image, Next, PICTURES, Source, SourceError, has_ending};
use crate::jpeg;
use affect_tflite::regular;

/// Pictures in the order of their names.
pub(super) struct Pictures {
    /// The folder or the one file, as given.
    root: PathBuf,
    files: Vec<PathBuf>,
    /// What else lies in the folder.
    others: Others,
    next: usize,
}

impl Pictures {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let (files, others) = if path.is_dir() {
            listed(path)?
        } else {
            (vec![path.to_owned()], Others::default())
        };
        if let Some(said) = others.said() {
            log::warn!("The folder `{}` has {said}", path.display());
        }
        Ok(Self {
            root: path.to_owned(),
            files,
            others,
            next: 0,
        })
    }
}

/// What lies in a folder and is not looked at: how many of each ending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Others {
    files: BTreeMap<String, usize>,
    folders: usize,
}

impl Others {
    fn count(&mut self, path: &Path) {
        if path.is_dir() {
            self.folders += 1;
            return;
        }
        let ending = path.extension().map(|ending| {
            let ending = ending.to_string_lossy().to_lowercase();
            format!(
                ".{}",
                ending
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(12)
                    .collect::<String>()
            )
        });
        *self
            .files
            .entry(ending.unwrap_or_else(|| "without an ending".to_owned()))
            .or_default() += 1;
    }

    /// What is told of them; `None` if there are none.
    fn said(&self) -> Option<String> {
        let count: usize = self.files.values().sum();
        let kinds: Vec<String> = self
            .files
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let files = match count {
            0 => None,
            1 => Some(format!("a file that is not looked at ({})", kinds.join(", "))),
            _ => Some(format!(
                "{count} files that are not looked at ({})",
                kinds.join(", ")
            )),
        };
        let folders = match self.folders {
            0 => None,
            1 => Some("a folder in it that is not looked into".to_owned()),
            count => Some(format!("{count} folders in it that are not looked into")),
        };
        let advice = match count {
            0 => "",
            _ => {
                " Convert other kinds (HEIC, WebP) to JPEG; JPEGs by another name need one of these endings."
            }
        };
        let what: Vec<String> = files.into_iter().chain(folders).collect();
        (!what.is_empty()).then(|| {
            format!(
                "{}: affectd reads .{} directly in the folder.{advice}",
                what.join(" and "),
                PICTURES.join(", .")
            )
        })
    }
}

fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Others), SourceError> {
    let missing = |cause| SourceError::Missing {
        path: folder.to_owned(),
        cause,
    };
    let (mut files, mut others) = (Vec::new(), Others::default());
    for entry in std::fs::read_dir(folder).map_err(missing)? {
        let path = entry.map_err(missing)?.path();
        if has_ending(&path, &PICTURES) {
            files.push(path);
        } else {
            others.count(&path);
        }
    }
    if files.is_empty() {
        return Err(SourceError::Empty {
            path: folder.to_owned(),
            others: others
                .said()
                .map_or_else(String::new, |said| format!(" It has {said}")),
        });
    }
    files.sort();
    Ok((files, others))
}

impl Source for Pictures {
    fn next(&mut self) -> Result<Next, SourceError> {
        let Some(path) = self.files.get(self.next) else {
            return Ok(Next::End);
        };
        self.next += 1;
        match regular::read(path, jpeg::LARGEST as u64) {
            Ok(bytes) => Ok(Next::Picture(Image::Encoded {
                bytes,
                name: path.display().to_string(),
            })),
            // If the folder itself is gone, every following picture would fail one by one.
            Err(cause) if !self.root.exists() => Err(SourceError::Missing {
                path: self.root.clone(),
                cause,
            }),
            Err(cause) => Err(SourceError::Picture {
                path: path.clone(),
                cause,
            }),
        }
    }

    /// Looks again at what lies in the folder; what is not looked at is told if it is not the same as before.
    fn rewind(&mut self) -> Result<(), SourceError> {
        self.next = 0;
        if self.root.is_dir() {
            let (files, others) = listed(&self.root)?;
            if others != self.others
                && let Some(said) = others.said()
            {
                log::warn!("The folder `{}` has {said}", self.root.display());
            }
            (self.files, self.others) = (files, others);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &mut Pictures) -> Vec<String> {
        let mut names = Vec::new();
        while let Next::Picture(Image::Encoded { name, .. }) = source.next().unwrap() {
            names.push(name.rsplit('/').next().unwrap().to_owned());
        }
        names
    }

    #[test]
    fn a_folder_is_played_in_the_order_of_names_and_again() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jpg", "a.PNG", "notes.txt", "c.jpeg"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let mut source = Pictures::open(folder.path()).unwrap();
        assert_eq!(names(&mut source), ["a.PNG", "b.jpg", "c.jpeg"]);
        source.rewind().unwrap();
        assert_eq!(names(&mut source).len(), 3);
    }

    #[test]
    fn a_folder_without_pictures_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Pictures::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("has no picture"), "{error}");
    }

    #[test]
    fn one_lost_picture_is_left_out_but_a_vanished_folder_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "b.jpg", "c.jpg"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let mut source = Pictures::open(folder.path()).unwrap();
        std::fs::remove_file(folder.path().join("a.jpg")).unwrap();
        assert!(source.next().unwrap_err().is_one_picture());
        assert!(matches!(source.next().unwrap(), Next::Picture(_)));
        folder.close().unwrap();
        let error = source.next().unwrap_err();
        assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    }
}
