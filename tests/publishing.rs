//! The real daemon, a real broker, and an independent subscriber who validates every payload against its schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Daemon, Mosquitto, Process, Subscriber, affectd, clip_config, free_port};
use serde_json::Value;

#[test]
fn a_run_from_birth_to_stopped() {
    for protocol in ["5", "3.1.1"] {
        let broker = Mosquitto::started();
        let mut subscriber = Subscriber::start(broker.port, &[protocol]);
        // Long windows: a busy machine, too, has looked at some frames by the middle of one.
        let more = format!("protocol = \"{protocol}\"\n[status]\nhealth_interval = \"10s\"");
        let config = clip_config(broker.port, &more).replace("length = \"1s\"", "length = \"3s\"");
        let mut daemon = Daemon::run(&config);
        let birth = subscriber.wait_for_status("online");
        assert_eq!((birth.topic.as_str(), birth.qos), ("affectd/test/unit/status", 1));
        subscriber.window_numbers(2);
        let window = subscriber
            .seen()
            .iter()
            .find(|m| m.topic.ends_with("/window"))
            .unwrap()
            .clone();
        let latest = subscriber.wait_for("the last report, retained", |m| m.topic.ends_with("/latest"));
        assert_eq!(latest.topic, "affectd/test/unit/door/latest");
        assert!(latest.json()["people"].is_object(), "{latest:?}");
        assert_eq!(
            (window.topic.as_str(), window.qos, window.retain),
            ("affectd/test/unit/door/window", 1, false)
        );
        let info = subscriber
            .seen()
            .iter()
            .find(|m| m.topic.ends_with("/info"))
            .unwrap()
            .json();
        assert_eq!(
            info["model"]["stand_in"],
            info["model"]["id"] == "fer-mini-xception"
        );
        let privacy = &info["privacy"];
        assert_eq!((&privacy["min_group"], &privacy["masks"]), (&5.into(), &0.into()));
        assert_eq!(privacy["silence_seconds"], 600.0);
        assert_eq!(privacy["config_sha256"].as_str().map(str::len), Some(64));
        let state = subscriber
            .seen()
            .iter()
            .find(|m| m.topic.ends_with("/door/state"))
            .unwrap()
            .json();
        assert_eq!(state["state"], "streaming");
        subscriber.wait_for("health with frames in its latency", |m| {
            m.topic.ends_with("/health") && frames_in_latency(&m.json()) > 0
        });

        // A subscriber who comes late finds the retained messages, and only those.
        let mut late = Subscriber::start(broker.port, &[protocol]);
        let retained = late.wait_for_status("online");
        assert!(retained.retain);

        // A clean end publishes the open window as partial, then `stopped`; the will does not come.
        // From a window that comes now, not one that waited while the late subscriber started: the daemon must be stopped
        // within a window, where its first frames are in.
        subscriber.catch_up();
        let seen = subscriber.windows().len();
        subscriber.window_numbers(seen + 1);
        std::thread::sleep(Duration::from_millis(1800));
        let asked = Instant::now();
        daemon.process.signal("-TERM");
        assert!(daemon.process.wait().success(), "{}", daemon.process.log());
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "it took {:?} to stop",
            asked.elapsed()
        );
        subscriber.wait_for_status("stopped");
        let windows = subscriber.windows();
        assert_eq!(windows.last().unwrap()["partial"], true);
        assert!(
            windows[..windows.len() - 1]
                .iter()
                .all(|window| window["partial"] == false)
        );
        assert!(!subscriber.seen().iter().any(|m| m.payload == "offline"));
        the_latency_has_the_frames_of_windows_with_numbers(&subscriber);
    }
}

fn frames_in_latency(health: &Value) -> u64 {
    let buckets = health["latency"].as_array().unwrap();
    buckets
        .iter()
        .map(|bucket| bucket["frames"].as_u64().unwrap())
        .sum()
}

/// In every health message: at most the frames of the windows with numbers, twelve each, and those in whole windows.
fn the_latency_has_the_frames_of_windows_with_numbers(subscriber: &Subscriber) {
    let windows = subscriber.windows();
    let numbers = windows
        .iter()
        .filter(|window| window["people"].is_object())
        .count() as u64;
    let health = subscriber.seen().iter().filter(|m| m.topic.ends_with("/health"));
    for health in health.map(common::Message::json) {
        let frames = frames_in_latency(&health);
        assert!(frames <= 12 * numbers, "{numbers} windows: {health}");
        for key in ["looked_at", "replaced"] {
            let said = health.to_string();
            assert!(
                !said.contains(key),
                "how many frames there is time for tells of people: {said}"
            );
        }
    }
}

#[test]
fn a_killed_daemon_leaves_its_will() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let daemon = Daemon::run(&clip_config(broker.port, ""));
    subscriber.wait_for_status("online");
    daemon.process.signal("-KILL");
    subscriber.wait_for_status("offline");
    let mut late = Subscriber::start(broker.port, &["5"]);
    assert!(
        late.wait_for_status("offline").retain,
        "the will is retained like the birth"
    );
}

#[test]
fn a_broker_that_comes_late_gets_every_window() {
    let mut broker = Mosquitto::prepared(&[]);
    let daemon = Daemon::run(&clip_config(broker.port, ""));
    daemon.process.wait_for_log("is not reached");
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    std::thread::sleep(Duration::from_secs(4));
    broker.start();
    let numbers = subscriber.window_numbers(6);
    assert!(numbers.len() >= 6);
    daemon.process.wait_for_log("is back");
    let complaints = daemon.process.log().matches("is not reached").count();
    assert_eq!(complaints, 1, "it says so once:\n{}", daemon.process.log());
    // The subscriber may come after the daemon; but what it sees has no gap, and the queued windows were kept.
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
}

#[test]
fn a_broker_restarted_on_the_way_loses_no_window() {
    let mut broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let daemon = Daemon::run(&clip_config(broker.port, "keep_alive = \"5s\""));
    subscriber.window_numbers(2);
    broker.kill();
    daemon.process.wait_for_log("is not reached");
    std::thread::sleep(Duration::from_secs(2));
    let before = subscriber.seen().len();
    broker.start();
    subscriber.wait_for_status("online");
    subscriber.wait_for("a window", |m| m.topic.ends_with("/window"));
    let numbers = subscriber.window_numbers(7);
    let again = &subscriber.seen()[before..];
    assert!(
        again.iter().any(|m| m.topic.ends_with("/info")),
        "info is published again"
    );
    assert!(
        again.iter().any(|m| m.topic.ends_with("/state")),
        "and the camera's state"
    );
    // The subscriber reconnects on its own and may miss what the daemon delivers before; the daemon itself counts.
    daemon.process.signal("-TERM");
    daemon.process.wait_for_log(" undelivered.");
    let log = daemon.process.log();
    assert!(
        log.contains("0 dropped, 0 refused, 0 damaged, 0 undelivered"),
        "{log}"
    );
    let acknowledged: u64 = log
        .split(" windows acknowledged")
        .next()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        acknowledged > *numbers.last().unwrap(),
        "every window up to the last was acknowledged: {log}"
    );
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "in order: {numbers:?}"
    );
}

#[test]
fn a_wrong_password_is_named_and_a_right_one_works() {
    let mut broker = Mosquitto::prepared(&[("camera", "right"), ("dashboard", "reader")]);
    broker.start();
    let secret = broker.folder().join("secret");
    let config = clip_config(
        broker.port,
        &format!("username = \"camera\"\npassword_file = \"{}\"", secret.display()),
    );
    std::fs::write(&secret, "wrong\n").unwrap();
    let mut daemon = Daemon::run(&config);
    daemon.process.wait_for_log("password_file");
    assert!(
        daemon.process.is_running(),
        "the password may be mended at the broker, so it keeps trying"
    );
    assert!(
        !daemon.process.log().contains("wrong\n"),
        "the password itself is never logged"
    );
    drop(daemon);
    std::fs::write(&secret, "right\n").unwrap();
    let _daemon = Daemon::run(&config);
    Subscriber::start(broker.port, &["5", "dashboard", "reader"]).window_numbers(1);
}

#[test]
fn a_second_device_with_the_same_id_is_explained() {
    let broker = Mosquitto::started();
    let first = Daemon::run(&clip_config(broker.port, ""));
    first.process.wait_for_log("Connected to the MQTT broker");
    let _second = Daemon::run(&clip_config(broker.port, ""));
    first.process.wait_for_log("the same client id");
}

#[test]
fn the_demo_plays_once_with_its_own_broker_for_both_versions() {
    let port = free_port();
    let mut demo = Process::start(
        affectd()
            .args(["demo", "--once", "--port", &port.to_string()])
            .stdout(Stdio::piped()),
    );
    let mut subscribers = ["3.1.1", "5"].map(|version| Subscriber::start(port, &[version]));
    for subscriber in &mut subscribers {
        subscriber.wait_for_status("online");
        subscriber.window_numbers(9);
    }
    assert!(demo.wait().success(), "{}", demo.log());
    for windows in subscribers.map(|subscriber| subscriber.windows()) {
        let count = |key: &str| windows.iter().filter(|window| window[key].is_object()).count();
        assert!(
            count("suppressed") >= 1,
            "the family of four is suppressed: {windows:#?}"
        );
        assert!(count("people") >= 3, "five friends and more are not");
        assert_eq!(
            count("suppressed") + count("held") + count("people"),
            windows.len()
        );
        for window in &windows {
            assert_eq!(window["source"], "recording");
        }
    }
}
