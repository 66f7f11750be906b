//! What is wrong with messages from outside, in the log: at once when it is new, then counted. Whoever floods the device
//! with messages does not flood its log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Ignored;

/// How often repeats are told.
const PERIOD: Duration = Duration::from_secs(600);

/// What was told of each kind of fault.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    told: BTreeMap<Ignored, Told>,
}

#[derive(Debug)]
struct Told {
    when: Instant,
    since: u64,
}

impl Complaints {
    /// A message was ignored: what to write to the log, if anything.
    pub(super) fn note(&mut self, why: Ignored, topic: &str, now: Instant) -> Option<String> {
        let Some(told) = self.told.get_mut(&why) else {
            self.told.insert(why, Told { when: now, since: 0 });
            return Some(format!("A message on `{topic}` is ignored: {}.", why.words()));
        };
        told.since += 1;
        if now.saturating_duration_since(told.when) < PERIOD {
            return None;
        }
        let count = std::mem::take(&mut told.since);
        told.when = now;
        Some(format!(
            "{count} more messages were ignored, the last on `{topic}`: {}.",
            why.words()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_and_then_one_every_ten_minutes() {
        let mut complaints = Complaints::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for second in 0..1801 {
            let now = start + Duration::from_secs(second);
            lines.extend(complaints.note(Ignored::TooMany, "t", now));
        }
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("A message on `t` is ignored: too many"));
        assert!(lines[1].starts_with("600 more messages were ignored"));
        let other = complaints.note(Ignored::Retained, "t", start);
        assert!(other.is_some(), "each kind of fault is told by itself");
    }
}
