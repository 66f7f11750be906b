//! Delivery, counted: the real daemon, killed again and again, a broker that is restarted, a network that swallows, cuts of
//! the power; and a subscriber with a session, who has everything in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::network::Network;
use common::{Mosquitto, Process, Subscriber, affectd, clip_config, root, stderr, stdout, wait_until};
use serde_json::Value;

/// A window: the run of the daemon, and its number.
type Key = (String, u64);

/// Windows that a power cut may take: those that were not synced yet, and a few that came while they were written.
const SYNC: usize = 20 + 6;

/// The broker of a proof.
trait Broker {
    fn port(&self) -> u16;
    fn protocol(&self) -> &'static str;
    /// Ends it, hard if it can bear that, and starts it again after a while.
    fn restart(&mut self, hard: bool, after: Duration);
}

impl Broker for Mosquitto {
    fn port(&self) -> u16 {
        self.port
    }

    fn protocol(&self) -> &'static str {
        "5"
    }

    fn restart(&mut self, _: bool, after: Duration) {
        // Killed, it forgets what it has acknowledged for those who are away.
        self.stop();
        thread::sleep(after);
        self.start();
    }
}

/// Another broker, which a script installs, starts and ends.
struct Other {
    name: String,
    port: u16,
    protocol: &'static str,
}

impl Other {
    fn script(&self, what: &str) {
        let script = root().join("tests/outage-brokers.sh");
        let done = Command::new(script)
            .args([what, &self.name, &self.port.to_string()])
            .status();
        assert!(
            done.unwrap().success(),
            "tests/outage-brokers.sh {what} {}",
            self.name
        );
    }
}

impl Broker for Other {
    fn port(&self) -> u16 {
        self.port
    }

    fn protocol(&self) -> &'static str {
        self.protocol
    }

    fn restart(&mut self, hard: bool, after: Duration) {
        self.script(if hard { "kill" } else { "stop" });
        thread::sleep(after);
        self.script("start");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.script("stop");
    }
}

/// A mosquitto that keeps what it has acknowledged for those who are away.
fn keeping_mosquitto() -> Mosquitto {
    let mut broker = Mosquitto::prepared(&[]);
    let folder = broker.folder().display().to_string();
    broker.configure(&format!(
        "persistence true\npersistence_location {folder}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"
    ));
    broker.start();
    broker
}

/// The device: its state directory on the disk, its runtime directory in memory, a configuration.
struct Device {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Device {
    /// Twenty windows a second if the machine is fast enough, some of them with numbers.
    fn new(port: u16, protocol: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("pictures");
        fs::create_dir(&pictures).unwrap();
        let group = image::open(root().join("tests/data/images/five_friends.jpg")).unwrap();
        group.thumbnail(480, 360).save(pictures.join("a.jpg")).unwrap();
        for name in ["b", "c", "d", "e", "f", "g", "h"] {
            let nobody = image::RgbImage::new(160, 120);
            nobody.save(pictures.join(name).with_extension("jpg")).unwrap();
        }
        let clip = root().join("tests/data/clip.mjpeg").display().to_string();
        let more = format!("protocol = \"{protocol}\"\n[detector]\nmin_face_px = 16");
        let text = clip_config(port, &more)
            .replace(&clip, &pictures.display().to_string())
            .replace("fps = 4.0", "fps = 20.0");
        let config = folder.path().join("affectd.toml");
        fs::write(&config, text).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let device = Self { folder, config };
        fs::create_dir(device.runtime()).unwrap();
        device
    }

    fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn command(&self) -> Command {
        let mut command = affectd();
        command
            .env("STATE_DIRECTORY", self.folder.path().join("state"))
            .env("RUNTIME_DIRECTORY", self.runtime());
        command
    }

    fn start(&self) -> Process {
        Process::start(self.command().arg("run").arg("-c").arg(&self.config))
    }

    /// The windows that wait.
    fn waiting(&self) -> BTreeSet<Key> {
        let output = self.command().args(["spool", "--windows"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let lines = stdout(&output);
        lines
            .lines()
            .map(|line| key(&serde_json::from_str(line).unwrap()))
            .collect()
    }

    /// What was in memory is gone.
    fn cut_power(&self) {
        fs::remove_dir_all(self.runtime()).unwrap();
        fs::create_dir(self.runtime()).unwrap();
    }
}

fn key(window: &Value) -> Key {
    (
        window["boot_id"].as_str().unwrap().to_owned(),
        window["seq"].as_u64().unwrap(),
    )
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// What came of a proof.
#[derive(Debug, Default)]
struct Count {
    kills: u32,
    power_cuts: u32,
    restarts: u32,
    holes: u32,
    runs: usize,
    windows: usize,
    duplicates: usize,
    lost_with_the_power: usize,
    most_lost_at_once: usize,
}

/// Kills the daemon so often, at random moments and among other calamities, and counts what arrives.
fn prove(broker: &mut dyn Broker, kills: u32, every_restart: u64, seed: u64) -> Count {
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let network = Network::to(broker.port());
    network.break_off(true);
    let device = Device::new(network.port, broker.protocol());
    let subscriber = Subscriber::start(broker.port(), &[broker.protocol(), "session=counts"]);
    subscriber.wait_for_connection();
    let mut subscriber = subscriber;
    let mut count = Count::default();
    let (mut seen_waiting, mut lost) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..kills {
        let mut daemon = device.start();
        thread::sleep(dice.millis(50, 400));
        // Sometimes it dies before it has begun.
        let patient = dice.below(8) > 0;
        let log = || daemon.log().contains("is streaming");
        wait_until("the camera", || !patient || log(), || daemon.log());
        match dice.below(every_restart) {
            0 => {
                count.restarts += 1;
                broker.restart(dice.below(2) == 0, dice.millis(0, 1500));
            }
            1 | 2 => {
                count.holes += 1;
                network.swallow(true);
                thread::sleep(dice.millis(100, 900));
                network.swallow(false);
            }
            3 => network.break_off(true),
            _ => {}
        }
        thread::sleep(dice.millis(0, 1500));
        if !daemon.is_running() {
            let status = daemon.wait();
            panic!("the daemon has ended by itself ({status}): {}", daemon.log());
        }
        daemon.signal("-KILL");
        daemon.wait();
        count.kills += 1;
        let before = device.waiting();
        seen_waiting.extend(before.iter().cloned());
        if dice.below(5) == 0 {
            count.power_cuts += 1;
            device.cut_power();
            let after = device.waiting();
            let gone: BTreeSet<Key> = before.difference(&after).cloned().collect();
            assert!(
                gone.len() <= SYNC,
                "{} windows are lost with the power",
                gone.len()
            );
            count.most_lost_at_once = count.most_lost_at_once.max(gone.len());
            lost.extend(gone);
        }
        subscriber.catch_up();
    }
    let mut daemon = device.start();
    daemon.wait_for_log("Connected to the MQTT broker");
    wait_until("an empty spool", || device.waiting().len() <= 1, || daemon.log());
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert!(device.waiting().is_empty(), "{}", daemon.log());
    subscriber.wait_for_status("stopped");
    count.lost_with_the_power = lost.len();
    judge(&subscriber, &seen_waiting, &lost, &mut count);
    println!("{count:?}");
    count
}

/// Every number of every run has come, in order; what came twice was the same.
fn judge(subscriber: &Subscriber, waited: &BTreeSet<Key>, lost: &BTreeSet<Key>, count: &mut Count) {
    let mut first: HashMap<Key, String> = HashMap::new();
    let mut runs: Vec<String> = Vec::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for message in subscriber
        .seen()
        .iter()
        .filter(|message| message.topic.ends_with("/window"))
    {
        let key = key(&message.json());
        if let Some(before) = first.get(&key) {
            assert_eq!(*before, message.payload, "{key:?} came twice, and not the same");
            count.duplicates += 1;
            continue;
        }
        first.insert(key.clone(), message.payload.clone());
        let (run, number) = key;
        if runs.last() != Some(&run) {
            assert!(
                !runs.contains(&run),
                "windows of {run} came after those of a later run"
            );
            runs.push(run.clone());
        }
        let from = last.get(&run).map_or(0, |last| last + 1);
        for missing in from..number {
            let key = (run.clone(), missing);
            assert!(
                lost.contains(&key),
                "{missing} of {run} is missing before {number}"
            );
        }
        last.insert(run, number);
    }
    let missing: Vec<&Key> = waited
        .difference(lost)
        .filter(|key| !first.contains_key(*key))
        .collect();
    assert!(missing.is_empty(), "they waited and never came: {missing:?}");
    (count.runs, count.windows) = (runs.len(), first.len());
}

fn seed() -> u64 {
    let given = std::env::var("AFFECTD_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    given.unwrap_or(now.as_nanos() as u64 | 1)
}

#[test]
fn twenty_kills_lose_no_window() {
    let count = prove(&mut keeping_mosquitto(), 20, 10, seed());
    assert!(count.windows > 20 && count.runs > 5, "{count:?}");
}

/// `make test-delivery`: BROKER is mosquitto, rabbitmq or nats; KILLS how often.
#[test]
#[ignore = "takes a quarter of an hour: make test-delivery"]
fn many_kills_lose_no_window() {
    let kills = std::env::var("KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(500);
    let name = std::env::var("BROKER").unwrap_or_else(|_| "mosquitto".to_owned());
    let count = match name.as_str() {
        "mosquitto" => prove(&mut keeping_mosquitto(), kills, 12, seed()),
        other => {
            let mut broker = Other {
                name: other.to_owned(),
                port: common::free_port(),
                protocol: if other == "nats" { "3.1.1" } else { "5" },
            };
            broker.script("start");
            prove(&mut broker, kills, 30, seed())
        }
    };
    assert!(count.windows > kills as usize, "{count:?}");
}

#[test]
fn what_waits_can_be_looked_at_while_the_daemon_runs_and_goes_out_after_a_restart() {
    let mut broker = keeping_mosquitto();
    broker.stop();
    let device = Device::new(broker.port, "5");
    let mut daemon = device.start();
    wait_until("forty windows", || device.waiting().len() > 40, || daemon.log());
    let said = stdout(&device.command().arg("spool").output().unwrap());
    assert!(
        said.contains("windows wait in") && said.contains("run     "),
        "{said}"
    );
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
    assert!(
        daemon.log().contains("which wait on the disk for the next start"),
        "{}",
        daemon.log()
    );
    device.cut_power();
    let waiting = device.waiting();
    broker.start();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    subscriber.wait_for_connection();
    let mut daemon = device.start();
    let (first, all) = (waiting.first().unwrap().clone(), waiting.len());
    subscriber.window_numbers(all + 3);
    let windows: Vec<Key> = subscriber.windows().iter().map(key).collect();
    let expected: Vec<Key> = (0..all as u64).map(|number| (first.0.clone(), number)).collect();
    assert_eq!(
        windows[..all],
        expected,
        "those of before come first, under their own name"
    );
    assert_ne!(windows[all].0, first.0);
    assert_eq!(windows[all].1, 0);
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
}

/// A file system of its own, of one MiB.
struct Disk(PathBuf);

impl Disk {
    /// `None` where nothing may be mounted.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "affectd-test"])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }

    fn mode(&self, mode: &str) {
        let mounted = Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(&self.0)
            .status();
        assert!(mounted.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_or_read_only_or_gone_holds_up_nothing() {
    let broker = Mosquitto::started();
    let device = Device::new(broker.port, "5");
    let state = device.folder.path().join("state");
    let Some(disk) = Disk::mount(&state, "1m") else {
        println!("SKIPPED: nothing may be mounted here");
        return;
    };
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    subscriber.wait_for_connection();
    let fill = |full: bool| {
        let path = state.join("filler");
        if full {
            // As much as there is room for.
            let _ = fs::write(path, vec![1; 2 << 20]);
        } else {
            fs::remove_file(path).unwrap();
        }
    };
    disk.mode("ro");
    // Without memory that outlives it, everything is on the disk.
    let mut command = device.command();
    command.env_remove("RUNTIME_DIRECTORY");
    let mut daemon = Process::start(command.arg("run").arg("-c").arg(&device.config));
    let mut number = 0;
    let mut goes_on = |what: &str, daemon: &mut Process| {
        subscriber.catch_up();
        number = subscriber.windows().len() + 12;
        let numbers = subscriber.window_numbers(number);
        assert!(daemon.is_running(), "{what}: {}", daemon.log());
        let in_order: Vec<u64> = (0..numbers.len() as u64).collect();
        assert_eq!(numbers, in_order, "{what}");
    };
    goes_on("read-only", &mut daemon);
    daemon.wait_for_log("Read-only file system");
    disk.mode("rw");
    daemon.wait_for_log("works again");
    goes_on("mended", &mut daemon);
    fill(true);
    goes_on("full", &mut daemon);
    daemon.wait_for_log("cannot be written");
    fill(false);
    fs::remove_dir_all(state.join("spool")).unwrap();
    goes_on("gone", &mut daemon);
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.matches("spool").count() < 20, "it says so once:\n{log}");
}

/// A small ext4 in a file, as a card would be.
struct Card {
    image: PathBuf,
    at: PathBuf,
}

impl Card {
    /// `None` where nothing may be mounted.
    fn mount(folder: &Path, at: &Path) -> Option<Self> {
        let card = Self {
            image: folder.join("card"),
            at: at.to_owned(),
        };
        fs::File::create(&card.image).unwrap().set_len(24 << 20).unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&card.image)
            .status();
        (made.is_ok_and(|status| status.success()) && card.plug()).then_some(card)
    }

    fn plug(&self) -> bool {
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&self.image, &self.at])
            .status();
        mounted.is_ok_and(|status| status.success())
    }

    fn unplug(&self) {
        assert!(Command::new("umount").arg(&self.at).status().unwrap().success());
    }

    /// What is on it at this moment, for the next time that it is plugged in.
    fn copy(&self) -> PathBuf {
        let copy = self.image.with_extension("copy");
        let copied = Command::new("cp")
            .arg("--sparse=always")
            .args([&self.image, &copy])
            .status();
        assert!(copied.unwrap().success());
        copy
    }

    /// Bytes that were written to it so far.
    fn written(&self) -> u64 {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let at = self.at.display().to_string();
        let line = mounts
            .lines()
            .find(|line| line.split(' ').nth(1) == Some(&at))
            .unwrap();
        let device = line.split(' ').next().unwrap().trim_start_matches("/dev/");
        let stat = fs::read_to_string(format!("/sys/block/{device}/stat")).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(&self.at)
            .stderr(std::process::Stdio::null())
            .status();
    }
}

/// The card is copied while the daemon writes, and the device goes on with the copy, as after a power cut: what the kernel had not written
/// is gone, and the file system is as it was left.
#[test]
#[ignore = "needs root and loop devices: make test-delivery"]
fn a_power_cut_while_a_card_is_written_loses_what_was_not_synced() {
    let mut dice = Dice(seed());
    let mut broker = keeping_mosquitto();
    broker.stop();
    let device = Device::new(broker.port, "5");
    let state = device.folder.path().join("state");
    let cards = tempfile::tempdir().unwrap();
    let card = Card::mount(cards.path(), &state).expect("a card");
    let (mut all, mut lost) = (BTreeSet::new(), BTreeSet::new());
    let (mut most, rounds) = (0, 30);
    for _ in 0..rounds {
        let mut daemon = device.start();
        wait_until(
            "the camera",
            || daemon.log().contains("is streaming"),
            || daemon.log(),
        );
        thread::sleep(dice.millis(0, 4000));
        let before = device.waiting();
        let copy = card.copy();
        daemon.signal("-KILL");
        daemon.wait();
        card.unplug();
        fs::rename(copy, &card.image).unwrap();
        assert!(card.plug());
        device.cut_power();
        let after = device.waiting();
        let gone: BTreeSet<Key> = before.difference(&after).cloned().collect();
        assert!(
            gone.len() <= SYNC,
            "{} windows are lost with the power",
            gone.len()
        );
        most = most.max(gone.len());
        lost.extend(gone);
        all.extend(after);
    }
    assert!(lost.is_disjoint(&all), "what was lost once stays lost");
    broker.start();
    let mut subscriber = Subscriber::start(broker.port, &["5", "session=counts"]);
    subscriber.wait_for_connection();
    let mut daemon = device.start();
    daemon.wait_for_log("Connected to the MQTT broker");
    wait_until("an empty spool", || device.waiting().len() <= 1, || daemon.log());
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
    subscriber.wait_for_status("stopped");
    let mut count = Count::default();
    judge(&subscriber, &all, &lost, &mut count);
    println!(
        "{rounds} power cuts: {} windows delivered, {} lost, {most} at most at once",
        count.windows,
        lost.len()
    );
    assert!(count.windows > 500, "{count:?}");
    drop(card);
}

/// MINUTES of windows of 15 s on two cards: one whose broker is there, one whose broker is away.
#[test]
#[ignore = "measures: make measure-spool"]
fn measure_what_the_card_is_written_by_the_daemon() {
    let minutes = std::env::var("MINUTES")
        .ok()
        .and_then(|minutes| minutes.parse().ok())
        .unwrap_or(10u64);
    let broker = Mosquitto::started();
    let mut all = Vec::new();
    for (what, port, runtime) in [
        ("broker there", broker.port, true),
        ("broker away", common::free_port(), true),
        ("broker there, no runtime directory", broker.port, false),
    ] {
        let device = Device::new(port, "5");
        let text = clip_config(port, &format!("client_id = \"c{}\"", all.len()))
            .replace("length = \"2s\"", "length = \"15s\"")
            .replace("fps = 4.0", "fps = 0.5");
        fs::write(&device.config, text).unwrap();
        let cards = tempfile::tempdir().unwrap();
        let card = Card::mount(cards.path(), &device.folder.path().join("state")).expect("a card");
        let mut command = device.command();
        if !runtime {
            command.env_remove("RUNTIME_DIRECTORY");
        }
        let daemon = Process::start(command.arg("run").arg("-c").arg(&device.config));
        daemon.wait_for_log("is streaming");
        all.push((what, device, cards, card, daemon));
    }
    // What making the file systems has left to be written.
    thread::sleep(Duration::from_secs(60));
    let io = |daemon: &Process| {
        let text = fs::read_to_string(format!("/proc/{}/io", daemon.id())).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "))
            .unwrap();
        line.parse::<u64>().unwrap()
    };
    let before: Vec<(u64, u64)> = all
        .iter()
        .map(|(.., card, daemon)| (io(daemon), card.written()))
        .collect();
    thread::sleep(Duration::from_secs(minutes * 60));
    for ((what, .., card, daemon), (process, device)) in all.iter().zip(before) {
        let a_day = |bytes: u64| bytes as f64 * 1440.0 / minutes as f64 / 1_048_576.0;
        println!(
            "{what}: in {minutes} minutes {} bytes by the process, {} to the card; a day: {:.1} and {:.1} MiB",
            io(daemon) - process,
            card.written() - device,
            a_day(io(daemon) - process),
            a_day(card.written() - device)
        );
    }
}

/// How soon after its return the broker has the first window.
#[test]
#[ignore = "measures: make measure-spool"]
fn measure_how_soon_a_broker_that_is_back_has_a_window() {
    for seconds in [5, 30, 150] {
        let mut broker = keeping_mosquitto();
        let device = Device::new(broker.port, "5");
        let text = fs::read_to_string(&device.config)
            .unwrap()
            .replace("retry_max = \"1s\"", "");
        fs::write(&device.config, text).unwrap();
        let mut subscriber = Subscriber::start(broker.port, &["5", "session=counts"]);
        subscriber.wait_for_connection();
        let daemon = device.start();
        subscriber.window_numbers(5);
        broker.stop();
        thread::sleep(Duration::from_secs(seconds));
        subscriber.catch_up();
        let before = subscriber.windows().len();
        broker.start();
        let began = Instant::now();
        while subscriber.windows().len() == before {
            assert!(began.elapsed() < Duration::from_secs(120), "{}", daemon.log());
            thread::sleep(Duration::from_millis(10));
            subscriber.catch_up();
        }
        println!(
            "away for {seconds} s: the first window {:.1} s after it was back",
            began.elapsed().as_secs_f64()
        );
        drop(daemon);
    }
}
