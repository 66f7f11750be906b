//! A table of our own: `faces.csv` with `file` and any of `split, x, y, w, h, expression, age, gender, ethnicity,
//! identity`. Paths are relative to the table.

use std::path::Path;

use affect_core::geometry::Rect;

use super::faces::{certain, expression_by_name};
use super::{DataError, Face, Faces, people, table};

/// Reads the table, or `faces.csv` in a folder.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let file = if path.is_dir() {
        path.join("faces.csv")
    } else {
        path.to_owned()
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut data = Faces::default();
    for row in table::read(&file, &["file"])? {
        match face(&row, folder, &mut data) {
            Ok(face) => data.faces.push(face),
            Err(why) => data.skip(&row.place, why),
        }
    }
    data.filled(path)
}

fn face(row: &table::Row, folder: &Path, data: &mut Faces) -> Result<Face, String> {
    let path = folder.join(row.text("file"));
    if !path.is_file() {
        return Err("The picture is missing.".to_owned());
    }
    let filled = |column: &str| Some(row.text(column)).filter(|text| !text.is_empty());
    let expression = match filled("expression") {
        None => None,
        Some(text) => {
            let found =
                expression_by_name(text).ok_or(format!("`{text}` is not one of the eight expressions."))?;
            Some(certain(found))
        }
    };
    let gender = people::gender(row.text("gender"))?;
    let age = people::age(row.text("age").trim())?;
    let region = match filled("w") {
        None => None,
        Some(_) => match ["x", "y", "w", "h"].map(|side| row.number(side)) {
            [Some(x), Some(y), Some(w), Some(h)] if w > 0.0 && h > 0.0 => Some(Rect { x, y, w, h }),
            _ => return Err("The face box is not four numbers with a positive size.".to_owned()),
        },
    };
    Ok(Face {
        path,
        region,
        split: row.text("split").to_owned(),
        expression,
        age,
        gender,
        ethnicity: filled("ethnicity").map(|name| Faces::number(&mut data.ethnicities, name)),
        identity: filled("identity").map(|name| Faces::number(&mut data.identities, name)),
        ..Face::default()
    })
}
