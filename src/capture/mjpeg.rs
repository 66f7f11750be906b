//! A file of JPEG pictures, one directly after the other: what many cameras and tools write as `.mjpeg`.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::{Image, Next, Source, SourceError};
use crate::jpeg;
use affect_tflite::regular;

/// Before the first picture there may be so much text: a saved network stream has headers of its parts.
const LONGEST_TEXT: usize = 4096;

/// The file, read forwards.
pub(super) struct Mjpeg {
    path: PathBuf,
    file: File,
    jpegs: jpeg::Stream,
    count: u64,
}

impl Mjpeg {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let missing = |cause| SourceError::Missing {
            path: path.to_owned(),
            cause,
        };
        let mut first = Vec::new();
        let mut file = regular::open(path).map_err(missing)?;
        let most = LONGEST_TEXT + jpeg::START.len();
        (&mut file)
            .take(most as u64)
            .read_to_end(&mut first)
            .map_err(missing)?;
        if !begins_with_a_picture(&first) {
            let why = "its first bytes are not the start of a JPEG".to_owned();
            return Err(SourceError::Foreign {
                path: path.to_owned(),
                why,
            });
        }
        let mut jpegs = jpeg::Stream::default();
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
            let most = jpeg::LARGEST;
            return Err(broken(format!("picture {number} has no end within {most} bytes")));
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

/// Whether the first bytes are those of a JPEG, or of a saved network stream: lines of text, and then a JPEG.
fn begins_with_a_picture(first: &[u8]) -> bool {
    let start = first
        .windows(jpeg::START.len())
        .position(|bytes| bytes == jpeg::START);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t');
    start.is_some_and(|start| first[..start].iter().all(is_text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::stream_tests::jpeg;

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
        let in_a_film = [&b"RIFF\0\0\x01\0AVI "[..], &jpeg(20)].concat();
        for foreign in [&b"RIFF....AVI "[..], b"", &in_a_film] {
            let (_file, source) = source(foreign);
            let said = source.err().unwrap().to_string();
            assert!(said.contains("not the start of a JPEG"), "{said}");
        }
    }

    #[test]
    fn a_saved_network_stream_is_read_part_by_part() {
        let part = |n| {
            [
                &b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n"[..],
                &jpeg(n),
                b"\r\n",
            ]
            .concat()
        };
        let (_file, source) = source(&[part(10), part(70_000), b"--boundary--\r\n".to_vec()].concat());
        let mut source = source.unwrap();
        for _ in 0..2 {
            assert_eq!(sizes(&mut source), [jpeg(10).len(), jpeg(70_000).len()]);
            source.rewind().unwrap();
        }
    }
}
