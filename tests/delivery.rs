//! The real daemon and a real broker that refuses, limits or breaks off: what is delivered, and what is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::network::Network;
use common::{Daemon, Mosquitto, Process, Subscriber, affectd, clip_config, wait_until};

/// How many windows the daemon's last line counts as `word`.
fn counted(log: &str, word: &str) -> u64 {
    let last = log
        .lines()
        .rfind(|line| line.contains(" windows acknowledged"))
        .unwrap();
    let before = last.split(word).next().unwrap();
    before.trim().rsplit(' ').next().unwrap().parse().unwrap()
}

fn stop(mut daemon: Daemon) -> String {
    daemon.process.signal("-TERM");
    assert!(daemon.process.wait().success(), "{}", daemon.process.log());
    daemon.process.log()
}

#[test]
fn windows_that_access_rules_refuse_wait_until_they_are_allowed() {
    let mut broker = Mosquitto::prepared(&[]);
    let rules = broker.folder().join("rules");
    std::fs::write(&rules, "topic read #\n").unwrap();
    broker.configure(&format!("acl_file {}\n", rules.display()));
    broker.start();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let daemon = Daemon::run(&clip_config(broker.port, ""));
    daemon
        .process
        .wait_for_log("does not take `affectd/test/unit/door/window` (not authorised, 0x87)");
    thread::sleep(Duration::from_secs(2));
    let log = daemon.process.log();
    for topic in ["status", "info", "door/state", "door/window"] {
        let said = log
            .matches(&format!("does not take `affectd/test/unit/{topic}`"))
            .count();
        assert_eq!(said, 1, "of {topic} once:\n{log}");
    }
    assert!(log.contains("write to `affectd/test/unit/#`"), "{log}");
    std::fs::write(&rules, "topic readwrite #\n").unwrap();
    broker.reload();
    let numbers = subscriber.window_numbers(4);
    assert_eq!(numbers[..4], [0, 1, 2, 3], "none is lost");
    daemon
        .process
        .wait_for_log("takes `affectd/test/unit/door/window` again");
    let log = stop(daemon);
    subscriber.wait_for_status("stopped");
    assert_eq!(
        counted(&log, " windows acknowledged"),
        subscriber.windows().len() as u64
    );
    assert_eq!(counted(&log, " refused"), 0);
}

#[test]
fn a_broker_with_limits_works_with_less_and_it_is_said_with_what_less() {
    for protocol in ["5", "3.1.1"] {
        let daemons: Vec<_> = [
            ("max_packet_size 600\n", "takes messages of up to 600 bytes"),
            ("retain_available false\n", "keeps no retained messages"),
            ("max_qos 0\n", "takes QoS 0 only"),
        ]
        .into_iter()
        // With 3.1.1 a broker cannot tell how much it takes.
        .filter(|(limit, _)| protocol == "5" || !limit.starts_with("max_packet"))
        .map(|(limit, words)| {
            let mut broker = Mosquitto::prepared(&[]);
            broker.configure(limit);
            broker.start();
            let subscriber = Subscriber::start(broker.port, &["5"]);
            let daemon = Daemon::run(&clip_config(broker.port, &format!("protocol = \"{protocol}\"")));
            (limit, words, broker, subscriber, daemon)
        })
        .collect();
        for (limit, words, _broker, mut subscriber, daemon) in daemons {
            daemon.process.wait_for_log(words);
            if limit.starts_with("max_packet") {
                // Information and windows with numbers are longer than that; the status is not, and says so.
                subscriber.wait_for_status("online");
                daemon
                    .process
                    .wait_for_log("does not take `affectd/test/unit/info` (packet too large");
                daemon
                    .process
                    .wait_for_log("does not take `affectd/test/unit/door/window` (packet too large");
                let log = stop(daemon);
                assert!(counted(&log, " refused") > 0, "{log}");
            } else {
                let numbers = subscriber.window_numbers(3);
                assert_eq!(numbers[..3], [0, 1, 2], "{limit}");
                let log = stop(daemon);
                assert_eq!(counted(&log, " undelivered"), 0, "{log}");
            }
            subscriber.wait_for_status("stopped");
        }
    }
}

// mosquitto 2.0 keeps the will back even for a client that starts clean, which the standard does not ask for; that ours does
// not is tested in `publish`.
#[test]
fn a_short_break_of_the_network_does_not_show() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let network = Network::to(broker.port);
    let daemon = Daemon::run(&clip_config(network.port, ""));
    subscriber.wait_for_status("online");
    subscriber.window_numbers(1);
    for closes in [false, true] {
        network.break_off(closes);
        subscriber.wait_for_status("online");
    }
    // Longer than the will's delay.
    let seen = subscriber.windows().len();
    subscriber.window_numbers(seen + 7);
    let numbers = subscriber.window_numbers(0);
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[1] == pair[0] + 1 || pair[1] == pair[0]),
        "{numbers:?}"
    );
    let log = stop(daemon);
    subscriber.wait_for_status("stopped");
    // Who comes afterwards does not read that the camera streams.
    let mut afterwards = Subscriber::start(broker.port, &["5"]);
    let state = afterwards.wait_for("the state", |m| m.topic.ends_with("/door/state"));
    assert_eq!((state.retain, &state.json()["state"]), (true, &"stopped".into()));
    assert!(!subscriber.seen().iter().any(|m| m.payload == "offline"), "{log}");
    assert_eq!(counted(&log, " undelivered"), 0, "{log}");
}

#[test]
fn a_name_server_that_never_answers_does_not_hold_up_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    // A name server that listens and says nothing. Its port cannot be chosen, so it needs an address of its own.
    let Ok(_deaf) = UdpSocket::bind(("127.53.53.53", 53)) else {
        println!("SKIPPED: port 53 may not be used here");
        return;
    };
    let resolver = folder.path().join("resolv.conf");
    std::fs::write(
        &resolver,
        "nameserver 127.53.53.53\noptions timeout:30 attempts:5\n",
    )
    .unwrap();
    let config = folder.path().join("affectd.toml");
    let text = clip_config(1883, "host = \"broker.example.org\"");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("unshare");
    let mount = "mount --bind \"$1\" /etc/resolv.conf || exit 77; shift; exec \"$@\"";
    command.args(["--mount", "sh", "-c", mount, "sh"]).arg(&resolver);
    command
        .arg(affectd().get_program())
        .args(["run", "-c"])
        .arg(&config)
        .process_group(0);
    let mut daemon = Process::start(&mut command);
    wait_until(
        "the camera",
        || !daemon.is_running() || daemon.log().contains("is streaming"),
        String::new,
    );
    if !daemon.is_running() {
        assert_eq!(daemon.wait().code(), Some(77), "{}", daemon.log());
        println!("SKIPPED: nothing may be mounted here");
        return;
    }
    thread::sleep(Duration::from_secs(1));
    // Nobody has answered, not even that there is no such name.
    assert!(!daemon.log().contains("is not reached"), "{}", daemon.log());
    let asked = Instant::now();
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    // systemd waits six.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn check_logs_in_and_says_what_the_broker_takes() {
    let mut broker = Mosquitto::prepared(&[("camera", "right")]);
    broker.configure("max_packet_size 2000\n");
    broker.start();
    let folder = tempfile::tempdir().unwrap();
    let (secret, path) = (folder.path().join("secret"), folder.path().join("affectd.toml"));
    let login = format!("username = \"camera\"\npassword_file = \"{}\"", secret.display());
    let check = |password: &str, protocol: &str| {
        std::fs::write(&secret, password).unwrap();
        let config = clip_config(broker.port, &format!("{login}\nprotocol = \"{protocol}\""));
        std::fs::write(&path, config).unwrap();
        let output = common::affectd_output(&["check", "-c", path.to_str().unwrap()]);
        let said = common::stdout(&output);
        // Long sentences go over several lines.
        let words: Vec<&str> = said.split_whitespace().collect();
        let words = words.join(" ");
        let broker = words.find("broker: ").unwrap();
        (output.status.code(), words[broker..].to_owned())
    };
    std::fs::write(&secret, "right").unwrap();
    let daemon = Daemon::run(&clip_config(broker.port, &login));
    daemon.process.wait_for_log("Connected to the MQTT broker");
    for protocol in ["5", "3.1.1"] {
        let (code, line) = check("wrong", protocol);
        assert_eq!(code, Some(69), "{line}");
        assert!(
            line.contains(secret.to_str().unwrap()) && line.contains("`camera`"),
            "{line}"
        );
        assert!(!line.contains("wrong"), "{line}");
    }
    let (code, line) = check("right", "5");
    assert!(code == Some(0) && line.contains("up to 2000 bytes"), "{line}");
    let (code, line) = check("right", "3.1.1");
    assert!(
        code == Some(0) && line.contains("`affectd/test/unit/check` was taken and read back"),
        "{line}"
    );
    // The daemon that runs meanwhile was not put out.
    let log = stop(daemon);
    assert!(!log.contains("is not reached"), "{log}");
}
