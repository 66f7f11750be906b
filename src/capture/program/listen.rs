//! A program's standard error, in our log.

use std::io::{BufRead, BufReader, Read};
use std::process::ChildStderr;
use std::sync::{Mutex, PoisonError};

/// So many lines of a camera command's standard error go to the log when it is started.
pub(in crate::capture) const LINES: usize = 20;
/// Characters of a line that go to the log.
pub(in crate::capture) const LINE: usize = 300;

/// Takes a program's standard error to our log, the first lines for everybody and the rest for those who look for a
/// fault. Of a command that gave nothing the last time, the state's cause has the last words.
pub(super) fn listen(stderr: ChildStderr, program: &str, last: &Mutex<String>, lines_to_tell: usize) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut count = 0;
    // A line without an end does not fill the memory.
    while let Ok(1..) = (&mut lines).take(16 << 10).read_until(b'\n', &mut line) {
        let text = printable(&line);
        line.clear();
        if text.is_empty() {
            continue;
        }
        count += 1;
        if count <= lines_to_tell {
            log::info!("{program}: {text}");
        } else {
            log::debug!("{program}: {text}");
        }
        if count == lines_to_tell && count > 0 {
            log::info!("{program}: what follows is only logged with [log] level = \"debug\".");
        }
        *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// A line as it may stand in a log: no control characters, and not too long.
pub(in crate::capture) fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    // Progress is written over itself with carriage returns: the last one counts.
    let text = text.trim().rsplit('\r').next().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(LINE).collect()
}
