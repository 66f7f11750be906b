//! A report as people read it on a terminal of 80 columns: what was published, drawn as bars.

use affect_core::expression::Expression;
use affect_core::report::{Coarsening, ReleasedBody, ReportBody, WindowReport};

/// Length of a bar that stands for everybody, in characters.
const LENGTH: usize = 40;
/// What stands before a line that belongs to a report.
const INDENT: &str = "          ";

/// The report in lines. What there is to explain is explained the first time.
pub(super) fn lines(report: &WindowReport, first: bool) -> String {
    let time = report.end.get(11..19).unwrap_or(&report.end);
    let head = format!("{time}  window {:>3}", report.seq);
    let (word, why) = match &report.body {
        ReportBody::Released(released) => return with_numbers(&head, released),
        ReportBody::Suppressed(body) => (
            "suppressed: too few people at once",
            format!(
                "Fewer than {} at once: what is said of so few is said of each.",
                body.suppressed.min_group
            ),
        ),
        ReportBody::Held(_) => (
            "held: too few came or went since the last report",
            "The difference between two reports would tell of those few.".to_owned(),
        ),
    };
    match first {
        true => format!("{head}  {word}\n{INDENT}{why}"),
        false => format!("{head}  {word}"),
    }
}

fn with_numbers(head: &str, released: &ReleasedBody) -> String {
    let emotion = &released.emotion;
    let is_alike = released.coarsened.contains(&Coarsening::HomogeneousGroup);
    let shown = if is_alike {
        &emotion.at_least
    } else {
        &emotion.share
    };
    let mood = released.mood.as_ref().map_or("no mood", |mood| mood.class.name());
    let peak = released.people.peak;
    let mut lines = vec![format!("{head}  {peak:>2} people at once, mood {mood}")];
    let mut strongest: Vec<(&Expression, &f64)> = shown.iter().filter(|(_, part)| **part > 0.0).collect();
    strongest.sort_by(|a, b| b.1.total_cmp(a.1));
    let least = if is_alike { "at least " } else { "" };
    lines.extend(strongest.into_iter().take(5).map(|(expression, part)| {
        let percent = (part * 100.0).round();
        format!(
            "{INDENT}{:<10} {} {least}{percent:.0} %",
            expression.name(),
            bar(*part)
        )
    }));
    lines.join("\n")
}

/// A bar for a part of the people, 0..=1.
fn bar(part: f64) -> String {
    let full = ((part * LENGTH as f64).round() as usize).min(LENGTH);
    let (mark, rest) = if speaks_utf8() { ('█', '·') } else { ('#', '.') };
    let (full, rest) = (
        std::iter::repeat_n(mark, full),
        std::iter::repeat_n(rest, LENGTH - full),
    );
    full.chain(rest).collect()
}

/// Whether the terminal shows more than ASCII, as far as the locale says.
fn speaks_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(body: &str) -> WindowReport {
        let text = format!(
            r#"{{"schema":"affectd/window/2","device":"d","site":"s","camera":"c","seq":7,"boot_id":"b",
               "start":"2026-01-01T10:00:00.000Z","end":"2026-01-01T10:00:15.000Z","uptime_seconds":15.0,"clock_synced":true,"aligned":true,
               "partial":false,"source":"camera","model":{{"id":"m","sha256":"x"}},{body}}}"#
        );
        serde_json::from_str(&text).expect("a report")
    }

    fn numbers(coarsened: &str, emotion: &str) -> WindowReport {
        report(&format!(
            r#""covers_seconds":15.0,"coverage":{{"frames":1.0,"faces_skipped":0.0}},"suppressed":null,"held":null,
               "coarsened":[{coarsened}],"people":{{"mean":11.2,"peak":12}},"emotion":{emotion},"attributes":null,
               "mood":{{"method":"expression_scores","class":"negative","score":{{"negative":0.6}}}}"#
        ))
    }

    #[test]
    fn every_line_fits_into_eighty_columns_and_bars_are_as_long_as_they_say() {
        let mixed = r#"{"mean":{"anger":0.4},"share":{"anger":0.5,"happiness":0.25,"neutral":0.25,"surprise":0.0},"unknown_share":0.0}"#;
        let alike = r#"{"at_least":{"happiness":0.8}}"#;
        let shown = [
            lines(&numbers("", mixed), true),
            lines(&numbers("\"homogeneous_group\"", alike), true),
            lines(&report(r#""suppressed":{"min_group":5}"#), true),
            lines(&report(r#""held":{"min_group":5}"#), true),
        ];
        for line in shown.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let rows: Vec<&str> = shown[0].lines().collect();
        assert_eq!(rows[0], "10:00:15  window   7  12 people at once, mood negative");
        let length = |row: &str| row.chars().filter(|mark| ['█', '#'].contains(mark)).count();
        assert_eq!([length(rows[1]), length(rows[2])], [20, 10]);
        assert_eq!(rows.len(), 4, "what nobody shows has no bar: {rows:?}");
        assert!(shown[1].ends_with("at least 80 %"), "{}", shown[1]);
    }

    #[test]
    fn a_window_without_numbers_is_explained_once() {
        for (body, why) in [
            (r#""suppressed":{"min_group":5}"#, "Fewer than 5 at once"),
            (r#""held":{"min_group":5}"#, "The difference between two reports"),
        ] {
            assert!(lines(&report(body), true).contains(why));
            assert_eq!(lines(&report(body), false).lines().count(), 1);
        }
    }
}
