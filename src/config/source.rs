//! Where configuration comes from: files, their drop-ins, and environment variables.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Start of the environment variables that override a key.
pub(crate) const ENV_PREFIX: &str = "AFFECTD__";
/// Longest configuration file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Number of the source.
    pub(super) source: usize,
    /// Bytes of its text.
    pub(super) bytes: Range<usize>,
}

/// One text that holds configuration.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// What it is called in messages.
    pub(super) name: String,
    /// The text. Of an environment variable: `NAME=value`.
    pub(super) text: String,
    /// Whether it is an environment variable: then it has no lines, and `text` is not TOML.
    pub(super) is_variable: bool,
    /// Parts of the text whose syntax is broken.
    pub(super) broken: Vec<Range<usize>>,
    /// Whether the text could not be read at all.
    pub(super) unreadable: bool,
}

impl Source {
    /// A file, or any other TOML text.
    pub(super) fn file(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            is_variable: false,
            broken: Vec::new(),
            unreadable: false,
        }
    }

    /// An environment variable.
    pub(super) fn variable(name: &str, value: &str) -> Self {
        Self {
            name: format!("{name} (environment)"),
            text: format!("{name}={value}"),
            is_variable: true,
            broken: Vec::new(),
            unreadable: false,
        }
    }

    /// Bytes of the line that holds byte `at`, without its end.
    pub(super) fn line_at(&self, at: usize) -> Range<usize> {
        let at = self.text.floor_char_boundary(at);
        if self.is_variable {
            return 0..self.text.len();
        }
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |newline| at + newline);
        start..end
    }

    /// Line and column (in characters) of byte `at`, both from 1.
    pub(super) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_at(at);
        (
            self.text[..line.start].matches('\n').count() + 1,
            self.text[line.start..at].chars().count() + 1,
        )
    }

    /// How a place in this source is called in messages.
    pub(super) fn place(&self, line: usize, column: usize) -> String {
        if self.is_variable {
            self.name.clone()
        } else {
            format!("{}:{line}:{column}", self.name)
        }
    }

    /// Whether the syntax is broken at byte `at`.
    pub(super) fn is_broken_at(&self, at: usize) -> bool {
        self.broken
            .iter()
            .any(|range| range.start <= at && at <= range.end)
    }
}

/// `files` and the drop-ins `conf.d/*.toml` beside the first of them, in the order in which they are merged.
///
/// # Errors
/// If the folder of drop-ins is there and cannot be listed.
pub(super) fn with_drop_ins(files: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut all = files.to_vec();
    let Some(first) = files.first() else {
        return Ok(all);
    };
    let folder = first.with_file_name("conf.d");
    let listed = fs::read_dir(&folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
    });
    match listed {
        Ok(mut drop_ins) => {
            drop_ins.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
            drop_ins.sort();
            all.append(&mut drop_ins);
            Ok(all)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(all),
        Err(error) => Err((folder, error)),
    }
}

/// Reads a file, at most [`LONGEST`] bytes of it, as it is.
///
/// # Errors
/// A sentence part that says why it cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!(
            "it is longer than {} KiB, which no configuration is",
            LONGEST / 1024
        ));
    }
    Ok(bytes)
}

/// The environment variables that override keys, sorted by name. Bytes that are no text are replaced, and then
/// refused by the check of their value.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    variables.sort();
    variables.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let source = Source::file("a", "ä = 1\r\nb = 2\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(3), (1, 3));
        assert_eq!(source.line_and_column(8), (2, 1));
        assert_eq!(source.line_and_column(1), (1, 1), "inside a character");
        assert_eq!(source.line_and_column(999), (3, 1), "behind the end");
        assert_eq!(source.line_at(9), 8..13);
    }
}
