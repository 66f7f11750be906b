//! A secret that does not print itself, and the file it comes from.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::credential::{self, FOLDER, STORE};
use crate::redact;

/// Longest file of a secret that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// A password. `Debug` and `Display` print `***`; only [`Secret::reveal`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps `text`, which from now on is hidden in everything that leaves the program as words.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        redact::remember(&text);
        Self(text)
    }

    /// Wraps a text that holds a secret, such as an address with a password, which is known already.
    pub(crate) fn around(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that logs in.
    #[must_use]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads the first line of a file, see [`credential::read`].
    ///
    /// # Errors
    /// A sentence part that says why there is no secret in it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes = credential::read(path, LONGEST)?;
        first_line(&bytes).map(Self::new)
    }
}

/// How a file is made that only the service may read: it runs as nobody in particular, to whom no file can be given.
pub(super) fn advice(name: &str) -> String {
    format!(
        "put it in the first line of {STORE}/affectd.{name} (owner root, mode 0600) and write \
         password_file = \"{FOLDER}/affectd.{name}\": systemd hands it to the service alone"
    )
}

/// The first line, without what editors put around it. What may belong to the secret or not is refused.
fn first_line(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is text as UTF-16: save it as UTF-8".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text (UTF-8)".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    // The end of a line is \n, \r\n, or, of an old editor, \r.
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    if line.is_empty() {
        Err("its first line is empty".to_owned())
    } else if line.trim() != line {
        Err("its first line begins or ends with a blank: take it away".to_owned())
    } else if line.contains(redact::is_unseen) {
        Err("its first line holds a character that cannot be seen: type it anew".to_owned())
    } else {
        Ok(line)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::HIDDEN)
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
    fn it_is_the_first_line_without_what_editors_put_around_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        let blank = "its first line begins or ends with a blank: take it away";
        let unseen = "its first line holds a character that cannot be seen: type it anew";
        for (content, expected) in [
            (&b"hunter2\n"[..], Ok("hunter2")),
            (b"hunter2\r\nmore\n", Ok("hunter2")),
            (b"hunter2\r", Ok("hunter2")),
            (b"hunter2\rmore\r", Ok("hunter2")),
            (b"\xef\xbb\xbfgeheim\r\n", Ok("geheim")),
            (b"two words\n", Ok("two words")),
            (b" hunter2", Err(blank)),
            (b"hunter2 \n", Err(blank)),
            (b"hunter2\t\r\n", Err(blank)),
            (b"hunter2\xc2\xa0\n", Err(blank)),
            (b"hun\x1bter2\n", Err(unseen)),
            (b"hun\xe2\x80\x8bter2\n", Err(unseen)),
            (b"", Err("its first line is empty")),
            (b"\xef\xbb\xbf", Err("its first line is empty")),
            (b"\nhunter2\n", Err("its first line is empty")),
            (b"h\xff", Err("it is no text (UTF-8)")),
            (b"\xff\xfeh\0", Err("it is text as UTF-16: save it as UTF-8")),
        ] {
            fs::write(&path, content).expect("written");
            let read = Secret::read(&path);
            assert_eq!(
                read.as_ref().map(Secret::reveal).map_err(String::as_str),
                expected,
                "{content:?}"
            );
        }
        assert!(Secret::read(&folder.path().join("absent")).is_err());
        assert!(Secret::read(folder.path()).is_err());
    }
}
