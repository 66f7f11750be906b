//! Labelled Faces in the Wild (Huang et al., 2007): one folder per person. VGGFace2 has the same layout below
//! `train/` and `test/`.

use std::path::Path;

use super::faces::{folders, name, pictures};
use super::{DataError, Face, Faces};

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    let below = folders(path)?;
    let splits: Vec<_> = below
        .iter()
        .filter(|f| ["train", "test", "val"].contains(&name(f).as_str()))
        .collect();
    if splits.is_empty() {
        people(&mut data, path, "")?;
    }
    for split in splits {
        people(&mut data, split, &name(split))?;
    }
    data.filled(path)
}

fn people(data: &mut Faces, path: &Path, split: &str) -> Result<(), DataError> {
    for folder in folders(path)? {
        let person = name(&folder);
        let found = pictures(&folder)?;
        if found.is_empty() {
            data.skip(&person, "The person's folder has no picture (.png, .jpg).");
            continue;
        }
        let identity = data.identities.len();
        data.identities.push(person);
        data.faces.extend(found.into_iter().map(|path| Face {
            path,
            split: split.to_owned(),
            identity: Some(identity),
            ..Face::default()
        }));
    }
    Ok(())
}
