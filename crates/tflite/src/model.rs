//! A model file in memory, verified.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::graph::{self, Summary};
use crate::regular;
use crate::tensor::TensorInfo;

/// The largest file that is read. Face networks take some megabytes.
const LARGEST: usize = 256 << 20;

/// A verified model. Cheap to clone; interpreters share its bytes.
#[derive(Clone)]
pub struct Model {
    bytes: Arc<Aligned>,
    summary: Arc<Summary>,
}

impl Model {
    /// Reads and verifies a file.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or those of [`Model::from_bytes`].
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let bytes = regular::read(path, LARGEST as u64).map_err(|cause| Error::Unreadable {
            path: path.to_owned(),
            cause,
        })?;
        Self::from_bytes(bytes)
    }

    /// Verifies a model's bytes.
    ///
    /// # Errors
    /// [`Error::Foreign`] for another kind of file, [`Error::Corrupt`] for a damaged one,
    /// [`Error::Unsupported`] for a sound one with something that is not run.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err(Error::Foreign(what_it_looks_like(&bytes)));
        }
        if bytes.len() > LARGEST {
            return Err(Error::Unsupported(format!("a file of {} MiB", bytes.len() >> 20)));
        }
        let bytes = Aligned::new(&bytes);
        let summary = graph::verify(bytes.as_slice())?;
        Ok(Self {
            bytes: Arc::new(bytes),
            summary: Arc::new(summary),
        })
    }

    /// The inputs, in the file's order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.summary.inputs
    }

    /// The outputs, in the file's order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.summary.outputs
    }

    /// The names of the operators, in the order of execution.
    #[must_use]
    pub fn operators(&self) -> &[String] {
        &self.summary.operators
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.length
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("size", &self.size())
            .field("operators", &self.operators().len())
            .finish()
    }
}

fn what_it_looks_like(bytes: &[u8]) -> String {
    let known: [(&[u8], &str); 8] = [
        (b"\x89PNG", "it is a PNG picture"),
        (b"\xFF\xD8\xFF", "it is a JPEG picture"),
        (b"\x89HDF", "it is an HDF5 file, such as Keras writes (.h5)"),
        (
            b"PK\x03\x04",
            "it is a ZIP archive, such as .keras or PyTorch files",
        ),
        (b"\x7FELF", "it is a program or library"),
        (b"\x08", "it may be an ONNX file"),
        (b"{", "it is text"),
        (b"", "it has no TFL3 mark in its first eight bytes"),
    ];
    if bytes.is_empty() {
        return "it is empty".to_owned();
    }
    let found = known.iter().find(|(start, _)| bytes.starts_with(start));
    found.map_or_else(String::new, |(_, what)| (*what).to_owned())
}

/// Sixteen bytes at a multiple of 16. A `u128` would be at a multiple of 8 on 32-bit ARM.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; 16]);

/// Bytes that start at a multiple of 16, as the C library expects of constants.
struct Aligned {
    blocks: Vec<Block>,
    length: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let blocks = bytes.chunks(16).map(|chunk| {
            let mut block = Block([0; 16]);
            block.0[..chunk.len()].copy_from_slice(chunk);
            block
        });
        Self {
            blocks: blocks.collect(),
            length: bytes.len(),
        }
    }

    fn as_slice(&self) -> &[u8] {
        // SAFETY: the blocks are one allocation of at least `length` initialised bytes, which lives as long as
        // `self` and is not written to; any byte is a valid u8.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        let complaint = |bytes: &[u8]| Model::from_bytes(bytes.to_vec()).unwrap_err().to_string();
        assert!(complaint(b"").contains("it is empty"));
        assert!(complaint(b"\x89PNG\r\n\x1a\n....").contains("PNG picture"));
        assert!(complaint(b"\x08\x07\x12\x07pytorch").contains("ONNX"));
        assert!(complaint(b"\x00\x00\x00\x00abcd").contains("no TFL3 mark"));
        assert!(complaint(b"\x1c\x00\x00\x00TFL3").contains("damaged"));
    }

    #[test]
    fn aligned_bytes_are_the_bytes() {
        for length in [0, 1, 15, 16, 17, 100] {
            let bytes: Vec<u8> = (0..length).collect();
            let aligned = Aligned::new(&bytes);
            assert_eq!(aligned.as_slice(), bytes);
            assert_eq!(aligned.as_slice().as_ptr() as usize % 16, 0);
        }
    }
}
