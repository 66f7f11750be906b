//! Problems of a configuration, and how they are shown.
//!
//! ```text
//! affectd.toml:12:1: [mqtt] unknown key `hots`
//!     hots = "10.0.0.5"
//!     ^^^^  did you mean `host`?
//! ```

use std::collections::BTreeSet;
use std::fmt;

use super::Config;
use super::source::{Source, Span};
use crate::redact::{self, HIDDEN, SECRET_WORDS, SHORT_WORDS};

/// Longest part of a line that is shown, in characters.
const SHOWN: usize = 76;
/// Most problems that are noted. A file with more is no configuration.
const MOST: usize = 100;
/// One problem: where it is, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Source, line and column, for sorting; line and column count from 1, and are 0 where there is no line to show.
    order: (usize, usize, usize),
    /// `file:line:column`, or the name of an environment variable.
    place: String,
    /// What is wrong, with the table.
    what: String,
    /// The line, and the columns under which the carets go (from 0).
    excerpt: Option<(String, usize, usize)>,
    /// What to do about it; may be empty.
    note: String,
    /// The table that it is in, if that is known.
    table: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.what)?;
        } else {
            write!(f, "{}: {}", self.place, self.what)?;
        }
        let mut note_indent = String::new();
        if let Some((line, start, end)) = &self.excerpt {
            write!(
                f,
                "\n    {line}\n    {:start$}{:^<width$}",
                "",
                "",
                width = end - start
            )?;
            note_indent.push_str("  ");
        } else if !self.note.is_empty() {
            note_indent.push_str("\n    ");
        }
        if !self.note.is_empty() {
            write!(f, "{note_indent}{}", self.note)?;
        }
        Ok(())
    }
}

/// What is wrong with a configuration, in the order of files and lines. `Display` shows it all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConfigErrors {
    list: Vec<Problem>,
    /// Whether there were more than [`MOST`].
    more: bool,
    /// The configuration as far as it could be read.
    rest: Option<Box<Config>>,
    /// The tables of which something could be read.
    present: BTreeSet<String>,
}

impl ConfigErrors {
    /// The configuration as far as it could be read, to look at the rest: what is wrong counts as not given.
    pub(crate) fn rest(&self) -> Option<&Config> {
        self.rest.as_deref()
    }

    /// Whether a table is as it was written. Where a problem is in no known table, such as a file that cannot be read, a
    /// table that was not seen may be in it.
    pub(crate) fn is_sound(&self, table: &str) -> bool {
        let within = |problem: &Problem| match &problem.table {
            Some(of) => of == table || of.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')),
            None => !self.present.contains(table),
        };
        !self.more && !self.list.iter().any(within)
    }

    /// The problems, in the order of files and lines; at least one.
    #[cfg(test)]
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            write!(f, "{problem}\n\n")?;
        }
        match self.list.len() {
            count if self.more => write!(f, "The configuration has more than {count} problems."),
            1 => f.write_str("The configuration has 1 problem."),
            count => write!(f, "The configuration has {count} problems."),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems while the sources are read and checked.
#[derive(Debug)]
pub(super) struct Problems {
    /// What was read, in the order in which it was merged.
    pub(super) sources: Vec<Source>,
    list: Vec<Problem>,
    more: bool,
}

impl Problems {
    /// No problems yet, in `sources`.
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
            list: Vec::new(),
            more: false,
        }
    }

    /// Notes a problem of a value or key at `span` in table `table` (a path such as `camera.mask`; empty for the
    /// top of the file). Where the syntax is broken nothing more is noted: it would only be a consequence.
    pub(super) fn add(&mut self, span: &Span, table: &str, what: impl AsRef<str>, note: impl Into<String>) {
        if self.sources[span.source].is_broken_at(span.bytes.start) {
            return;
        }
        let what = if table.is_empty() {
            what.as_ref().to_owned()
        } else {
            format!("[{table}] {}", what.as_ref())
        };
        let before = self.list.len();
        self.add_syntax(span, what, note);
        if let Some(problem) = self.list.get_mut(before) {
            // A key that belongs into no table, or a table that nobody knows, makes no other one wrong.
            problem.table = Some(table.to_owned());
        }
    }

    /// Notes a problem of syntax, which is itself what is broken at `span`.
    pub(super) fn add_syntax(&mut self, span: &Span, what: impl Into<String>, note: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let source = &self.sources[span.source];
        let (line, column) = source.line_and_column(span.bytes.start);
        self.list.push(Problem {
            order: (span.source, line, column),
            place: redact::line(&source.place(line, column)),
            what: redact::line(&what.into()),
            excerpt: Some(excerpt(source, span)),
            note: redact::line(&note.into()),
            table: None,
        });
    }

    /// Notes a problem that has no line: of source number `source` as a whole.
    pub(super) fn add_whole(&mut self, source: usize, what: impl Into<String>, note: impl Into<String>) {
        let place = self
            .sources
            .get(source)
            .map(|source| source.name.clone())
            .unwrap_or_default();
        self.list.push(Problem {
            order: (source, 0, 0),
            place: redact::line(&place),
            what: redact::line(&what.into()),
            excerpt: None,
            note: redact::line(&note.into()),
            table: None,
        });
    }

    /// Notes that something that must be there is in no source: table `table`, or a key of it.
    pub(super) fn add_missing(&mut self, table: &str, what: impl Into<String>, note: impl Into<String>) {
        let before = self.list.len();
        self.add_whole(0, what, note);
        if let Some(problem) = self.list.get_mut(before) {
            problem.table = Some(table.to_owned());
        }
    }

    /// The name of the environment variable that `span` stands in, if it is one.
    pub(super) fn variable(&self, span: &Span) -> Option<&str> {
        let source = &self.sources[span.source];
        source.is_variable.then(|| source.text.split('=').next())?
    }

    /// The text at `span`, as it was written.
    pub(super) fn text(&self, span: &Span) -> &str {
        self.sources[span.source]
            .text
            .get(span.bytes.clone())
            .unwrap_or_default()
    }

    /// All that was noted, in the order of files and lines.
    pub(super) fn finish(mut self, rest: Option<Config>, present: BTreeSet<String>) -> ConfigErrors {
        self.list.sort_by_key(|problem| problem.order);
        ConfigErrors {
            list: self.list,
            more: self.more,
            rest: rest.map(Box::new),
            present,
        }
    }

    /// Whether no further problem is noted; that there was one is.
    pub(super) fn is_full(&mut self) -> bool {
        self.more |= self.list.len() >= MOST;
        self.more
    }

    /// Whether nothing was noted so far.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The line of `span`, fit to be shown, and the columns of the carets.
fn excerpt(source: &Source, span: &Span) -> (String, usize, usize) {
    let line = source.near(span.bytes.start);
    let (text, hidden) = if begins_far_off(source, span) {
        (
            HIDDEN.to_owned(),
            Hidden(std::iter::once(0..line.len()).collect()),
        )
    } else {
        without_secrets(&source.text[line.clone()])
    };
    let to_column = |at: usize| {
        let at = hidden.shown_at(at.clamp(line.start, line.end) - line.start);
        text[..text.floor_char_boundary(at)].chars().count()
    };
    let (mut start, mut end) = (to_column(span.bytes.start), to_column(span.bytes.end));

    let skip = text.chars().take_while(|c| c.is_whitespace()).count().min(start);
    let is_long = text.chars().count() - skip > SHOWN;
    let skip = if is_long && start - skip > SHOWN / 2 {
        start - SHOWN / 2
    } else {
        skip
    };
    let shown: String = text.chars().skip(skip).take(SHOWN).map(visible).collect();
    let width = shown.chars().count();
    start = (start - skip).min(width);
    end = end
        .saturating_sub(skip)
        .clamp(start, width.max(start))
        .max(start + 1);
    (shown.trim_end().to_owned(), start, end)
}

/// `c` as something that is seen and does nothing.
fn visible(c: char) -> char {
    match c {
        '\t' | '\r' => ' ',
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(' '),
        c if redact::is_unseen(c) || (c.is_whitespace() && c != ' ') => '␣',
        c => c,
    }
}

/// What was taken out of a line.
struct Hidden(Vec<std::ops::Range<usize>>);

impl Hidden {
    /// Where byte `at` of the line is in the line that is shown.
    fn shown_at(&self, at: usize) -> usize {
        let mut shown = at;
        for part in self.0.iter().filter(|part| part.start < at) {
            if at < part.end {
                // Within it: at its beginning.
                return shown - (at - part.start);
            }
            shown = shown + HIDDEN.len() - part.len();
        }
        shown
    }
}

/// `line` with everything taken out that may be a secret.
fn without_secrets(line: &str) -> (String, Hidden) {
    let mut parts = redact::hidden_parts(line);
    if let Some(at) = secret_starts(line) {
        parts.retain(|part| part.end <= at);
        let value = at + 1 + line[at + 1..].len() - line[at + 1..].trim_start().len();
        parts.push(value..line.len());
    }
    let mut shown = line.to_owned();
    for part in parts.iter().rev() {
        shown.replace_range(part.clone(), HIDDEN);
    }
    (shown, Hidden(parts))
}

/// Where in `line` the `=` stands behind which a secret may follow.
fn secret_starts(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    SECRET_WORDS
        .iter()
        .flat_map(|word| lower.match_indices(word).map(move |(at, _)| at + word.len()))
        .filter(|end| !lower[*end..].starts_with("_file"))
        .filter_map(|end| line[end..].find('=').map(|at| end + at))
        .chain(
            lower
                .match_indices('=')
                .map(|(at, _)| at)
                .filter(|at| is_short_word(&lower[..*at])),
        )
        .min()
}

/// Whether a key that ends `before` its = is one of the short words for secrets, or has one as its last part.
fn is_short_word(before: &str) -> bool {
    let key = before.trim_end().trim_end_matches(['"', '\'']);
    let word = key.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    // A key that is called `key` may be any.
    word.is_some_and(|word| SHORT_WORDS.contains(&word) && !key.trim_start().eq("key"))
}

/// Whether a secret may have begun in the line of `span` so far before it that it is not seen there.
fn begins_far_off(source: &Source, span: &Span) -> bool {
    let line = source.line_at(span.bytes.start);
    let near = source.near(span.bytes.start);
    near.start > line.start && secret_starts(&source.text[source.near(line.start)]).is_some()
}

/// Whether the line of `span` holds something that must not be shown.
pub(super) fn is_secret(source: &Source, span: &Span) -> bool {
    begins_far_off(source, span) || secret_starts(&source.text[source.near(span.bytes.start)]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, bytes: std::ops::Range<usize>) -> String {
        let mut problems = Problems::new(vec![Source::file("a.toml", text)]);
        problems.add(&Span { source: 0, bytes }, "mqtt", "wrong", "do it right");
        problems.finish(None, BTreeSet::new()).problems()[0].to_string()
    }

    #[test]
    fn carets_stand_under_the_value() {
        let text = "# ä\n  hots = \"ü\" # ö\n";
        let at = text.find("hots").expect("there");
        assert_eq!(
            shown(text, at..at + 4),
            "a.toml:2:3: [mqtt] wrong\n    hots = \"ü\" # ö\n    ^^^^  do it right"
        );
        let at = text.find("\"ü\"").expect("there");
        assert_eq!(
            shown(text, at..at + 4),
            "a.toml:2:10: [mqtt] wrong\n    hots = \"ü\" # ö\n           ^^^  do it right"
        );
    }

    #[test]
    fn an_empty_span_and_the_end_of_the_text_still_get_a_caret() {
        assert_eq!(
            shown("a =", 3..3),
            "a.toml:1:4: [mqtt] wrong\n    a =\n       ^  do it right"
        );
        assert_eq!(
            shown("", 0..0),
            "a.toml:1:1: [mqtt] wrong\n    \n    ^  do it right"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("key = \"{}\" x{}", "y".repeat(500), "z".repeat(500));
        let at = text.find(" x").expect("there") + 1;
        let shown = shown(&text, at..at + 1);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].chars().count(), 4 + SHOWN);
        let caret = lines[2].find('^').expect("a caret");
        assert_eq!(lines[1].as_bytes()[caret], b'x');
    }

    #[test]
    fn a_secret_is_never_shown() {
        for line in [
            "password = \"hunter2\"",
            "mqtt = { host = \"a\", Password = \"hunter2\" }",
            "api_token='hunter2'",
            "AFFECTD__MQTT__PASSWORD=hunter2",
            "password=hunter2 password_file=\"x\"",
            "pass = \"hunter2\"",
            "mqtt = { host = \"a\", mqtt_pw = \"hunter2\" }",
            "\"auth\" = 'hunter2'",
            "host = \"admin:hunter2@broker\"",
        ] {
            assert!(!shown(line, 0..line.len()).contains("hunter2"), "{line}");
        }
        for line in [
            "password_file = \"/etc/x\"",
            "author = \"/etc/x\"",
            "bypass_all = \"/etc/x\"",
        ] {
            assert!(shown(line, 0..6).contains("/etc/x"), "{line}");
        }
    }
}
