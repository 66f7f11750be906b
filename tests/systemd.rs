//! What systemd sees of the real daemon: its messages, a watchdog that a standstill of any thread starves, the
//! unit's score.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{Mosquitto, PATIENCE, Process, Subscriber, affectd, free_port, root};

/// The watchdog's time in these tests. A thread may stand still for half of it.
const WATCHDOG: Duration = Duration::from_secs(6);

/// The clip at a pace that a slow machine keeps up with.
fn clip_config(port: u16, more: &str) -> String {
    common::clip_config(port, more).replace("fps = 4.0", "fps = 1.0")
}

/// One daemon at a time: what these tests measure is time.
static ALONE: Mutex<()> = Mutex::new(());

/// The daemon with a systemd that is played by the test.
struct Service {
    _alone: MutexGuard<'static, ()>,
    process: Process,
    messages: Receiver<(Instant, String)>,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config)
    }

    /// In a folder that is its state directory, too.
    fn start_in(folder: tempfile::TempDir, config: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut text = [0; 4096];
            while let Ok(count) = socket.recv(&mut text) {
                let text = String::from_utf8_lossy(&text[..count]).into_owned();
                if sender.send((Instant::now(), text)).is_err() {
                    break;
                }
            }
        });
        let path = folder.path().join("affectd.toml");
        std::fs::write(&path, config).unwrap();
        let process = Process::start(
            affectd()
                .arg("run")
                .arg("-c")
                .arg(&path)
                .env("NOTIFY_SOCKET", folder.path().join("notify"))
                .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
                .env("STATE_DIRECTORY", folder.path()),
        );
        Self {
            _alone: alone,
            process,
            messages,
            _folder: folder,
        }
    }

    /// Waits for a message that begins with `start`, and gives all messages up to it.
    fn wait_for(&self, start: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((_, text)) = self.messages.recv_timeout(left) else {
                panic!("no {start} among {seen:?}; log:\n{}", self.process.log());
            };
            seen.push(text);
            if seen.last().unwrap().starts_with(start) {
                return seen;
            }
        }
    }

    /// How often the watchdog was fed between `from` and `to` after now.
    fn fed(&self, from: Duration, to: Duration) -> usize {
        let began = Instant::now();
        std::thread::sleep(to);
        let during = self.messages.try_iter().filter(|(when, _)| *when >= began + from);
        during.filter(|(_, text)| text == "WATCHDOG=1").count()
    }
}

/// A thread that stands still until this is dropped.
struct Held(Child);

impl Held {
    /// `None` if the system does not allow it.
    fn hold(process: &Process, thread: &str) -> Option<Self> {
        let mut child = Command::new("python3")
            .arg(root().join("tests/hold_thread.py"))
            .args([&process.id().to_string(), thread])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        let held = std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said);
        if held.is_err() {
            assert_eq!(child.wait().unwrap().code(), Some(77), "hold_thread.py {thread}");
            return None;
        }
        Some(Self(child))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn systemd_is_told_of_start_life_and_end() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let config = clip_config(broker.port, "[status]\nhealth_interval = \"10s\"");
    let mut service = Service::start(&config);
    let start = service.wait_for("READY=1");
    assert!(start[0].starts_with("STATUS=Starting"), "{start:?}");
    service.wait_for("STATUS=Streaming: ");
    let fed = service.fed(Duration::ZERO, WATCHDOG / 2);
    assert!((4..=20).contains(&fed), "fed {fed} times in {WATCHDOG:?}");

    let health = subscriber.wait_for("health with frames in it", |m| {
        m.topic.ends_with("/health") && m.json()["frames"]["per_second"].as_f64().unwrap() > 0.0
    });
    assert_eq!(health.topic, "affectd/test/unit/health");
    assert_eq!((health.qos, health.retain), (0, false));
    let health = health.json();
    assert_eq!(health["schema"], "affectd/health/2");
    assert_eq!(
        (&health["camera"], &health["state"]),
        (&"door".into(), &"streaming".into())
    );
    assert_eq!(health["frames"]["configured_per_second"], 1.0);
    assert_eq!(health["frames"]["rate"], 1.0);
    assert_eq!(health["spool"]["dropped"], 0);

    // That it takes five seconds at most is proved in tests/nspawn.sh, with the release binary on a machine of its own: here
    // a frame of a debug binary beside other builds may take as long.
    service.process.signal("-TERM");
    let end = service.wait_for("STATUS=Stopping");
    assert!(end.contains(&"STOPPING=1".to_owned()), "{end:?}");
    assert!(service.process.wait().success(), "{}", service.process.log());
}

#[test]
fn a_thread_that_hangs_starves_the_watchdog() {
    let service = Service::start(&clip_config(free_port(), ""));
    service.wait_for("READY=1");
    // Vision runs in the first thread, which has the program's name.
    for (thread, told) in [
        ("capture", Some("capture")),
        ("affectd", Some("vision")),
        ("group", Some("group")),
        ("publish", Some("publish")),
        // The board feeds the watchdog itself, so its own hang needs no words.
        ("board", None),
    ] {
        let Some(held) = Held::hold(&service.process, thread) else {
            println!("SKIPPED: this system does not allow a test to stop a thread (ptrace): run it as root");
            return;
        };
        // A thread may stand still for half of the watchdog's time; after all of it nothing may come any more.
        let fed = service.fed(WATCHDOG, WATCHDOG * 3 / 2);
        assert_eq!(fed, 0, "with `{thread}` held:\n{}", service.process.log());
        drop(held);
        service.wait_for("WATCHDOG=1");
        if let Some(stage) = told {
            let log = service.process.log();
            let names =
                |line: &str| line.contains("has not come round") && line.contains(&format!("`{stage}`"));
            assert!(log.lines().any(names), "`{stage}` is not named:\n{log}");
        }
    }
}

#[test]
fn a_silent_source_does_not_starve_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe: PathBuf = folder.path().join("camera");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let source = format!("source = \"{}\"", root().join("tests/data/clip.mjpeg").display());
    let command = format!("command = [\"cat\", {pipe:?}]\nframe_timeout = \"2s\"");
    let config = clip_config(free_port(), "")
        .replace(&source, &command)
        .replace("length = \"2s\"", "length = \"5s\"");
    let service = Service::start(&config);
    let status = service.wait_for("STATUS=No frames from the camera (no_data)");
    assert!(
        !status.contains(&"READY=1".to_owned()),
        "not ready without a frame: {status:?}"
    );
    let fed = service.fed(WATCHDOG, WATCHDOG * 3 / 2);
    assert!(fed >= 4, "fed {fed} times:\n{}", service.process.log());
    // The source speaks, as often as it is started anew.
    let clip = root().join("tests/data/clip.mjpeg");
    let _camera = Process::start(Command::new("sh").arg("-c").arg(format!(
        "while :; do cat {} > {}; sleep 0.2; done",
        clip.display(),
        pipe.display()
    )));
    service.wait_for("READY=1");
}

#[test]
fn a_pause_from_before_holds_and_says_so() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("paused"), "").unwrap();
    let config = clip_config(broker.port, "[status]\nhealth_interval = \"10s\"");
    let service = Service::start_in(state, &config);
    let start = service.wait_for("READY=1");
    assert!(start.len() < 50, "a pause does not wait for a frame: {start:?}");
    service.wait_for("STATUS=Paused");
    let said = subscriber.wait_for("paused", |m| {
        m.topic.ends_with("/state") && m.payload.contains("paused")
    });
    assert_eq!(said.json()["state"], "paused");
    let health = subscriber.wait_for("health", |m| {
        m.topic.ends_with("/health") && m.payload.contains("paused")
    });
    assert_eq!(health.json()["frames"]["captured"], 0, "nobody was looked at");
}

#[test]
fn systemd_is_told_of_a_reload_and_of_a_configuration_that_is_not_used() {
    let broker = Mosquitto::started();
    let config = clip_config(broker.port, "");
    let service = Service::start(&config);
    service.wait_for("READY=1");
    let reload = |config: &str| {
        std::fs::write(service._folder.path().join("affectd.toml"), config).unwrap();
        service.process.signal("-HUP");
        let told = service.wait_for("RELOADING=1");
        assert!(told.last().unwrap().contains("\nMONOTONIC_USEC="), "{told:?}");
        service.wait_for("READY=1");
    };
    let status = |wrong: bool| {
        let began = Instant::now();
        while service
            .wait_for("STATUS=")
            .last()
            .unwrap()
            .contains("is wrong and not used")
            != wrong
        {
            assert!(began.elapsed() < PATIENCE, "{}", service.process.log());
        }
    };
    reload(&config.replace("fps =", "fsp ="));
    status(true);
    // Another window's length: the pipeline begins anew, and the watchdog goes on being fed.
    reload(&config.replace("length = \"2s\"", "length = \"3s\""));
    status(false);
    assert!(
        service.fed(Duration::ZERO, Duration::from_secs(4)) > 0,
        "{}",
        service.process.log()
    );
}

#[test]
fn a_wrong_configuration_is_named_in_the_status() {
    let mut service = Service::start(&clip_config(free_port(), "[mqqt]\nport = 1"));
    let status = service.wait_for("STATUS=Not started").pop().unwrap();
    assert!(status.contains("unknown table `mqqt`"), "{status}");
    assert_eq!(service.process.wait().code(), Some(78));
}

#[test]
fn the_unit_is_tight() {
    let unit = root().join("systemd/affectd.service");
    let analysed = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20", "--no-pager"])
        .arg(&unit)
        .output();
    let Ok(analysed) = analysed else {
        println!("SKIPPED: there is no systemd-analyze here, so the unit's score is not known");
        return;
    };
    let words = String::from_utf8_lossy(&analysed.stdout).into_owned();
    let score = words
        .rsplit("affectd.service: ")
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|score| score.parse::<f64>().ok());
    let score = score.unwrap_or_else(|| panic!("no score in {words} {:?}", analysed.stderr));
    println!("systemd-analyze security: {score}");
    // 0.6 of it is for adjtimex, which the score takes for setting the clock.
    assert!(
        score <= 2.0 && analysed.status.success(),
        "the unit scores {score}, more than 2.0"
    );
}

#[test]
fn the_unit_may_ask_the_kernel_for_its_clock_and_not_set_it() {
    let unit = std::fs::read_to_string(root().join("systemd/affectd.service")).unwrap();
    let has = |line: &str| unit.lines().any(|other| other == line);
    // It forbids the system call by which one asks, too.
    assert!(!has("ProtectClock=yes"));
    assert!(has("SystemCallFilter=adjtimex clock_adjtime clock_adjtime64"));
    assert!(
        has("CapabilityBoundingSet="),
        "without CAP_SYS_TIME nobody sets it"
    );
}
