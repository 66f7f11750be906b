//! A day without a broker: how it goes out afterwards, and what it costs. The ignored ones print what `docs/delivery.md` says:
//! `make measure-spool`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use affect_core::report::ReportBody;

use super::fake_broker::FakeBroker;
use super::network::Network;
use super::*;

/// Windows of 15 s in a day.
const DAY: u64 = 5760;
const STEP: Duration = Duration::from_secs(15);

/// A window with numbers, as long as one of a camera.
fn long_report(seq: u64) -> WindowReport {
    let mut report = report(seq);
    let released = serde_json::json!({
        "covers_seconds": 15.0, "coverage": {"frames": 1.0, "faces_skipped": 0.0}, "suppressed": null, "held": null,
        "coarsened": [], "people": {"mean": 6.2, "peak": 7},
        "emotion": {
            "mean": {"neutral": 0.41, "happiness": 0.32, "sadness": 0.12, "surprise": 0.05, "fear": 0.03, "anger": 0.04, "disgust": 0.03},
            "std": {"neutral": 0.12, "happiness": 0.21, "sadness": 0.11, "surprise": 0.05, "fear": 0.03, "anger": 0.04, "disgust": 0.03},
            "share": {"neutral": 0.45, "happiness": 0.35, "sadness": 0.2}, "unknown_share": 0.0
        },
        "mood": {"method": "expression_scores", "class": "positive", "score": {"negative": 0.2, "neutral": 0.4, "positive": 0.4}},
        "attributes": null
    });
    report.body = ReportBody::Released(Box::new(serde_json::from_value(released).unwrap()));
    report.device = "10000000abcdef01".to_owned();
    report.site = "main-hall".to_owned();
    report.camera = "door".to_owned();
    report.boot_id = "0123456789abcdef".to_owned();
    report.model.id = "mobilenet-affect-7".to_owned();
    report.model.sha256 = "5".repeat(64);
    report
}

fn window(seq: u64, given: Clocks) -> Window {
    Window {
        topic: "affectd/test/unit/door/window".to_owned(),
        report: serde_json::to_vec(&long_report(seq)).unwrap(),
        given,
    }
}

fn place(folder: &Path) -> Place {
    Place {
        state: folder.join("state/spool"),
        runtime: Some(folder.join("run/spool")),
    }
}

const LIMITS: Limits = Limits {
    age: Duration::from_secs(72 * 3600),
    size: 32 << 20,
};

/// Queue and keeper through so many windows that ended one after the other up to now.
fn wait_through(folder: &Path, windows: u64, mut each: impl FnMut(&mut Spool, &Clocks)) -> Spool {
    let (mut keeper, mut spool) = (Keeper::new(place(folder), LIMITS), Spool::new(LIMITS));
    let end = Clocks::now();
    let mut round = |spool: &mut Spool, now: &Clocks| {
        let done = keeper.work(spool.plan(now, false), now);
        spool.done(done, now);
    };
    for seq in 0..windows {
        let before = STEP * u32::try_from(windows - seq).unwrap();
        let now = Clocks {
            wall: end.wall - before,
            // Of an earlier start of the machine, whose clock was set.
            uptime: STEP * u32::try_from(seq).unwrap(),
            boot: end.boot ^ 1,
            synced: true,
        };
        round(&mut spool, &now);
        spool.push(window(seq, now), &now);
        each(&mut spool, &now);
        round(&mut spool, &now);
    }
    spool
}

fn drain(folder: &Path, port: u16, per_second: f64) -> Publisher {
    start(Settings {
        spool: Some(place(folder)),
        limits: LIMITS,
        drain_per_second: per_second,
        ..settings(port)
    })
}

fn wait_for(publisher: &Publisher, acknowledged: u64) -> Duration {
    let began = Instant::now();
    while publisher.outlook().acknowledged < acknowledged {
        assert!(
            began.elapsed() < Duration::from_secs(600),
            "{:?}",
            publisher.outlook()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

#[test]
fn a_day_goes_out_in_order_and_completely_through_restarts() {
    let folder = tempfile::tempdir().unwrap();
    drop(wait_through(folder.path(), DAY, |_, _| {}));
    let broker = FakeBroker::start(accepted, take);
    let mut acknowledged = 0;
    for share in [DAY / 3, DAY] {
        let publisher = drain(folder.path(), broker.port, f64::INFINITY);
        wait_for(&publisher, share - acknowledged);
        acknowledged += stop(publisher).acknowledged;
    }
    assert_eq!(acknowledged, DAY);
    let expected: Vec<u64> = (0..DAY).collect();
    assert_eq!(numbers(&broker), expected);
    let left = look(&place(folder.path()), LIMITS.size).unwrap();
    assert!(left.waiting.is_empty() && left.bytes == 0, "{} bytes", left.bytes);
}

fn of_proc(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn written() -> u64 {
    of_proc("io", "write_bytes:")
}

fn resident_kib() -> u64 {
    of_proc("status", "VmRSS:")
}

/// A folder on a disk, and memory for what is newest, as on a device.
fn device() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
    let memory = Path::new("/dev/shm").join(folder.path().file_name().unwrap());
    fs::create_dir_all(&memory).unwrap();
    std::os::unix::fs::symlink(&memory, folder.path().join("run")).unwrap();
    folder
}

struct Mosquitto(Child);

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

fn mosquitto(port: u16) -> Mosquitto {
    let child = Command::new("/usr/sbin/mosquitto")
        .args(["-p", &port.to_string()])
        .stderr(Stdio::null())
        .spawn();
    let broker = Mosquitto(child.expect("mosquitto is missing: run `make setup`"));
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    broker
}

#[test]
#[ignore = "measures: make measure-spool"]
fn measure_what_a_day_costs_the_card() {
    let length = window(1000, Clocks::now()).report.len();
    for away in [true, false] {
        let folder = device();
        let before = written();
        let spool = wait_through(folder.path(), DAY, |spool, now| {
            if !away && spool.first(now).is_some() {
                let (version, _) = spool.take().unwrap();
                spool.settle(version, spool::Settled::Acknowledged, now);
            }
        });
        let bytes = written() - before;
        println!(
            "card    broker {}: {DAY} windows of {length} bytes ({:.1} MiB): {:.2} MiB written, {} wait",
            if away { "away " } else { "there" },
            (length as u64 * DAY) as f64 / 1_048_576.0,
            bytes as f64 / 1_048_576.0,
            spool.summary().undelivered
        );
        assert!(if away { bytes < 16 << 20 } else { bytes < 64 << 10 });
    }
}

#[test]
#[ignore = "measures: make measure-spool"]
fn measure_how_a_day_drains() {
    for (latency, rate) in [(100, DRAIN_PER_SECOND), (100, f64::INFINITY), (0, f64::INFINITY)] {
        let folder = device();
        drop(wait_through(folder.path(), DAY, |_, _| {}));
        let free = std::net::TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let _broker = mosquitto(free);
        let network = Network::slow(free, Duration::from_millis(latency));
        let before = resident_kib();
        let publisher = drain(folder.path(), network.port, rate);
        let took = wait_for(&publisher, DAY);
        let after = resident_kib();
        println!(
            "drain   {latency} ms each way, at most {rate} a second: {DAY} windows in {:.1} s, {:.0} a second; resident {before} -> {after} KiB",
            took.as_secs_f64(),
            DAY as f64 / took.as_secs_f64()
        );
        assert_eq!(stop(publisher).acknowledged, DAY);
    }
}

#[test]
#[ignore = "measures: make measure-spool"]
fn measure_the_memory_of_a_full_spool() {
    let folder = device();
    let before = resident_kib();
    let spool = wait_through(folder.path(), 17_000, |_, _| {});
    let windows = spool.summary().undelivered;
    let filled = resident_kib();
    drop(spool);
    let (mut keeper, mut spool) = (Keeper::new(place(folder.path()), LIMITS), Spool::new(LIMITS));
    let (now, began) = (Clocks::now(), Instant::now());
    let done = keeper.work(spool.plan(&now, false), &now);
    spool.done(done, &now);
    println!(
        "memory  {windows} windows wait: {} KiB more than none, {} KiB after a restart, which takes {:?}",
        filled.saturating_sub(before),
        resident_kib().saturating_sub(before),
        began.elapsed()
    );
    let bytes = look(&place(folder.path()), LIMITS.size).unwrap().bytes;
    println!("        {bytes} bytes on the disk");
    assert_eq!(spool.summary().undelivered, windows);
}

#[test]
fn the_broker_is_told_how_long_a_window_is_still_worth_something() {
    let folder = tempfile::tempdir().unwrap();
    drop(wait_through(folder.path(), DAY, |_, _| {}));
    let given = look(&place(folder.path()), LIMITS.size).unwrap().waiting[0].given;
    let broker = FakeBroker::start(accepted, take);
    let publisher = drain(folder.path(), broker.port, f64::INFINITY);
    wait_for(&publisher, 1);
    stop(publisher);
    let oldest = broker.published().into_iter().find(is_window).unwrap();
    let expected = (LIMITS.age - given.age(&Clocks::now())).as_secs();
    let told = u64::from(oldest.expiry.unwrap());
    // Making an answer of it took a while, too.
    assert!(
        (expected..expected + 300).contains(&told),
        "{expected}, {oldest:?}"
    );
    assert!(told < LIMITS.age.as_secs());
    let status = broker
        .published()
        .into_iter()
        .find(|message| message.retain)
        .unwrap();
    assert_eq!(status.expiry, None);
}
