//! IMDB-Wiki (Rothe et al., 2015), the `*_crop` folders: `<00–99>/<id>_<date of birth>_<year of the photo>.jpg`.
//!
//! Ages come from the file names. Genders stand only in MATLAB files, which are not read.

use std::path::Path;

use super::faces::{folders, name, pictures};
use super::{DataError, Face, Faces};

/// Reads the data set.
///
/// # Errors
/// [`DataError`].
pub fn read(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    for folder in folders(path)? {
        for picture in pictures(&folder)? {
            let place = format!("{}/{}", name(&folder), name(&picture));
            match age(&name(&picture)) {
                Some(age) if (0.0..=100.0).contains(&age) => data.faces.push(Face {
                    path: picture,
                    age: Some(age),
                    ..Face::default()
                }),
                Some(_) => data.skip(place, "The age by its dates is not between 0 and 100 years."),
                None => data.skip(
                    place,
                    "The file name is not `<id>_<year-month-day of birth>_<year of the photo>`.",
                ),
            }
        }
    }
    data.filled(path)
}

/// Years between the date of birth and the middle of the photo's year, as the data set's own script counts.
fn age(file: &str) -> Option<f32> {
    let mut parts = file.rsplit_once('.')?.0.rsplitn(3, '_');
    let taken: f32 = parts.next()?.parse().ok()?;
    let mut born = parts.next()?.split('-');
    let mut number = || born.next()?.parse::<f32>().ok();
    let (year, month) = (number()?, number()?);
    Some((taken + 0.5 - year - (month - 1.0) / 12.0).floor())
}
