//! What somebody outside can see of the real daemon, and that no secret is in it: log, MQTT, commands for people,
//! the list of processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{
    Daemon, Mosquitto, Process, Subscriber, affectd, affectd_output, clip_config, free_port, root, stderr,
    stdout,
};

/// Hard to write in an address, and to recognise afterwards.
const PASSWORD: &str = "pa:ss w@rd/1";

/// A configuration whose camera is what `lines` say.
fn camera_config(port: u16, lines: &str) -> String {
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    // A window as short as a live source may have it.
    clip_config(port, "")
        .replace(&clip, lines)
        .replace("length = \"2s\"", "length = \"5s\"")
}

/// A camera in the network; where it is, and the file that holds its password.
fn camera(folder: &Path, kind: &str, film: &Path, password: &str) -> (Process, String, PathBuf) {
    let port = free_port();
    let camera = Process::start(
        Command::new("python3")
            .arg(root().join("tests/network_camera.py"))
            .args([&port.to_string(), kind, "watcher", PASSWORD])
            .arg(film)
            .stdout(Stdio::null()),
    );
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    common::wait_until("the camera", listens, || camera.log());
    let file = folder.join("password");
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    (camera, format!("{kind}://127.0.0.1:{port}/x?channel=1"), file)
}

fn login(url: &str, file: &Path) -> String {
    format!("url = {url:?}\nusername = \"watcher\"\npassword_file = {file:?}")
}

/// The arguments of every process whose parent is `parent`.
fn arguments_of_children(parent: u32) -> Vec<String> {
    let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.ok()?.path();
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        let child = line.trim().parse::<u32>().ok()? == parent;
        child.then(|| std::fs::read(folder.join("cmdline")).ok())?
    });
    children
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .collect()
}

/// `text` as it stands in an address.
fn encoded() -> String {
    "pa%3Ass%20w%40rd%2F1".to_owned()
}

fn assert_nothing_of(secrets: &[&str], text: &str, what: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "{what} holds {secret}:\n{text}");
    }
}

/// A network camera that wants a login is read, and nobody sees with what.
fn is_read_and_its_password_is_nowhere(kind: &str, film: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (_camera, url, file) = camera(folder.path(), kind, film, &format!("\u{feff}{PASSWORD}\r\n"));
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let config = camera_config(broker.port, &login(&url, &file));
    let mut daemon = Daemon::run(&config);
    subscriber.wait_for("frames", |m| {
        m.topic.ends_with("/door/state") && m.json()["state"] == "streaming"
    });
    subscriber.wait_for("a window", |m| m.topic.ends_with("/door/window"));
    let arguments = arguments_of_children(daemon.process.id()).join("\n");
    assert!(arguments.contains("ffmpeg"), "{arguments}");
    let secrets = [PASSWORD, &encoded(), "w@rd", "w%40rd"];
    assert_nothing_of(&secrets, &arguments, "the list of processes");
    daemon.process.signal("-TERM");
    daemon.process.wait();
    assert_nothing_of(&secrets, &daemon.process.log(), "the log");
    for message in subscriber.seen() {
        assert_nothing_of(&secrets, &message.payload, &message.topic);
    }
}

#[test]
fn a_camera_over_http_is_read_with_a_password_that_nobody_sees() {
    is_read_and_its_password_is_nowhere("http", &root().join("tests/data/clip.mjpeg"));
}

#[test]
fn a_camera_over_rtsp_is_read_with_a_password_that_nobody_sees() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.ts");
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-r", "4", "-f", "mjpeg", "-i"])
        .arg(root().join("tests/data/clip.mjpeg"))
        .args([
            "-frames:v",
            "200",
            "-c:v",
            "mpeg2video",
            "-q:v",
            "3",
            "-r",
            "25",
            "-f",
            "mpegts",
        ])
        .arg(&film)
        .status()
        .expect("ffmpeg is missing: run `make setup`");
    assert!(made.success());
    is_read_and_its_password_is_nowhere("rtsp", &film);
}

#[test]
fn a_camera_that_refuses_the_password_says_so_and_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (_camera, url, file) = camera(
        folder.path(),
        "http",
        &root().join("tests/data/clip.mjpeg"),
        "wr0ngest",
    );
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, camera_config(1, &login(&url, &file))).unwrap();
    let said = stdout(&affectd_output(&["check", "-c", path.to_str().unwrap()])).replace("\n        ", " ");
    assert!(
        said.contains("401") && said.contains("[camera] username and password_file"),
        "{said}"
    );
    assert_nothing_of(&["wr0ngest"], &said, "check");
}

#[test]
fn a_password_in_a_commands_arguments_is_seen_nowhere_else() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let command = r#"command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", "rtsp://admin:hunter2@127.0.0.1:1/x", "-f", "mjpeg", "pipe:1"]"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, camera_config(broker.port, command)).unwrap();
    let file = path.to_str().unwrap();
    let mut daemon = Process::start(affectd().args(["run", "-c", file]).env("RUST_BACKTRACE", "1"));
    let state = subscriber.wait_for("no_signal", |m| m.payload.contains("no_signal"));
    let cause = state.json()["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("Connection refused"), "{cause}");
    daemon.signal("-TERM");
    daemon.wait();
    let log = daemon.log();
    assert!(
        log.contains("rtsp://***@127.0.0.1:1/x") && log.contains("[camera] command holds a password"),
        "{log}"
    );
    assert_nothing_of(&["hunter2"], &log, "the log");
    for message in subscriber.seen() {
        assert_nothing_of(&["hunter2"], &message.payload, &message.topic);
    }
    for arguments in [
        &["check"][..],
        &["config", "--effective"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let output = affectd().args(arguments).args(["-c", file]).output().unwrap();
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.len() > 100, "{said}");
        assert_nothing_of(&["hunter2"], &said, arguments[0]);
    }
    // A line that is wrong is shown, but for the secret in it; and the carets still stand where it is wrong.
    let wrong = camera_config(1, &command.replace("\"-f\"", "f"));
    std::fs::write(&path, wrong).unwrap();
    let said = stdout(&affectd_output(&["check", "-c", file]));
    assert_nothing_of(&["hunter2"], &said, "an excerpt");
    let lines: Vec<&str> = said.lines().collect();
    let carets = lines
        .iter()
        .position(|line| line.trim_start().starts_with('^'))
        .unwrap();
    let column = lines[carets].find('^').unwrap();
    assert_eq!(&lines[carets - 1][column..=column], "f", "{said}");
}

#[test]
fn nothing_that_a_terminal_obeys_gets_from_a_name_into_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a\u{1b}[2J\nERROR made up.jpg";
    std::fs::write(folder.path().join(name), "no picture").unwrap();
    std::fs::copy(
        root().join("tests/data/images/no_face.jpg"),
        folder.path().join("b.jpg"),
    )
    .unwrap();
    let output = affectd().arg("replay").arg(folder.path()).output().unwrap();
    let said = stderr(&output);
    assert!(said.contains(r"a\u{1b}[2J\u{a}ERROR made up.jpg"), "{said}");
    assert!(
        !said.contains('\u{1b}') && !said.lines().any(|line| line.starts_with("ERROR")),
        "{said}"
    );
    let gone = folder.path().join("x\nREADY=1.jpg");
    let said = stderr(&affectd().arg("replay").arg(gone).output().unwrap());
    assert!(said.contains(r"x\u{a}READY=1.jpg"), "{said}");
}

#[test]
fn what_was_typed_is_repeated_without_its_password_and_without_what_a_terminal_obeys() {
    let url = "rtsp://admin:hunter2@cam/\u{1b}[2Jx";
    for arguments in [
        &["check", url][..],
        &["replay", "a", url],
        &[url],
        &["replay", url],
    ] {
        let output = affectd_output(arguments);
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains("rtsp://***@cam/"), "{arguments:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains('\u{1b}'), "{said}");
    }
}
