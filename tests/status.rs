//! The real daemon's metrics, page and log, as Prometheus, a browser and a log reader find them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{
    Daemon, Mosquitto, Process, Subscriber, affectd, clip_config, free_port, root, stdout, wait_until,
};

/// The answer to a plain request, headers included; empty while nobody listens.
fn get(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn metrics_and_page_tell_what_was_published_and_bear_slow_visitors() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let port = free_port();
    let more = format!("[status]\nmetrics = true\npage = true\nlisten = \"127.0.0.1:{port}\"");
    let mut daemon = Daemon::run(&clip_config(broker.port, &more));
    subscriber.window_numbers(3);
    // Whoever connects and says nothing, or half a request, takes nobody's place for long.
    let slow: Vec<TcpStream> = (0..40)
        .filter_map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            if number % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: 127").ok()?;
            }
            Some(stream)
        })
        .collect();
    let began = Instant::now();
    let metrics = std::cell::RefCell::new(String::new());
    wait_until(
        "metrics beside forty slow visitors",
        || {
            *metrics.borrow_mut() = get(port, "/metrics");
            metrics.borrow().contains("affectd_mqtt_connected 1.0")
        },
        || metrics.borrow().clone(),
    );
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    drop(slow);
    let metrics = metrics.into_inner();
    assert!(
        value(&metrics, "affectd_frames_captured_total").unwrap() > 0.0,
        "{metrics}"
    );
    let kinds = ["numbers", "suppressed", "held"];
    let windows: f64 = kinds
        .iter()
        .map(|kind| value(&metrics, &format!("affectd_windows_total{{kind=\"{kind}\"}}")).unwrap())
        .sum();
    assert!(windows >= 3.0, "{metrics}");
    // What the page shows of a report is what was published of it.
    let state = get(port, "/state");
    let state: serde_json::Value = serde_json::from_str(state.split_once("\r\n\r\n").unwrap().1).unwrap();
    subscriber.catch_up();
    let published = subscriber.windows();
    let shown = state["reports"].as_array().unwrap();
    let mut compared = 0;
    for window in &published {
        let Some(report) = shown.iter().find(|report| report["seq"] == window["seq"]) else {
            continue;
        };
        let kind = match (&window["suppressed"], &window["held"]) {
            (suppressed, _) if suppressed.is_object() => "suppressed",
            (_, held) if held.is_object() => "held",
            _ => "numbers",
        };
        assert_eq!(report["kind"], kind);
        assert_eq!(report["end"], window["end"]);
        assert_eq!(report["people"][0], window["people"]["mean"]);
        assert_eq!(report["mood"], window["mood"]["class"]);
        compared += 1;
    }
    assert!(compared >= 3, "{state}");
    daemon.process.signal("-TERM");
    assert!(daemon.process.wait().success(), "{}", daemon.process.log());
}

#[test]
fn a_port_that_is_taken_is_told_and_the_daemon_runs_on() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let broker = Mosquitto::started();
    let more = format!("[status]\nmetrics = true\nlisten = \"127.0.0.1:{port}\"");
    let daemon = Daemon::run(&clip_config(broker.port, &more));
    daemon.process.wait_for_log("cannot be offered at 127.0.0.1");
    daemon.process.wait_for_log("is streaming");
    drop(taken);
    wait_until(
        "the port, once it is free",
        || get(port, "/metrics").contains("affectd_build_info"),
        || daemon.process.log(),
    );
}

#[test]
fn elsewhere_the_page_takes_a_password_and_https() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            &path("key"),
            "-out",
            &path("cert"),
        ])
        .stderr(Stdio::null())
        .status()
        .expect("openssl is missing");
    assert!(made.success());
    std::fs::write(path("password"), "correct horse battery\n").unwrap();
    let port = free_port();
    let more = format!(
        "[status]\npage = true\nlisten = \"0.0.0.0:{port}\"\npassword_file = {:?}\ntls_certificate = {:?}\ntls_key = {:?}",
        path("password"),
        path("cert"),
        path("key")
    );
    let daemon = Daemon::run(&clip_config(free_port(), &more));
    daemon.process.wait_for_log("can be read at https://");
    // curl is another's HTTPS.
    let fetch = |login: &str, url: &str| {
        let output = Command::new("curl")
            .args([
                "-s",
                "-m",
                "20",
                "--cacert",
                &path("cert"),
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ])
            .args(["-u", login, url])
            .output()
            .expect("curl is missing");
        stdout(&output)
    };
    let page = format!("https://localhost:{port}/state");
    assert_eq!(
        fetch("x:correct horse battery", &page),
        "200",
        "{}",
        daemon.process.log()
    );
    assert_eq!(fetch("x:wrong horse battery", &page), "401");
    daemon.process.wait_for_log("with a wrong password");
    assert_eq!(
        fetch(
            "x:correct horse battery",
            &format!("http://localhost:{port}/state")
        ),
        "000"
    );
    assert!(!daemon.process.log().contains("horse"));
}

#[test]
fn a_whole_demo_at_the_finest_level_has_no_line_per_face_or_frame() {
    let mut demo = Process::start(
        affectd()
            .args([
                "demo",
                "--once",
                "--port",
                "0",
                "--page-port",
                "0",
                "--log",
                "trace",
            ])
            .stdout(Stdio::null()),
    );
    let status = demo.wait_for(Duration::from_secs(180));
    let log = demo.log();
    assert!(status.success(), "{log}");
    let lines = log.lines().count();
    assert!(log.contains("is streaming"), "the log is written: {log}");
    // 200 frames with some 1,200 faces.
    assert!(lines < 60, "{lines} lines:\n{log}");
    for word in [
        "happiness",
        "anger",
        "sadness",
        "neutral",
        "surprise",
        "fear",
        "disgust",
        "contempt",
        "track",
        "face",
    ] {
        let found = log.lines().find(|line| line.to_lowercase().contains(word));
        assert_eq!(found, None, "`{word}` in the log");
    }
}

#[test]
fn the_log_as_json_has_one_object_per_line_and_says_how_it_began() {
    let broker = Mosquitto::started();
    let daemon = Daemon::run(&clip_config(broker.port, "[log]\nformat = \"json\""));
    daemon.process.wait_for_log("is streaming");
    let log = daemon.process.log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for key in ["time", "level", "target", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let begin = &lines[0];
    let said = begin["message"].as_str().unwrap();
    assert!(
        said.contains(env!("CARGO_PKG_VERSION")) && said.contains("affectd.toml"),
        "{said}"
    );
    assert!(said.contains("affectd/test/unit/"), "{said}");
    assert_eq!(begin["topics"], "affectd/test/unit");
    let camera = lines
        .iter()
        .find(|line| line["state"] == "streaming")
        .expect("a state");
    assert_eq!(camera["camera"], "door");
}

#[test]
fn a_killed_daemon_says_so_when_it_starts_again() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let folder = tempfile::tempdir().unwrap();
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    let command = format!(
        "command = [\"sh\", \"-c\", \"while :; do cat {}; done\"]",
        root().join("tests/data/clip.mjpeg").display()
    );
    let config = clip_config(broker.port, "[status]\nhealth_interval = \"10s\"")
        .replace(&clip, &command)
        .replace("length = \"2s\"", "length = \"5s\"");
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, config).unwrap();
    let run = || {
        Process::start(
            affectd()
                .args(["run", "-c"])
                .arg(&path)
                .env("STATE_DIRECTORY", folder.path()),
        )
    };
    let first = run();
    first.wait_for_log("is streaming");
    drop(first);
    let second = run();
    second.wait_for_log("was killed or crashed");
    let health = subscriber.wait_for("health of the second start", |m| {
        m.topic.ends_with("/health") && m.json()["starts"]["count"] == 2
    });
    let starts = &health.json()["starts"];
    assert_eq!(
        (&starts["unexpected"], &starts["cause"]),
        (&1.into(), &"killed".into())
    );
    let disk = &health.json()["disk"];
    assert!(
        disk["total_mib"].as_u64().unwrap() > 0 && disk["read_only"] == false,
        "{disk}"
    );
}

/// What one device tells of a room in which nothing but `picture` is seen: metrics and page, without what only time changes.
fn told_of(picture: &str) -> (String, serde_json::Value) {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let port = free_port();
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    let picture = root().join("tests/data/images").join(picture);
    let command = format!(
        "command = [\"sh\", \"-c\", \"while :; do cat {}; sleep 0.2; done\"]",
        picture.display()
    );
    let more = format!("[status]\nmetrics = true\npage = true\nlisten = \"127.0.0.1:{port}\"");
    let config = clip_config(broker.port, &more)
        .replace(&clip, &command)
        .replace("length = \"2s\"", "length = \"5s\"");
    let _daemon = Daemon::run(&config);
    subscriber.window_numbers(2);
    let metrics = get(port, "/metrics");
    assert!(
        metrics.contains("affectd_windows_total{kind=\"numbers\"} 0"),
        "{metrics}"
    );
    let timed = [
        "uptime",
        "frames_captured",
        "frame_rate ",
        "disk_free",
        "delivered",
        "spool",
        "windows_total",
        "soc_",
    ];
    let lines: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("affectd_") && !timed.iter().any(|name| line.contains(name)))
        .collect();
    assert!(lines.len() > 20, "{metrics}");
    let state = get(port, "/state");
    let mut state: serde_json::Value = serde_json::from_str(state.split_once("\r\n\r\n").unwrap().1).unwrap();
    for report in state["reports"].as_array_mut().unwrap() {
        assert_eq!(report["kind"], "suppressed");
    }
    (state["reports"], state["counts"]) = (serde_json::Value::Null, serde_json::Value::Null);
    let device = &mut state["device"];
    assert!(
        device["line"].as_str().unwrap().starts_with("Streaming"),
        "{device}"
    );
    device["line"] = serde_json::Value::Null;
    for key in ["boot_id", "at", "uptime_seconds", "board", "spool", "disk"] {
        device["health"][key] = serde_json::Value::Null;
    }
    for key in ["captured", "per_second"] {
        device["health"]["frames"][key] = serde_json::Value::Null;
    }
    (lines.join("\n"), state)
}

#[test]
fn an_empty_room_and_four_people_give_the_same_metrics_and_page() {
    assert_eq!(told_of("no_face.jpg"), told_of("family_of_four.jpg"));
}
