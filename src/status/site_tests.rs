//! The whole server on a stream in memory, byte for byte.

use std::time::Duration;

use affect_core::geometry::Rect;

use super::super::history::tests::{NUMBERS, report};
use super::super::server::tests_only::answer as served;
use super::super::{Fixed, Snapshot};
use super::*;
use crate::aiming::Sight;
use crate::config::{Config, Secret};
use crate::progress::Progress;

/// Of a device with a snapshot and the reports of `bodies`.
fn shown(bodies: &[&str]) -> Arc<Shown> {
    let fixed = Fixed::of(&Config::for_replay(), "xnnpack".to_owned());
    let shown = Arc::new(Shown::new(fixed, Arc::new(Progress::new(Arc::default()))));
    shown.tell(snapshot());
    for (seq, body) in bodies.iter().enumerate() {
        shown.published(&report(seq as u64, body));
    }
    shown
}

fn snapshot() -> Snapshot {
    let health = r#"{"schema":"affectd/health/2","device":"d","site":"s","camera":"c","boot_id":"b",
        "at":"2026-01-01T10:00:00.000Z","uptime_seconds":7,"starts":{"count":3,"unexpected":1,"cause":"killed"},
        "state":"streaming","frames":{"per_second":9.8,"configured_per_second":10.0,"rate":1.0,"captured":70},
        "drops":{"broken":1,"heat":2,"late":3},
        "latency":[{"up_to_ms":10,"frames":4},{"up_to_ms":25,"frames":2},{"up_to_ms":null,"frames":1}],
        "board":{"celsius":55.0,"throttled":false,"under_voltage":null,"under_voltage_since_boot":null},
        "spool":{"waiting":5,"oldest_seconds":60,"on_disk":true,"dropped":0,"refused":0,"damaged":0,"acknowledged":9},
        "certificates":[],
        "disk":{"free_mib":100,"total_mib":200,"read_only":false}}"#;
    Snapshot {
        health: serde_json::from_str(health).expect("a health"),
        connected: true,
        line: "Streaming.".to_owned(),
    }
}

fn settings() -> config::Status {
    config::Status {
        metrics: true,
        page: true,
        ..config::Status::default()
    }
}

fn ask(shown: &Arc<Shown>, settings: &config::Status, lines: &str) -> (u16, String) {
    let request = format!("{lines}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let answer = served(settings, Arc::clone(shown), request.as_bytes());
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a body").1
}

const BEGIN: &str = "POST /aiming/begin HTTP/1.1\r\nX-Affectd: page\r\nContent-Length: 0";

#[test]
fn what_is_off_is_not_there() {
    let shown = shown(&[]);
    let with = |metrics, page| config::Status {
        metrics,
        page,
        ..config::Status::default()
    };
    let status = |settings: &config::Status, line: &str| ask(&shown, settings, line).0;
    assert_eq!(status(&with(true, false), "GET /metrics HTTP/1.1"), 200);
    for path in ["/", "/state", "/page.js", "/aiming/begin"] {
        assert_eq!(
            status(&with(true, false), &format!("GET {path} HTTP/1.1")),
            404,
            "{path}"
        );
    }
    assert_eq!(status(&with(true, false), BEGIN), 404);
    assert_eq!(status(&with(false, true), "GET /metrics HTTP/1.1"), 404);
    for path in ["/", "/state", "/page.js", "/page.css"] {
        assert_eq!(
            status(&with(false, true), &format!("GET {path} HTTP/1.1")),
            200,
            "{path}"
        );
    }
    for (line, expected) in [
        ("POST / HTTP/1.1\r\nX-Affectd: page", 405),
        ("GET /aiming/begin HTTP/1.1", 405),
        ("DELETE /state HTTP/1.1", 405),
        ("GET /../etc/passwd HTTP/1.1", 404),
        ("GET /state/ HTTP/1.1", 404),
        ("HEAD / HTTP/1.1", 200),
    ] {
        assert_eq!(status(&settings(), line), expected, "{line}");
    }
}

#[test]
fn every_answer_forbids_what_is_not_ours() {
    let shown = shown(&[]);
    for line in [
        "GET / HTTP/1.1",
        "GET /nothing HTTP/1.1",
        "GET /state HTTP/1.1",
        "GET /metrics HTTP/1.1",
    ] {
        let (_, answer) = ask(&shown, &settings(), line);
        let lower = answer.to_lowercase();
        assert!(
            lower.contains("content-security-policy: default-src 'none'; script-src 'self'"),
            "{answer}"
        );
        assert!(
            lower.contains("cache-control: no-store") && lower.contains("nosniff"),
            "{answer}"
        );
        assert!(!lower.contains("access-control-allow"), "{answer}");
    }
    // No script or style stands in the page itself, nothing comes from elsewhere, and there is no picture.
    for part in [page::HTML, page::CSS, page::SCRIPT] {
        for foreign in [
            "http://",
            "https://",
            "url(",
            "@import",
            " onclick",
            " onload",
            "style=",
            "<img",
            "innerHTML",
            "eval(",
        ] {
            let found = part.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(foreign), "{foreign}");
        }
    }
    assert!(!page::HTML.contains("<script>") && !page::HTML.contains("<style"));
}

#[test]
fn the_metrics_are_those_of_the_contract() {
    let shown = shown(&[
        NUMBERS,
        r#""suppressed":{"min_group":5}"#,
        r#""held":{"min_group":5}"#,
    ]);
    let (status, answer) = ask(&shown, &settings(), "GET /metrics HTTP/1.1");
    assert_eq!(status, 200);
    let text = body(&answer);
    for line in [
        "affectd_frames_captured_total 70",
        "affectd_frames_dropped_total{reason=\"heat\"} 2",
        "affectd_frame_duration_seconds_bucket{le=\"0.025\"} 6",
        "affectd_frame_duration_seconds_bucket{le=\"+Inf\"} 7",
        "affectd_frame_duration_seconds_count 7",
        "affectd_windows_total{kind=\"suppressed\"} 1",
        "affectd_windows_delivered_total 9",
        "affectd_mqtt_connected 1.0",
        "affectd_spool_messages 5.0",
        "affectd_accelerator_active{kind=\"xnnpack\"} 1.0",
        "affectd_accelerator_active{kind=\"edgetpu\"} 0.0",
        "affectd_soc_temperature_celsius 55.0",
        "affectd_starts_total 3",
        "affectd_disk_free_bytes 104857600.0",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|told| told == line),
            "{line} is missing:\n{text}"
        );
    }
    for word in [
        "happiness",
        "positive",
        "mood",
        "emotion",
        "people",
        "face",
        "cpu",
    ] {
        let names = text.lines().filter(|line| !line.starts_with('#'));
        assert!(names.clone().all(|line| !line.contains(word)), "{word}:\n{text}");
    }
}

/// Whoever reads page and metrics learns of a window without numbers only what its report says.
#[test]
fn whoever_was_in_a_window_without_numbers_page_and_metrics_are_the_same() {
    // One device saw nobody, the other four people at once: one expression was read per frame, all frames were slow.
    let (nobody, four) = (
        shown(&[r#""suppressed":{"min_group":5}"#]),
        shown(&[r#""suppressed":{"min_group":5}"#]),
    );
    let progress = &four.progress;
    for _ in 0..40 {
        progress.looked_at.add_one();
        progress.read.add_one();
        progress.replaced.add_one();
        progress.aiming.show(progress.elapsed(), || panic!("nobody aims"));
    }
    for line in ["GET /state HTTP/1.1", "GET /metrics HTTP/1.1", "GET / HTTP/1.1"] {
        let told = |shown| body(&ask(shown, &settings(), line).1).to_owned();
        assert_eq!(told(&nobody), told(&four), "{line}");
    }
}

#[test]
fn boxes_are_seen_only_after_somebody_has_asked_on_the_page() {
    let shown = shown(&[]);
    let progress = &shown.progress;
    let look = || {
        let rect = Rect {
            x: 64.0,
            y: 48.0,
            w: 64.0,
            h: 96.0,
        };
        progress.aiming.show(progress.elapsed(), || {
            Sight::new((640.0, 480.0), 90, [rect].into_iter())
        });
    };
    let state = || -> serde_json::Value {
        serde_json::from_str(body(&ask(&shown, &settings(), "GET /state HTTP/1.1").1)).expect("JSON")
    };
    look();
    assert_eq!(state()["aiming"], serde_json::Value::Null);
    // Not from elsewhere.
    let foreign =
        "POST /aiming/begin HTTP/1.1\r\nOrigin: http://evil.example\r\nX-Affectd: page\r\nContent-Length: 0";
    assert_eq!(ask(&shown, &settings(), foreign).0, 403);
    let plain = "POST /aiming/begin HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 0";
    assert_eq!(ask(&shown, &settings(), plain).0, 403);
    assert_eq!(state()["aiming"], serde_json::Value::Null);
    assert_eq!(ask(&shown, &settings(), BEGIN).0, 200);
    look();
    let aiming = &state()["aiming"];
    assert_eq!(aiming["seconds_left"], 600);
    assert_eq!(
        aiming["sight"]["faces"],
        serde_json::json!([{"x": 10, "y": 10, "width": 10, "height": 20, "px": 64}])
    );
    // A privacy pause ends it, and it cannot begin in one.
    progress.set_paused(crate::progress::PausedBy::Button, true);
    assert_eq!(state()["aiming"], serde_json::Value::Null);
    assert_eq!(ask(&shown, &settings(), BEGIN).0, 409);
    progress.set_paused(crate::progress::PausedBy::Button, false);
    ask(&shown, &settings(), BEGIN);
    assert_eq!(ask(&shown, &settings(), &BEGIN.replace("begin", "end")).0, 200);
    assert_eq!(state()["aiming"], serde_json::Value::Null);
}

#[test]
fn without_the_password_nothing_is_told() {
    let shown = shown(&[NUMBERS]);
    let settings = config::Status {
        password: Some(Secret::new("a password of the site test")),
        ..settings()
    };
    for line in [
        "GET / HTTP/1.1",
        "GET /metrics HTTP/1.1",
        "GET /state HTTP/1.1",
        "GET /nothing HTTP/1.1",
        BEGIN,
    ] {
        let (status, answer) = ask(&shown, &settings, line);
        assert_eq!(status, 401, "{line}");
        assert!(
            answer.to_lowercase().contains("www-authenticate: basic"),
            "{answer}"
        );
        assert_eq!(
            body(&answer),
            "A password is needed; any user name goes with it.\n"
        );
    }
    let foreign = b"GET /state HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(served(&settings, Arc::clone(&shown), foreign).starts_with(b"HTTP/1.1 421"));
    assert!(shown.progress.aiming.left(Duration::ZERO).is_none());
}

#[test]
fn whoever_is_slow_or_talks_nonsense_is_cut_off() {
    let shown = shown(&[]);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    for nonsense in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET",
        b"",
        b"hello\r\n\r\n",
        long.as_bytes(),
    ] {
        let answer = served(&settings(), Arc::clone(&shown), nonsense);
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(refused, "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn the_page_is_small() {
    let bytes = page::HTML.len() + page::CSS.len() + page::SCRIPT.len();
    assert!(bytes < 20_000, "{bytes} bytes");
}
