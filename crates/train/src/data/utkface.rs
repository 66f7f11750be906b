//! UTKFace (Zhang et al., 2017): `<age>_<gender>_<race>_<date>.jpg`, with gender 0 male and 1 female, race 0 to 4 for
//! white, black, asian, indian and others. The pictures lie in the folder or in `images/`.
//!
//! UTKFace has no official split. Ours takes the pictures of every decade of age, gender and race in the order of their
//! names. Every fifth of them is for testing, and of every twenty one more is for validation: all three have the same
//! make-up, and the split needs no list.

use std::collections::BTreeMap;
use std::path::Path;

use super::faces::{Gender, name, pictures};
use super::{DataError, Face, Faces};

/// Of so many pictures of a kind the last is for testing.
const TEST: usize = 5;

/// Of so many pictures of a kind one, other than those for testing, is for validation.
const VALID: usize = 20;

/// Names of the race codes, in their order.
pub const RACES: [&str; 5] = ["white", "black", "asian", "indian", "others"];

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let folder = path.join("images");
    let folder = if folder.is_dir() { folder } else { path.to_owned() };
    let mut data = Faces {
        ethnicities: RACES.map(str::to_owned).to_vec(),
        ..Faces::default()
    };
    let mut seen: BTreeMap<(usize, Gender, usize), usize> = BTreeMap::new();
    for picture in pictures(&folder)? {
        let file = name(&picture);
        let (age, gender, race) = match labels_of(&file) {
            Ok(labels) => labels,
            Err(why) => {
                data.skip(&file, why);
                continue;
            }
        };
        let count = seen.entry((age as usize / 10, gender, race)).or_default();
        *count += 1;
        let split = if count.is_multiple_of(TEST) {
            "test"
        } else if *count % VALID == TEST + 2 {
            "valid"
        } else {
            "train"
        };
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
