//! How far a recording was played, for whoever waits at a terminal.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::progress::Progress;

/// How often it is told.
const EVERY: Duration = Duration::from_millis(500);
/// Back to the begin of the line, and all of it away.
const CLEAR: &str = "\r\x1b[K";

/// A line on standard error that is written over again and again; nothing where that is no terminal.
pub(super) struct Playing {
    total: Option<Duration>,
    shows: bool,
    over: AtomicBool,
}

impl Playing {
    /// Of the recording at `path`, played at `fps` frames per second.
    pub(super) fn of(path: &Path, fps: f64) -> Self {
        let shows = std::io::stderr().is_terminal();
        Self {
            total: shows.then(|| length(path, fps)).flatten(),
            shows,
            over: AtomicBool::new(false),
        }
    }

    /// Tells how far it is, until what [`Playing::until`] gave is dropped.
    pub(super) fn tell(&self, progress: &Progress) {
        let began = Instant::now();
        while self.shows && !self.over.load(Relaxed) {
            let line = line(progress.played(), self.total, began.elapsed());
            let _ = write!(std::io::stderr(), "{CLEAR}{line}");
            std::thread::sleep(EVERY);
        }
        self.clear();
    }

    /// Takes the line away, so that another can be written in its place.
    pub(super) fn clear(&self) {
        if self.shows {
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
    }

    /// Ends [`Playing::tell`] when it is dropped.
    pub(super) fn until(&self) -> Until<'_> {
        Until(&self.over)
    }
}

/// Whoever holds this still plays.
pub(super) struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// How long a video is, by what `ffprobe` says, or a folder of pictures, by their number.
fn length(path: &Path, fps: f64) -> Option<Duration> {
    if path.is_dir() {
        let count = std::fs::read_dir(path).ok()?.count();
        return Duration::try_from_secs_f64(count as f64 / fps).ok();
    }
    let path = std::path::absolute(path).ok()?;
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration"])
        .args(["-of", "default=nokey=1:noprint_wrappers=1"])
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let seconds = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| !length.is_zero())
}

fn line(played: Duration, total: Option<Duration>, took: Duration) -> String {
    let times = played.as_secs_f64() / took.as_secs_f64().max(0.001);
    let of = total.map_or_else(String::new, |total| {
        let part = (played.as_secs_f64() / total.as_secs_f64()).min(1.0);
        let left = match times > 0.0 {
            true => format!(
                ", {} left",
                clock(Duration::from_secs_f64(
                    (total.saturating_sub(played).as_secs_f64() / times).min(1e9)
                ))
            ),
            false => String::new(),
        };
        format!(" of {}, {:.0} %{left}", clock(total), part * 100.0)
    });
    format!("played {}{of}, {times:.1} times real time", clock(played))
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_fits() {
        let (played, took) = (Duration::from_secs(90), Duration::from_secs(30));
        assert_eq!(
            line(played, Some(Duration::from_secs(600)), took),
            "played 0:01:30 of 0:10:00, 15 %, 0:02:50 left, 3.0 times real time"
        );
        assert_eq!(line(played, None, took), "played 0:01:30, 3.0 times real time");
        let long = line(
            Duration::from_secs(3_000_000),
            Some(Duration::from_secs(9_000_000)),
            took,
        );
        assert!(long.len() < 80, "{long}");
        assert!(
            line(Duration::ZERO, Some(took), Duration::ZERO).starts_with("played 0:00:00 of 0:00:30, 0 %")
        );
    }
}
