//! Windows into reports: one for each end, and nothing that tells of people without numbers.

use std::sync::mpsc::channel;
use std::time::{Instant, SystemTime};

use affect_core::expression::{EXPRESSIONS, Expression};
use affect_core::gate::GateSettings;
use affect_core::geometry::Rect;
use affect_core::tracker::TrackId;
use affect_core::window::{Reading, SeenFace};

use super::*;
use crate::progress::PausedBy;

/// A frame at so many milliseconds of the stream, with so many faces, that took so long.
fn seen(ms: u64, faces: u64, took: Duration) -> Seen {
    let face = |track| SeenFace {
        track: TrackId(track),
        before: None,
        rect: Rect {
            x: 60.0 * track as f32,
            y: 100.0,
            w: 40.0,
            h: 40.0,
        },
        reading: Some(Reading {
            scores: [1.0 / EXPRESSIONS as f32; EXPRESSIONS],
            confident: track.is_multiple_of(2),
        }),
        since_read: Some(Duration::ZERO),
        lives: true,
    };
    let faces = FrameFaces {
        at: Duration::from_millis(ms),
        size: (640.0, 480.0),
        faces: (0..faces).map(face).collect(),
        skipped: 0,
    };
    Seen { faces, took }
}

fn reporter(origin: Origin, length: Duration, fps: f64) -> Reporter {
    let text = String::new;
    let names = Names {
        device: text(),
        site: text(),
        boot_id: text(),
    };
    let (id, sha256) = (text(), text());
    let header = Header {
        names,
        camera: text(),
        model: ModelName { id, sha256 },
    };
    let settings = GroupSettings {
        length,
        fps,
        origin,
        source: SourceWord::Recording,
    };
    let gate = Gate::new(GateSettings {
        min_group: 5,
        origin,
        labels: Expression::ALL.to_vec(),
        classifier: None,
    });
    Reporter::new(header, settings, gate, LastReport::of_recording())
}

/// What kind of reports come of these frames, by the frames' own time.
fn kinds(frames: Vec<Seen>, reporter: Reporter, progress: &Progress) -> Vec<&'static str> {
    let (sender, receiver) = channel();
    frames.into_iter().for_each(|frame| sender.send(frame).unwrap());
    drop(sender);
    let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
    let mut kinds = Vec::new();
    group_loop(&receiver, clock, reporter, progress, |report| {
        kinds.push(kind(&report.body));
    });
    kinds
}

fn kind(body: &ReportBody) -> &'static str {
    match body {
        ReportBody::Released(_) => "numbers",
        ReportBody::Suppressed(_) => "suppressed",
        ReportBody::Held(_) => "held",
    }
}

const SHORT: Duration = Duration::from_millis(40);

#[test]
fn only_frames_of_windows_with_numbers_are_in_the_latency() {
    // Windows of four frames: of five people, of four, of five again, of whom one frame comes too late.
    let mut frames: Vec<Seen> = (0..4)
        .map(|i| seen(i * 1000, 5, Duration::from_millis(60)))
        .collect();
    frames.extend((4..8).map(|i| seen(i * 1000, 4, Duration::from_secs(3))));
    frames.extend((8..12).map(|i| seen(i * 1000, 5, SHORT)));
    frames.push(seen(1000, 5, Duration::from_secs(3)));
    let progress = Progress::new(std::sync::Arc::default());
    let reporter = reporter(Origin::Recording, Duration::from_secs(4), 1.0);
    assert_eq!(
        kinds(frames, reporter, &progress),
        ["numbers", "suppressed", "numbers"]
    );
    let buckets = progress.latency.buckets().into_iter();
    let counted: Vec<_> = buckets
        .filter(|bucket| bucket.frames > 0)
        .map(|bucket| (bucket.up_to_ms, bucket.frames))
        .collect();
    assert_eq!(counted, [(Some(50), 4), (Some(75), 4)]);
}

#[test]
fn every_still_is_a_window_of_its_own() {
    let frames = [25, 3, 25].map(|faces| faces.min(9));
    let frames = frames.iter().enumerate();
    let frames = frames
        .map(|(i, faces)| seen(i as u64 * 200, *faces, SHORT))
        .collect();
    let progress = Progress::new(std::sync::Arc::default());
    let reporter = reporter(Origin::Stills, Duration::from_secs(15), 5.0);
    assert_eq!(
        kinds(frames, reporter, &progress),
        ["numbers", "suppressed", "numbers"]
    );
}

#[test]
fn windows_behind_the_last_picture_that_could_be_read_end_too() {
    let frames = (0..5).map(|i| seen(i * 200, 5, SHORT)).collect();
    let progress = Progress::new(std::sync::Arc::default());
    // Fifteen more could not be read.
    progress.set_played(Duration::from_secs(4));
    let reporter = reporter(Origin::Recording, Duration::from_secs(1), 5.0);
    assert_eq!(
        kinds(frames, reporter, &progress),
        ["numbers", "suppressed", "suppressed", "suppressed"]
    );
}

#[test]
fn a_recording_that_starts_again_is_judged_anew() {
    let play = |rewound: u64| {
        let mut frames: Vec<Seen> = (0..4).map(|i| seen(i * 1000, 6, SHORT)).collect();
        frames.extend((4..8).map(|i| seen(i * 1000, 5, SHORT)));
        let progress = Progress::new(std::sync::Arc::default());
        progress.set_rewound(Duration::from_millis(rewound));
        kinds(
            frames,
            reporter(Origin::Recording, Duration::from_secs(4), 1.0),
            &progress,
        )
    };
    assert_eq!(play(0), ["numbers", "held"]);
    assert_eq!(play(4000), ["numbers", "numbers"]);
}

#[test]
fn a_pause_interrupts_whoever_was_followed() {
    let (sender, receiver) = channel();
    let progress = Progress::new(std::sync::Arc::default());
    let reporter = reporter(Origin::Live, Duration::from_secs(4), 1.0);
    let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
    let published = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (published, progress) = (&published, &progress);
        scope.spawn(move || {
            group_loop(&receiver, clock, reporter, progress, |report| {
                published.lock().unwrap().push(kind(&report.body));
            });
        });
        (0..11).for_each(|i| sender.send(seen(i * 1000, 6, SHORT)).unwrap());
        while published.lock().unwrap().len() < 2 {
            std::thread::yield_now();
        }
        // A pause within a window, and shorter than a gap.
        progress.set_paused(PausedBy::Button, true);
        progress.set_paused(PausedBy::Button, false);
        (11..24).for_each(|i| sender.send(seen(i * 1000, 6, SHORT)).unwrap());
        drop(sender);
    });
    let published = published.into_inner().unwrap();
    // The first window of a start, a report, and after the pause nothing more.
    assert_eq!(published[..2], ["held", "numbers"]);
    assert_eq!(published[3..], ["held", "held", "held"], "{published:?}");
}

#[test]
fn after_a_pause_by_command_the_ten_minutes_begin_with_its_end() {
    let (sender, receiver) = channel();
    let folder = tempfile::tempdir().unwrap();
    let last_report = || LastReport::kept_in(Some(folder.path().to_owned()));
    let progress = Progress::new(std::sync::Arc::default());
    let mut reporter = reporter(Origin::Live, Duration::from_secs(4), 1.0);
    reporter.last_report = last_report();
    let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
    let published = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (published, progress) = (&published, &progress);
        scope.spawn(move || {
            group_loop(&receiver, clock, reporter, progress, |report| {
                published.lock().unwrap().push(kind(&report.body));
            });
        });
        let wait_for = |windows: usize| {
            while published.lock().unwrap().len() < windows {
                std::thread::yield_now();
            }
        };
        (0..11).for_each(|i| sender.send(seen(i * 1000, 6, SHORT)).unwrap());
        wait_for(2);
        progress.set_paused(PausedBy::Command, true);
        sender.send(seen(300_000, 6, SHORT)).unwrap();
        wait_for(75);
        progress.set_paused(PausedBy::Command, false);
        (301..910).for_each(|i| sender.send(seen(i * 1000, 6, SHORT)).unwrap());
        drop(sender);
    });
    let published = published.into_inner().unwrap();
    // The first window of a start, then a report.
    assert_eq!(published[..2], ["held", "numbers"]);
    let next = published[2..].iter().position(|kind| *kind == "numbers").unwrap() + 2;
    // Not at 608 s, ten minutes after the report.
    assert!((224..=225).contains(&next), "{next}: {published:?}");
}

#[test]
fn a_window_without_numbers_is_the_same_bytes_whoever_was_there() {
    let reports = |faces: [u64; 3], took: u64| {
        let mut frames = Vec::new();
        for i in 0..12 {
            // The longer vision takes, the fewer frames it looks at.
            if i % took == 0 {
                frames.push(seen(
                    i * 1000,
                    faces[i as usize / 4],
                    Duration::from_millis(700 * took),
                ));
            }
        }
        let (sender, receiver) = channel();
        frames.into_iter().for_each(|frame| sender.send(frame).unwrap());
        drop(sender);
        let progress = Progress::new(std::sync::Arc::default());
        let mut texts = Vec::new();
        let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
        let reporter = reporter(Origin::Live, Duration::from_secs(4), 1.0);
        group_loop(&receiver, clock, reporter, &progress, |report| {
            texts.push(serde_json::to_string(&report.body).unwrap());
        });
        (texts, progress.latency.buckets())
    };
    let nobody = reports([0, 0, 0], 1);
    assert_eq!(nobody.0, vec![r#"{"suppressed":{"min_group":5}}"#; 3]);
    assert_eq!(reports([4, 1, 3], 1), nobody);
    assert_eq!(reports([2, 4, 4], 2).1, nobody.1);
}

#[test]
fn every_end_is_reported_at_the_same_delay_whatever_was_seen() {
    let length = Duration::from_secs(1);
    let (sender, receiver) = channel();
    let progress = Progress::new(std::sync::Arc::default());
    let origin = Instant::now();
    let published = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let published = &published;
        let progress = &progress;
        scope.spawn(move || {
            let reporter = reporter(Origin::Live, length, 10.0);
            group_loop(
                &receiver,
                StreamClock::Real(origin),
                reporter,
                progress,
                |report| {
                    published.lock().unwrap().push((origin.elapsed(), report));
                },
            );
        });
        // Nobody in the first window, many in the second, no frame at all in the third.
        for i in 0..20 {
            std::thread::sleep((Duration::from_millis(100 * i)).saturating_sub(origin.elapsed()));
            sender
                .send(seen(100 * i, if i < 10 { 0 } else { 9 }, SHORT))
                .unwrap();
        }
        std::thread::sleep(
            (length * 3 + DELAY + Duration::from_millis(500)).saturating_sub(origin.elapsed()),
        );
        drop(sender);
    });
    let published = published.into_inner().unwrap();
    assert!(published.len() >= 3);
    for (number, (at, _)) in published.iter().take(3).enumerate() {
        let delay = at.saturating_sub(length * (number as u32 + 1));
        assert!(
            delay >= DELAY && delay < DELAY + Duration::from_millis(300),
            "window {number}: {delay:?}"
        );
    }
}

#[test]
fn a_window_that_went_out_before_the_clock_was_known_can_be_dated_by_a_later_one() {
    let progress = Progress::new(std::sync::Arc::default());
    let mut reporter = reporter(Origin::Recording, Duration::from_secs(15), 1.0);
    let today = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    // The run begins in 1970, as on a board without a clock; it is known what time it is after 20 s.
    let mut close = |end: u64, wall: SystemTime, synced: bool| {
        let (start, end) = (Duration::from_secs(end - 15), Duration::from_secs(end));
        let span = Span {
            start,
            end,
            partial: false,
            aligned: false,
        };
        let now = Moment {
            stream: end,
            wall,
            synced,
        };
        reporter.close(&span, now, &progress)
    };
    let early = close(15, SystemTime::UNIX_EPOCH + Duration::from_secs(15), false);
    let during = close(30, today, true);
    let later = close(45, today + Duration::from_secs(15), true);
    let synced = [&early, &during, &later].map(|report| report.clock_synced);
    assert_eq!(synced, [false, false, true]);
    let end = humantime::parse_rfc3339(&later.end).unwrap();
    for (report, ended) in [(&early, today - Duration::from_secs(15)), (&during, today)] {
        let before = Duration::from_secs_f64(later.uptime_seconds - report.uptime_seconds);
        assert_eq!(end - before, ended);
    }
}

#[test]
fn a_pipeline_that_begins_again_goes_on_counting_the_time_of_the_run() {
    let progress = Progress::new(std::sync::Arc::default());
    let last = || {
        let (sender, receiver) = channel();
        (0..4).for_each(|i| sender.send(seen(i * 1000, 6, SHORT)).unwrap());
        drop(sender);
        let clock = StreamClock::Frames(SystemTime::UNIX_EPOCH);
        let reporter = reporter(Origin::Recording, Duration::from_secs(4), 1.0);
        let mut last = (0, 0.0);
        group_loop(&receiver, clock, reporter, &progress, |report| {
            last = (report.seq, report.uptime_seconds);
        });
        last
    };
    let first = last();
    assert_eq!(first, (0, 4.0));
    std::thread::sleep(Duration::from_millis(20));
    progress.begin_again(Duration::ZERO);
    let second = last();
    assert!(second.0 == 1 && second.1 >= 4.02, "{second:?}");
}
