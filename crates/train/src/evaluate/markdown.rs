//! A report for people.

use std::fmt::Write as _;

use super::metrics::Rate;
use super::report::Report;

impl Report {
    /// For people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("## {} on {}\n\n{} faces", self.model, self.data, self.faces);
        if self.duplicates_left_out > 0 {
            let _ = write!(
                text,
                "; {} that are also in another split are left out",
                self.duplicates_left_out
            );
        }
        text.push_str(".\n");
        for what in &self.left_out {
            let _ = writeln!(text, "Left out: {what}.");
        }
        let percent = |rate: &Rate| {
            format!(
                "{:.2} % ({:.1}–{:.1}, {} of {})",
                rate.value * 100.0,
                rate.low * 100.0,
                rate.high * 100.0,
                rate.right,
                rate.of
            )
        };
        text.push_str("\n| figure | value (95 % interval) |\n|---|---|\n");
        if let Some(e) = &self.expression {
            let _ = writeln!(
                text,
                "| expression, {} classes | {} |",
                e.labels.len(),
                percent(&e.accuracy)
            );
            let _ = writeln!(
                text,
                "| expression, 7 classes, using only their scores | {} |",
                percent(&e.seven)
            );
            if let Some(other) = &e.seven_other_labels {
                let _ = writeln!(
                    text,
                    "| expression, 7 classes, the set's second labels | {} |",
                    percent(other)
                );
            }
            if let Some(second) = &e.seven_second_head {
                let _ = writeln!(
                    text,
                    "| the same, by the head that learnt those labels | {} |",
                    percent(second)
                );
            }
            let _ = writeln!(
                text,
                "| expected calibration error | {:.3} |",
                e.calibration_error
            );
        }
        if let Some(error) = self.age_error {
            let _ = writeln!(text, "| age, mean absolute error | {error:.2} years |");
        }
        for (name, rate) in [("gender", &self.gender), ("ethnicity", &self.ethnicity)] {
            if let Some(rate) = rate {
                let _ = writeln!(text, "| {name} | {} |", percent(rate));
            }
        }
        for (numbers, rank) in [("float", &self.rank_1), ("int8", &self.rank_1_int8)] {
            if let Some(rank) = rank {
                let _ = writeln!(
                    text,
                    "| rank-1, {numbers}: {} people, one picture each in the gallery, {} probes, {} random splits | {:.2} ± {:.2} % |",
                    rank.people,
                    rank.probes,
                    rank.splits,
                    rank.mean * 100.0,
                    rank.deviation * 100.0
                );
            }
        }
        if let Some(ratio) = self.time_ratio {
            let _ = writeln!(text, "| whole time for a face ÷ bare invoke | {ratio:.2} |");
        }
        if let Some(e) = &self.expression {
            let _ = write!(
                text,
                "\n| label ↓ answer → | {} | recall |\n|---|",
                e.labels.join(" | ")
            );
            text.push_str(&"---|".repeat(e.labels.len() + 1));
            text.push('\n');
            for ((label, row), recall) in e.labels.iter().zip(&e.confusion).zip(&e.recall) {
                let row: Vec<String> = row.iter().map(usize::to_string).collect();
                let _ = writeln!(
                    text,
                    "| {label} | {} | {:.1} % |",
                    row.join(" | "),
                    recall.value * 100.0
                );
            }
        }
        if !self.groups.is_empty() {
            text.push_str("\n| group | faces | figures |\n|---|---|---|\n");
            for group in &self.groups {
                let figures: Vec<String> = group
                    .figures
                    .iter()
                    .map(|(head, figure)| match group.intervals.get(head) {
                        Some((low, high)) => {
                            format!(
                                "{head} {:.1} % ({:.1}–{:.1})",
                                figure * 100.0,
                                low * 100.0,
                                high * 100.0
                            )
                        }
                        None => format!("{head} {figure:.2} years"),
                    })
                    .collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} |",
                    group.name,
                    group.faces,
                    figures.join(", ")
                );
            }
        }
        text
    }
}
