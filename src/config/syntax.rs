//! Reads TOML and says what is wrong with its syntax, in words for people who do not write parsers.

use std::ops::Range;

use toml::de::DeTable;

use super::entry::{self, Table, Value};
use super::problem::{Problems, is_secret};
use super::source::{Source, Span};
use super::strange::strange;

/// Parses source number `source` as far as it can be, and notes every error that is not the consequence of another.
pub(super) fn parse(problems: &mut Problems, source: usize) -> Table {
    let text = problems.sources[source].text.clone();
    let (parsed, mut errors) = DeTable::parse_recoverable(&text);
    let tree = entry::table(parsed.get_ref(), source);
    errors.sort_by_key(|error| error.span().map(|span| span.start));

    for error in errors {
        let bytes = error.span().unwrap_or(0..0);
        if problems.sources[source].is_broken_at(bytes.start) {
            continue;
        }
        if problems.is_full() {
            break;
        }
        let here = &mut problems.sources[source];
        let mut span = Span { source, bytes };
        let (what, note) = match strange(here, &span) {
            Some(found) if error.message() != DUPLICATE => {
                span.bytes = found.at;
                (found.what, found.note)
            }
            _ => wording(error.message(), here, &span),
        };
        if error.message() != DUPLICATE {
            let broken = broken_by(here, &span, &tree);
            here.broken.extend(broken);
        }
        problems.add_syntax(&span, what, note);
    }
    tree
}

/// The parser's word for a key that is there twice.
const DUPLICATE: &str = "duplicate key";

/// What is wrong and what to do, from the parser's `message`.
fn wording(message: &str, source: &Source, span: &Span) -> (String, String) {
    let text = &source.text[span.bytes.clone()];
    if message == DUPLICATE {
        let (what, line) = first_given(source, span);
        let note = line.map_or_else(
            || "keep one of the two".to_owned(),
            |line| format!("first given on line {line}: keep one of the two"),
        );
        return (what, note);
    }
    if message.starts_with("string values must be quoted") {
        let note = match text.to_ascii_lowercase().as_str() {
            "" => {
                return (
                    "the value is missing".to_owned(),
                    "text is \"…\", a switch true or false".to_owned(),
                );
            }
            "true" | "yes" | "on" => "write true, or \"…\" around a text".to_owned(),
            "false" | "no" | "off" => "write false, or \"…\" around a text".to_owned(),
            _ if is_secret(source, span) || text.contains(['"', '\\', '\n']) => {
                "write \"…\" around a text".to_owned()
            }
            _ => format!("write \"{text}\""),
        };
        return ("text stands in quotes".to_owned(), note);
    }
    match message.split_once(", expected ") {
        Some((what, expected)) => (what.to_owned(), format!("expected {expected}")),
        None => (message.to_owned(), String::new()),
    }
}

/// What is there twice, and the line of the first time, if it can be told.
fn first_given(source: &Source, span: &Span) -> (String, Option<usize>) {
    let line = source.line_at(span.bytes.start);
    let before = &source.text[..line.start];
    let own = source.text[line].trim();
    if own.starts_with('[') {
        let header = &own[..own.rfind(']').map_or(own.len(), |at| at + 1)];
        let first = before
            .lines()
            .position(|line| line.trim_start().starts_with(header));
        return (
            format!("table {header} is there twice"),
            first.map(|index| index + 1),
        );
    }
    let key = &source.text[span.bytes.clone()];
    let lines: Vec<&str> = before.lines().collect();
    let first = lines
        .iter()
        .enumerate()
        .rev()
        .take_while(|(_, line)| !line.trim_start().starts_with('['))
        .filter(|(_, line)| {
            line.trim_start()
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
        })
        .last();
    (
        format!("key `{key}` is there twice"),
        first.map(|(index, _)| index + 1),
    )
}

/// Which part of the text an error at `span` makes worthless: its line; behind a broken header everything up to the
/// next header; and the whole of the value that it stands in.
fn broken_by(source: &Source, span: &Span, tree: &Table) -> Vec<Range<usize>> {
    let line = source.line_at(span.bytes.start);
    let mut broken = vec![line.clone()];
    if let Some(value) = value_around(tree, span.bytes.start) {
        broken.push(value);
    } else if source.text[line.clone()].trim_start().starts_with('[') {
        let next = source.text[line.end..]
            .find("\n[")
            .map_or(source.text.len(), |at| line.end + at);
        broken.push(line.start..next);
    }
    broken
}

/// The value (not a table) that byte `at` stands in.
fn value_around(table: &Table, at: usize) -> Option<Range<usize>> {
    table.values().find_map(|entry| match &entry.value {
        Value::Table(inner) => value_around(inner, at),
        Value::Array(items) if items.iter().any(|item| matches!(item.value, Value::Table(_))) => {
            items.iter().find_map(|item| match &item.value {
                Value::Table(inner) => value_around(inner, at),
                _ => None,
            })
        }
        _ => {
            let range = entry.span.bytes.clone();
            (range.start <= at && at <= range.end).then_some(range)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let mut problems = Problems::new(vec![Source::file("a", text)]);
        parse(&mut problems, 0);
        problems
            .finish(None, std::collections::BTreeSet::new())
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn one_fault_is_one_problem() {
        for (text, expected) in [
            ("port = \n[a]\nb = 1\n", "a:1:8: the value is missing\n"),
            ("[a\nb = 1\nc = x\n", "a:1:3: unclosed table\n"),
            (
                "a = [1, 2\nb = 3\n[c]\nd = e\n",
                "a:2:1: missing comma between array elements\n",
            ),
            (
                "a = 15s\n",
                "a:1:5: text stands in quotes\n    a = 15s\n        ^^^  write \"15s\"",
            ),
            (
                "a = yes\n",
                "a:1:5: text stands in quotes\n    a = yes\n        ^^^  write true, or",
            ),
            (
                "[t]\na = 1\nb = 2\na = 3\n",
                "a:4:1: key `a` is there twice\n    a = 3\n    ^  first given on line 2: keep one",
            ),
            ("a = \"x\nb = 2\n", "a:1:7: invalid basic string\n"),
            (
                "[t] # x\na = 1\n[u]\n[t]\nb = 1\n",
                "a:4:2: table [t] is there twice\n    [t]\n     ^  first given on line 1: keep one of the two",
            ),
        ] {
            let found = errors(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(expected), "{text}: {}", found[0]);
        }
    }

    #[test]
    fn two_faults_are_two_problems() {
        assert_eq!(errors("a = x\nb = 1\nc = y\n").len(), 2);
        assert_eq!(errors("[a\nb = x\n[c]\nd = y\n").len(), 2);
    }

    #[test]
    fn an_unquoted_password_is_not_repeated() {
        assert!(!errors("password = hunter2\n")[0].contains("hunter2"));
    }
}
