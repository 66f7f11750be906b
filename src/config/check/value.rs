//! Checks one value: its type, its range, its form.

use regex_lite::Regex;
use serde_json::Value as Json;
use toml::Value as Toml;

use super::{Check, why};
use crate::config::duration;
use crate::config::entry::{Entry, Value};
use crate::config::rules::apart;
use crate::config::suggest::near;
use crate::redact;

impl Check<'_> {
    /// Checks a value that is no table and no list; false if it must not be used.
    pub(super) fn leaf(
        &mut self,
        entry: &Entry,
        leaf: &Toml,
        schema: &Json,
        path: &str,
        label: &str,
    ) -> bool {
        let (ok, number) = match (kind(schema), leaf) {
            (Kind::Text | Kind::Choice | Kind::Duration, Toml::String(text)) => {
                return self.text(entry, text, schema, path, label);
            }
            (Kind::Whole, Toml::Integer(number)) => (true, *number as f64),
            (Kind::Number, Toml::Integer(number)) => (true, *number as f64),
            (Kind::Number, Toml::Float(number)) => (true, *number),
            (Kind::Truth, Toml::Boolean(_)) => return true,
            _ => (false, 0.0),
        };
        if !ok {
            self.wrong_type(entry, schema, path, label);
            return false;
        }
        let limit = |name: &str, absent: f64| schema[name].as_f64().unwrap_or(absent);
        let (least, most) = (
            limit("minimum", f64::NEG_INFINITY),
            limit("maximum", f64::INFINITY),
        );
        // Written so that a value that is not a number is out of range too.
        if least <= number && number <= most {
            return true;
        }
        let written = self.problems.text(&entry.span).to_owned();
        let what = if most.is_finite() {
            format!("`{label}` is {written}; it must be from {least} to {most}")
        } else {
            format!("`{label}` is {written}; it must be at least {least}")
        };
        self.problems.add(&entry.span, path, what, why(schema));
        false
    }

    fn text(&mut self, entry: &Entry, text: &str, schema: &Json, path: &str, label: &str) -> bool {
        let shown = shortened(text);
        let (what, note) = match kind(schema) {
            Kind::Choice => {
                let choices: Vec<&str> = choices(schema).collect();
                if choices.contains(&text) {
                    return true;
                }
                let allowed = choices
                    .iter()
                    .map(|choice| format!("\"{choice}\""))
                    .collect::<Vec<_>>()
                    .join(", ");
                let note = match near(text, choices) {
                    Some(meant) => format!("did you mean \"{meant}\"? Allowed: {allowed}"),
                    None => format!("allowed: {allowed}"),
                };
                (format!("`{label}` cannot be {shown}"), note)
            }
            Kind::Duration => {
                let Some(length) = duration::parse(text) else {
                    let what = format!("`{label}` is {shown}, which is no duration");
                    self.problems.add(
                        &entry.span,
                        path,
                        what,
                        format!("a duration is {}", duration::FORMS),
                    );
                    return false;
                };
                let limit = |name: &str| schema[name].as_str().unwrap_or_default();
                let (least, most) = (limit("x-minimum"), limit("x-maximum"));
                if duration::parse(least).is_none_or(|least| least <= length)
                    && duration::parse(most).is_none_or(|most| length <= most)
                {
                    return true;
                }
                let what = format!("`{label}` is {shown}; it must be from \"{least}\" to \"{most}\"");
                (what, why(schema).to_owned())
            }
            _ => match text_fault(text, &shown, schema) {
                None => return true,
                Some(fault) => (
                    format!("`{label}` {fault}"),
                    schema["x-form"].as_str().unwrap_or_default().to_owned(),
                ),
            },
        };
        self.problems.add(&entry.span, path, what, note);
        false
    }

    /// Checks how many elements a list has.
    pub(super) fn length(
        &mut self,
        entry: &Entry,
        count: usize,
        schema: &Json,
        path: &str,
        label: &str,
    ) -> bool {
        let (least, most) = (
            whole(schema, "minItems", 0),
            whole(schema, "maxItems", usize::MAX),
        );
        if least <= count && count <= most {
            return true;
        }
        let needed = if least == most {
            format!("{least}")
        } else if count < least {
            format!("at least {least}")
        } else {
            format!("at most {most}")
        };
        let what = format!("`{label}` has {count} elements; it must have {needed}");
        let form = schema["x-form"].as_str().unwrap_or_default();
        self.problems.add(&entry.span, path, what, form);
        false
    }

    /// Notes a value of the wrong type, and how to write it if that can be told.
    pub(super) fn wrong_type(&mut self, entry: &Entry, schema: &Json, path: &str, label: &str) {
        let wanted = kind(schema);
        let written = self.problems.text(&entry.span).to_owned();
        let note = match (&wanted, &entry.value) {
            (Kind::Duration, _) => format!("a duration is {}", duration::FORMS),
            (Kind::Text | Kind::Choice, Value::Leaf(_)) => format!("write it in quotes: \"{written}\""),
            (Kind::Whole | Kind::Number | Kind::Truth, Value::Leaf(Toml::String(text))) => {
                let right = match wanted {
                    Kind::Whole => text.parse::<i64>().is_ok(),
                    Kind::Number => text.parse::<f64>().is_ok(),
                    _ => text.parse::<bool>().is_ok(),
                };
                let pointed = text.replace(',', ".");
                if right {
                    format!("write it without quotes: {text}")
                } else if wanted == Kind::Number && pointed.parse::<f64>().is_ok() {
                    format!("write it without quotes and with a point: {pointed}")
                } else {
                    String::new()
                }
            }
            (Kind::Table, Value::Array(_)) => format!("write [{label}], with one bracket"),
            (Kind::List, Value::Table(_)) if schema["items"]["type"] == "object" => {
                let dot = if path.is_empty() { "" } else { "." };
                format!("write [[{path}{dot}{label}]], with two brackets")
            }
            (Kind::List, Value::Leaf(Toml::String(line))) if label == "command" => apart(line),
            (Kind::List, _) => schema["x-form"].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let what = format!(
            "`{label}` must be {}, but this is {}",
            wanted.words(),
            found(&entry.value)
        );
        self.problems.add(&entry.span, path, what, note);
    }
}

/// What a schema asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    /// Any text of a form.
    Text,
    /// One of a few texts.
    Choice,
    /// A duration, as text.
    Duration,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Truth,
    /// A list.
    List,
    /// A table.
    Table,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Text | Self::Choice => "text in quotes",
            Self::Duration => "a duration in quotes",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::List => "a list",
            Self::Table => "a table",
        }
    }
}

/// What `schema` asks for.
pub(in crate::config) fn kind(schema: &Json) -> Kind {
    match schema["type"].as_str() {
        _ if schema["oneOf"].is_array() => Kind::Choice,
        _ if schema["format"] == duration::FORMAT => Kind::Duration,
        Some("integer") => Kind::Whole,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Truth,
        Some("array") => Kind::List,
        Some("object") => Kind::Table,
        _ => Kind::Text,
    }
}

/// The texts that are allowed.
fn choices(schema: &Json) -> impl Iterator<Item = &str> {
    schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|choice| choice["const"].as_str())
}

/// `text` in quotes, as much of it as fits into a message.
fn shortened(text: &str) -> String {
    // Before it is cut: half a secret is not known any more.
    let text = redact::line(text);
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What is wrong with a text, if anything is.
fn text_fault(text: &str, shown: &str, schema: &Json) -> Option<String> {
    let count = text.trim().chars().count();
    let (least, most) = (
        whole(schema, "minLength", 0),
        whole(schema, "maxLength", usize::MAX),
    );
    let fits = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    if text
        .chars()
        .any(|c| (redact::is_unseen(c) && c != '\n') || c == char::REPLACEMENT_CHARACTER)
    {
        Some("holds a character that cannot be seen".to_owned())
    } else if count < least && count == 0 {
        Some("is empty".to_owned())
    } else if count < least {
        Some(format!("has {count} characters; it must have at least {least}"))
    } else if count > most {
        Some(format!("has {count} characters; it must have at most {most}"))
    } else if schema["pattern"].as_str().is_some_and(|pattern| !fits(pattern)) {
        Some(format!("cannot be {shown}"))
    } else {
        None
    }
}

fn whole(schema: &Json, name: &str, absent: usize) -> usize {
    schema[name]
        .as_u64()
        .and_then(|limit| limit.try_into().ok())
        .unwrap_or(absent)
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Table(_) => "a table",
        Value::Array(_) => "a list",
        Value::Leaf(Toml::String(_)) => "text",
        Value::Leaf(Toml::Integer(_)) => "a whole number",
        Value::Leaf(Toml::Float(_)) => "a number with a point",
        Value::Leaf(Toml::Boolean(_)) => "true or false",
        Value::Leaf(Toml::Datetime(_)) => "a date",
        Value::Leaf(_) | Value::Refused => "something else",
    }
}
