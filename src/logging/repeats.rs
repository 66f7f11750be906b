//! What a part of the daemon says over and over: it is written once, counted, and the count told with what comes next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A line that is said again after so long is written again, with the count.
const AGAIN: Duration = Duration::from_secs(600);
/// Of a line that was repeated so many characters are quoted.
const QUOTED: usize = 60;

/// The last line of each part of the daemon.
#[derive(Debug, Default)]
pub(super) struct Repeats(BTreeMap<String, Last>);

#[derive(Debug)]
struct Last {
    words: String,
    written: Instant,
    /// How often it was said since it was written.
    more: u64,
}

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It was said just before: it is counted.
    Nothing,
    /// A line.
    This(String),
    /// How often the line before was repeated, and a line.
    Before(String, String),
}

impl Repeats {
    /// The part `target` says `words`.
    pub(super) fn say(&mut self, target: &str, words: String, now: Instant) -> Said {
        let Some(last) = self.0.get_mut(target) else {
            let last = Last {
                words: words.clone(),
                written: now,
                more: 0,
            };
            self.0.insert(target.to_owned(), last);
            return Said::This(words);
        };
        if last.words == words {
            last.more += 1;
            if now.duration_since(last.written) < AGAIN {
                return Said::Nothing;
            }
            let more = std::mem::take(&mut last.more);
            last.written = now;
            return Said::This(format!("{words} (Said {more} times since it was last written.)"));
        }
        let before = told(last);
        *last = Last {
            words: words.clone(),
            written: now,
            more: 0,
        };
        match before {
            Some(before) => Said::Before(before, words),
            None => Said::This(words),
        }
    }

    /// The counts that were not told yet, each with whose it is.
    pub(super) fn rest(&mut self) -> Vec<(String, String)> {
        let last = std::mem::take(&mut self.0);
        last.into_iter()
            .filter_map(|(target, last)| Some((target, told(&last)?)))
            .collect()
    }
}

/// How often a line was repeated, if it was.
fn told(last: &Last) -> Option<String> {
    let quoted: String = last.words.chars().take(QUOTED).collect();
    let dots = if quoted.len() < last.words.len() {
        "…"
    } else {
        ""
    };
    let times = match last.more {
        0 => return None,
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    Some(format!("Said {times} more: \"{quoted}{dots}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this(words: &str) -> Said {
        Said::This(words.to_owned())
    }

    #[test]
    fn what_is_repeated_is_counted_and_told_with_what_comes_next() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let mut say = |target: &str, words: &str, after: u64| {
            repeats.say(target, words.to_owned(), now + Duration::from_secs(after))
        };
        assert_eq!(say("camera", "lost", 0), this("lost"));
        assert_eq!(say("camera", "lost", 1), Said::Nothing);
        // Another part of the daemon has its own count.
        assert_eq!(say("mqtt", "lost", 1), this("lost"));
        assert_eq!(say("camera", "lost", 2), Said::Nothing);
        let before = "Said 2 times more: \"lost\"".to_owned();
        assert_eq!(say("camera", "back", 3), Said::Before(before, "back".to_owned()));
        // Changes to and fro are changes, each of them.
        assert_eq!(say("camera", "lost", 4), this("lost"));
        assert_eq!(say("camera", "back", 5), this("back"));
        assert_eq!(say("camera", "back", 6), Said::Nothing);
        assert_eq!(
            repeats.rest(),
            [("camera".to_owned(), "Said once more: \"back\"".to_owned())]
        );
        assert_eq!(repeats.rest(), []);
    }

    #[test]
    fn what_is_said_for_long_is_written_now_and_then() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let mut written = 0;
        for second in 0..3600 {
            match repeats.say("camera", "lost".to_owned(), now + Duration::from_secs(second)) {
                Said::Nothing => {}
                said => {
                    written += 1;
                    assert!(
                        written == 1 || format!("{said:?}").contains("Said 600 times"),
                        "{said:?}"
                    );
                }
            }
        }
        assert_eq!(written, 6, "once in ten minutes");
    }
}
