//! What goes wrong in the field with files, videos and commands: nothing hangs, nothing is left out in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Daemon, Process, affectd, clip_config, free_port, make_video, root, stderr};
use serde_json::Value;

/// Whatever happens, a replay of little ends in this time, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);
/// Within this time a stop is to end the program.
const STOP: Duration = Duration::from_secs(5);

fn image(name: &str) -> PathBuf {
    root().join("tests/data/images").join(name)
}

/// Replays with these arguments, no longer than [`SOON`]: exit status, reports, and what was said.
fn replay(command: &mut Command) -> (Option<i32>, Vec<Value>, String) {
    let began = Instant::now();
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while process.try_wait().unwrap().is_none() {
        if began.elapsed() > SOON {
            process.kill().unwrap();
            panic!("it hangs: {}", stderr(&process.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = process.wait_with_output().unwrap();
    common::replayed(&output)
}

fn of(path: &Path) -> Command {
    let mut command = affectd();
    command.arg("replay").arg(path);
    command
}

/// A folder with a program called `ffmpeg` that is this shell script.
fn fake_ffmpeg(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ffmpeg");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("video.mp4"), "a video").unwrap();
    folder
}

/// The same arguments with that program first in the path.
fn with_fake(command: &mut Command, folder: &tempfile::TempDir) {
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.path().display()));
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A configuration with this camera, and windows of this length.
fn camera_config(lines: &str, window: &str) -> String {
    let clip = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    let config = clip_config(free_port(), "").replace(&clip, lines);
    let start = config.find("length = ").expect("a window");
    let end = start + config[start..].find('\n').expect("a line");
    format!("{}length = \"{window}\"{}", &config[..start], &config[end..])
}

#[test]
fn what_ffmpeg_has_to_say_of_a_damaged_video_is_taken_off_it() {
    // More than a pipe holds, then a picture.
    let folder =
        fake_ffmpeg("head -c 300000 /dev/zero | tr '\\0' e >&2; echo >&2; printf 'P6\\n1 1\\n255\\nabc'");
    let mut command = of(&folder.path().join("video.mp4"));
    with_fake(&mut command, &folder);
    let (code, reports, said) = replay(&mut command);
    assert_eq!((code, reports.len()), (Some(0), 1), "{said}");

    // A real one: ffmpeg has several lines to say for every damaged frame.
    let video = folder.path().join("damaged.mp4");
    make_video(
        &video,
        &[
            "-frames:v",
            "40",
            "-vf",
            "scale=320:240",
            "-c:v",
            "mpeg4",
            "-q:v",
            "3",
        ],
    );
    let mut bytes = std::fs::read(&video).unwrap();
    let end = bytes.len() - 8000;
    (2000..end).step_by(97).for_each(|at| bytes[at] ^= 0x5A);
    std::fs::write(&video, bytes).unwrap();
    let (code, _, said) = replay(of(&video).args(["--fps", "4"]));
    assert!(matches!(code, Some(0 | 66)), "{code:?}: {said}");
}

#[test]
fn a_video_that_gives_nothing_any_more_does_not_hold_up_a_stop() {
    let folder = fake_ffmpeg("printf 'P6\\n1 1\\n255\\nabcP6\\n5 5\\n255\\nab'; trap '' TERM; sleep 1000");
    let mut command = of(&folder.path().join("video.mp4"));
    with_fake(&mut command, &folder);
    let mut process = Process::start(command.stdout(Stdio::null()));
    std::thread::sleep(Duration::from_secs(1));
    let asked = Instant::now();
    process.signal("-TERM");
    process.wait();
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "b.mjpeg", "c.mp4"] {
        let path = folder.path().join(name);
        fifo(&path);
        let (code, _, said) = replay(&mut of(&path));
        assert!(matches!(code, Some(65 | 66)), "{code:?}: {said}");
        assert!(said.contains("only a file is read"), "{said}");
    }
    std::fs::copy(image("five_friends.jpg"), folder.path().join("z.jpg")).unwrap();
    let (code, reports, said) = replay(&mut of(folder.path()));
    assert_eq!((code, reports.len()), (Some(0), 1), "{said}");
    assert!(said.contains("1 frames looked at, 1 left out"), "{said}");
}

#[test]
fn a_system_that_gives_no_more_threads_ends_it() {
    let picture = image("five_friends.jpg");
    let mut command = match rustix::process::geteuid().is_root() {
        // The limit is none for root.
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit"]);
            command
        }
        false => Command::new("prlimit"),
    };
    command
        .args(["--nproc=1", env!("CARGO_BIN_EXE_affectd"), "replay"])
        .arg(picture);
    let (code, _, said) = replay(&mut command);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("gives no thread"), "{said}");
}

#[test]
fn a_video_that_is_decoded_too_slowly_is_told_once_and_played_later() {
    // A picture every 0.4 s, where ten a second are wanted.
    let folder =
        fake_ffmpeg("for i in $(seq 1 8); do printf 'P6\\n2 2\\n255\\nabcdefghijkl'; sleep 0.4; done");
    let mut command = of(&folder.path().join("video.mp4"));
    command.args(["--fps", "10", "--realtime"]);
    with_fake(&mut command, &folder);
    let (code, _, said) = replay(&mut command);
    assert_eq!(code, Some(0), "{said}");
    let told = "is read too slowly to be played at 10 frames per second";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert!(said.contains("8 frames looked at"), "{said}");
}

#[test]
fn damaged_pictures_are_left_out_and_a_replay_of_nothing_else_says_so_by_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(image("expressions.jpg")).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let part = |percent: usize| whole[..whole.len() * percent / 100].to_vec();
    put("a.jpg", &[&part(60)[..], &[0xFF, 0xD9]].concat());
    put(
        "b.jpg",
        &[&part(50)[..], &vec![0; 3000], &whole[whole.len() / 2 + 3000..]].concat(),
    );
    put("c.jpg", &[&part(40)[..], &whole[whole.len() / 2..]].concat());
    let (code, _, said) = replay(&mut of(folder.path()));
    assert_eq!(code, Some(65), "{said}");
    assert_eq!(said.matches("is damaged: ").count(), 3, "{said}");
    assert!(said.contains("could be looked at (3 left out"), "{said}");
    // With one whole picture among them it is a replay like any other; what is behind its end does not matter.
    put("d.jpg", &[&whole[..], &[0; 5000]].concat());
    let (code, reports, said) = replay(&mut of(folder.path()));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 frames looked at, 3 left out"), "{said}");
    assert_eq!(reports.len(), 1);
}

#[test]
fn what_lies_in_a_folder_and_is_not_looked_at_is_told_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let put = |name: &str| std::fs::write(path(name), b"x").unwrap();
    for name in ["a.HEIC", "b.heic", "c.webp", "d.jfif", "noext"] {
        put(name);
    }
    std::fs::create_dir(path("more")).unwrap();
    symlink("..", path("more/loop")).unwrap();
    let (code, _, said) = replay(&mut of(folder.path()));
    assert_eq!(code, Some(66));
    let others =
        "5 files that are not looked at (2 .heic, 1 .jfif, 1 .webp, 1 without an ending) and a folder in it";
    assert!(said.contains("has no picture") && said.contains(others), "{said}");

    std::fs::copy(image("five_friends.jpg"), path("good.jpg")).unwrap();
    symlink("round.jpg", path("and.jpg")).unwrap();
    symlink("and.jpg", path("round.jpg")).unwrap();
    symlink("nowhere", path("gone.jpg")).unwrap();
    std::fs::create_dir(path("folder.jpg")).unwrap();
    let (code, reports, said) = replay(&mut of(folder.path()));
    assert_eq!((code, reports.len()), (Some(0), 1), "{said}");
    assert!(said.contains(others), "{said}");
    for (name, why) in [
        ("and.jpg", "symbolic links"),
        ("round.jpg", "symbolic links"),
        ("gone.jpg", "No such file"),
        ("folder.jpg", "Is a directory"),
    ] {
        let line = said.lines().find(|line| line.contains(&format!("/{name}`")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {said}");
    }
    assert!(said.contains("1 frames looked at, 4 left out"), "{said}");
}

#[test]
fn windows_at_the_end_are_reported_even_if_all_their_pictures_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("affectd.toml");
    std::fs::write(&config, camera_config("source = \"unused\"", "5s")).unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let whole = std::fs::read(image("five_friends.jpg")).unwrap();
    for number in 0..20 {
        let bytes = if number < 5 { &whole[..] } else { &whole[..5000] };
        std::fs::write(pictures.join(format!("{number:02}.jpg")), bytes).unwrap();
    }
    let mut command = of(&pictures);
    command.args(["--fps", "1", "--as-camera", "-c"]).arg(&config);
    let (code, reports, said) = replay(&mut command);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(reports.len(), 4, "twenty seconds in windows of five");
    assert!(
        reports
            .iter()
            .all(|report| report["partial"] != Value::Bool(true))
    );
    assert!(said.contains("5 frames looked at, 15 left out"), "{said}");
}

/// The daemon on a command, until this is in its log; then it is stopped.
fn command_says(script: &str, more: &str, words: &str) -> String {
    let command = ["sh", "-c", script];
    let lines = format!("command = {command:?}\nframe_timeout = \"2s\"\n{more}");
    let mut daemon = Daemon::run(&camera_config(&lines, "15s"));
    daemon.process.wait_for_log(words);
    let asked = Instant::now();
    daemon.process.signal("-TERM");
    assert!(daemon.process.wait().success());
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    daemon.process.log()
}

#[test]
fn a_command_that_writes_something_else_is_not_streaming() {
    let words = "writes no JPEGs";
    let log = command_says("while :; do echo hello; sleep 0.05; done", "", words);
    assert!(!log.contains("is streaming"), "{log}");
    // JPEGs by their marks, but none is whole.
    let clip = root().join("tests/data/clip.mjpeg").display().to_string();
    let torn = format!("while :; do head -c 9000 {clip}; printf '\\377\\331'; sleep 0.1; done");
    let log = command_says(&torn, "", "none of the last 2 s could be looked at");
    assert!(!log.contains("is streaming"), "{log}");
    assert!(log.contains("its pixels end after"), "{log}");
}

#[test]
fn raw_frames_that_are_not_as_configured_are_told_with_what_they_may_be() {
    let clip = root().join("tests/data/clip.mjpeg");
    let ffmpeg = |filter: &str| {
        format!(
            "exec ffmpeg -nostdin -loglevel error -re -r 4 -f mjpeg -i {} -vf {filter} -f rawvideo pipe:1",
            clip.display()
        )
    };
    let configured = "format = \"yuyv\"\nwidth = 320\nheight = 240";
    for (filter, likely) in [
        // One pixel wider: YUYV has pairs of them.
        ("scale=321:240 -pix_fmt yuyv422", "it may be 322×240 px in YUYV"),
        ("scale=320:240 -pix_fmt rgb24", "it may be 320×240 px in RGB3"),
    ] {
        let log = command_says(&ffmpeg(filter), configured, likely);
        assert!(log.contains("but one of 320×240 px in YUYV has 153600"), "{log}");
        assert!(!log.contains("is streaming"), "{log}");
    }
    let log = command_says(
        &ffmpeg("scale=320:240 -c:v mjpeg").replace("rawvideo", "mjpeg"),
        configured,
        "writes JPEGs",
    );
    assert!(log.contains("[camera] format says YUYV"), "{log}");
}

#[test]
fn a_replay_whose_reports_nobody_reads_ends_when_it_is_asked_to() {
    // A pipe that is full already: whoever writes into it waits.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut process = Process::start(of(&image("no_face.jpg")).stdout(writer));
    std::thread::sleep(Duration::from_secs(3));
    let asked = Instant::now();
    process.signal("-TERM");
    let status = process.wait();
    assert!(!status.success(), "it could not write: {}", process.log());
    // systemd waits six seconds.
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}
