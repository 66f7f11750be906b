//! MATLAB's level-5 MAT files (`save -v7` and older, little endian), as far as data sets use them: numbers, text,
//! cells and structures. Other values are passed over.
//!
//! Layout after MathWorks, "MAT-File Format": elements of a type, a length and data, padded to eight bytes; an array
//! is an element of elements; a compressed element is one element as a zlib stream.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use super::DataError;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Numbers of any type, column by column.
    Numbers(Vec<f64>),
    /// Text.
    Text(String),
    /// A cell array, column by column.
    Cells(Vec<Value>),
    /// The fields of a structure with one element.
    Structure(BTreeMap<String, Value>),
    /// Anything else.
    Other,
}

/// Bytes before the first element.
const HEADER: usize = 128;
/// Arrays within arrays: more is a damaged file.
const DEEPEST: usize = 8;
/// A compressed element of more bytes is a damaged file.
const LARGEST: u64 = 1 << 31;

/// Reads the variables of a file.
///
/// # Errors
/// [`DataError`] if the file cannot be read or is no such file.
pub fn read(path: &Path) -> Result<BTreeMap<String, Value>, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::File {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).map_err(|why| DataError::Layout {
        path: path.to_owned(),
        why: why.to_owned(),
    })
}

const SHORT: &str = "the file ends within a value.";

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Value>, &'static str> {
    let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or(SHORT)?;
    if header.starts_with(b"MATLAB 7.3") {
        return Err("it is a MAT file of version 7.3 (HDF5); save it with `-v7`.");
    }
    if !header.ends_with(b"IM") {
        return Err("it is no little-endian MAT file of level 5.");
    }
    let mut variables = BTreeMap::new();
    while !rest.is_empty() {
        let element = Element::take(&mut rest)?;
        let (name, value) = if element.kind == Element::COMPRESSED {
            let mut whole = Vec::new();
            let mut stream = flate2::read::ZlibDecoder::new(element.data).take(LARGEST);
            stream
                .read_to_end(&mut whole)
                .map_err(|_| "a compressed value is damaged.")?;
            array(&Element::take(&mut &whole[..])?, 0)?
        } else {
            array(&element, 0)?
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

/// A type, and the data behind it.
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
}

impl<'a> Element<'a> {
    const ARRAY: u32 = 14;
    const COMPRESSED: u32 = 15;

    /// Takes an element, and what pads it, from the front.
    fn take(from: &mut &'a [u8]) -> Result<Self, &'static str> {
        let (tag, rest) = from.split_at_checked(8).ok_or(SHORT)?;
        let word = |at: usize| u32::from_le_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
        // A short element has its length in the upper half of the type, and its data where the length would be.
        let short = (word(0) >> 16) as usize;
        if short > 0 {
            *from = rest;
            let data = tag[4..].get(..short).ok_or("a short element is too long.")?;
            return Ok(Self {
                kind: word(0) & 0xffff,
                data,
            });
        }
        let (kind, length) = (word(0), word(4) as usize);
        let (data, after) = rest.split_at_checked(length).ok_or(SHORT)?;
        let padding = if kind == Self::COMPRESSED {
            0
        } else {
            length.wrapping_neg() % 8
        };
        *from = after.get(padding..).unwrap_or_default();
        Ok(Self { kind, data })
    }

    /// Its data as numbers.
    fn numbers(&self) -> Result<Vec<f64>, &'static str> {
        fn each<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            data.as_chunks::<N>()
                .0
                .iter()
                .map(|bytes| number(*bytes))
                .collect()
        }
        Ok(match self.kind {
            1 => each(self.data, |b| f64::from(i8::from_le_bytes(b))),
            2 | 16 => each(self.data, |b| f64::from(u8::from_le_bytes(b))),
            3 => each(self.data, |b| f64::from(i16::from_le_bytes(b))),
            4 | 17 => each(self.data, |b| f64::from(u16::from_le_bytes(b))),
            5 => each(self.data, |b| f64::from(i32::from_le_bytes(b))),
            6 => each(self.data, |b| f64::from(u32::from_le_bytes(b))),
            7 => each(self.data, |b| f64::from(f32::from_le_bytes(b))),
            9 => each(self.data, f64::from_le_bytes),
            12 => each(self.data, |b| i64::from_le_bytes(b) as f64),
            13 => each(self.data, |b| u64::from_le_bytes(b) as f64),
            _ => return Err("numbers are stored in a type that is not known."),
        })
    }

    fn text(&self) -> Result<String, &'static str> {
        if [1, 2, 16].contains(&self.kind) {
            return Ok(String::from_utf8_lossy(self.data).into_owned());
        }
        let units: Vec<u16> = self.numbers()?.into_iter().map(|unit| unit as u16).collect();
        Ok(String::from_utf16_lossy(&units))
    }
}

/// An array's name and value.
fn array(element: &Element, depth: usize) -> Result<(String, Value), &'static str> {
    if element.kind != Element::ARRAY {
        return Err("a value is no array.");
    }
    if depth > DEEPEST {
        return Err("arrays are nested too deeply.");
    }
    let mut rest = element.data;
    if rest.is_empty() {
        return Ok((String::new(), Value::Other));
    }
    let flags = Element::take(&mut rest)?;
    let class = flags.data.first().copied().unwrap_or_default();
    let sides = Element::take(&mut rest)?.numbers()?;
    let count: f64 = sides.iter().product();
    let name = Element::take(&mut rest)?.text()?;
    let value = match class {
        1 => {
            let mut cells = Vec::new();
            // Each takes eight bytes at least, so a count that is not true ends with the data.
            for _ in 0..count as usize {
                cells.push(array(&Element::take(&mut rest)?, depth + 1)?.1);
            }
            Value::Cells(cells)
        }
        2 if count == 1.0 => {
            let length = Element::take(&mut rest)?
                .numbers()?
                .first()
                .copied()
                .unwrap_or_default();
            let names = Element::take(&mut rest)?;
            let mut fields = BTreeMap::new();
            for name in names.data.chunks_exact((length as usize).max(1)) {
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                let value = array(&Element::take(&mut rest)?, depth + 1)?.1;
                fields.insert(String::from_utf8_lossy(name).into_owned(), value);
            }
            Value::Structure(fields)
        }
        4 => Value::Text(Element::take(&mut rest)?.text()?),
        6..=15 => Value::Numbers(Element::take(&mut rest)?.numbers()?),
        _ => Value::Other,
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by SciPy (tests/record_mat.py), compressed and not.
    const FILES: [&[u8]; 2] = [
        include_bytes!("../../tests/data/imdb.mat"),
        include_bytes!("../../tests/data/wiki.mat"),
    ];

    #[test]
    fn values_are_scipys() {
        for (file, name) in FILES.into_iter().zip(["imdb", "wiki"]) {
            let variables = parse(file).unwrap();
            let Some(Value::Structure(fields)) = variables.get(name) else {
                panic!("{variables:?}")
            };
            assert_eq!(
                fields["photo_taken"],
                Value::Numbers(vec![2009.0, 1968.0, 1990.0, 2000.0, 2001.0, 2002.0])
            );
            let Value::Cells(paths) = &fields["full_path"] else {
                panic!("{fields:?}")
            };
            assert_eq!(
                paths[0],
                Value::Text("17/10000217_1981-05-05_2009.png".to_owned())
            );
            let Value::Numbers(gender) = &fields["gender"] else {
                panic!("{fields:?}")
            };
            assert!(gender[..2] == [1.0, 0.0] && gender[2].is_nan(), "{gender:?}");
        }
    }

    #[test]
    fn other_and_damaged_files_are_refused_in_words_and_never_crash() {
        assert_eq!(parse(b"short").unwrap_err(), SHORT);
        assert!(parse(&[0; 200]).unwrap_err().contains("no little-endian"));
        let mut newer = b"MATLAB 7.3 MAT-file".to_vec();
        newer.resize(200, b' ');
        assert!(parse(&newer).unwrap_err().contains("save it with `-v7`"));
        let mut refused = 0;
        for file in FILES {
            for end in HEADER + 1..file.len() {
                refused += usize::from(parse(&file[..end]).is_err());
            }
            for at in HEADER..file.len() {
                for value in [0, 1, 15, 127, 255] {
                    let mut damaged = file.to_vec();
                    damaged[at] = value;
                    refused += usize::from(parse(&damaged).is_err());
                }
            }
        }
        assert!(refused > 1000, "{refused}");
    }
}
