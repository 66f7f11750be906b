//! A secret that does not print itself, and the file it comes from.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::source;

/// A password. `Debug` and `Display` print `***`; only [`Secret::reveal`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that logs in.
    #[must_use]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    /// A sentence part that says why there is no secret in it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes = source::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text (UTF-8)".to_owned())?;
        match text.lines().next() {
            None | Some("") => Err("its first line is empty".to_owned()),
            Some(line) => Ok(Self::new(line)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether every user of this machine may read the file.
pub(super) fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_print_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret)),
            "*** *** Some(\n    ***,\n)"
        );
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn it_is_the_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        for (content, expected) in [
            (&b"hunter2\n"[..], Ok("hunter2")),
            (b"hunter2\r\nmore\n", Ok("hunter2")),
            (b" hunter2 ", Ok(" hunter2 ")),
            (b"", Err("its first line is empty")),
            (b"\nhunter2\n", Err("its first line is empty")),
            (b"\xff\xfe", Err("it is no text (UTF-8)")),
        ] {
            fs::write(&path, content).expect("written");
            let read = Secret::read(&path);
            assert_eq!(
                read.as_ref().map(Secret::reveal).map_err(String::as_str),
                expected
            );
        }
        assert!(Secret::read(&folder.path().join("absent")).is_err());
        assert!(Secret::read(folder.path()).is_err());
    }
}
