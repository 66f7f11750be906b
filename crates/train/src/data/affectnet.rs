//! AffectNet (Mollahosseini et al., 2017): `training.csv` and `validation.csv` with path, face box and expression code,
//! pictures below `Manually_Annotated_Images/`.

use std::path::Path;

use affect_core::expression::Expression;
use affect_core::geometry::Rect;

use super::faces::certain;
use super::{DataError, Face, Faces, table};

/// The codes 0 to 7. 8, 9 and 10 are none, uncertain and no face.
const CODES: [Expression; 8] = [
    Expression::Neutral,
    Expression::Happiness,
    Expression::Sadness,
    Expression::Surprise,
    Expression::Fear,
    Expression::Disgust,
    Expression::Anger,
    Expression::Contempt,
];

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let columns = [
        "subDirectory_filePath",
        "face_x",
        "face_y",
        "face_width",
        "face_height",
        "expression",
    ];
    let mut data = Faces::default();
    for (file, split) in [("training.csv", "train"), ("validation.csv", "valid")] {
        if !path.join(file).is_file() {
            data.skip(file, "The table is missing.");
            continue;
        }
        for row in table::read(&path.join(file), &columns)? {
            let code = row.text("expression");
            let expression = match code.parse::<usize>() {
                Ok(8..=10) => {
                    data.skip(&row.place, "Annotated as none, uncertain or no face.");
                    continue;
                }
                Ok(code) if code < CODES.len() => CODES[code],
                _ => {
                    data.skip(
                        &row.place,
                        format!("The expression `{code}` is not a code from 0 to 10."),
                    );
                    continue;
                }
            };
            let picture = path
                .join("Manually_Annotated_Images")
                .join(row.text("subDirectory_filePath"));
            if !picture.is_file() {
                data.skip(&row.place, "The picture is missing.");
                continue;
            }
            let side = |column| row.number(column);
            let region = match (
                side("face_x"),
                side("face_y"),
                side("face_width"),
                side("face_height"),
            ) {
                (Some(x), Some(y), Some(w), Some(h)) if w > 0.0 && h > 0.0 => Rect { x, y, w, h },
                _ => {
                    data.skip(
                        &row.place,
                        "The face box is not four numbers with a positive size.",
                    );
                    continue;
                }
            };
            data.faces.push(Face {
                path: picture,
                region: Some(region),
                split: split.to_owned(),
                expression: Some(certain(expression)),
                ..Face::default()
            });
        }
    }
    data.filled(path)
}
