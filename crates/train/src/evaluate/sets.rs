//! Expressions on several data sets, each as it is and changed: one table.

use std::fmt::Write as _;

use serde::Serialize;

use super::expression::ExpressionReport;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The set.
    pub set: String,
    /// What was done to its faces; empty for nothing.
    pub change: String,
    /// How many.
    pub faces: usize,
    /// 0 to 1, on the labels that model and set share.
    pub accuracy: f64,
    /// The mean over the labels of how many of each are found.
    pub mean_recall: f64,
    /// Expected calibration error.
    pub calibration_error: f64,
    /// Mean confidence of the answers.
    pub confidence: f64,
    /// The part of answers that each label gets.
    pub answers: Vec<(String, f64)>,
}

impl Row {
    /// From a report; `confidence` is what the model's best answers say on average.
    #[must_use]
    pub fn of(set: &str, change: &str, report: &ExpressionReport) -> Self {
        let faces: usize = report.confusion.iter().flatten().sum();
        let column = |class: usize| report.confusion.iter().map(|row| row[class]).sum::<usize>();
        let part = |count: usize| count as f64 / faces.max(1) as f64;
        let answers = report.labels.iter().enumerate();
        Self {
            set: set.to_owned(),
            change: change.to_owned(),
            faces,
            accuracy: report.accuracy.value,
            mean_recall: report.mean_recall(),
            calibration_error: report.calibration_error,
            confidence: report.confidence,
            answers: answers
                .map(|(i, label)| (label.clone(), part(column(i))))
                .collect(),
        }
    }
}

/// The rows and, for every change, the mean over the sets: each set counts the same.
#[must_use]
pub fn with_means(rows: Vec<Row>) -> Vec<Row> {
    let mut changes: Vec<String> = Vec::new();
    for row in &rows {
        if !changes.contains(&row.change) {
            changes.push(row.change.clone());
        }
    }
    let means: Vec<Row> = changes
        .into_iter()
        .filter_map(|change| mean(&rows, change))
        .collect();
    rows.into_iter().chain(means).collect()
}

fn mean(rows: &[Row], change: String) -> Option<Row> {
    let these: Vec<&Row> = rows.iter().filter(|row| row.change == change).collect();
    let over =
        |figure: fn(&Row) -> f64| these.iter().map(|row| figure(row)).sum::<f64>() / these.len() as f64;
    (these.len() > 1).then(|| Row {
        set: "mean".to_owned(),
        change,
        faces: these.iter().map(|row| row.faces).sum(),
        accuracy: over(|row| row.accuracy),
        mean_recall: over(|row| row.mean_recall),
        calibration_error: over(|row| row.calibration_error),
        confidence: over(|row| row.confidence),
        answers: Vec::new(),
    })
}

/// The table as Markdown.
#[must_use]
pub fn markdown(model: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "{model}\n\n| set | faces | accuracy | mean recall | calibration error | mean confidence | answers, % |\n|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let answers: Vec<String> = row
            .answers
            .iter()
            .map(|(label, part)| format!("{label} {:.0}", part * 100.0))
            .collect();
        let change = if row.change.is_empty() {
            String::new()
        } else {
            format!(", {}", row.change)
        };
        let _ = writeln!(
            text,
            "| {}{change} | {} | {:.2} % | {:.2} % | {:.3} | {:.2} | {} |",
            row.set,
            row.faces,
            row.accuracy * 100.0,
            row.mean_recall * 100.0,
            row.calibration_error,
            row.confidence,
            answers.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::metrics::Rate;

    fn report(confusion: [[usize; 2]; 2]) -> ExpressionReport {
        let right = confusion[0][0] + confusion[1][1];
        ExpressionReport {
            labels: vec!["neutral".to_owned(), "happiness".to_owned()],
            accuracy: Rate::new(right, confusion.iter().flatten().sum()),
            seven: Rate::new(0, 0),
            seven_other_labels: None,
            seven_second_head: None,
            recall: confusion
                .iter()
                .enumerate()
                .map(|(i, row)| Rate::new(row[i], row.iter().sum()))
                .collect(),
            confusion: confusion.iter().map(|row| row.to_vec()).collect(),
            calibration_error: 0.1,
            confidence: 0.7,
        }
    }

    #[test]
    fn every_set_counts_the_same_in_the_mean_however_large_it_is() {
        let small = Row::of("small", "", &report([[1, 1], [0, 2]]));
        assert_eq!((small.faces, small.accuracy, small.mean_recall), (4, 0.75, 0.75));
        assert_eq!(small.answers[0], ("neutral".to_owned(), 0.25));
        let large = Row::of("large", "", &report([[0, 900], [0, 100]]));
        assert_eq!((large.accuracy, large.mean_recall), (0.1, 0.5));
        let changed = Row::of("small", "grey", &report([[0, 2], [0, 2]]));
        let rows = with_means(vec![small, large, changed]);
        assert_eq!(rows.len(), 4, "one change on one set has no mean");
        assert_eq!((rows[3].faces, rows[3].mean_recall), (1004, 0.625));
        assert!((rows[3].accuracy - 0.425).abs() < 1e-9);
        let text = markdown("a model", &rows);
        assert!(
            text.contains(
                "| small, grey | 4 | 50.00 % | 50.00 % | 0.100 | 0.70 | neutral 0, happiness 100 |"
            ),
            "{text}"
        );
    }
}
