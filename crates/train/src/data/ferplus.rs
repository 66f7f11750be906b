//! FER2013 with the crowd's votes of FER+ (Barsoum et al., 2016), as pictures and a table:
//! `labels.csv` (`image, split, majority8, fer2013_label7, duplicate_of, v_neutral … v_contempt`) and
//! `<split>/<class>/<image>`.

use std::path::Path;

use affect_core::expression::{EXPRESSIONS, Expression};

use super::faces::expression_by_name;
use super::{DataError, Face, Faces, table};

/// Reads the data set. The votes become the label; pictures without a majority among the eight are skipped.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let mut columns = vec!["image", "split", "majority8", "fer2013_label7", "duplicate_of"];
    let votes = Expression::ALL.map(|e| format!("v_{}", e.name()));
    columns.extend(votes.iter().map(String::as_str));
    let mut data = Faces::default();
    for row in table::read(&path.join("labels.csv"), &columns)? {
        let majority = row.text("majority8");
        if majority.is_empty() {
            data.skip(
                &row.place,
                "The annotators have no majority for one of the eight expressions.",
            );
            continue;
        }
        let Some(class) = expression_by_name(majority) else {
            data.skip(
                &row.place,
                format!("`{majority}` is not one of the eight expressions."),
            );
            continue;
        };
        let picture = path
            .join(row.text("split"))
            .join(majority)
            .join(row.text("image"));
        if !picture.is_file() {
            data.skip(&row.place, "The picture is missing.");
            continue;
        }
        let mut label = [0.0; EXPRESSIONS];
        for (share, column) in label.iter_mut().zip(&votes) {
            *share = row.number(column).unwrap_or(0.0).max(0.0);
        }
        let total: f32 = label.iter().sum();
        if total <= 0.0 {
            data.skip(&row.place, "There is no vote for any of the eight expressions.");
            continue;
        }
        label.iter_mut().for_each(|share| *share /= total);
        if label.iter().any(|share| *share > label[class.index()]) {
            data.skip(
                &row.place,
                format!("The votes contradict the majority label `{majority}`."),
            );
            continue;
        }
        data.faces.push(Face {
            path: picture,
            split: row.text("split").to_owned(),
            expression: Some(label),
            other_expression: expression_by_name(row.text("fer2013_label7")),
            known_duplicate: !row.text("duplicate_of").is_empty(),
            ..Face::default()
        });
    }
    data.filled(path)
}
