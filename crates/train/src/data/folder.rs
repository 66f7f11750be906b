//! One folder per expression, `<class>/<picture>`, or the same below `<split>/`. A table of people may lie beside
//! these folders: see [`super::people`].

use std::path::Path;

use super::faces::{certain, expression_by_name, folders, name, pictures};
use super::{DataError, Face, Faces, people};

/// Reads the data set. Folders whose names are no expression are skipped and named.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    let below = folders(path)?;
    if below
        .iter()
        .any(|folder| expression_by_name(&name(folder)).is_some())
    {
        classes(&mut data, path, "")?;
    } else {
        for split in below {
            classes(&mut data, &split, &name(&split))?;
        }
    }
    people::label(&mut data, path)?;
    data.filled(path)
}

fn classes(data: &mut Faces, path: &Path, split: &str) -> Result<(), DataError> {
    for folder in folders(path)? {
        let Some(expression) = expression_by_name(&name(&folder)) else {
            data.skip(
                name(&folder),
                "The folder's name is not one of the eight expressions.",
            );
            continue;
        };
        let found = pictures(&folder)?;
        if found.is_empty() {
            data.skip(name(&folder), "The folder has no picture (.png, .jpg).");
        }
        data.faces.extend(found.into_iter().map(|path| Face {
            path,
            split: split.to_owned(),
            expression: Some(certain(expression)),
            ..Face::default()
        }));
    }
    Ok(())
}
