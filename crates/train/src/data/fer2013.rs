//! FER2013 (Goodfellow et al., 2013): `fer2013.csv` (`emotion, pixels, Usage`), 48 × 48 grey pixels in the table; and
//! beside it, if it is there, `fer2013new.csv` of FER+ with the votes for the same rows.

use std::path::Path;
use std::sync::Arc;

use affect_core::expression::{EXPRESSIONS, Expression};

use super::faces::certain;
use super::pixels::Pixels;
use super::{DataError, Face, Faces, table};

const SIDE: usize = 48;
/// The codes 0 to 6.
const CODES: [Expression; 7] = [
    Expression::Anger,
    Expression::Disgust,
    Expression::Fear,
    Expression::Happiness,
    Expression::Sadness,
    Expression::Surprise,
    Expression::Neutral,
];

/// Reads the data set: with votes they are the label, and FER2013's own is the second labelling.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let rows = table::read(&path.join("fer2013.csv"), &["emotion", "pixels", "Usage"])?;
    let votes = path.join("fer2013new.csv");
    let names = Expression::ALL.map(Expression::name);
    let votes = if votes.is_file() {
        Some(table::read(&votes, &names)?)
    } else {
        None
    };
    if let Some(votes) = &votes
        && votes.len() != rows.len()
    {
        return Err(DataError::Layout {
            path: path.to_owned(),
            why: format!(
                "fer2013.csv has {} rows, but fer2013new.csv {}: they belong row to row.",
                rows.len(),
                votes.len()
            ),
        });
    }
    let mut data = Faces::default();
    for (number, row) in rows.iter().enumerate() {
        let code = row.text("emotion");
        let Some(own) = code
            .parse::<usize>()
            .ok()
            .and_then(|code| CODES.get(code))
            .copied()
        else {
            data.skip(
                &row.place,
                format!("The emotion `{code}` is not a code from 0 to 6."),
            );
            continue;
        };
        let Some(pixels) = pixels(row.text("pixels")) else {
            data.skip(&row.place, "The pixels are not 2,304 numbers from 0 to 255.");
            continue;
        };
        let (mut label, mut other) = (certain(own), None);
        if let Some(votes) = &votes {
            let counts = names.map(|name| votes[number].number(name).unwrap_or(0.0).max(0.0));
            let total: f32 = counts.iter().sum();
            if total <= 0.0 {
                data.skip(
                    &votes[number].place,
                    "There is no vote for any of the eight expressions.",
                );
                continue;
            }
            label = [0.0; EXPRESSIONS];
            for (share, count) in label.iter_mut().zip(counts) {
                *share = count / total;
            }
            other = Some(own);
        }
        data.faces.push(Face {
            path: path.join(format!("fer2013.csv:{}", number + 2)),
            inline: Some(Arc::new(pixels)),
            split: match row.text("Usage") {
                "Training" => "train",
                "PublicTest" => "valid",
                _ => "test",
            }
            .to_owned(),
            expression: Some(label),
            other_expression: other,
            ..Face::default()
        });
    }
    data.filled(path)
}

fn pixels(text: &str) -> Option<Pixels> {
    let grey = text
        .split_ascii_whitespace()
        .map(|n| n.parse::<u8>().ok())
        .collect::<Option<Vec<u8>>>()?;
    (grey.len() == SIDE * SIDE).then(|| Pixels {
        width: SIDE,
        height: SIDE,
        rgb: grey.into_iter().flat_map(|v| [v; 3]).collect(),
    })
}
