//! The group thread: gathers what vision saw into windows, lets the privacy gate judge them, and hands the reports on.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use affect_core::gate::Gate;
use affect_core::random::Random;
use affect_core::report::{ModelName, ReportBody, WINDOW_SCHEMA, WindowReport};
use affect_core::statistics::GroupStatistics;
use affect_core::window::{FrameFaces, Window, Windows};

use crate::clock::{Calendar, Moment, StreamClock, rfc3339};
use crate::latency::Latencies;
use crate::progress::{Progress, Stage};

/// How long the thread sleeps at most, so that it can be told from one that stands still.
const NAP: Duration = Duration::from_millis(500);
/// How long after its end a window waits for frames that vision is still looking at.
const GRACE: Duration = Duration::from_secs(1);

/// What does not change from report to report.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) device: String,
    pub(crate) site: String,
    pub(crate) camera: String,
    pub(crate) boot_id: String,
    pub(crate) model: ModelName,
}

/// How windows are cut and counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupSettings {
    /// Length of a window.
    pub(crate) length: Duration,
    /// Frames per second that the source promises.
    pub(crate) fps: f64,
    /// In how many frames of a window somebody must be seen to count.
    pub(crate) confirm_frames: u32,
}

/// Turns windows into reports.
pub(crate) struct Reporter {
    header: Header,
    settings: GroupSettings,
    gate: Gate,
    calendar: Calendar,
    seq: u64,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Reporter {
    pub(crate) fn new(
        header: Header,
        settings: GroupSettings,
        gate: Gate,
        random: Box<dyn FnMut() -> u64 + Send>,
    ) -> Self {
        Self {
            header,
            settings,
            gate,
            calendar: Calendar::default(),
            seq: 0,
            random,
        }
    }

    /// The report on a closed window.
    fn report(&mut self, window: &Window, now: Moment) -> WindowReport {
        let random: Random<'_> = &mut self.random;
        let statistics = GroupStatistics::of(window, self.settings.confirm_frames);
        let verdict = self.gate.judge(window.index, &statistics, random);
        let dates = self.calendar.date(window.start, window.end, now);
        let seq = self.seq;
        self.seq += 1;
        WindowReport {
            schema: WINDOW_SCHEMA.to_owned(),
            device: self.header.device.clone(),
            site: self.header.site.clone(),
            camera: self.header.camera.clone(),
            seq,
            boot_id: self.header.boot_id.clone(),
            start: rfc3339(dates.start),
            end: rfc3339(dates.end),
            clock_synced: dates.synced,
            partial: window.partial,
            body: verdict.into_body(window, self.frames_expected(window)),
            model: self.header.model.clone(),
        }
    }

    fn frames_expected(&self, window: &Window) -> u32 {
        ((window.end - window.start).as_secs_f64() * self.settings.fps).round() as u32
    }
}

/// A frame that vision has looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) faces: FrameFaces,
    /// How long it took, from the moment it was taken until every face that was due was classified.
    pub(crate) took: Duration,
}

/// Gathers frames until vision ends, and hands every report to `publish`. With a real clock a window ends by
/// the clock even when no frame comes; otherwise by the frames' own time.
pub(crate) fn group_loop(
    frames: &Receiver<Seen>,
    clock: StreamClock,
    mut reporter: Reporter,
    progress: &Progress,
    mut publish: impl FnMut(WindowReport),
) {
    let mut windows = Windows::new(reporter.settings.length);
    let frame_time = Duration::from_secs_f64(1.0 / reporter.settings.fps);
    let mut latencies = Latencies::default();
    let mut close = |window: &Window, now, latencies: &mut Latencies| {
        let report = reporter.report(window, now);
        // How long the frames of a suppressed window took would tell whether somebody was in them.
        let latencies = std::mem::take(latencies);
        if matches!(report.body, ReportBody::Released { .. }) {
            progress.latency.add(&latencies);
        }
        publish(report);
    };
    let mut stream_end = Duration::ZERO;
    loop {
        progress.beat(Stage::Group);
        let due = match (frames.recv_timeout(wait(&windows, clock)), clock) {
            (Ok(frame), _) => Due::Frame(frame),
            (Err(RecvTimeoutError::Timeout), StreamClock::Real(origin)) => {
                Due::Clock(origin.elapsed().saturating_sub(GRACE))
            }
            (Err(RecvTimeoutError::Timeout), StreamClock::Frames(_)) => continue,
            (Err(RecvTimeoutError::Disconnected), _) => Due::End,
        };
        let at = match &due {
            Due::Frame(seen) => seen.faces.at,
            Due::Clock(at) => *at,
            Due::End => break,
        };
        while let Some(window) = windows.advance(at) {
            close(&window, clock.now(at), &mut latencies);
        }
        if let Due::Frame(Seen { faces, took }) = due {
            stream_end = faces.at + frame_time;
            if windows.add(&faces) {
                latencies.count(took);
            }
        }
    }
    // The last frame lasts as long as any other, and frames that were lost at the end had their time, too.
    if let StreamClock::Frames(_) = clock {
        stream_end = stream_end.max(progress.stream_end());
        while windows.end() < stream_end
            && let Some(window) = windows.advance(windows.end())
        {
            close(&window, clock.now(window.end), &mut latencies);
        }
    }
    let now = clock.now(stream_end);
    if let Some(window) = windows.close(now.stream.max(stream_end)) {
        close(&window, now, &mut latencies);
    }
}

/// What the loop woke up for.
enum Due {
    Frame(Seen),
    Clock(Duration),
    End,
}

/// Until the open window must be closed at the latest, or a nap.
fn wait(windows: &Windows, clock: StreamClock) -> Duration {
    match clock {
        StreamClock::Real(origin) => (windows.end() + GRACE).saturating_sub(origin.elapsed()).min(NAP),
        StreamClock::Frames(_) => NAP,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::SystemTime;

    use affect_core::expression::{EXPRESSIONS, Expression};
    use affect_core::tracker::TrackId;
    use affect_core::window::{Reading, SeenFace};

    use super::*;

    /// A frame at a second of the stream, with so many faces, that took so long.
    fn seen(second: u64, faces: u64, took: Duration) -> Seen {
        let face = |track| SeenFace {
            track: TrackId(track),
            carried: false,
            reading: Some(Reading::Known([1.0 / EXPRESSIONS as f32; EXPRESSIONS])),
        };
        let faces = FrameFaces {
            at: Duration::from_secs(second),
            faces: (0..faces).map(face).collect(),
            skipped: 0,
        };
        Seen { faces, took }
    }

    fn reporter() -> Reporter {
        let text = String::new;
        let (id, sha256) = (text(), text());
        let header = Header {
            device: text(),
            site: text(),
            camera: text(),
            boot_id: text(),
            model: ModelName { id, sha256 },
        };
        let settings = GroupSettings {
            length: Duration::from_secs(2),
            fps: 1.0,
            confirm_frames: 1,
        };
        let gate = Gate::new(5, Expression::ALL.to_vec());
        Reporter::new(header, settings, gate, Box::new(|| 0))
    }

    #[test]
    fn only_frames_of_windows_with_numbers_are_in_the_latency() {
        let (sender, receiver) = channel();
        // Windows of two frames: of five people, of four, of five again, of whom one frame comes too late.
        for (second, faces, ms) in [
            (0, 5, 40),
            (1, 5, 60),
            (2, 4, 40),
            (3, 4, 3000),
            (4, 5, 40),
            (1, 5, 3000),
            (5, 0, 20),
        ] {
            sender
                .send(seen(second, faces, Duration::from_millis(ms)))
                .unwrap();
        }
        drop(sender);
        let progress = Progress::new(std::sync::Arc::default());
        let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
        let mut published = Vec::new();
        group_loop(&receiver, clock, reporter(), &progress, |report| {
            published.push(matches!(report.body, ReportBody::Released { .. }));
        });
        assert_eq!(published, [true, false, true]);
        let buckets = progress.latency.buckets().into_iter();
        let counted: Vec<_> = buckets
            .filter(|bucket| bucket.frames > 0)
            .map(|bucket| (bucket.up_to_ms, bucket.frames))
            .collect();
        assert_eq!(counted, [(Some(25), 1), (Some(50), 2), (Some(75), 1)]);
    }
}
