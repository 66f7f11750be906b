//! A file of JPEG pictures, one directly after the other: what many cameras and tools write as `.mjpeg`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::jpegs::{Jpegs, LARGEST, SOI};
use super::{Image, Next, Source, SourceError};

/// The file, read forwards.
pub(super) struct Mjpeg {
    path: PathBuf,
    file: BufReader<File>,
    jpegs: Jpegs,
    count: u64,
}

impl Mjpeg {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let missing = |cause| SourceError::Missing {
            path: path.to_owned(),
            cause,
        };
        let mut first = Vec::new();
        let mut file = BufReader::new(File::open(path).map_err(missing)?);
        (&mut file).take(2).read_to_end(&mut first).map_err(missing)?;
        if first != [0xFF, SOI] {
            let why = "its first bytes are not the start of a JPEG".to_owned();
            return Err(SourceError::Foreign {
                path: path.to_owned(),
                why,
            });
        }
        let mut jpegs = Jpegs::default();
        jpegs.push(&first);
        Ok(Self {
            path: path.to_owned(),
            file,
            jpegs,
            count: 0,
        })
    }

    /// Reads the next piece; how many bytes came.
    fn read_more(&mut self) -> Result<usize, SourceError> {
        let broken = |why: String| SourceError::Broken {
            path: self.path.clone(),
            why,
        };
        if self.jpegs.is_too_large() {
            let number = self.count + 1;
            return Err(broken(format!(
                "picture {number} has no end within {LARGEST} bytes"
            )));
        }
        let mut piece = Vec::new();
        let got = (&mut self.file).take(64 << 10).read_to_end(&mut piece);
        self.jpegs.push(&piece);
        got.map_err(|e| broken(e.to_string()))
    }
}

impl Source for Mjpeg {
    fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(bytes) = self.jpegs.next() {
                self.count += 1;
                let name = format!("{}, picture {}", self.path.display(), self.count);
                return Ok(Next::Picture(Image::Encoded { bytes, name }));
            }
            if self.read_more()? == 0 {
                if self.jpegs.has_rest() {
                    let path = self.path.display();
                    log::warn!("{path}: the last picture is cut off and is left out.");
                    self.jpegs.clear();
                }
                return Ok(Next::End);
            }
        }
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        let missing = |cause| SourceError::Missing {
            path: self.path.clone(),
            cause,
        };
        self.file.rewind().map_err(missing)?;
        self.jpegs.clear();
        self.count = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::jpegs::tests::jpeg;
    use super::*;

    fn source(bytes: &[u8]) -> (tempfile::NamedTempFile, Result<Mjpeg, SourceError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Mjpeg::open(file.path());
        (file, source)
    }

    fn sizes(source: &mut Mjpeg) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Next::Picture(Image::Encoded { bytes, .. }) = source.next().unwrap() {
            sizes.push(bytes.len());
        }
        sizes
    }

    #[test]
    fn a_file_is_played_picture_by_picture_and_again() {
        let lengths = [10, 65_532, 65_535, 200_000, 1];
        let bytes: Vec<u8> = lengths.iter().flat_map(|n| jpeg(*n)).collect();
        let (_file, source) = source(&bytes);
        let mut source = source.unwrap();
        let expected = lengths.map(|n| jpeg(n).len());
        assert_eq!(sizes(&mut source), expected);
        source.rewind().unwrap();
        assert_eq!(sizes(&mut source), expected);
    }

    #[test]
    fn a_cut_off_end_is_left_out_and_a_foreign_file_is_refused() {
        let (_file, cut) = source(&[jpeg(20), jpeg(30)[..15].to_vec()].concat());
        assert_eq!(sizes(&mut cut.unwrap()), [jpeg(20).len()]);
        for foreign in [&b"RIFF....AVI "[..], b""] {
            let (_file, source) = source(foreign);
            let said = source.err().unwrap().to_string();
            assert!(said.contains("not the start of a JPEG"), "{said}");
        }
    }
}
