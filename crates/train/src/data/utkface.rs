//! UTKFace (Zhang et al., 2017): `<age>_<gender>_<race>_<date>.jpg`, with gender 0 male and 1 female, race 0 to 4 for
//! white, black, asian, indian and others. The pictures lie in the folder or in `images/`.
//!
//! UTKFace has no official split. Where `labels.csv` has `in_balanced200` (200 pictures per class of gender, and race), those are the
//! test split, but of the black faces every second one goes to training: the balanced set holds 400 of the 405.

use std::collections::BTreeMap;
use std::path::Path;

use super::faces::{Gender, name, pictures};
use super::{DataError, Face, Faces, table};

/// Names of the race codes, in their order.
pub const RACES: [&str; 5] = ["white", "black", "asian", "indian", "others"];

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let folder = path.join("images");
    let folder = if folder.is_dir() { folder } else { path.to_owned() };
    let labels = path.join("labels.csv");
    let tested: Option<BTreeMap<String, bool>> = if labels.is_file() {
        let rows = table::read(&labels, &["file", "in_balanced200"])?;
        Some(
            rows.iter()
                .map(|row| (row.text("file").to_owned(), row.text("in_balanced200") == "1"))
                .collect(),
        )
    } else {
        None
    };
    let mut data = Faces {
        ethnicities: RACES.map(str::to_owned).to_vec(),
        ..Faces::default()
    };
    let mut black = 0;
    for picture in pictures(&folder)? {
        let file = name(&picture);
        let (age, gender, race) = match labels_of(&file) {
            Ok(labels) => labels,
            Err(why) => {
                data.skip(&file, why);
                continue;
            }
        };
        let mut split = "";
        if let Some(tested) = &tested {
            let mut test = tested.get(&file).copied().unwrap_or(false);
            if test && race == 1 {
                black += 1;
                test = black % 2 == 0;
            }
            split = if test { "test" } else { "train" };
        }
        data.faces.push(Face {
            path: picture,
            split: split.to_owned(),
            age: Some(age),
            gender: Some(gender),
            ethnicity: Some(race),
            ..Face::default()
        });
    }
    data.filled(path)
}

fn labels_of(file: &str) -> Result<(f32, Gender, usize), &'static str> {
    let mut parts = file.split('_');
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
    let (Some(age), Some(gender), Some(race)) = (number(), number(), number()) else {
        return Err("The file name is not `<age>_<gender>_<race>_<date>`.");
    };
    if age > 120 {
        return Err("The age in the file name is above 120.");
    }
    let gender = match gender {
        0 => Gender::Male,
        1 => Gender::Female,
        _ => return Err("The gender in the file name is neither 0 nor 1."),
    };
    if race >= RACES.len() {
        return Err("The race in the file name is not 0 to 4.");
    }
    Ok((age as f32, gender, race))
}
