//! Pictures of groups with a table: `faces.csv` with `file, group_label, x, y, w, h, emotion`, one row per face, boxes
//! in pixels. All faces of a picture make one frame of one clip.

use std::path::Path;

use affect_core::geometry::Rect;

use super::faces::{certain, expression_by_name};
use super::{DataError, Face, Faces, table};

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let columns = ["file", "group_label", "x", "y", "w", "h", "emotion"];
    let mut data = Faces::default();
    for row in table::read(&path.join("faces.csv"), &columns)? {
        let file = path.join(row.text("file"));
        let side = |column| row.number(column);
        let (Some(x), Some(y), Some(w), Some(h)) = (side("x"), side("y"), side("w"), side("h")) else {
            data.skip(row.place, "The box is not four numbers.");
            continue;
        };
        let Some(expression) = expression_by_name(row.text("emotion")) else {
            data.skip(
                row.place.clone(),
                format!("`{}` is not one of the eight expressions.", row.text("emotion")),
            );
            continue;
        };
        if !file.is_file() {
            data.skip(row.place, "The picture is missing.");
            continue;
        }
        data.faces.push(Face {
            path: file,
            region: Some(Rect { x, y, w, h }),
            expression: Some(certain(expression)),
            mood: Some(row.text("group_label").to_ascii_lowercase()),
            clip: Some(row.text("file").to_owned()),
            ..Face::default()
        });
    }
    data.filled(path)
}
