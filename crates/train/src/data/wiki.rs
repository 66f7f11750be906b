//! IMDB-Wiki (Rothe et al., 2015), the `*_crop` folders: `<00–99>/<id>_<date of birth>_<year of the photo>.jpg`.
//!
//! Ages and genders come from `imdb.mat` or `wiki.mat` where it lies in the folder, as in the published archives.
//! Pictures in which the data set's own detector found no face, or a second one, are left out then. Without that file
//! ages come from the file names, and there are no genders.

use std::collections::BTreeMap;
use std::path::Path;

use super::faces::{folders, name, pictures};
use super::matlab::{self, Value};
use super::{DataError, Face, Faces, Gender};

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    for set in ["imdb", "wiki"] {
        if path.join(format!("{set}.mat")).is_file() {
            with_table(&mut data, path, set)?;
            return data.filled(path);
        }
    }
    for folder in folders(path)? {
        for picture in pictures(&folder)? {
            let place = format!("{}/{}", name(&folder), name(&picture));
            match age_by_name(&name(&picture)) {
                Some(age) if AGES.contains(&age) => data.faces.push(Face {
                    path: picture,
                    age: Some(age),
                    ..Face::default()
                }),
                Some(_) => data.skip(place, IMPOSSIBLE_AGE),
                None => data.skip(
                    place,
                    "The file name is not `<id>_<year-month-day of birth>_<year of the photo>`.",
                ),
            }
        }
    }
    data.filled(path)
}

const AGES: std::ops::RangeInclusive<f32> = 0.0..=100.0;
const IMPOSSIBLE_AGE: &str = "The age by its dates is not between 0 and 100 years.";

/// The pictures of `<set>.mat`.
fn with_table(data: &mut Faces, path: &Path, set: &str) -> Result<(), DataError> {
    let file = path.join(format!("{set}.mat"));
    let layout = |why: String| DataError::Layout {
        path: file.clone(),
        why,
    };
    let Some(Value::Structure(fields)) = matlab::read(&file)?.remove(set) else {
        return Err(layout(format!("it has no structure `{set}`.")));
    };
    let Some(Value::Cells(files)) = fields.get("full_path") else {
        return Err(layout(format!("`{set}` has no cell array `full_path`.")));
    };
    let numbers = |field: &str| column(&fields, field, files.len()).map_err(&layout);
    let (born, taken, genders) = (numbers("dob")?, numbers("photo_taken")?, numbers("gender")?);
    let (scores, seconds) = (numbers("face_score")?, numbers("second_face_score")?);
    for (i, cell) in files.iter().enumerate() {
        let place = format!("{set}.mat, picture {}", i + 1);
        let Value::Text(picture) = cell else {
            data.skip(place, "Its `full_path` is no text.");
            continue;
        };
        let picture = path.join(picture);
        let age = age_by_dates(born[i], taken[i]);
        if scores[i] == f64::NEG_INFINITY {
            data.skip(place, "The data set's detector found no face in it.");
        } else if !seconds[i].is_nan() {
            data.skip(place, "The data set's detector found a second face in it.");
        } else if !AGES.contains(&age) {
            data.skip(place, IMPOSSIBLE_AGE);
        } else if !picture.is_file() {
            data.skip(place, "The picture is missing.");
        } else {
            data.faces.push(Face {
                path: picture,
                age: Some(age),
                gender: match genders[i] {
                    0.0 => Some(Gender::Female),
                    1.0 => Some(Gender::Male),
                    _ => None,
                },
                ..Face::default()
            });
        }
    }
    Ok(())
}

/// A field of as many numbers as there are pictures.
fn column<'a>(fields: &'a BTreeMap<String, Value>, field: &str, count: usize) -> Result<&'a [f64], String> {
    match fields.get(field) {
        Some(Value::Numbers(numbers)) if numbers.len() == count => Ok(numbers),
        Some(Value::Numbers(numbers)) => Err(format!(
            "`{field}` has {} numbers for {count} pictures.",
            numbers.len()
        )),
        _ => Err(format!("it has no numbers `{field}`.")),
    }
}

/// Years between the date of birth and the middle of the photo's year, as the data set's own script counts.
fn age_by_name(file: &str) -> Option<f32> {
    let mut parts = file.rsplit_once('.')?.0.rsplitn(3, '_');
    let taken: f32 = parts.next()?.parse().ok()?;
    let mut born = parts.next()?.split('-');
    let mut number = || born.next()?.parse::<f32>().ok();
    let (year, month) = (number()?, number()?);
    Some((taken + 0.5 - year - (month - 1.0) / 12.0).floor())
}

/// Whole years on the first of July of the photo's year, from the date of birth in MATLAB's days.
fn age_by_dates(born: f64, taken: f64) -> f32 {
    let born = born.floor();
    // The first of January of a year, in MATLAB's days.
    let start = |year: f64| {
        let since = |years: f64| ((year - 1.0) / years).floor() + 1.0;
        365.0 * year + since(4.0) - since(100.0) + since(400.0) + 1.0
    };
    let near = (born / 365.2425).floor();
    let year = if born < start(near) {
        near - 1.0
    } else if born >= start(near + 1.0) {
        near + 1.0
    } else {
        near
    };
    let july = start(year + 1.0) - 184.0;
    (taken - year - f64::from(u8::from(born > july))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_turn_on_the_first_of_july() {
        // Python's date(…).toordinal() + 366.
        for (born, taken, years) in [
            (729_906.0, 2009.0, 11.0), // 1998-05-31
            (729_937.0, 2009.0, 11.0), // 1998-07-01
            (729_938.0, 2009.0, 10.0), // 1998-07-02
            (720_624.0, 2003.0, 30.0), // 1972-12-31
            (720_625.0, 2003.0, 30.0), // 1973-01-01
            (720_441.0, 2003.0, 31.0), // 1972-07-01, a leap year
            (720_442.0, 2003.0, 30.0), // 1972-07-02
        ] {
            assert_eq!(age_by_dates(born, taken), years, "{born} {taken}");
        }
        assert!(age_by_dates(f64::NAN, 2000.0).is_nan());
    }
}
