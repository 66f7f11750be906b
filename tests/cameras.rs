//! The real daemon on cameras that are commands, on devices that are none, and on none at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Daemon, Mosquitto, Subscriber, affectd_output, clip_config, free_port, root, stderr, stdout};
use serde_json::Value;

/// A configuration whose camera is what `lines` say.
fn camera_config(port: u16, lines: &str) -> String {
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    clip_config(port, "")
        .replace(&clip, &format!("{lines}\nframe_timeout = \"1s\""))
        .replace("length = \"2s\"", "length = \"5s\"")
}

/// A camera that is a shell script.
fn script_config(port: u16, script: &str) -> String {
    let command = ["sh", "-c", script];
    camera_config(port, &format!("command = {command:?}"))
}

/// Writes the bundled clip, at most `count` pictures, as a camera would: four per second.
fn ffmpeg(count: u32) -> String {
    let clip = root().join("tests/data/clip.mjpeg");
    format!(
        "exec ffmpeg -nostdin -loglevel error -re -r 4 -f mjpeg -i {} -frames:v {count} -c:v copy -f mjpeg pipe:1",
        clip.display()
    )
}

fn states(subscriber: &mut Subscriber) -> Vec<Value> {
    subscriber.catch_up();
    let seen = subscriber.seen().iter();
    seen.filter(|m| m.topic.ends_with("/door/state"))
        .map(common::Message::json)
        .collect()
}

fn wait_for_state(subscriber: &mut Subscriber, word: &str) -> Value {
    let message = subscriber.wait_for(word, |m| {
        m.topic.ends_with("/door/state") && m.json()["state"] == word
    });
    assert!(message.qos == 1, "{message:?}");
    message.json()
}

#[test]
fn a_commands_frames_become_windows_and_its_end_is_no_end() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let script = format!("echo hello from the camera >&2; {}", ffmpeg(40));
    let mut daemon = Daemon::run(&script_config(broker.port, &script));
    assert_eq!(wait_for_state(&mut subscriber, "streaming")["cause"], Value::Null);
    let ended = wait_for_state(&mut subscriber, "no_signal");
    assert!(
        ended["cause"].as_str().unwrap().contains("`sh` has ended"),
        "{ended}"
    );
    wait_for_state(&mut subscriber, "streaming");
    let window = subscriber.wait_for("a window with people", |m| {
        m.topic.ends_with("/window") && m.json()["people"]["peak"].as_u64() >= Some(5)
    });
    assert_eq!(window.json()["camera"], "door");
    let log = daemon.process.log();
    assert!(log.contains("sh: hello from the camera"), "{log}");
    assert!(daemon.process.is_running());
    // Each change is told once, and never the same twice in a row.
    let words: Vec<Value> = states(&mut subscriber)
        .iter()
        .map(|s| s["state"].clone())
        .collect();
    assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");

    let asked = Instant::now();
    daemon.process.signal("-TERM");
    assert!(daemon.process.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn raw_frames_of_a_command_are_read_by_their_size() {
    let clip = root().join("tests/data/clip.mjpeg");
    let script = format!(
        "exec ffmpeg -nostdin -loglevel error -re -r 4 -f mjpeg -i {} -vf scale=638:478 -pix_fmt yuyv422 -f rawvideo pipe:1",
        clip.display()
    );
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let config = script_config(broker.port, &script).replace(
        "frame_timeout",
        "format = \"yuyv\"\nwidth = 638\nheight = 478\nframe_timeout",
    );
    let _daemon = Daemon::run(&config);
    subscriber.wait_for("a window with people", |m| {
        m.topic.ends_with("/window") && m.json()["people"]["peak"].as_u64() >= Some(5)
    });
}

#[test]
fn a_command_that_hangs_is_noticed_and_stopped_with_all_its_children() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // It gives some pictures, and then a child of it hangs.
    let script = format!(
        "echo $$ >> {0}; {1}; sh -c 'echo $$ >> {0}; exec sleep 1000' & wait",
        pids.display(),
        ffmpeg(3).replacen("exec ", "", 1)
    );
    let mut daemon = Daemon::run(&script_config(broker.port, &script));
    wait_for_state(&mut subscriber, "streaming");
    let silent = wait_for_state(&mut subscriber, "no_data");
    assert!(
        silent["cause"].as_str().unwrap().contains("no frame within 1s"),
        "{silent}"
    );
    wait_for_state(&mut subscriber, "streaming");
    daemon.process.signal("-TERM");
    assert!(daemon.process.wait().success());
    let started = std::fs::read_to_string(&pids).unwrap();
    assert!(started.lines().count() >= 3, "it was started again: {started}");
    for pid in started.split_whitespace() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // One that has ended may wait for init to take note of it.
        assert!(
            status.is_empty() || status.contains(") Z "),
            "{pid} lives on: {status}"
        );
    }
}

#[test]
fn a_program_that_is_not_there_is_told_once_and_started_when_it_comes() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("camera");
    let config = camera_config(
        broker.port,
        &format!("command = [{:?}]", program.display().to_string()),
    );
    let daemon = Daemon::run(&config);
    let missing = wait_for_state(&mut subscriber, "no_device");
    assert!(
        missing["cause"].as_str().unwrap().contains("cannot be started"),
        "{missing}"
    );
    std::thread::sleep(Duration::from_secs(4));
    let log = daemon.process.log();
    assert_eq!(log.matches("cannot be started").count(), 1, "{log}");
    put_script(&program, &ffmpeg(1000));
    let back = Instant::now();
    wait_for_state(&mut subscriber, "streaming");
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(states(&mut subscriber).len(), 2);
}

fn put_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn a_device_that_is_no_camera_and_one_that_is_not_there_have_their_states() {
    let broker = Mosquitto::started();
    for (source, state, what) in [
        ("/dev/null", "no_signal", "asking what it is failed"),
        (
            "/dev/v4l/by-id/none-video-index0",
            "no_device",
            "opening it failed",
        ),
    ] {
        let mut subscriber = Subscriber::start(broker.port, &["5"]);
        let config = camera_config(broker.port, &format!("source = \"{source}\""));
        let daemon = Daemon::run(&config.replace("site = \"test\"", &format!("site = \"{state}\"")));
        let told = subscriber.wait_for(state, |m| m.topic == format!("affectd/{state}/unit/door/state"));
        assert_eq!(told.json()["state"], state);
        let cause = told.json()["cause"].as_str().unwrap().to_owned();
        assert!(cause.contains(source) && cause.contains(what), "{cause}");
        assert!(cause.contains("affectd cameras"), "{cause}");
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(
            daemon.process.log().matches(what).count(),
            1,
            "{}",
            daemon.process.log()
        );
        // The windows go on, and say that nothing was seen.
        let window = subscriber.wait_for("a window", |m| m.topic.ends_with("/window"));
        assert!(window.json()["suppressed"].is_object());
    }
}

#[test]
fn two_cameras_in_one_room_are_refused() {
    let config = script_config(free_port(), &ffmpeg(40));
    let first = Daemon::run(&config);
    first.process.wait_for_log("is streaming");
    let mut second = Daemon::run(&config);
    assert_eq!(second.process.wait().code(), Some(69), "{}", second.process.log());
    let log = second.process.log();
    assert!(
        log.contains("looks at the room") && log.contains("[deployment] room"),
        "{log}"
    );
    // Another room, or a recording, is none of its business.
    let mut other = Daemon::run(&script_config(free_port(), &ffmpeg(40)));
    other.process.wait_for_log("is streaming");
    assert!(other.process.is_running());
}

#[test]
fn check_tries_the_camera() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    let check = |config: &str| {
        std::fs::write(&path, config).unwrap();
        let output = affectd_output(&["check", "-c", path.to_str().unwrap()]);
        (output.status.code(), stdout(&output))
    };
    let (code, said) = check(&script_config(free_port(), "exec sleep 1000"));
    assert_eq!(code, Some(66), "{said}");
    assert!(
        said.contains("error   source: The camera's command `sh` gave no frame within 1s"),
        "{said}"
    );
    let (code, said) = check(&script_config(free_port(), &ffmpeg(5)));
    assert_eq!(code, Some(69), "only the broker is missing: {said}");
    assert!(said.contains("ok      source: `sh` gives pictures"), "{said}");
}

#[test]
fn source_and_command_together_are_an_error_and_every_preset_is_a_good_drop_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    std::fs::write(
        &path,
        camera_config(1, "source = \"/dev/video0\"\ncommand = [\"rpicam-vid\"]"),
    )
    .unwrap();
    let output = affectd_output(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        common::said(&output).contains("`command` is given, and `source` too"),
        "{}",
        common::said(&output)
    );

    std::fs::write(&path, camera_config(1, "source = \"/dev/video0\"")).unwrap();
    let mut presets = 0;
    for preset in std::fs::read_dir(root().join("config/presets")).unwrap() {
        let preset = preset.unwrap().path();
        let files = [path.to_str().unwrap(), preset.to_str().unwrap()];
        let output = affectd_output(&["config", "--effective", "-c", files[0], "-c", files[1]]);
        assert!(
            output.status.success(),
            "{}: {}",
            preset.display(),
            stderr(&output)
        );
        let effective: toml::Table = stdout(&output).parse().unwrap();
        let camera = &effective["camera"];
        assert_eq!(camera["source"].as_str(), Some(""), "{}", preset.display());
        assert!(!camera["command"].as_array().unwrap().is_empty() || camera["url"].as_str() != Some(""));
        // As it is, and with every line in force that is only offered: nothing that logs in is an argument.
        let text = std::fs::read_to_string(&preset).unwrap();
        assert!(
            !text
                .lines()
                .any(|line| line.contains("://") && line.contains('@')),
            "{text}"
        );
        presets += 1;
    }
    assert_eq!(presets, 3);
}

#[test]
fn cameras_are_listed_for_people_and_for_programs() {
    let output = affectd_output(&["cameras", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let cameras: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
    let text = stdout(&affectd_output(&["cameras"]));
    for camera in &cameras {
        assert!(text.contains(camera["source"].as_str().unwrap()), "{text}");
    }
    assert_eq!(cameras.is_empty(), text.contains("No camera is found"), "{text}");
}

#[test]
fn the_doctor_reports_what_every_camera_offers() {
    let text = stdout(&affectd_output(&["doctor"]));
    let report: Value = serde_json::from_str(&stdout(&affectd_output(&["doctor", "--json"]))).unwrap();
    let reported = report["cameras"].as_array().unwrap();
    let listed: Vec<Value> = serde_json::from_str(&stdout(&affectd_output(&["cameras", "--json"]))).unwrap();
    assert_eq!(reported.is_empty(), text.contains("cameras: none"), "{text}");
    for camera in &listed {
        let source = &camera["source"];
        let of_it = |device: &&Value| {
            device["device"] == *source || device["links"].as_array().unwrap().contains(source)
        };
        let device = reported
            .iter()
            .find(of_it)
            .unwrap_or_else(|| panic!("no {source} in {report}"));
        let offers = device["offers"].as_array().unwrap();
        assert_eq!(offers.len(), camera["offers"].as_array().unwrap().len());
        for offer in offers {
            assert!(
                text.contains(offer.as_str().unwrap()),
                "{offer} is not in:\n{text}"
            );
        }
        assert_eq!(
            device["chosen"].is_string(),
            camera["chosen"].is_object(),
            "{device}"
        );
    }
}
