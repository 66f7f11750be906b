//! What word processors, web pages and old editors put into a file, where TOML has something else.

use std::ops::Range;

use super::problem::is_secret;
use super::source::{Source, Span};
use crate::redact;

/// Quotation marks of people.
pub(super) const QUOTES: [char; 15] = [
    '“', '”', '„', '‟', '«', '»', '″', '＂', '‘', '’', '‚', '‛', '′', '`', '´',
];

/// What is strange in a line, and what to do.
pub(super) struct Strange {
    /// Where, in the source's text.
    pub(super) at: Range<usize>,
    pub(super) what: String,
    pub(super) note: String,
}

/// The first strange thing in the line of `span`, outside quotes and comments. `None` if there is none.
pub(super) fn strange(source: &Source, span: &Span) -> Option<Strange> {
    let line = source.near(span.bytes.start);
    let text = &source.text[line.clone()];
    let found = bare(text).find_map(|(at, c)| {
        let (what, note) = character(c, text, is_secret(source, span))?;
        Some((at..at + c.len_utf8(), what, note))
    });
    let (at, what, note) = found.or_else(|| decimal_comma(text)).or_else(|| colon(text))?;
    Some(Strange {
        at: line.start + at.start..line.start + at.end,
        what,
        note,
    })
}

/// The characters of a line that stand neither in straight quotes nor in a comment.
fn bare(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    let mut comment = false;
    text.char_indices().filter(move |(_, c)| {
        let inside = quote.is_some();
        match quote {
            _ if comment => return false,
            Some('"') if *c == '\\' && !escaped => {
                escaped = true;
                return false;
            }
            Some(open) if *c == open && !escaped => quote = None,
            None if *c == '"' || *c == '\'' => quote = Some(*c),
            None if *c == '#' => comment = true,
            _ => {}
        }
        escaped = false;
        !inside && !comment
    })
}

/// Why a character does not belong here.
fn character(c: char, line: &str, secret: bool) -> Option<(String, String)> {
    if QUOTES.contains(&c) {
        let value = line.split_once('=').map_or("", |(_, value)| value).trim();
        let note = match value
            .strip_prefix(QUOTES)
            .and_then(|value| value.strip_suffix(QUOTES))
        {
            Some(inner) if !secret && !inner.contains(['"', '\\']) && !inner.contains(QUOTES) => {
                format!("write \"{inner}\", with straight quotes")
            }
            _ => "write straight quotes: \"…\"".to_owned(),
        };
        return Some((format!("{c} is no quotation mark in TOML"), note));
    }
    let name = match c {
        '\t' | '\r' | ' ' => return None,
        '\u{a0}' => "a blank that does not break",
        '\u{1a}' => "Ctrl-Z, with which old editors end a file",
        '\u{feff}' => "a byte order mark",
        '\0' => "a zero byte",
        c if c.is_whitespace() => "a blank of another kind",
        c if redact::is_unseen(c) => "a character that cannot be seen",
        _ => return None,
    };
    let note = if c.is_whitespace() {
        "delete it, or write an ordinary blank"
    } else {
        "delete it"
    };
    Some((
        format!("{name} stands here (U+{:04X})", u32::from(c)),
        note.to_owned(),
    ))
}

/// `key = 10,0`.
fn decimal_comma(text: &str) -> Option<(Range<usize>, String, String)> {
    let (key, value) = text.split_once('=')?;
    let number = value.split('#').next()?.trim();
    let (whole, part) = number.split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !digits(part) {
        return None;
    }
    let start = key.len() + 1 + value.find(number)?;
    Some((
        start..start + number.len(),
        format!("{number} has a comma"),
        format!("write {whole}.{part}, with a point"),
    ))
}

/// `key: value`, as other kinds of files have it.
fn colon(text: &str) -> Option<(Range<usize>, String, String)> {
    let key = text.trim_start();
    let length = key.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let rest = key[length..].trim_start();
    if length == 0 || !rest.starts_with(':') {
        return None;
    }
    let at = text.len() - rest.len();
    let what = "a key and its value are joined by =".to_owned();
    Some((at..at + 1, what, "write = instead of the colon".to_owned()))
}
