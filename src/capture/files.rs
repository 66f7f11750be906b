//! A folder of pictures, or one picture.

use std::path::{Path, PathBuf};

use super::{Image, Next, PICTURES, Source, SourceError, has_ending};

/// Pictures in the order of their names.
pub(super) struct Pictures {
    /// The folder or the one file, as given.
    root: PathBuf,
    files: Vec<PathBuf>,
    next: usize,
}

impl Pictures {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let files = if path.is_dir() {
            listed(path)?
        } else {
            vec![path.to_owned()]
        };
        Ok(Self {
            root: path.to_owned(),
            files,
            next: 0,
        })
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let missing = |cause| SourceError::Missing {
        path: folder.to_owned(),
        cause,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(missing)? {
        let path = entry.map_err(missing)?.path();
        if has_ending(&path, &PICTURES) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(SourceError::Empty {
            path: folder.to_owned(),
        });
    }
    files.sort();
    Ok(files)
}

impl Source for Pictures {
    fn next(&mut self) -> Result<Next, SourceError> {
        let Some(path) = self.files.get(self.next) else {
            return Ok(Next::End);
        };
        self.next += 1;
        match std::fs::read(path) {
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

    fn rewind(&mut self) -> Result<(), SourceError> {
        *self = Self::open(&self.root)?;
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
