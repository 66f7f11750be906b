//! Commands over MQTT and a configuration that is read again: the real daemon, a real broker, and people who mean no good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::time::Duration;

use common::{
    Daemon, Message, Mosquitto, Subscriber, affectd, clip_config, send, stderr, stdout, wait_until,
};
use serde_json::Value;

const BASE: &str = "affectd/test/unit";

fn command(name: &str) -> String {
    format!("{BASE}/cmd/{name}")
}

fn result(subscriber: &mut Subscriber, name: &str) -> Value {
    let topic = format!("{BASE}/cmd/{name}/result");
    let result = subscriber.wait_for(&topic, |m| m.topic == topic);
    assert!(result.qos == 1 && !result.retain, "{result:?}");
    result.json()
}

/// The camera's state, once it is as wanted: the last that came, or one that comes.
fn state(subscriber: &mut Subscriber, word: &str) -> Value {
    let is_state = |m: &Message| m.topic.ends_with("/state");
    subscriber.catch_up();
    let last = subscriber
        .seen()
        .iter()
        .rev()
        .find(|m| is_state(m))
        .map(Message::json);
    match last {
        Some(last) if last["state"] == word => last,
        _ => subscriber
            .wait_for(word, |m| is_state(m) && m.json()["state"] == word)
            .json(),
    }
}

/// What the device says of itself, once it is as wanted.
fn info(subscriber: &mut Subscriber, wanted: impl Fn(&Value) -> bool) -> Value {
    let is_info = |m: &Message| m.topic.ends_with("/info") && wanted(&m.json());
    subscriber.catch_up();
    let seen = subscriber.seen().iter().rev().find(|m| is_info(m)).cloned();
    seen.unwrap_or_else(|| subscriber.wait_for("info", is_info))
        .json()
}

fn lines_with(daemon: &Daemon, words: &str) -> usize {
    daemon
        .process
        .log()
        .lines()
        .filter(|line| line.contains(words))
        .count()
}

#[test]
fn commands_that_are_allowed_are_obeyed_and_answered() {
    for protocol in ["5", "3.1.1"] {
        let broker = Mosquitto::started();
        let mut subscriber = Subscriber::start(broker.port, &[protocol]);
        let more = format!("protocol = \"{protocol}\"\ncommands = [\"pause\", \"resume\", \"identify\"]");
        let daemon = Daemon::run(&clip_config(broker.port, &more));
        state(&mut subscriber, "streaming");
        send(broker.port, &command("pause"), br#"{"id": "a 1"}"#, &[]);
        let paused = result(&mut subscriber, "pause");
        assert_eq!((&paused["ok"], &paused["id"]), (&true.into(), &"a 1".into()));
        let cause = state(&mut subscriber, "paused")["cause"].to_string();
        assert!(cause.contains("A command over MQTT"), "{cause}");
        // It outlives the daemon, as the button's does.
        let kept = daemon.config.with_file_name("paused-by-command");
        assert!(kept.exists());
        send(broker.port, &command("resume"), b"", &[]);
        assert_eq!(result(&mut subscriber, "resume")["ok"], true);
        state(&mut subscriber, "streaming");
        assert!(!kept.exists());
        send(broker.port, &command("identify"), b"{}", &[]);
        let identified = result(&mut subscriber, "identify");
        assert_eq!(
            (&identified["ok"], &identified["id"]),
            (&false.into(), &Value::Null)
        );
        assert!(identified["message"].as_str().unwrap().contains("no lamp"));
        // What is not among the allowed is not even listened to.
        send(broker.port, &command("reload"), b"", &[]);
        send(broker.port, &command("resume"), b"", &[]);
        result(&mut subscriber, "resume");
        assert!(!subscriber.seen().iter().any(|m| m.topic.contains("/reload/")));
        let audit = std::fs::read_to_string(daemon.config.with_file_name("audit.log")).unwrap();
        assert!(
            audit.contains("pause by command begins") && audit.contains("pause by command ends"),
            "{audit}"
        );
    }
}

#[test]
fn what_is_hostile_is_ignored_with_a_line_each() {
    for protocol in ["5", "3.1.1"] {
        let broker = Mosquitto::started();
        // A command that somebody left there long ago.
        send(broker.port, &command("pause"), b"{}", &["-r"]);
        let mut subscriber = Subscriber::start(broker.port, &[protocol]);
        let more = format!("protocol = \"{protocol}\"\ncommands = [\"pause\", \"resume\", \"identify\"]");
        let daemon = Daemon::run(&clip_config(broker.port, &more));
        daemon.process.wait_for_log("it is retained");
        state(&mut subscriber, "streaming");
        let large = vec![b'['; 300_000];
        for payload in [
            &b"now"[..],
            b"{\"id\":{}}",
            &[b'['; 200],
            &[0xff; 16],
            &large,
            &large[..3000],
        ] {
            send(broker.port, &command("pause"), payload, &[]);
        }
        // A flood on one connection: mosquitto's client sends each line.
        let lines = "{}\n".repeat(2000);
        let flood = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!(
                "printf '%s' '{lines}' | mosquitto_pub -h 127.0.0.1 -p {} -q 0 -l -t {}",
                broker.port,
                command("identify")
            ))
            .status();
        assert!(flood.unwrap().success());
        daemon.process.wait_for_log("too many come");
        // Still there, still on its first connection, and it obeys when it may.
        std::thread::sleep(Duration::from_secs(5));
        send(broker.port, &command("pause"), b"", &[]);
        assert_eq!(result(&mut subscriber, "pause")["ok"], true);
        subscriber.catch_up();
        let answers = subscriber
            .seen()
            .iter()
            .filter(|m| m.topic.ends_with("/identify/result"));
        assert!(answers.count() <= 5, "a flood is not answered by a flood");
        for words in [
            "it is retained",
            "its payload is neither",
            "more than 256 bytes",
            "too many come",
        ] {
            assert_eq!(lines_with(&daemon, words), 1, "{words}: {}", daemon.process.log());
        }
        assert_eq!(
            lines_with(&daemon, "Connected to the MQTT broker"),
            1,
            "{}",
            daemon.process.log()
        );
        assert!(!subscriber.seen().iter().any(|m| m.payload == "offline"));
    }
}

#[test]
fn without_configuration_nobody_is_listened_to() {
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let _daemon = Daemon::run(&clip_config(broker.port, ""));
    state(&mut subscriber, "streaming");
    for name in ["pause", "resume", "reload", "identify"] {
        send(broker.port, &command(name), b"", &[]);
    }
    let seen = subscriber.window_numbers(1).len();
    subscriber.window_numbers(seen + 1);
    assert!(
        !subscriber
            .seen()
            .iter()
            .any(|m| m.topic.contains("/cmd/") || m.payload.contains("paused"))
    );
}

/// The access rules as they are documented.
fn documented_rules() -> String {
    let page = std::fs::read_to_string(common::root().join("docs/operate/commands.md")).unwrap();
    let start = page.find("```acl\n").expect("the page has rules") + "```acl\n".len();
    page[start..].split("```").next().unwrap().to_owned()
}

#[test]
fn the_documented_access_rules_let_the_operator_command_and_nobody_else() {
    let users = [
        ("affectd-door", "d"),
        ("operator", "o"),
        ("dashboard", "r"),
        ("homeassistant", "h"),
    ];
    let mut broker = Mosquitto::prepared(&users);
    let rules = broker.folder().join("acl");
    let ours = documented_rules().replace("affectd/museum-north/door", BASE);
    std::fs::write(&rules, ours).unwrap();
    broker.configure(&format!("acl_file {}\n", rules.display()));
    broker.start();
    let secret = broker.folder().join("secret");
    std::fs::write(&secret, "d\n").unwrap();
    let more = format!(
        "username = \"affectd-door\"\npassword_file = \"{}\"\ncommands = [\"pause\", \"resume\"]\nhomeassistant = true",
        secret.display()
    );
    let mut subscriber = Subscriber::start(broker.port, &["5", "dashboard", "r"]);
    let daemon = Daemon::run(&clip_config(broker.port, &more));
    state(&mut subscriber, "streaming");
    let as_user = |user, password| ["-u", user, "-P", password];
    // Who may only look, and another device, are not heard.
    send(
        broker.port,
        &command("pause"),
        b"{\"id\":\"dashboard\"}",
        &as_user("dashboard", "r"),
    );
    send(
        broker.port,
        &command("pause"),
        b"{\"id\":\"itself\"}",
        &as_user("affectd-door", "d"),
    );
    send(
        broker.port,
        &command("pause"),
        b"{\"id\":\"operator\"}",
        &as_user("operator", "o"),
    );
    let paused = result(&mut subscriber, "pause");
    assert_eq!(paused["id"], "operator", "{paused}");
    // Nor may the operator pretend to be the device.
    send(
        broker.port,
        &format!("{BASE}/status"),
        b"offline",
        &as_user("operator", "o"),
    );
    send(broker.port, &command("resume"), b"", &as_user("operator", "o"));
    result(&mut subscriber, "resume");
    assert!(!subscriber.seen().iter().any(|m| m.payload == "offline"));
    assert!(
        !daemon.process.log().contains("does not take"),
        "{}",
        daemon.process.log()
    );
    assert!(
        !daemon.process.log().contains("does not let"),
        "{}",
        daemon.process.log()
    );
}

#[test]
fn a_configuration_is_taken_over_by_the_part_that_it_concerns() {
    let (broker, other) = (Mosquitto::started(), Mosquitto::started());
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let config = clip_config(broker.port, "commands = [\"reload\"]");
    let daemon = Daemon::run(&config);
    let first = info(&mut subscriber, |_| true);
    subscriber.window_numbers(1);

    // Nothing new: nothing happens.
    send(broker.port, &command("reload"), br#"{"id":"0"}"#, &[]);
    let same = result(&mut subscriber, "reload");
    assert_eq!(
        (&same["ok"], &same["message"]),
        (&true.into(), &"Nothing has changed.".into())
    );

    // The camera's part: windows go on, in the same run, without a gap.
    let faster = config
        .replace("fps = 4.0", "fps = 5.0")
        .replace("length = \"2s\"", "length = \"3s\"");
    daemon.configure(&faster);
    send(broker.port, &command("reload"), b"", &[]);
    let done = result(&mut subscriber, "reload");
    assert_eq!(done["ok"], true, "{done}");
    let message = done["message"].as_str().unwrap();
    assert!(
        message.contains("camera.fps") && message.contains("window.length"),
        "{message}"
    );
    let second = info(&mut subscriber, |info| info["window_seconds"] == 3.0);
    assert_eq!(second["boot_id"], first["boot_id"]);
    assert_ne!(
        second["privacy"]["config_sha256"],
        first["privacy"]["config_sha256"]
    );

    // A bad file: the old one stays, and it is said why.
    daemon.configure(&faster.replace("fps = 5.0", "fsp = 5.0"));
    send(broker.port, &command("reload"), br#"{"id":"bad"}"#, &[]);
    let bad = result(&mut subscriber, "reload");
    assert_eq!((&bad["ok"], &bad["id"]), (&false.into(), &"bad".into()));
    assert!(
        bad["message"].as_str().unwrap().contains("unknown key `fsp`"),
        "{bad}"
    );
    daemon.process.wait_for_log("did you mean `fps`?");

    // A model that is not there: the same.
    daemon.configure(&format!("{faster}[model]\npath = \"no-such-model\"\n"));
    daemon.process.signal("-HUP");
    daemon.process.wait_for_log("There is no model `no-such-model`");

    // Another broker: what waits goes there, and the old one is told.
    let seen = subscriber.windows().len();
    subscriber.window_numbers(seen + 1);
    let numbers = subscriber.window_numbers(0);
    // The subscriber may have come late.
    let whole: Vec<u64> = (numbers[0]..).take(numbers.len()).collect();
    assert_eq!(numbers, whole, "no gap over all that");
    let moved = faster.replace(
        &format!("port = {}", broker.port),
        &format!("port = {}", other.port),
    );
    daemon.configure(&moved);
    // It must listen before the first window comes there.
    send(other.port, "affectd/test/before/status", b"stopped", &["-r"]);
    let mut there = Subscriber::start(other.port, &["5"]);
    there.wait_for_status("stopped");
    daemon.process.signal("-HUP");
    subscriber.wait_for_status("stopped");
    there.wait_for_status("online");
    let next = there.window_numbers(1)[0];
    subscriber.catch_up();
    let last = *subscriber.window_numbers(0).last().unwrap();
    assert!(next == last || next == last + 1, "{last} there, {next} here");
    assert_eq!(there.windows()[0]["boot_id"], first["boot_id"]);
    assert!(!subscriber.seen().iter().any(|m| m.payload == "offline"));

    // A change that concerns everything: it begins anew, in the same process.
    daemon.configure(&moved.replace("name = \"door\"", "name = \"gate\""));
    daemon.process.signal("-HUP");
    there.wait_for_status("stopped");
    there.wait_for_status("online");
    there.wait_for("a window of the renamed camera", |m| {
        m.topic.ends_with("/gate/window")
    });
    let audit = std::fs::read_to_string(daemon.config.with_file_name("audit.log")).unwrap();
    assert!(audit.matches(" configuration ").count() >= 4, "{audit}");
}

#[test]
fn what_a_broker_keeps_of_a_device_is_listed_and_taken_away() {
    let broker = Mosquitto::started();
    let config = clip_config(broker.port, "homeassistant = true");
    let mut daemon = Daemon::run(&config);
    Subscriber::start(broker.port, &["5"]).window_numbers(1);
    // A report with numbers as from before: whether one comes now, the clip and this machine's load decide.
    send(broker.port, "affectd/test/unit/door/latest", b"{}", &["-r"]);
    // Another device beside it, whose name begins the same.
    send(broker.port, "affectd/test/unit2/status", b"stopped", &["-r"]);
    let retire = |more: &[&str]| {
        let mut command = affectd();
        command.arg("retire").arg("-c").arg(&daemon.config).args(more);
        command.output().unwrap()
    };
    let online = retire(&["--yes"]);
    assert_eq!(online.status.code(), Some(69), "{}", stderr(&online));
    assert!(stderr(&online).contains("is online"), "{}", stderr(&online));
    daemon.process.signal("-TERM");
    daemon.process.wait();
    let retire = |more: &[&str]| {
        let mut command = affectd();
        command.arg("retire").arg("-c").arg(&daemon.config).args(more);
        command.output().unwrap()
    };
    let asked = retire(&[]);
    assert_eq!(asked.status.code(), Some(64), "{}", stderr(&asked));
    let topics = [
        "affectd/test/unit/door/latest",
        "affectd/test/unit/door/state",
        "affectd/test/unit/info",
        "affectd/test/unit/status",
        "homeassistant/device/affectd_unit/config",
    ];
    for topic in topics {
        assert!(
            stdout(&asked).contains(&format!("  {topic}\n")),
            "{}",
            stdout(&asked)
        );
    }
    assert!(!stdout(&asked).contains("unit2"));
    let done = retire(&["--yes"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(
        stdout(&done).contains("Taken away: 5 messages."),
        "{}",
        stdout(&done)
    );
    assert!(stdout(&retire(&["--yes"])).contains("The broker keeps nothing of"));
    // The other one is still there, until it is named.
    let other = retire(&["--device", "unit2", "--yes"]);
    assert!(
        stdout(&other).contains("Taken away: 1 messages."),
        "{}",
        stdout(&other)
    );
    assert_eq!(retire(&["--device", "a/#", "--yes"]).status.code(), Some(64));
}

#[test]
fn the_discovery_is_sent_again_after_home_assistants_birth_and_can_be_removed() {
    let broker = Mosquitto::started();
    let daemon = Daemon::run(&clip_config(broker.port, "homeassistant = true"));
    let topic = "homeassistant/device/affectd_unit/config";
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut ears = std::process::Command::new("mosquitto_sub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &broker.port.to_string(),
            "-t",
            topic,
            "-F",
            "%r%l",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(ears.stdout.take().unwrap());
    let theirs = std::sync::Arc::clone(&heard);
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(lines).map_while(Result::ok) {
            theirs.lock().unwrap().push((std::time::Instant::now(), line));
        }
    });
    let count = || heard.lock().unwrap().len();
    wait_until("the discovery", || count() > 0, || daemon.process.log());
    let before = count();
    let born = std::time::Instant::now();
    send(broker.port, "homeassistant/status", b"online", &[]);
    wait_until(
        "the discovery again",
        || count() > before,
        || daemon.process.log(),
    );
    let after = heard.lock().unwrap()[before].0 - born;
    assert!(after >= Duration::from_millis(1900), "{after:?}");
    let removed = affectd()
        .args(["homeassistant", "--remove", "-c"])
        .arg(&daemon.config)
        .output()
        .unwrap();
    assert!(removed.status.success(), "{}", stderr(&removed));
    wait_until(
        "its end",
        || {
            heard
                .lock()
                .unwrap()
                .last()
                .is_some_and(|(_, line)| line.ends_with('0') && line.len() == 2)
        },
        || format!("{:?}", heard.lock().unwrap()),
    );
    let _ = ears.kill();
    let _ = ears.wait();
}
