//! What Home Assistant makes of our messages, by its own template language; `make test-ha` asks a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{affectd, clip_config, replayed, root};
use serde_json::{Value, json};

/// The discovery of a device with the bundled clip.
fn discovery() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("affectd.toml");
    std::fs::write(&config, clip_config(1, "homeassistant = true")).unwrap();
    let output = affectd()
        .arg("homeassistant")
        .arg("-c")
        .arg(&config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["topic"], "homeassistant/device/affectd_unit/config");
    all["payload"].clone()
}

/// The states of a topic's entities after each payload.
fn rendered(message: &Value, topic: &str, payloads: &[Value]) -> Vec<Value> {
    let mut python = Command::new(root().join(".venv/bin/python"))
        .arg(root().join("tests/templates.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(".venv is missing: run `make setup`");
    let asked = json!({"message": message, "payloads": {topic: payloads}});
    python
        .stdin
        .take()
        .unwrap()
        .write_all(asked.to_string().as_bytes())
        .unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "a template cannot cope with a payload");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer[topic].as_array().unwrap().clone()
}

/// Real windows of all three kinds.
fn windows() -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("affectd.toml");
    std::fs::write(
        &config,
        clip_config(1, "").replace("repeat = true", "repeat = false"),
    )
    .unwrap();
    let output = affectd()
        .arg("replay")
        .arg(root().join("tests/data/clip.mjpeg"))
        .arg("-c")
        .arg(&config)
        .output()
        .unwrap();
    let (status, reports, said) = replayed(&output);
    assert_eq!(status, Some(0), "{said}");
    reports
}

/// The entities that say something of the group.
fn of_the_group(states: &Value) -> Vec<(&String, &str)> {
    let states = states.as_object().unwrap().iter();
    states
        .filter(|(key, _)| {
            key.starts_with("share_") || ["mood", "people", "people_peak"].contains(&key.as_str())
        })
        .map(|(key, state)| (key, state.as_str().unwrap()))
        .collect()
}

#[test]
fn what_was_not_told_is_unknown_and_never_zero() {
    let message = discovery();
    let topic = "affectd/test/unit/door/window";
    let mut windows = windows();
    // Of a group that is all alike: no shares, and a mood without scores.
    let mut alike = windows
        .iter()
        .find(|window| window["people"].is_object())
        .unwrap()
        .clone();
    alike["emotion"] = json!({"at_least": {"happiness": 0.8}});
    alike["mood"] = Value::Null;
    windows.push(alike);
    // One that waited for the broker for a day.
    let mut late = windows
        .iter()
        .find(|window| window["people"].is_object())
        .unwrap()
        .clone();
    (late["clock_synced"], late["end"]) = (true.into(), "2026-01-01T00:00:00.000Z".into());
    windows.push(late);
    let states = rendered(&message, topic, &windows);
    let mut kinds = std::collections::BTreeSet::new();
    for (window, states) in windows.iter().zip(&states) {
        let group = of_the_group(states);
        assert_eq!(group.len(), 11, "eight expressions, mood, people: {group:?}");
        let is_late = window["clock_synced"] == true && window["end"] == "2026-01-01T00:00:00.000Z";
        if is_late || !window["people"].is_object() {
            assert!(
                group.iter().all(|(_, state)| *state == "None"),
                "{window} {group:?}"
            );
            kinds.insert(states["report"].as_str().unwrap().to_owned());
            continue;
        }
        kinds.insert("numbers".to_owned());
        assert_eq!(states["report"], "numbers");
        assert_eq!(states["people"], window["people"]["mean"].to_string());
        assert_eq!(states["people_peak"], window["people"]["peak"].to_string());
        let mood = window["mood"]["class"].as_str().unwrap_or("None");
        assert_eq!(states["mood"], mood);
        for (key, state) in group
            .iter()
            .filter_map(|(key, s)| Some((key.strip_prefix("share_")?, s)))
        {
            let expected = match &window["emotion"]["share"][key] {
                Value::Null => "None".to_owned(),
                share => format!("{}", (share.as_f64().unwrap() * 100.0).round()),
            };
            assert_eq!(*state, expected, "{key}");
        }
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(kinds, ["None", "held", "numbers", "suppressed"]);
}

#[test]
fn health_of_a_board_that_tells_little_is_unknown_in_that() {
    let message = discovery();
    let topic = "affectd/test/unit/health";
    let of_board = |board: Value| {
        json!({"uptime_seconds": 60, "frames": {"per_second": 9.5}, "board": board,
        "spool": {"waiting": 0, "dropped": 2}})
    };
    let states = rendered(
        &message,
        topic,
        &[
            of_board(json!({"celsius": null, "throttled": null, "under_voltage": null})),
            of_board(json!({"celsius": 61.2, "throttled": false, "under_voltage": true})),
            json!({}),
        ],
    );
    assert_eq!(
        states,
        [
            json!({"frame_rate": "9.5", "temperature": "None", "waiting": "0", "dropped": "2", "uptime": "60",
                "throttled": "None", "under_voltage": "None"}),
            json!({"frame_rate": "9.5", "temperature": "61.2", "waiting": "0", "dropped": "2", "uptime": "60",
                "throttled": "OFF", "under_voltage": "ON"}),
            json!({"frame_rate": "None", "temperature": "None", "waiting": "None", "dropped": "None", "uptime": "None",
                "throttled": "None", "under_voltage": "None"}),
        ]
    );
    // Windows feed what windows say, whatever kind they are; and the word for a clean end is not taken for away.
    let availability = &message["availability"][0];
    assert_eq!(availability["topic"], "affectd/test/unit/status");
    assert!(
        availability["value_template"]
            .as_str()
            .unwrap()
            .contains("else 'offline'")
    );
}
