//! The reports that were published lately, for the page, and how many there were of each kind, for the metrics. What is kept
//! of a report is what was published of it.

use std::collections::VecDeque;

use affect_core::report::{ReportBody, WindowReport};
use serde::Serialize;

/// So many reports are kept: an hour at 15 s.
const MOST: usize = 240;

/// The kinds of reports, in the order of [`History::counts`].
pub(super) const KINDS: [&str; 3] = ["numbers", "suppressed", "held"];

/// Reports that were published.
#[derive(Debug, Default)]
pub(crate) struct History {
    reports: VecDeque<Entry>,
    counts: [u64; 3],
}

/// What the page shows of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    seq: u64,
    end: String,
    kind: &'static str,
    /// People at once: mean, most.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<(f64, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mood: Option<String>,
    /// The mood's scores: negative, neutral, positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<[f64; 3]>,
}

impl Entry {
    fn of(report: &WindowReport) -> Self {
        let (kind, released) = match &report.body {
            ReportBody::Released(released) => (KINDS[0], Some(released)),
            ReportBody::Suppressed(_) => (KINDS[1], None),
            ReportBody::Held(_) => (KINDS[2], None),
        };
        let mood = released.and_then(|released| released.mood.as_ref());
        let scores: Vec<f64> = mood
            .into_iter()
            .flat_map(|mood| mood.score.values().copied())
            .collect();
        Self {
            seq: report.seq,
            end: report.end.clone(),
            kind,
            people: released.map(|released| (released.people.mean, released.people.peak)),
            mood: mood.map(|mood| mood.class.name().to_owned()),
            score: scores.try_into().ok(),
        }
    }
}

impl History {
    /// Takes in a report; the oldest goes if there are too many.
    pub(super) fn add(&mut self, report: &WindowReport) {
        let entry = Entry::of(report);
        let kind = KINDS.iter().position(|kind| *kind == entry.kind);
        self.counts[kind.unwrap_or_default()] += 1;
        if self.reports.len() >= MOST {
            self.reports.pop_front();
        }
        self.reports.push_back(entry);
    }

    /// The reports with a number above `seq`, or all, oldest first.
    pub(super) fn after(&self, seq: Option<u64>) -> Vec<Entry> {
        self.reports
            .iter()
            .filter(|entry| seq.is_none_or(|seq| entry.seq > seq))
            .cloned()
            .collect()
    }

    /// How many reports there were of each of [`KINDS`], since the daemon started.
    pub(super) fn counts(&self) -> [u64; 3] {
        self.counts
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report as others read it.
    pub(crate) fn report(seq: u64, body: &str) -> WindowReport {
        let text = format!(
            r#"{{"schema":"affectd/window/2","device":"d","site":"s","camera":"c","seq":{seq},"boot_id":"b",
               "start":"2026-01-01T10:00:00.000Z","end":"2026-01-01T10:00:15.000Z","uptime_seconds":15.0,"clock_synced":true,"aligned":true,
               "partial":false,"source":"camera","model":{{"id":"m","sha256":"x"}},{body}}}"#
        );
        serde_json::from_str(&text).expect("a report")
    }

    pub(crate) const NUMBERS: &str = r#""covers_seconds":15.0,"coverage":{"frames":1.0,"faces_skipped":0.0},
        "suppressed":null,"held":null,"coarsened":[],"people":{"mean":6.2,"peak":7},
        "emotion":{"mean":{"happiness":0.5},"share":{"happiness":0.5},"unknown_share":0.0},"attributes":null,
        "mood":{"method":"expression_scores","class":"positive","score":{"negative":0.1,"neutral":0.3,"positive":0.6}}"#;

    #[test]
    fn a_report_is_shown_as_it_was_published() {
        let mut history = History::default();
        history.add(&report(0, NUMBERS));
        history.add(&report(1, r#""suppressed":{"min_group":5}"#));
        history.add(&report(2, r#""held":{"min_group":5}"#));
        let json = serde_json::to_value(history.after(None)).expect("plain data");
        let end = "2026-01-01T10:00:15.000Z";
        assert_eq!(
            json,
            serde_json::json!([
                {"seq": 0, "end": end, "kind": "numbers", "people": [6.2, 7], "mood": "positive", "score": [0.1, 0.3, 0.6]},
                {"seq": 1, "end": end, "kind": "suppressed"},
                {"seq": 2, "end": end, "kind": "held"},
            ])
        );
        assert_eq!(history.counts(), [1, 1, 1]);
        assert_eq!(history.after(Some(1)).len(), 1);
    }

    #[test]
    fn the_oldest_reports_go_and_are_still_counted() {
        let mut history = History::default();
        (0..300).for_each(|seq| history.add(&report(seq, r#""held":{"min_group":5}"#)));
        let kept = history.after(None);
        assert_eq!((kept.len(), kept[0].seq), (MOST, 60));
        assert_eq!(history.counts(), [0, 0, 300]);
    }
}
