//! What teachers answer for the pictures of a data set: a table with `file` and a column per expression.

use std::collections::BTreeMap;
use std::path::Path;

use affect_core::expression::{EXPRESSIONS, Expression};

use super::{DataError, Faces, Taught, table};

/// How far from 1 the sum of a row may be.
const ROUNDING: f32 = 0.01;

/// Gives every face of a split of the data set in `folder` the answer that `table` has for its file. Faces without one, and rows that
/// are no distribution, are left out and named.
///
/// # Errors
/// [`DataError`] if the table cannot be read, or if it has not a single face of this data set.
pub fn teach(
    data: &mut Faces,
    (folder, split): (&Path, &str),
    (table, share): (&Path, f32),
) -> Result<(), DataError> {
    let mut columns = vec!["file"];
    columns.extend(Expression::ALL.iter().map(|e| e.name()));
    let mut answers = BTreeMap::new();
    for row in table::read(table, &columns)? {
        let answer: [f32; EXPRESSIONS] =
            Expression::ALL.map(|e| row.number(e.name()).filter(|v| *v >= 0.0).unwrap_or(f32::NAN));
        if (answer.iter().sum::<f32>() - 1.0).abs() <= ROUNDING {
            answers.insert(row.text("file").to_owned(), answer);
        } else {
            data.skip(
                &row.place,
                "The teachers' answer is no distribution: its numbers must be 0 or more, and their sum 1.",
            );
        }
    }
    let mut untaught = Vec::new();
    data.faces.retain_mut(|face| {
        if !split.is_empty() && face.split != split {
            return true;
        }
        let file = face.path.strip_prefix(folder).unwrap_or(&face.path);
        let file = file.to_string_lossy().into_owned();
        face.taught = answers.get(&file).map(|answer| Taught {
            answer: *answer,
            share,
        });
        if face.taught.is_none() {
            untaught.push(file);
        }
        face.taught.is_some()
    });
    if data.faces.iter().all(|face| face.taught.is_none()) {
        return Err(DataError::Layout {
            path: table.to_owned(),
            why: format!(
                "none of its rows is a picture of {}; the first there is `{}`. Make the table with models/recipes/teach.py on this folder.",
                folder.display(),
                untaught.first().map_or("", String::as_str)
            ),
        });
    }
    for file in untaught {
        data.skip(file, "The teachers' table has no answer for it.");
    }
    Ok(())
}
