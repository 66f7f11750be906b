//! A table of people beside a data set's folders: `people.csv` or `info.csv`, a row per person.
//!
//! A column `id` says which pictures are theirs: those whose name without ending is the id, or begins with it and
//! goes on with `_` or `-` (`001_08.jpg` is a picture of `001`). `age`, `gender` and `ethnicity` are optional. All
//! columns may be called as London's are: `face_id`, `face_age`, `face_gender`, `face_eth`. Empty cells and `NA` say
//! nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::faces::{Gender, name};
use super::table::Row;
use super::{DataError, Face, Faces, table};

/// What the table may be called.
const FILES: [&str; 2] = ["people.csv", "info.csv"];

/// Gives the faces of a data set the labels of the table in `folder`, if one is there. What cannot be read in it is
/// named in [`Faces::skipped`].
///
/// # Errors
/// [`DataError`] if the table itself cannot be read.
pub fn label(data: &mut Faces, folder: &Path) -> Result<(), DataError> {
    let Some(file) = FILES
        .map(|file| folder.join(file))
        .into_iter()
        .find(|f| f.is_file())
    else {
        return Ok(());
    };
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    for row in table::read(&file, &[])? {
        let id = column(&row, &["id", "face_id"]).to_owned();
        if id.is_empty() {
            data.skip(
                &row.place,
                "The row has no `id` or `face_id`: it says nothing about any picture.",
            );
            continue;
        }
        match person(&row, data) {
            Ok(person) => {
                if people.insert(id.clone(), person).is_some() {
                    data.skip(
                        &row.place,
                        format!("The id `{id}` stands here for the second time; this row counts."),
                    );
                }
            }
            Err(why) => data.skip(&row.place, why),
        }
    }
    let mut unknown = Vec::new();
    for face in &mut data.faces {
        match find(&people, face) {
            Some(person) => {
                (face.age, face.gender, face.ethnicity) = (person.age, person.gender, person.ethnicity);
            }
            None => unknown.push(name(&face.path)),
        }
    }
    for picture in unknown {
        let why = format!(
            "{} has no usable row for this picture: it counts, but in no group of people.",
            name(&file)
        );
        data.skip(picture, why);
    }
    Ok(())
}

/// What a row says.
#[derive(Default)]
struct Person {
    age: Option<f32>,
    gender: Option<Gender>,
    ethnicity: Option<usize>,
}

fn person(row: &Row, data: &mut Faces) -> Result<Person, String> {
    let ethnicity = column(row, &["ethnicity", "face_eth"]);
    Ok(Person {
        age: age(column(row, &["age", "face_age"]))?,
        gender: gender(column(row, &["gender", "face_gender"]))?,
        ethnicity: (!ethnicity.is_empty()).then(|| Faces::number(&mut data.ethnicities, ethnicity)),
    })
}

/// The cell of the first of these columns that says something.
fn column<'a>(row: &'a Row, names: &[&str]) -> &'a str {
    let says = |text: &&str| !text.is_empty() && !text.eq_ignore_ascii_case("na");
    names
        .iter()
        .map(|name| row.text(name).trim())
        .find(says)
        .unwrap_or_default()
}

/// The person of a picture: the longest id that its name begins with.
fn find<'a>(people: &'a BTreeMap<String, Person>, face: &Face) -> Option<&'a Person> {
    let stem = face.path.file_stem()?.to_str()?;
    let ends = stem.rmatch_indices(['_', '-']).map(|(end, _)| end);
    std::iter::once(stem.len())
        .chain(ends)
        .find_map(|end| people.get(&stem[..end]))
}

/// Years; nothing for an empty cell.
///
/// # Errors
/// A sentence.
pub fn age(text: &str) -> Result<Option<f32>, String> {
    match text.parse::<f32>() {
        _ if text.is_empty() => Ok(None),
        Ok(age) if (0.0..=120.0).contains(&age) => Ok(Some(age)),
        _ => Err(format!("The age `{text}` is not a number from 0 to 120.")),
    }
}

/// `female` or `male`; nothing for an empty cell.
///
/// # Errors
/// A sentence.
pub fn gender(text: &str) -> Result<Option<Gender>, String> {
    match text {
        "" => Ok(None),
        "female" => Ok(Some(Gender::Female)),
        "male" => Ok(Some(Gender::Male)),
        other => Err(format!("The gender `{other}` is neither `female` nor `male`.")),
    }
}
