//! The real binary, a real broker and an independent subscriber, for the end-to-end tests.
#![allow(dead_code, unreachable_pub)] // not every test file needs everything

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub mod certificates;
pub mod memory;
pub mod network;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test; `TESTED_BINARY` is another one, such as an optimised build. Whose machine this is may have swap; what the daemon does about that is seen in `tests/swap.sh`.
pub fn affectd() -> Command {
    let binary = std::env::var_os("TESTED_BINARY");
    let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_affectd").into()));
    command.env("AFFECTD__PRIVACY__ALLOW_SWAP", "true");
    // Without a state directory of its own, a daemon would find what another test left.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let home = format!(
        "{}/state-{}-{number}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    command.env("XDG_STATE_HOME", home);
    command
}

/// Runs the binary to its end.
pub fn affectd_output(arguments: &[&str]) -> Output {
    affectd().args(arguments).output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command said to people, its folded lines made whole.
pub fn said(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
        .replace("\n        ", " ")
        .replace("\n    ", " ")
}

/// What a replay gave: exit code, reports, and what was said. Every line on standard output is a report, and nothing else
/// is there.
pub fn replayed(output: &Output) -> (Option<i32>, Vec<Value>, String) {
    let said = stderr(output);
    assert!(!said.contains("panicked"), "{said}");
    let reports = stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (output.status.code(), reports, said)
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The bundled clip as a video, made by ffmpeg with these arguments.
pub fn make_video(path: &Path, arguments: &[&str]) {
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-r", "4", "-f", "mjpeg", "-i"])
        .arg(root().join("tests/data/clip.mjpeg"))
        .args(arguments)
        .arg(path)
        .status();
    assert!(made.expect("ffmpeg is missing: run `make setup`").success());
}

/// A configuration for the bundled clip at real-time pace, with short windows; `more` is appended.
pub fn clip_config(port: u16, more: &str) -> String {
    format!(
        r#"config_version = 1
[deployment]
site = "test"
room = "{}"
device = "unit"
place = "other"
purpose = "End-to-end tests of affectd"
controller = "the developers"
[camera]
name = "door"
source = "{}"
fps = 4.0
repeat = true
[window]
length = "2s"
[mqtt]
port = {port}
retry_max = "1s"
{more}
"#,
        unique_room(),
        root().join("tests/data/clip.mjpeg").display()
    )
}

/// A room of its own for every daemon: two that look at the same one are refused.
fn unique_room() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("r{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A process that is killed when the test is over, and whose standard error is kept.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stderr.take().unwrap(), Arc::clone(&log));
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything on standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn wait_for_log(&self, text: &str) {
        wait_until(
            &format!("`{text}` in the log"),
            || self.log().contains(text),
            || self.log(),
        );
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.wait_for(PATIENCE)
    }

    /// Waits for what may take longer.
    pub fn wait_for(&mut self, patience: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < patience,
                "the process does not end:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(mut stderr: ChildStderr, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut piece) {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    });
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool, context: impl Fn() -> String) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < PATIENCE,
            "waited in vain for {what}:\n{}",
            context()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// The daemon on a configuration.
pub struct Daemon {
    pub process: Process,
    /// Its configuration's file; beside it is its state.
    pub config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Daemon {
    pub fn run(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("affectd.toml");
        std::fs::write(&path, config).unwrap();
        let process = Process::start(
            affectd()
                .arg("run")
                .arg("-c")
                .arg(&path)
                .env("STATE_DIRECTORY", folder.path())
                .env("RUNTIME_DIRECTORY", folder.path().join("run")),
        );
        Self {
            process,
            config: path,
            _folder: folder,
        }
    }

    /// Writes another configuration; nobody is told.
    pub fn configure(&self, config: &str) {
        std::fs::write(&self.config, config).unwrap();
    }
}

/// A real mosquitto on a port of its own.
pub struct Mosquitto {
    pub port: u16,
    config: PathBuf,
    process: Option<Process>,
    folder: tempfile::TempDir,
}

impl Mosquitto {
    /// Prepares a broker on a free port without starting it. With `users`, each is a name and a password, and nobody
    /// else may connect.
    pub fn prepared(users: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = folder.path().join("mosquitto.conf");
        let mut text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous {}\nuser root\n",
            users.is_empty()
        );
        if !users.is_empty() {
            let passwords = folder.path().join("passwords");
            std::fs::write(&passwords, "").unwrap();
            for (name, password) in users {
                let made = Command::new("mosquitto_passwd")
                    .arg("-b")
                    .arg(&passwords)
                    .args([name, password])
                    .status();
                assert!(
                    made.expect("mosquitto_passwd is missing: run `make setup`")
                        .success()
                );
            }
            text += &format!("password_file {}\n", passwords.display());
        }
        std::fs::write(&config, text).unwrap();
        Self {
            port,
            config,
            process: None,
            folder,
        }
    }

    /// Adds lines to its configuration.
    pub fn configure(&self, lines: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, text + lines).unwrap();
    }

    /// Makes it read its configuration and access rules again.
    pub fn reload(&self) {
        self.process.as_ref().unwrap().signal("-HUP");
    }

    pub fn started() -> Self {
        let mut broker = Self::prepared(&[]);
        broker.start();
        broker
    }

    pub fn start(&mut self) {
        let program = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "/usr/bin/mosquitto",
        ];
        let program = program.iter().find(|path| Path::new(path).exists());
        let program = program.expect("mosquitto is missing: run `make setup`");
        let process = Process::start(
            Command::new(program)
                .arg("-c")
                .arg(&self.config)
                .stdout(Stdio::null()),
        );
        let address = ("127.0.0.1", self.port);
        wait_until(
            "mosquitto",
            || std::net::TcpStream::connect(address).is_ok(),
            || process.log(),
        );
        self.process = Some(process);
    }

    /// Ends it as a restart of the service does: what it keeps is on the disk.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("-TERM");
            process.wait();
        }
    }

    /// Ends it without a goodbye to anybody.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Sends a message by mosquitto's own client; `more` are its arguments.
pub fn send(port: u16, topic: &str, payload: &[u8], more: &[&str]) {
    let mut client = Command::new("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-q",
            "1",
            "-t",
            topic,
            if payload.is_empty() { "-n" } else { "-s" },
        ])
        .args(more)
        .stdin(Stdio::piped())
        .spawn()
        .expect("mosquitto_pub is missing: run `make setup`");
    // Without a payload it may have ended by now.
    let _ = std::io::Write::write_all(&mut client.stdin.take().unwrap(), payload);
    assert!(client.wait().unwrap().success(), "{topic}");
}

/// A message as the subscriber saw it.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
    pub qos: u64,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap()
    }
}

/// paho in Python, which shares nothing with affectd's client; it also validates every payload against the schemas.
pub struct Subscriber {
    _process: Process,
    messages: Receiver<Message>,
    connected: Arc<AtomicBool>,
    seen: Vec<Message>,
}

impl Subscriber {
    pub fn start(port: u16, more: &[&str]) -> Self {
        let python = root().join(".venv/bin/python");
        assert!(python.exists(), ".venv is missing: run `make setup`");
        let mut process = Process::start(
            Command::new(python)
                .arg(root().join("tests/subscriber.py"))
                .arg(port.to_string())
                .args(more)
                .stdout(Stdio::piped()),
        );
        let stdout = process.child.stdout.take().unwrap();
        let (sender, messages) = channel();
        let connected: Arc<AtomicBool> = Arc::default();
        let theirs = Arc::clone(&connected);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).unwrap();
                let Some(topic) = value["topic"].as_str() else {
                    theirs.store(true, Ordering::Relaxed);
                    continue;
                };
                assert_eq!(value["problem"], "", "{line}");
                let message = Message {
                    topic: topic.to_owned(),
                    payload: value["payload"].as_str().unwrap().to_owned(),
                    retain: value["retain"].as_bool().unwrap(),
                    qos: value["qos"].as_u64().unwrap(),
                };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self {
            _process: process,
            messages,
            connected,
            seen: Vec::new(),
        }
    }

    /// Waits until it is subscribed.
    pub fn wait_for_connection(&self) {
        wait_until(
            "the subscriber",
            || self.connected.load(Ordering::Relaxed),
            String::new,
        );
    }

    /// Waits for a message; those before it are kept in `seen`.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(message) => {
                    self.seen.push(message.clone());
                    if wanted(&message) {
                        return message;
                    }
                }
                Err(error) => panic!(
                    "waited in vain for {what} ({error}; an invalid payload ends it, too); seen: {:#?}",
                    self.seen
                ),
            }
        }
    }

    /// Takes in what has come so far.
    pub fn catch_up(&mut self) {
        self.seen.extend(self.messages.try_iter());
    }

    pub fn wait_for_status(&mut self, word: &str) -> Message {
        self.wait_for(word, |m| m.topic.ends_with("/status") && m.payload == word)
    }

    /// Waits until so many windows were seen in all, and gives their sequence numbers in the order of arrival.
    pub fn window_numbers(&mut self, count: usize) -> Vec<u64> {
        while self.windows().len() < count {
            self.wait_for("a window", |m| m.topic.ends_with("/window"));
        }
        self.windows()
            .iter()
            .map(|window| window["seq"].as_u64().unwrap())
            .collect()
    }

    pub fn windows(&self) -> Vec<Value> {
        self.seen
            .iter()
            .filter(|m| m.topic.ends_with("/window"))
            .map(Message::json)
            .collect()
    }

    pub fn seen(&self) -> &[Message] {
        &self.seen
    }
}
