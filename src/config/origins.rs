//! Where each value in effect was written.

use std::collections::BTreeMap;

use super::entry::{Table, Value};
use super::source::Source;
use crate::redact;

/// Places by the paths of keys, such as `mqtt.host`. What is not there is a default.
#[derive(Debug, Default)]
pub(crate) struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Of the merged tree of these sources.
    pub(super) fn of(merged: &Table, sources: &[Source]) -> Self {
        let mut origins = Self::default();
        origins.note("", merged, sources);
        origins
    }

    /// Where the value at `path` was written: `file:line`, or the name of a variable; `None` if it is the default.
    pub(super) fn place(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    fn note(&mut self, path: &str, table: &Table, sources: &[Source]) {
        for (key, entry) in table {
            let inner = match path {
                "" => key.clone(),
                path => format!("{path}.{key}"),
            };
            if let Value::Table(table) = &entry.value {
                self.note(&inner, table, sources);
                continue;
            }
            let Some(source) = sources.get(entry.key.source) else {
                continue;
            };
            let (line, _) = source.line_and_column(entry.key.bytes.start);
            let place = match source.is_variable {
                true => source.name.clone(),
                false => format!("{}:{line}", source.name),
            };
            self.0.insert(inner, redact::line(&place));
        }
    }
}
