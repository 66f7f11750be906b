//! The group thread: gathers what vision saw into windows, lets the privacy gate judge them, and hands the reports on.
//!
//! Every window's end gives exactly one report, at the same delay after the end whatever was seen.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use affect_core::gate::{Gate, Origin, SILENCE, Verdict};
use affect_core::release::{COVERAGE_STEP, step};
use affect_core::report::{
    Coverage, HeldBody, ModelName, Needed, ReleasedBody, ReportBody, SourceWord, SuppressedBody,
    WINDOW_SCHEMA, WindowReport,
};
use affect_core::window::{FrameFaces, Span, Windows};

use crate::clock::{Calendar, Moment, StreamClock, rfc3339};
use crate::identity::Names;
use crate::last_report::LastReport;
use crate::latency::Latencies;
use crate::progress::{Progress, Stage};

/// How long the thread sleeps at most, so that it can be told from one that stands still.
const NAP: Duration = Duration::from_millis(500);
/// How long after its end a window is reported: time for the frames that vision is still looking at.
const DELAY: Duration = Duration::from_secs(2);

/// What does not change from report to report.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) names: Names,
    pub(crate) camera: String,
    pub(crate) model: ModelName,
}

/// How windows are cut and counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupSettings {
    /// Length of a window.
    pub(crate) length: Duration,
    /// Frames per second that the source promises.
    pub(crate) fps: f64,
    /// What the frames come from.
    pub(crate) origin: Origin,
    /// Whether the reports are of people who are there now.
    pub(crate) source: SourceWord,
}

/// Turns windows into reports.
pub(crate) struct Reporter {
    header: Header,
    settings: GroupSettings,
    gate: Gate,
    calendar: Calendar,
    last_report: LastReport,
    /// When a recording last started again.
    rewound: Duration,
    /// Frames of the open window in the part that a report covers, and how long they took.
    frames: u32,
    latencies: Latencies,
}

impl Reporter {
    pub(crate) fn new(header: Header, settings: GroupSettings, gate: Gate, last_report: LastReport) -> Self {
        Self {
            header,
            settings,
            gate,
            calendar: Calendar::default(),
            last_report,
            rewound: Duration::ZERO,
            frames: 0,
            latencies: Latencies::default(),
        }
    }

    /// Takes a frame of the window `span` in.
    fn see(&mut self, seen: &Seen, span: &Span, progress: &Progress) {
        let rewound = progress.rewound();
        if rewound > self.rewound && seen.faces.at >= rewound {
            self.rewound = rewound;
            self.gate.start_again();
        }
        let covered = seen.faces.at >= span.covered_from();
        self.gate.see(&seen.faces, covered);
        if covered {
            self.frames += 1;
            self.latencies.count(seen.took);
        }
    }

    /// Nobody was looked at for a while: what there is of the open window is dropped.
    fn interrupt(&mut self) {
        self.gate.interrupt();
        self.frames = 0;
        self.latencies = Latencies::default();
    }

    /// Nothing is said for ten minutes, as if a report had gone out now; after a restart neither.
    fn wait_anew(&mut self, now: Moment) {
        self.interrupt();
        self.gate.keep_silent(now.stream + SILENCE);
        self.last_report.note(now);
    }

    /// The report on a window that has ended.
    fn close(&mut self, span: &Span, now: Moment, progress: &Progress) -> WindowReport {
        let mut verdict = self.gate.close(span);
        if matches!(verdict, Verdict::Released(_)) && !self.last_report.note(now) {
            // Its time could not be kept, so it does not go out; and the next one waits as if it had.
            self.gate.keep_silent(span.end + SILENCE);
            verdict = Verdict::Held;
        }
        let dates = self.calendar.date(span.start, span.end, now);
        let needed = Needed {
            min_group: self.gate.min_group(),
        };
        let (frames, latencies) = (
            std::mem::take(&mut self.frames),
            std::mem::take(&mut self.latencies),
        );
        let body = match verdict {
            Verdict::Suppressed => ReportBody::Suppressed(SuppressedBody { suppressed: needed }),
            Verdict::Held => ReportBody::Held(HeldBody { held: needed }),
            Verdict::Released(released) => {
                // How long other frames took, and how many there was time for, would tell whether somebody was in them.
                progress.latency.add(&latencies);
                let covers = (span.end - span.covered_from()).as_secs_f64();
                let expected = (covers * self.settings.fps).max(1.0);
                ReportBody::Released(Box::new(ReleasedBody {
                    covers_seconds: (covers * 1000.0).round() / 1000.0,
                    coverage: Coverage {
                        frames: step(f64::from(frames) / expected, COVERAGE_STEP).min(1.0),
                        faces_skipped: released.faces_skipped,
                    },
                    suppressed: (),
                    held: (),
                    coarsened: released.coarsened,
                    people: released.people,
                    emotion: released.emotion,
                    mood: released.mood,
                    attributes: None,
                }))
            }
        };
        let seq = progress.reports.get();
        progress.reports.add_one();
        let names = &self.header.names;
        WindowReport {
            schema: WINDOW_SCHEMA.to_owned(),
            device: names.device.clone(),
            site: names.site.clone(),
            camera: self.header.camera.clone(),
            seq,
            boot_id: names.boot_id.clone(),
            start: rfc3339(dates.start),
            end: rfc3339(dates.end),
            clock_synced: dates.synced,
            uptime_seconds: ((progress.stream_began() + span.end).as_secs_f64() * 1000.0).round() / 1000.0,
            aligned: span.aligned && dates.synced,
            partial: span.partial,
            source: self.settings.source,
            body,
            model: self.header.model.clone(),
        }
    }

    fn frame_time(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.settings.fps)
    }

    /// The wall time at stream time 0, by which windows are aligned; `None` where that makes no sense.
    fn wall(&self, now: &Moment) -> Option<Duration> {
        let is_live = self.settings.origin == Origin::Live && self.settings.source == SourceWord::Camera;
        let wall = now.wall.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        (is_live && now.synced).then(|| wall.saturating_sub(now.stream))
    }
}

/// A frame that vision has looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) faces: FrameFaces,
    /// How long it took, from the moment it was taken until every face that was due was classified.
    pub(crate) took: Duration,
}

/// Gathers frames until vision ends, and hands every report to `publish`. With a real clock a window is reported by the
/// clock, at a fixed delay after its end; otherwise by the frames' own time.
pub(crate) fn group_loop(
    frames: &Receiver<Seen>,
    clock: StreamClock,
    mut reporter: Reporter,
    progress: &Progress,
    mut publish: impl FnMut(WindowReport),
) {
    if let StreamClock::Real(origin) = clock {
        progress.set_stream_began(origin);
    }
    if let Some(until) = reporter.last_report.silent_for(clock.now(Duration::ZERO)) {
        reporter.gate.keep_silent(until);
    }
    if reporter.settings.origin == Origin::Stills {
        return stills_loop(frames, clock, reporter, progress, publish);
    }
    let wall = reporter.wall(&clock.now(Duration::ZERO));
    let mut windows = Windows::new(reporter.settings.length, wall);
    let mut waiting: VecDeque<Seen> = VecDeque::new();
    let mut interruptions = progress.interruptions();
    let mut newest = Duration::ZERO;
    let mut came = false;
    let mut ended = false;
    while !ended {
        progress.beat(Stage::Group);
        match frames.recv_timeout(wait(&windows, clock)) {
            Ok(seen) => {
                newest = newest.max(seen.faces.at);
                came = true;
                waiting.push_back(seen);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ended = true,
        }
        if std::mem::replace(&mut interruptions, progress.interruptions()) != interruptions {
            waiting.clear();
            reporter.interrupt();
        }
        // Who may send commands must not choose the moment of the next report: it waits anew.
        if progress.heed_resumption() {
            waiting.clear();
            reporter.wait_anew(clock.now(newest));
        }
        if ended {
            // The last frame lasts as long as any other, and so do pictures that could not be read. Of a source that gave none there is
            // nothing to report.
            let last = if came {
                reporter.frame_time()
            } else {
                Duration::ZERO
            };
            newest = (newest + last).max(progress.played());
        }
        let over = |end: Duration| match clock {
            StreamClock::Real(origin) if !ended => origin.elapsed() >= end + DELAY,
            StreamClock::Real(_) => newest >= end,
            StreamClock::Frames(_) => newest >= end,
        };
        loop {
            let span = windows.open();
            let mut i = 0;
            while i < waiting.len() {
                // A frame of a window that is closed comes too late.
                if waiting[i].faces.at < span.end
                    && let Some(seen) = waiting.remove(i)
                {
                    if seen.faces.at >= span.start {
                        reporter.see(&seen, &span, progress);
                    }
                } else {
                    i += 1;
                }
            }
            if !over(span.end) {
                break;
            }
            let now = clock.now(newest);
            let wall = reporter.wall(&now);
            if let Some(span) = windows.advance(span.end, wall) {
                publish(reporter.close(&span, now, progress));
            }
        }
    }
    let now = clock.now(newest);
    let span = windows.close(now.stream.max(newest));
    if reporter.frames > 0 || span.start < newest {
        publish(reporter.close(&span, now, progress));
    }
}

/// Every still is a window of its own.
fn stills_loop(
    frames: &Receiver<Seen>,
    clock: StreamClock,
    mut reporter: Reporter,
    progress: &Progress,
    mut publish: impl FnMut(WindowReport),
) {
    loop {
        progress.beat(Stage::Group);
        let seen = match frames.recv_timeout(NAP) {
            Ok(seen) => seen,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let start = seen.faces.at;
        let span = Span {
            start,
            end: start + reporter.frame_time(),
            partial: false,
            aligned: false,
        };
        reporter.see(&seen, &span, progress);
        let now = clock.now(span.end);
        publish(reporter.close(&span, now, progress));
    }
}

/// Until the open window must be closed at the latest, or a nap.
fn wait(windows: &Windows, clock: StreamClock) -> Duration {
    match clock {
        StreamClock::Real(origin) => (windows.open().end + DELAY)
            .saturating_sub(origin.elapsed())
            .clamp(Duration::from_millis(1), NAP),
        StreamClock::Frames(_) => NAP,
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
