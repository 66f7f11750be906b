//! Prints configuration as TOML: the commented template, and the values in effect.

use serde_json::{Map, Value as Json};

use super::check::{Kind, kind};
use super::origins::Origins;
use crate::redact;

/// Width of the comments, in characters.
const WIDTH: usize = 80;

/// What stands above the template.
const PREFACE: &str = "Configuration of affectd.

Keys that are not changed may be left out: the values given here are the defaults. A # at the start of a line makes \
it a comment. Unknown keys are refused; `affectd check -c FILE` tells what is wrong and where.

Files conf.d/*.toml beside this one are read after it, in the order of their names, and win. Environment variables \
win over both: AFFECTD__MQTT__HOST=broker.example sets host in [mqtt].

Begin with [deployment]: take away the # before its keys and fill them in. Without it affectd does not start.";

/// The commented template: every key with its meaning, its limits and its default. Keys that have no default, and
/// lists of tables, stand there as a comment with an example.
pub(super) fn template(schema: &Json) -> String {
    let mut out = String::new();
    comment(&mut out, "#", PREFACE);
    let (comments, origins) = (true, None);
    Printer {
        out,
        comments,
        origins,
    }
    .root(schema, None)
}

/// `values`, the whole configuration, without comments but where each was written, if that is to be said.
pub(super) fn effective(schema: &Json, values: &Json, origins: Option<&Origins>) -> String {
    Printer {
        out: String::new(),
        comments: false,
        origins,
    }
    .root(schema, Some(values))
}

/// Prints tables of a schema.
#[derive(Debug)]
struct Printer<'a> {
    out: String,
    comments: bool,
    origins: Option<&'a Origins>,
}

impl Printer<'_> {
    /// Prints the whole file: single keys first, then the tables.
    fn root(mut self, schema: &Json, values: Option<&Json>) -> String {
        let (tables, keys): (Vec<_>, Vec<_>) =
            properties(schema).partition(|(_, inner)| kind(inner) == Kind::Table);
        for (name, inner) in keys {
            self.key_of("", name, inner, values.and_then(|values| values.get(name)));
        }
        for (name, inner) in tables {
            self.table(name, inner, values.and_then(|values| values.get(name)));
        }
        self.out
    }

    fn table(&mut self, path: &str, schema: &Json, values: Option<&Json>) {
        self.out.push('\n');
        if self.comments {
            self.out.push('\n');
            comment(&mut self.out, "#", description(schema));
        }
        line(&mut self.out, &format!("[{path}]"));
        let (lists, keys): (Vec<_>, Vec<_>) =
            properties(schema).partition(|(_, inner)| is_list_of_tables(inner));
        let (tables, keys): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|(_, inner)| kind(inner) == Kind::Table);
        for (name, inner) in keys {
            self.key_of(path, name, inner, values.and_then(|values| values.get(name)));
        }
        for (name, inner) in tables {
            let values = values.and_then(|values| values.get(name));
            self.table(&format!("{path}.{name}"), inner, values);
        }
        for (name, inner) in lists {
            let path = format!("{path}.{name}");
            match values {
                None => self.list_example(&path, inner),
                Some(values) => {
                    for element in values[name].as_array().into_iter().flatten() {
                        let from = self.from(&path);
                        line(&mut self.out, &format!("\n[[{path}]]{from}"));
                        for (name, inner) in properties(&inner["items"]) {
                            self.key("", name, inner, element.get(name));
                        }
                    }
                }
            }
        }
    }

    /// Prints a key of table `path`, and where its value was written.
    fn key_of(&mut self, path: &str, name: &str, schema: &Json, value: Option<&Json>) {
        self.key("", name, schema, value);
        let path = match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let from = self.from(&path);
        if !from.is_empty() {
            self.out.truncate(self.out.trim_end().len());
            line(&mut self.out, &from);
        }
    }

    /// Where a value was written, as a comment; empty if that is not to be said.
    fn from(&self, path: &str) -> String {
        self.origins.map_or_else(String::new, |origins| {
            format!("  # {}", origins.place(path).unwrap_or("default"))
        })
    }

    /// Prints an element of a list of tables as a comment.
    fn list_example(&mut self, path: &str, schema: &Json) {
        self.out.push('\n');
        comment(&mut self.out, "#", description(schema));
        line(&mut self.out, &format!("#[[{path}]]"));
        for (name, inner) in properties(&schema["items"]) {
            self.key("#", name, inner, None);
        }
    }

    /// Prints a key with its value, or its default, or its example as a comment. `off` is what goes before a line
    /// to take it out of force.
    fn key(&mut self, off: &str, name: &str, schema: &Json, value: Option<&Json>) {
        let given = value
            .or_else(|| schema.get("default"))
            .or_else(|| schema.get("const"));
        if self.comments {
            if off.is_empty() {
                self.out.push('\n');
            }
            let required = if given.is_none() && off.is_empty() {
                "REQUIRED. "
            } else {
                ""
            };
            let text = format!("{required}{}{}", description(schema), limits(schema));
            comment(&mut self.out, &format!("{off}#"), &text);
            for choice in schema["oneOf"].as_array().into_iter().flatten() {
                let mark = format!("{off}#   {:<14}", choice["const"].to_string());
                let under = format!("{off}#   {:<14}", "");
                wrapped(&mut self.out, &mark, &under, description(choice));
            }
        }
        let (off, shown) = match given {
            Some(value) => (off, value),
            None => ("#", &schema["examples"][0]),
        };
        let text = toml_text(shown);
        let shown = redact::without_secrets(&text);
        line(&mut self.out, &format!("{off}{name} = {shown}"));
    }
}

fn properties(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

fn is_list_of_tables(schema: &Json) -> bool {
    kind(schema) == Kind::List && kind(&schema["items"]) == Kind::Table
}

fn description(schema: &Json) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// The limits of a value, as a sentence.
fn limits(schema: &Json) -> String {
    let range = match kind(schema) {
        Kind::Duration => format!("{} to {}", schema["x-minimum"], schema["x-maximum"]),
        Kind::Whole | Kind::Number => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => return String::new(),
        },
        Kind::Choice => return " One of:".to_owned(),
        _ => match schema["x-form"].as_str() {
            Some(form) => return format!(" Allowed: {form}."),
            None => return String::new(),
        },
    };
    match schema["x-why"].as_str() {
        Some(why) => format!(" From {range}: {why}."),
        None => format!(" From {range}."),
    }
}

/// A value as TOML.
fn toml_text(value: &Json) -> String {
    match value {
        // Not JSON's escapes: TOML quotes in its own way.
        Json::String(text) => toml::Value::String(text.clone()).to_string(),
        Json::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Writes `text` as a comment, its paragraphs wrapped.
fn comment(out: &mut String, mark: &str, text: &str) {
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            line(out, mark);
        }
        wrapped(out, mark, mark, paragraph);
    }
}

/// Writes `text` behind `mark`, and what does not fit into the line behind `under`.
fn wrapped(out: &mut String, mark: &str, under: &str, text: &str) {
    let mut row = mark.to_owned();
    for word in text.split_whitespace() {
        if row.chars().count() + 1 + word.chars().count() > WIDTH {
            line(out, &row);
            row = under.to_owned();
        }
        row.push(' ');
        row.push_str(word);
    }
    line(out, &row);
}
