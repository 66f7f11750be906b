//! Checks a tree against the schema: keys, types, ranges, forms, and what must be there.

mod value;

use serde_json::Value as Json;

use super::entry::{Entry, Table, Value};
use super::migrate::what_became_of;
use super::problem::Problems;
use super::suggest::near;
use super::variables::meant;

pub(super) use value::{Kind, kind};

/// Keys that people expect and that are deliberately not there: table, key, what to do instead.
const ABSENT_ON_PURPOSE: [(&str, &str, &str); 7] = [
    ("mqtt", "password", INTO_A_FILE),
    ("camera", "password", INTO_A_FILE),
    ("mqtt.tls", "insecure", NEVER_UNVERIFIED),
    ("mqtt.tls", "skip_verify", NEVER_UNVERIFIED),
    ("mqtt.tls", "verify", NEVER_UNVERIFIED),
    (
        "mqtt",
        "queue",
        "windows wait on the disk now: set `max_size` in [spool]",
    ),
    ("mqtt", "message_expiry", "set `max_age` in [spool]"),
];
/// Where a password belongs.
const INTO_A_FILE: &str = "write it into a file of its own and give the file as `password_file`";

/// What to do in place of taking any certificate.
const NEVER_UNVERIFIED: &str = "certificates are always verified: give the CA that signed the broker's as `ca`, or a self-signed certificate itself, and its name as `server_name` if it is another";

/// Checks trees against one schema.
#[derive(Debug)]
pub(super) struct Check<'a> {
    /// The schema of the whole file.
    root: &'a Json,
    /// Where problems are noted.
    problems: &'a mut Problems,
}

impl<'a> Check<'a> {
    /// A check against `root`, the schema of the whole file.
    pub(super) fn new(root: &'a Json, problems: &'a mut Problems) -> Self {
        Self { root, problems }
    }

    /// Checks what stands in one source. What is wrong is noted and becomes [`Value::Refused`].
    pub(super) fn source(&mut self, table: &mut Table) {
        self.table(table, self.root, "");
    }

    /// Checks that the merged tree has all that must be there.
    pub(super) fn required(&mut self, table: &Table) {
        for key in missing(table, self.root) {
            let schema = &self.root["properties"][key];
            if schema["properties"].is_object() {
                let keys = listed(required_keys(schema));
                self.problems.add_missing(
                    key,
                    format!("table [{key}] is missing"),
                    format!("it needs {keys}: {}", why(schema)),
                );
            } else {
                let note = schema.get("const").map_or_else(String::new, |version| {
                    format!("write `{key} = {version}` as the first line")
                });
                self.problems.add_missing("", format!("`{key}` is missing"), note);
            }
        }
        for (key, entry) in table {
            if let Value::Table(inner) = &entry.value {
                self.required_in(entry, inner, &self.root["properties"][key], key);
            }
        }
    }

    /// Checks that `table`, the value of `entry`, has all that must be there.
    fn required_in(&mut self, entry: &Entry, table: &Table, schema: &Json, path: &str) {
        let missing: Vec<&str> = missing(table, schema).collect();
        match missing.as_slice() {
            [] => {}
            [key] => {
                let example = example(schema, key);
                self.problems
                    .add(&entry.span, path, format!("`{key}` is missing"), example);
            }
            keys if keys.len() == required_keys(schema).count() => {
                let what = format!("is not filled in: it needs {}", listed(keys.iter().copied()));
                self.problems.add(&entry.span, path, what, why(schema));
            }
            keys => {
                let what = format!("{} are missing", listed(keys.iter().copied()));
                self.problems.add(&entry.span, path, what, why(schema));
            }
        }
    }

    fn table(&mut self, table: &mut Table, schema: &Json, path: &str) {
        for (key, entry) in table {
            match schema["properties"].get(key) {
                Some(inner) => self.entry(entry, inner, path, key),
                None => {
                    self.unknown(key, entry, schema, path);
                    entry.value = Value::Refused;
                }
            }
        }
    }

    /// Checks the value of `label` (a key, or an element of one such as `polygon[2]`) in table `path`.
    fn entry(&mut self, entry: &mut Entry, schema: &Json, path: &str, label: &str) {
        let inner_path = || {
            if path.is_empty() {
                label.to_owned()
            } else {
                format!("{path}.{label}")
            }
        };
        let kept = match (&mut entry.value, schema["type"].as_str()) {
            (Value::Table(table), Some("object")) => {
                self.table(table, schema, &inner_path());
                true
            }
            (Value::Array(items), Some("array")) => {
                let of_tables = schema["items"]["type"] == "object";
                for (index, item) in items.iter_mut().enumerate() {
                    if let (true, Value::Table(_)) = (of_tables, &item.value) {
                        self.entry(item, &schema["items"], path, label);
                        if let Value::Table(table) = &item.value {
                            self.required_in(item, table, &schema["items"], &inner_path());
                        }
                    } else {
                        self.entry(item, &schema["items"], path, &format!("{label}[{index}]"));
                    }
                }
                let count = items.len();
                self.length(entry, count, schema, path, label)
            }
            (Value::Leaf(leaf), _) => {
                let leaf = leaf.clone();
                self.leaf(entry, &leaf, schema, path, label)
            }
            (Value::Table(_) | Value::Array(_), _) => {
                self.wrong_type(entry, schema, path, label);
                false
            }
            (Value::Refused, _) => false,
        };
        if !kept {
            entry.value = Value::Refused;
        }
    }

    fn unknown(&mut self, key: &str, entry: &Entry, schema: &Json, path: &str) {
        if let Some((_, _, instead)) = ABSENT_ON_PURPOSE.iter().find(|(t, k, _)| (*t, *k) == (path, key)) {
            let what = match *instead {
                INTO_A_FILE | NEVER_UNVERIFIED => format!("`{key}` must not stand in the configuration"),
                _ => format!("`{key}` has another place"),
            };
            self.problems.add(&entry.key, path, what, *instead);
            return;
        }
        let kind = if matches!(entry.value, Value::Table(_)) {
            "table"
        } else {
            "key"
        };
        let variable = self
            .problems
            .variable(&entry.key)
            .and_then(|name| meant(name, self.root));
        let note = match (near(key, keys(schema)), variable) {
            _ if what_became_of(path, key).is_some() => {
                what_became_of(path, key).unwrap_or_default().to_owned()
            }
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(meant)) => format!("did you mean {meant}?"),
            (None, None) => self.elsewhere(key, path).unwrap_or_else(|| {
                if keys(schema).count() <= 10 {
                    format!("known here: {}", listed(keys(schema)))
                } else {
                    "`affectd config --defaults` lists all keys".to_owned()
                }
            }),
        };
        self.problems
            .add(&entry.key, path, format!("unknown {kind} `{key}`"), note);
    }

    /// Where `key` would be right, if that is one place.
    fn elsewhere(&self, key: &str, path: &str) -> Option<String> {
        let tables = self.root["properties"].as_object()?;
        let mut right = tables
            .iter()
            .filter(|(_, table)| table["properties"].get(key).is_some());
        match (right.next(), right.next()) {
            (Some((table, _)), None) if table != path => Some(format!("`{key}` belongs into [{table}]")),
            _ if tables.contains_key(key) => Some(format!("`{key}` belongs to the top of the file")),
            _ => None,
        }
    }
}

/// The keys of a table's schema.
fn keys(schema: &Json) -> impl Iterator<Item = &str> {
    schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|keys| keys.keys().map(String::as_str))
}

/// The keys that a table must have.
fn required_keys(schema: &Json) -> impl Iterator<Item = &str> {
    schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

/// Those that `table` has not.
fn missing<'s>(table: &Table, schema: &'s Json) -> impl Iterator<Item = &'s str> {
    required_keys(schema).filter(|key| !table.contains_key(*key))
}

/// The reason for a limit, or nothing.
fn why(schema: &Json) -> &str {
    schema["x-why"].as_str().unwrap_or_default()
}

/// A line that gives `key` in the table of `schema`.
fn example(schema: &Json, key: &str) -> String {
    match &schema["properties"][key]["examples"][0] {
        Json::Null => String::new(),
        example => format!("for example: {key} = {example}"),
    }
}

/// `a`, `b` and `c`.
fn listed<'k>(keys: impl Iterator<Item = &'k str>) -> String {
    let mut keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    match keys.pop() {
        Some(last) if !keys.is_empty() => format!("{} and {last}", keys.join(", ")),
        last => last.unwrap_or_default(),
    }
}
