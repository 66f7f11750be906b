//! A file of JPEG pictures, one directly after the other: what many cameras and tools write as `.mjpeg`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::{Image, Source, SourceError};

/// A JPEG larger than this is taken for a broken stream.
const LARGEST: usize = 32 << 20;

/// Start of image.
const SOI: [u8; 2] = [0xFF, 0xD8];
/// End of image.
const EOI: [u8; 2] = [0xFF, 0xD9];

/// The file, read forwards.
pub(super) struct Mjpeg {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes read and not yet given out.
    pending: Vec<u8>,
    count: u64,
}

impl Mjpeg {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let missing = |cause| SourceError::Missing {
            path: path.to_owned(),
            cause,
        };
        let file = BufReader::new(File::open(path).map_err(missing)?);
        let mut source = Self {
            path: path.to_owned(),
            file,
            pending: Vec::new(),
            count: 0,
        };
        source.read_more()?;
        if !source.pending.starts_with(&SOI) {
            let why = "its first bytes are not the start of a JPEG".to_owned();
            return Err(SourceError::Foreign {
                path: path.to_owned(),
                why,
            });
        }
        Ok(source)
    }

    /// Reads the next piece; how many bytes came.
    fn read_more(&mut self) -> Result<usize, SourceError> {
        let broken = |why: String| SourceError::Broken {
            path: self.path.clone(),
            why,
        };
        let mut piece = (&mut self.file).take(64 << 10);
        let got = piece
            .read_to_end(&mut self.pending)
            .map_err(|e| broken(e.to_string()))?;
        if self.pending.len() > LARGEST {
            return Err(broken(format!(
                "picture {} has no end within {LARGEST} bytes",
                self.count + 1
            )));
        }
        Ok(got)
    }
}

/// Where `mark` stands in `bytes`, from `from` on.
fn find(bytes: &[u8], mark: [u8; 2], from: usize) -> Option<usize> {
    bytes
        .get(from..)?
        .windows(2)
        .position(|pair| pair == mark)
        .map(|at| at + from)
}

impl Source for Mjpeg {
    fn next(&mut self) -> Result<Option<Image>, SourceError> {
        // Inside a picture's entropy-coded data 0xFF is followed by 0 or a restart mark, so the first end mark that
        // is followed by a start mark (or by the end of the file) ends the picture, thumbnails notwithstanding.
        let mut searched = SOI.len();
        loop {
            match find(&self.pending, EOI, searched) {
                Some(at) if self.pending.len() >= at + 4 || self.read_more()? == 0 => {
                    let rest = &self.pending[at + 2..];
                    if rest.is_empty() || rest.starts_with(&SOI) {
                        let rest = self.pending.split_off(at + 2);
                        let bytes = std::mem::replace(&mut self.pending, rest);
                        self.count += 1;
                        let name = format!("{}, picture {}", self.path.display(), self.count);
                        return Ok(Some(Image::Encoded { bytes, name }));
                    }
                    searched = at + 2;
                }
                Some(_) => {}
                None => {
                    searched = searched.max(self.pending.len().saturating_sub(1));
                    if self.read_more()? == 0 {
                        if !self.pending.is_empty() {
                            log::warn!(
                                "{}: the last picture is cut off and is left out.",
                                self.path.display()
                            );
                            self.pending.clear();
                        }
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        let missing = |cause| SourceError::Missing {
            path: self.path.clone(),
            cause,
        };
        self.file.rewind().map_err(missing)?;
        self.pending.clear();
        self.count = 0;
        self.read_more().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(size: usize) -> Vec<u8> {
        [&SOI[..], &vec![7; size], &EOI[..]].concat()
    }

    fn source(bytes: &[u8]) -> (tempfile::NamedTempFile, Result<Mjpeg, SourceError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Mjpeg::open(file.path());
        (file, source)
    }

    fn sizes(source: &mut Mjpeg) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Some(Image::Encoded { bytes, .. }) = source.next().unwrap() {
            sizes.push(bytes.len());
        }
        sizes
    }

    #[test]
    fn pictures_are_split_wherever_the_pieces_end() {
        let lengths = [10, 65_532, 65_535, 200_000, 1];
        let bytes: Vec<u8> = lengths.iter().flat_map(|n| jpeg(*n)).collect();
        let (_file, source) = source(&bytes);
        let mut source = source.unwrap();
        let expected = lengths.map(|n| n + 4);
        assert_eq!(sizes(&mut source), expected);
        source.rewind().unwrap();
        assert_eq!(sizes(&mut source), expected);
    }

    #[test]
    fn an_embedded_thumbnail_does_not_split_a_picture() {
        let with_thumbnail = [&SOI[..], &[1, 2], &jpeg(5), &[3, 4], &EOI].concat();
        let (_file, source) = source(&[with_thumbnail.clone(), jpeg(9)].concat());
        assert_eq!(sizes(&mut source.unwrap()), [with_thumbnail.len(), 13]);
    }

    #[test]
    fn a_cut_off_end_is_left_out_and_a_foreign_file_is_refused() {
        let (_file, cut) = source(&[jpeg(20), jpeg(30)[..15].to_vec()].concat());
        assert_eq!(sizes(&mut cut.unwrap()), [24]);
        let (_file, foreign) = source(b"RIFF....AVI ");
        assert!(
            foreign
                .err()
                .unwrap()
                .to_string()
                .contains("not the start of a JPEG")
        );
    }
}
