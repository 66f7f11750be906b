//! The real daemon and a real mosquitto with TLS, WebSocket and access rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use common::certificates::{Authority, DAY, Wish, secure};
use common::{Daemon, Mosquitto, Subscriber, affectd, clip_config, free_port, root, stdout};

/// The configuration of a daemon that goes to `url`; `more` is what else stands in `[mqtt]` and behind it.
fn config(url: &str, more: &str) -> String {
    let by_url = format!("url = {url:?}");
    clip_config(1883, more).replace("port = 1883", &by_url)
}

/// What `affectd check` says to a configuration, with its folds taken out.
fn check(config: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, config).unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = affectd()
        .arg("check")
        .arg("-c")
        .arg(&path)
        .env("STATE_DIRECTORY", folder.path())
        .output()
        .unwrap();
    let said = stdout(&output);
    for line in said.lines() {
        let paths = line.split_whitespace().any(|word| word.len() > 60);
        assert!(line.chars().count() <= 80 || paths, "{line}");
    }
    let unfolded = said.replace("\n        ", " ");
    (output, unfolded)
}

#[test]
fn windows_arrive_over_tls_and_over_websocket_and_certificates_are_renewed_on_the_way() {
    let mut broker = Mosquitto::prepared(&[]);
    let folder = broker.folder().to_owned();
    let ours = Authority::new(&folder, "our CA");
    let now = SystemTime::now();
    let soon = || Wish {
        end: now + 3 * DAY + Duration::from_secs(600),
        ..Wish::good("server")
    };
    let server = ours.sign(&soon());
    let client = ours.sign(&Wish::good("client"));
    let (tls, wss) = (free_port(), free_port());
    broker.configure(&format!(
        "{}cafile {}\nrequire_certificate true\n{}protocol websockets\n",
        secure(tls, &server),
        ours.file().display(),
        secure(wss, &server)
    ));
    broker.start();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let files = format!(
        "[mqtt.tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}\n[status]\nhealth_interval = \"10s\"\n",
        ours.file(),
        client.certificate,
        client.key
    );
    let of_wss = format!("protocol = \"3.1.1\"\n[mqtt.tls]\nca = {:?}\n", ours.file());
    let mut first = Daemon::run(&config(&format!("mqtts://localhost:{tls}"), &files));
    let second = config(&format!("wss://localhost:{wss}/mqtt"), &of_wss).replace("\"unit\"", "\"web\"");
    let mut second = Daemon::run(&second);
    for device in ["unit", "web"] {
        subscriber.wait_for(device, |m| m.topic.ends_with(&format!("/{device}/door/window")));
    }
    let health = subscriber.wait_for("health with certificates", |m| {
        m.topic.ends_with("/unit/health") && m.json()["certificates"][0].is_object()
    });
    let certificates = health.json()["certificates"].clone();
    let soon_of = |of: &str| {
        let all = certificates.as_array().unwrap();
        let one = all
            .iter()
            .find(|one| one["of"] == of)
            .unwrap_or_else(|| panic!("{certificates}"));
        one["expires_soon"].clone()
    };
    assert_eq!(
        (soon_of("broker"), soon_of("client"), soon_of("ca")),
        (true.into(), false.into(), false.into())
    );

    // Renewed, and the broker started again: the next connection has it.
    ours.sign(&Wish::good("server"));
    broker.kill();
    broker.start();
    for daemon in [&first, &second] {
        daemon.process.wait_for_log("is back");
    }
    for device in ["unit", "web"] {
        // Who subscribes after a restart of the broker sees everything again that it keeps.
        subscriber.wait_for("a window", |m| {
            m.topic.ends_with(&format!("/{device}/door/window"))
        });
    }
    let mut afterwards = Subscriber::start(broker.port, &["5"]);
    let mut kept = vec![
        "unit/status",
        "unit/info",
        "unit/door/state",
        "web/status",
        "web/info",
        "web/door/state",
    ];
    while !kept.is_empty() {
        let message = afterwards.wait_for("what is kept", |m| m.retain);
        kept.retain(|topic| !message.topic.ends_with(topic));
    }
    subscriber.wait_for("health of the new certificate", |m| {
        m.topic.ends_with("/unit/health")
            && m.json()["certificates"].to_string().matches("false").count() == 3
    });
    for (daemon, device) in [(&mut first, "unit"), (&mut second, "web")] {
        daemon.process.signal("-TERM");
        assert!(daemon.process.wait().success(), "{}", daemon.process.log());
        subscriber.wait_for("stopped", |m| {
            m.topic.ends_with(&format!("/{device}/status")) && m.payload == "stopped"
        });
    }
}

#[test]
fn the_systems_authorities_are_trusted_where_none_is_given() {
    let mut broker = Mosquitto::prepared(&[]);
    let ours = Authority::new(broker.folder(), "our CA");
    let port = free_port();
    broker.configure(&secure(port, &ours.sign(&Wish::good("server"))));
    broker.start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, config(&format!("mqtts://localhost:{port}"), "")).unwrap();
    let doctor = |trusted: &Path| {
        let output = affectd()
            .args(["doctor", "--json", "-c"])
            .arg(&path)
            // What the system's list of CAs can be replaced by.
            .env("SSL_CERT_FILE", trusted)
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        report["broker"].to_string()
    };
    assert!(doctor(&ours.file()).contains("lets us in"));
    let other = Authority::new(folder.path(), "another CA");
    let refused = doctor(&other.file());
    assert!(refused.contains("nobody whom this system trusts"), "{refused}");
}

/// The rules that the documentation gives.
fn documented_rules() -> String {
    let page = std::fs::read_to_string(root().join("docs/operate/broker-acl.md")).unwrap();
    let (_, rest) = page.split_once("```acl\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_documented_access_rules_let_each_do_what_it_needs_and_no_more() {
    let users = ["unit", "other", "dashboard", "technician"].map(|name| (name, "secret"));
    let mut broker = Mosquitto::prepared(&users);
    let rules = broker.folder().join("rules");
    std::fs::write(&rules, documented_rules().replace("museum-north", "test")).unwrap();
    broker.configure(&format!("acl_file {}\n", rules.display()));
    broker.start();
    let password = broker.folder().join("secret");
    std::fs::write(&password, "secret").unwrap();
    let login = format!("username = \"unit\"\npassword_file = {password:?}\n");
    let mut subscriber = Subscriber::start(broker.port, &["5", "dashboard", "secret"]);
    let daemon = Daemon::run(&clip_config(broker.port, &login));
    subscriber.wait_for_status("online");
    subscriber.wait_for("a window", |m| m.topic.ends_with("/door/window"));
    assert!(
        !daemon.process.log().contains("does not take"),
        "{}",
        daemon.process.log()
    );
    let (_, said) = check(&clip_config(broker.port, &login));
    assert!(
        said.contains("`affectd/test/unit/check` was taken and read back"),
        "{said}"
    );

    // Who writes what, and whether it passes.
    let publish = |user: &str, topic: &str| {
        let output = Command::new("mosquitto_pub")
            .args([
                "-V",
                "5",
                "-q",
                "1",
                "-p",
                &broker.port.to_string(),
                "-u",
                user,
                "-P",
                "secret",
            ])
            .args(["-t", topic, "-m", "x"])
            .output()
            .expect("mosquitto_pub is missing: run `make setup`");
        !String::from_utf8_lossy(&output.stderr).contains("Not authorized")
    };
    for (user, topic, passes) in [
        ("unit", "affectd/test/unit/status", true),
        ("unit", "affectd/test/other/status", false),
        ("unit", "affectd/test/other/cmd/pause", false),
        ("other", "affectd/test/unit/door/window", false),
        ("dashboard", "affectd/test/unit/cmd/pause", false),
        ("dashboard", "affectd/test/unit/status", false),
        ("technician", "affectd/test/unit/cmd/pause", true),
        ("technician", "affectd/test/unit/status", false),
    ] {
        assert_eq!(publish(user, topic), passes, "{user} on {topic}");
    }
    drop(daemon);

    // Rules that forget the device, and a password that is wrong.
    std::fs::write(&rules, "user dashboard\ntopic read #\n").unwrap();
    broker.reload();
    std::thread::sleep(Duration::from_millis(300));
    let (output, said) = check(&clip_config(broker.port, &login));
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(
        said.contains("does not take a message on `affectd/test/unit/check` (not authorised, 0x87)")
            && said.contains("Let user `unit` write to `affectd/test/unit/#`"),
        "{said}"
    );
    let (_, said) = check(&clip_config(
        broker.port,
        &format!("protocol = \"3.1.1\"\n{login}"),
    ));
    assert!(
        said.contains("warning broker:") && said.contains("with MQTT 3.1.1 a broker cannot tell"),
        "{said}"
    );
    std::fs::write(&password, "wrong").unwrap();
    let (output, said) = check(&clip_config(broker.port, &login));
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(
        said.contains("error   broker:") && said.contains("user") && said.contains("`unit`"),
        "{said}"
    );
}

#[test]
fn everything_is_tried_even_when_the_configuration_is_wrong() {
    let broker = Mosquitto::started();
    let good = clip_config(broker.port, "");
    let (output, said) = check(&good);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let parts = [
        "configuration",
        "device id",
        "models",
        "source",
        "reach",
        "speed",
        "broker",
        "clock",
        "disk",
        "memory",
        "pins",
        "permissions",
    ];
    let line = |said: &str, part: &str| {
        let found = said.lines().find(|line| {
            line.get(8..)
                .is_some_and(|rest| rest.starts_with(&format!("{part}: ")))
        });
        found
            .unwrap_or_else(|| panic!("nothing about {part}:\n{said}"))
            .to_owned()
    };
    for part in parts {
        let line = line(&said, part);
        // A machine of tests may have no network time, and be slower than a camera.
        let may_warn = ["clock", "speed"].contains(&part);
        assert!(
            line.starts_with("ok ") || may_warn && line.starts_with("warning "),
            "{line}"
        );
    }
    assert!(line(&said, "models").contains("golden vectors agree"));
    assert!(line(&said, "source").contains(" px"));
    let reach = line(&said, "reach");
    assert!(reach.contains(" m away with a lens of 62°"), "{reach}");
    assert!(line(&said, "speed").contains("frames per second with nobody in view"));
    assert!(line(&said, "broker").contains("was taken and read back"));

    // Two tables are wrong: what does not depend on them is tried all the same.
    let wrong = good
        .replace("length = \"2s\"", "length = \"2 s\"")
        .replace("fps = 4.0", "fps = 0");
    let (output, said) = check(&wrong);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("`length` is \"2 s\"") && said.contains("`fps` is 0"),
        "{said}"
    );
    for (part, word) in [
        ("configuration", "error"),
        ("device id", "ok"),
        ("models", "ok"),
        ("source", "skipped"),
        ("reach", "skipped"),
        ("speed", "skipped"),
        ("broker", "ok"),
        ("disk", "ok"),
        ("memory", "skipped"),
        ("permissions", "ok"),
    ] {
        let line = line(&said, part);
        assert!(line.starts_with(word), "{word}: {line}");
    }
    assert!(line(&said, "source").contains("[camera] is wrong or missing, see above"));

    // A file that is not there leaves the machine itself.
    let output = affectd()
        .args(["check", "-c", "/no/such/file.toml"])
        .output()
        .unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("cannot be read") && line(&said, "broker").starts_with("skipped"),
        "{said}"
    );
    assert!(line(&said, "disk").starts_with("ok"), "{said}");
}
