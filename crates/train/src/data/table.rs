//! Tables of labels: CSV with a header line, each row with its line number for messages.

use std::collections::BTreeMap;
use std::path::Path;

use super::DataError;

/// One row.
#[derive(Debug)]
pub struct Row {
    /// `labels.csv:17`.
    pub place: String,
    cells: BTreeMap<String, String>,
}

impl Row {
    /// The cell of a column; empty if the row is short.
    #[must_use]
    pub fn text(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// The cell as a number.
    #[must_use]
    pub fn number(&self, column: &str) -> Option<f32> {
        self.text(column)
            .trim()
            .parse()
            .ok()
            .filter(|n: &f32| n.is_finite())
    }
}

/// Reads a table, which must have these columns.
///
/// # Errors
/// [`DataError`] if the file cannot be read or a column is missing.
pub fn read(path: &Path, columns: &[&str]) -> Result<Vec<Row>, DataError> {
    let layout = |why: String| DataError::Layout {
        path: path.to_owned(),
        why,
    };
    let mut table = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .map_err(|e| {
            if let csv::ErrorKind::Io(_) = e.kind() {
                let csv::ErrorKind::Io(source) = e.into_kind() else {
                    unreachable!("just matched")
                };
                return DataError::File {
                    path: path.to_owned(),
                    source,
                };
            }
            layout(e.to_string())
        })?;
    let header: Vec<String> = table
        .headers()
        .map_err(|e| layout(e.to_string()))?
        .iter()
        .map(|h| h.trim().to_owned())
        .collect();
    for column in columns {
        if !header.iter().any(|h| h == column) {
            return Err(layout(format!(
                "the table has no column `{column}`, only {}.",
                header.join(", ")
            )));
        }
    }
    let file = super::faces::name(path);
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record.map_err(|e| layout(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = header
            .iter()
            .cloned()
            .zip(record.iter().map(str::to_owned))
            .collect();
        rows.push(Row {
            place: format!("{file}:{line}"),
            cells,
        });
    }
    Ok(rows)
}
