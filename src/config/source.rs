//! Where configuration comes from: files, their drop-ins, and environment variables.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use affect_tflite::regular;

/// Start of the environment variables that override a key.
pub(crate) const ENV_PREFIX: &str = "AFFECTD__";
/// Longest configuration file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// How much of a line is looked at on either side of a place, in bytes.
const NEAR: usize = 2 << 10;

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

    /// The same, no further than [`NEAR`] bytes from `at`: a line of a megabyte is no line that anybody reads.
    pub(super) fn near(&self, at: usize) -> Range<usize> {
        let line = self.line_at(at);
        let at = at.clamp(line.start, line.end);
        let start = line.start.max(at.saturating_sub(NEAR));
        let end = line.end.min(at.saturating_add(NEAR));
        self.text.floor_char_boundary(start)..self.text.floor_char_boundary(end)
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

/// Files to read, and what lies beside them and is not read.
pub(super) struct Listed {
    /// In the order in which they are merged.
    pub(super) files: Vec<PathBuf>,
    /// As sentences.
    pub(super) unread: Vec<String>,
}

/// `files` and the drop-ins `conf.d/*.toml` beside the first of them, in the order of their names.
///
/// # Errors
/// If the folder of drop-ins is there and cannot be listed.
pub(super) fn with_drop_ins(files: &[PathBuf]) -> Result<Listed, (PathBuf, io::Error)> {
    let mut all = Listed {
        files: files.to_vec(),
        unread: Vec::new(),
    };
    let Some(first) = files.first() else {
        return Ok(all);
    };
    let folder = first.with_file_name("conf.d");
    let listed = fs::read_dir(&folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut drop_ins = match listed {
        Ok(drop_ins) => drop_ins,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
        Err(error) => return Err((folder, error)),
    };
    drop_ins.sort();
    for path in drop_ins {
        match why_not_read(&path) {
            None => all.files.push(path),
            Some(why) => all
                .unread
                .push(format!("{} is not read, because {why}", path.display())),
        }
    }
    Ok(all)
}

/// Why a file in the folder of drop-ins is none.
fn why_not_read(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') {
        return Some("its name begins with a point, as that of a hidden file".to_owned());
    }
    if name.ends_with(".toml") {
        return None;
    }
    let stem = name.split('.').next().unwrap_or_default();
    Some(format!("its name does not end in .toml; as {stem}.toml it is"))
}

/// Reads a regular file of at most [`LONGEST`] bytes, as it is.
///
/// # Errors
/// A sentence part that says why it cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    regular::read(path, LONGEST).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => format!("{error}, which no configuration is"),
        _ => error.to_string(),
    })
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
