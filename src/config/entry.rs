//! Configuration as a tree that knows where each value was written.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::source::Span;

/// Keys and their entries.
pub(super) type Table = BTreeMap<String, Entry>;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key stands; of an element of a list, where the element stands.
    pub(super) key: Span,
    /// Where the value stands; of a table, where its header stands.
    pub(super) span: Span,
    /// The value.
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A table.
    Table(Table),
    /// A list.
    Array(Vec<Entry>),
    /// Text, a number, a truth value or a date.
    Leaf(toml::Value),
    /// Something that was there, and that a problem has been noted about.
    Refused,
}

/// The tree of a parsed text, which is source number `source`.
pub(super) fn table(table: &DeTable<'_>, source: usize) -> Table {
    let span = |bytes| Span { source, bytes };
    table
        .iter()
        .map(|(key, inner)| {
            let entry = Entry {
                key: span(key.span()),
                span: span(inner.span()),
                value: value(inner.get_ref(), source),
            };
            (key.get_ref().to_string(), entry)
        })
        .collect()
}

/// The tree of a parsed value, which stands in source number `source`.
pub(super) fn value(parsed: &DeValue<'_>, source: usize) -> Value {
    Value::Leaf(match parsed {
        DeValue::Table(inner) => return Value::Table(table(inner, source)),
        DeValue::Array(items) => {
            return Value::Array(
                items
                    .iter()
                    .map(|item| {
                        let span = Span {
                            source,
                            bytes: item.span(),
                        };
                        Entry {
                            key: span.clone(),
                            span,
                            value: value(item.get_ref(), source),
                        }
                    })
                    .collect(),
            );
        }
        DeValue::String(text) => toml::Value::String(text.to_string()),
        // What does not fit becomes the largest number there is: every whole number has a range, which refuses it.
        DeValue::Integer(number) => {
            toml::Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(
                if number.as_str().starts_with('-') {
                    i64::MIN
                } else {
                    i64::MAX
                },
            ))
        }
        DeValue::Float(number) => toml::Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => toml::Value::Boolean(*truth),
        DeValue::Datetime(date) => toml::Value::Datetime(*date),
    })
}

/// Lays `over` on `under`: tables are merged key by key, everything else is replaced.
pub(super) fn merge(under: &mut Table, over: Table) {
    for (key, new) in over {
        match (under.get_mut(&key).map(|old| &mut old.value), new.value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                under.insert(key, Entry { value, ..new });
            }
        }
    }
}

/// The entry at `path`, such as `["mqtt", "host"]`.
pub(super) fn get<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Entry> {
    let (first, rest) = path.split_first()?;
    let entry = table.get(*first)?;
    match &entry.value {
        _ if rest.is_empty() => Some(entry),
        Value::Table(inner) => get(inner, rest),
        _ => None,
    }
}

/// What the program makes of the entry at `path`; `None` if it is absent or was refused.
pub(super) fn read<T: DeserializeOwned>(table: &Table, path: &[&str]) -> Option<T> {
    plain(get(table, path)?)?.try_into().ok()
}

/// The value without places; `None` if it was refused.
pub(super) fn plain(entry: &Entry) -> Option<toml::Value> {
    match &entry.value {
        Value::Table(table) => Some(toml::Value::Table(plain_table(table))),
        Value::Array(items) => items
            .iter()
            .map(plain)
            .collect::<Option<_>>()
            .map(toml::Value::Array),
        Value::Leaf(value) => Some(value.clone()),
        Value::Refused => None,
    }
}

/// The table without places and without what was refused.
pub(super) fn plain_table(table: &Table) -> toml::Table {
    table
        .iter()
        .filter_map(|(key, entry)| Some((key.clone(), plain(entry)?)))
        .collect()
}
