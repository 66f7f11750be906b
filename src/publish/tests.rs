//! The publishing thread against brokers with one fault each.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)] // a test that fails shall say where

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::SystemTime;

use affect_core::report::{
    CameraStateWord, ModelName, Needed, ReportBody, STATE_SCHEMA, SourceWord, SuppressedBody, WINDOW_SCHEMA,
};

use super::*;
use fake_broker::{ACCEPTED, Answer, FakeBroker, Published, Told, Will};

#[path = "day_tests.rs"]
mod day_tests;
#[path = "../../tests/common/fake_broker.rs"]
mod fake_broker;
#[path = "../../tests/common/network.rs"]
#[allow(dead_code)] // the tests of the whole daemon use the rest
mod network;

pub(super) fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".to_owned(),
        port,
        by_url: false,
        websocket: None,
        tls: None,
        username: Some("door".to_owned()),
        password: Some(Secret::new("hunter2")),
        password_file: Some("/etc/affectd/secret".into()),
        client_id: "unit".to_owned(),
        protocol: Protocol::V5,
        keep_alive: Duration::from_secs(30),
        base: "affectd/test/unit".to_owned(),
        retry_max: Duration::from_secs(1),
        limits: Limits {
            age: Duration::from_secs(3600),
            size: 1 << 20,
        },
        spool: None,
        drain_per_second: f64::INFINITY,
        ear: Ear::default(),
    }
}

fn start(settings: Settings) -> Publisher {
    let progress = Arc::new(Progress::new(Arc::default()));
    Publisher::start(settings, br#"{"info":1}"#.to_vec(), progress).expect("a thread")
}

fn report(seq: u64) -> WindowReport {
    let text = String::new;
    WindowReport {
        schema: WINDOW_SCHEMA.to_owned(),
        device: text(),
        site: text(),
        camera: text(),
        seq,
        boot_id: text(),
        start: "1970-01-01T00:59:45.000Z".to_owned(),
        end: "1970-01-01T01:00:00.000Z".to_owned(),
        clock_synced: false,
        uptime_seconds: 15.0,
        aligned: false,
        partial: false,
        source: SourceWord::Recording,
        body: ReportBody::Suppressed(SuppressedBody {
            suppressed: Needed { min_group: 5 },
        }),
        model: ModelName {
            id: text(),
            sha256: text(),
        },
    }
}

fn window(publisher: &Publisher, seq: u64) {
    publisher.window("door", report(seq));
}

fn state(cause: Option<String>) -> CameraState {
    let text = String::new;
    CameraState {
        schema: STATE_SCHEMA.to_owned(),
        device: text(),
        site: text(),
        camera: text(),
        boot_id: text(),
        state: CameraStateWord::Streaming,
        since: "1970-01-01T01:00:00.000Z".to_owned(),
        cause,
    }
}

fn is_window(message: &Published) -> bool {
    message.topic.ends_with("/window")
}

/// The windows' numbers in the order in which they came.
fn numbers(broker: &FakeBroker) -> Vec<u64> {
    let windows = broker.published().into_iter().filter(is_window);
    let number = |message: Published| {
        serde_json::from_str::<serde_json::Value>(&message.payload).unwrap()["seq"]
            .as_u64()
            .unwrap()
    };
    windows.map(number).collect()
}

fn accepted(_: usize) -> Vec<u8> {
    ACCEPTED.to_vec()
}

fn take(_: &Published) -> Answer {
    Answer::Acknowledge(0)
}

fn stop(publisher: Publisher) -> Summary {
    publisher
        .stop(Status::Stopped, Duration::from_secs(4))
        .expect("it lives")
}

fn summary(acknowledged: u64, refused: u64, undelivered: u64) -> Summary {
    Summary {
        acknowledged,
        dropped: 0,
        refused,
        damaged: 0,
        undelivered,
        kept: false,
    }
}

#[test]
fn nothing_counts_as_delivered_that_was_refused_and_nothing_blocks_the_rest() {
    let brokers: Vec<_> = [0x80, 0x83, 0x87, 0x90, 0x97, 0x99]
        .into_iter()
        .map(|code| {
            let broker = FakeBroker::start(accepted, move |message| {
                match message.topic.ends_with("/info") || is_window(message) {
                    true => Answer::Acknowledge(code),
                    false => Answer::Acknowledge(0),
                }
            });
            let publisher = start(settings(broker.port));
            (0..3).for_each(|seq| window(&publisher, seq));
            publisher.camera_state("door", state(None));
            (code, broker, publisher)
        })
        .collect();
    for (code, broker, publisher) in brokers {
        let is_there = |topic: &str| {
            broker
                .published()
                .iter()
                .any(|message| message.topic.ends_with(topic))
        };
        for topic in ["/info", "/status", "/state", "/window"] {
            broker.wait_for(topic, |_| is_there(topic));
        }
        // What can never be taken is set aside; the rest waits.
        let lasting = matches!(code, 0x90 | 0x99);
        if lasting {
            broker.wait_for("all windows", |broker| numbers(broker).len() == 3);
        }
        // The answer is on its way.
        broker.wait_for("word of it", |_| publisher.outlook().refuses != lasting);
        let expected = if lasting {
            summary(0, 3, 0)
        } else {
            summary(0, 0, 3)
        };
        assert_eq!(stop(publisher), expected, "0x{code:x}");
        assert!(is_there("/status") && matches!(broker.told().last(), Some((_, Told::Disconnect))));
    }
}

#[test]
fn a_quota_that_is_freed_gets_every_window_in_order() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let broker = FakeBroker::start(accepted, move |message| {
        match is_window(message) && tries.fetch_add(1, Ordering::Relaxed) < 2 {
            true => Answer::Acknowledge(0x97),
            false => Answer::Acknowledge(0),
        }
    });
    let publisher = start(settings(broker.port));
    (0..3).for_each(|seq| window(&publisher, seq));
    broker.wait_for("the last window", |broker| numbers(broker).last() == Some(&2));
    assert_eq!(numbers(&broker), [0, 0, 0, 1, 2]);
    assert_eq!(stop(publisher), summary(3, 0, 0));
}

#[test]
fn a_message_over_which_the_connection_is_ended_does_not_end_it_for_ever() {
    for answer in [Answer::Goodbye(0x95), Answer::Goodbye(0x87), Answer::Close] {
        let broker = FakeBroker::start(accepted, move |message| match message.topic.ends_with("/info") {
            true => answer,
            false => Answer::Acknowledge(0),
        });
        let publisher = start(settings(broker.port));
        window(&publisher, 0);
        broker.wait_for("the window", |broker| numbers(broker) == [0]);
        let infos = broker
            .published()
            .iter()
            .filter(|message| message.topic.ends_with("/info"))
            .count();
        // Only a connection that is closed without a word does not say which message it is about.
        assert_eq!(infos, if answer == Answer::Close { 3 } else { 1 }, "{answer:?}");
        assert_eq!(stop(publisher).acknowledged, 1, "{answer:?}");
    }
}

#[test]
fn a_code_that_is_in_no_list_is_about_one_message_and_not_about_the_rest() {
    for code in [0x92, 0xa0, 0xc1] {
        let broker = FakeBroker::start(accepted, move |message| match message.topic.ends_with("/info") {
            true => Answer::Acknowledge(code),
            false => Answer::Acknowledge(0),
        });
        let publisher = start(settings(broker.port));
        window(&publisher, 0);
        broker.wait_for("the window", |broker| numbers(broker) == [0]);
        assert_eq!(stop(publisher), summary(1, 0, 0), "0x{code:x}");
        let connects = broker.told().into_iter();
        let connects = connects.filter(|(_, told)| matches!(told, Told::Connect { .. }));
        assert_eq!(connects.count(), 1, "0x{code:x}");
    }
}

#[test]
fn a_window_is_not_to_blame_for_a_broker_that_ends_connections_for_other_reasons() {
    // Busy, shutting down, taken over, ended by hand, and moved: more often than a message may be to blame.
    let brokers: Vec<_> = [0x89, 0x8b, 0x8e, 0x98, 0x9d]
        .into_iter()
        .map(|code| {
            let tries = std::sync::atomic::AtomicUsize::new(0);
            let broker = FakeBroker::start(accepted, move |message| {
                match is_window(message) && tries.fetch_add(1, Ordering::Relaxed) < 4 {
                    true => Answer::Goodbye(code),
                    false => Answer::Acknowledge(0),
                }
            });
            let publisher = start(settings(broker.port));
            window(&publisher, 0);
            (code, broker, publisher)
        })
        .collect();
    for (code, broker, publisher) in brokers {
        broker.wait_for("the fifth try", |broker| numbers(broker).len() == 5);
        assert_eq!(stop(publisher), summary(1, 0, 0), "0x{code:x}");
    }
}

#[test]
fn the_brokers_limits_are_kept() {
    // 200 bytes, QoS 0, nothing retained, a keep-alive of 1 s, one message at a time, another client id.
    let limited = b"\x20\x18\0\0\x15\x27\0\0\0\xc8\x24\0\x25\0\x13\0\x01\x21\0\x01\x12\0\x03abc";
    let broker = FakeBroker::start(|_| limited.to_vec(), take);
    let publisher = start(settings(broker.port));
    window(&publisher, 0);
    publisher.camera_state("door", state(Some("x".repeat(200))));
    broker.wait_for("three questions", |broker| {
        broker
            .told()
            .iter()
            .filter(|(_, told)| *told == Told::Ping)
            .count()
            > 5
    });
    let told = broker.told();
    let silences = told.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(silences.max() < Some(Duration::from_millis(1500)), "{told:#?}");
    let published = broker.published();
    assert!(
        published
            .iter()
            .all(|message| message.qos == 0 && !message.retain),
        "{published:#?}"
    );
    assert!(
        published.iter().all(|message| !message.topic.ends_with("/state")),
        "too large"
    );
    // The window, with 234 bytes, is too large as well, and told so.
    assert_eq!(stop(publisher), summary(0, 1, 0));
}

#[test]
fn one_message_at_a_time_is_on_its_way() {
    // The most that a broker may ask for: receive maximum 1. It takes its time to answer.
    let broker = FakeBroker::start(
        |_| b"\x20\x06\0\0\x03\x21\0\x01".to_vec(),
        |_| {
            std::thread::sleep(Duration::from_millis(100));
            Answer::Acknowledge(0)
        },
    );
    let publisher = start(settings(broker.port));
    (0..5).for_each(|seq| window(&publisher, seq));
    broker.wait_for("the windows", |broker| numbers(broker).len() == 5);
    let times: Vec<Instant> = broker.told().iter().map(|(when, _)| *when).skip(1).collect();
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= Duration::from_millis(95))
    );
    assert_eq!(stop(publisher), summary(5, 0, 0));
}

#[test]
fn a_broker_that_cannot_keep_the_will_gets_a_plainer_one() {
    let full = Will { qos: 1, retain: true };
    // MQTT 5 says what is wrong.
    for (code, plainer) in [
        (
            0x9a,
            Will {
                retain: false,
                ..full
            },
        ),
        (0x9b, Will { qos: 0, ..full }),
    ] {
        let refusing = move |number| match number {
            0 => vec![0x20, 3, 0, code, 0],
            _ => ACCEPTED.to_vec(),
        };
        let broker = FakeBroker::start(refusing, take);
        let publisher = start(settings(broker.port));
        window(&publisher, 0);
        broker.wait_for("the window", |broker| numbers(broker) == [0]);
        assert_eq!(wills(&broker), [full, plainer]);
        let published = broker.published();
        let same = |message: &Published| message.qos == plainer.qos && (plainer.retain || !message.retain);
        assert!(published.iter().all(same), "{published:#?}");
        assert_eq!(stop(publisher), summary(1, 0, 0));
    }
    // A broker of 3.1.1 closes the connection.
    let closing = |number| match number {
        0..2 => Vec::new(),
        _ => b"\x20\x02\0\0".to_vec(),
    };
    let broker = FakeBroker::start(closing, take);
    let publisher = start(Settings {
        protocol: Protocol::V311,
        ..settings(broker.port)
    });
    window(&publisher, 0);
    broker.wait_for("the window", |broker| numbers(broker) == [0]);
    assert_eq!(
        wills(&broker),
        [
            full,
            full,
            Will {
                retain: false,
                ..full
            }
        ]
    );
    assert!(
        broker
            .published()
            .iter()
            .all(|message| message.qos == 1 && !message.retain)
    );
    assert_eq!(stop(publisher), summary(1, 0, 0));
}

fn wills(broker: &FakeBroker) -> Vec<Will> {
    let told = broker.told().into_iter();
    told.filter_map(|(_, told)| match told {
        Told::Connect { will, .. } => will,
        _ => None,
    })
    .collect()
}

#[test]
fn the_session_goes_on_so_that_the_will_waits() {
    let broker = FakeBroker::start(accepted, take);
    let publisher = start(settings(broker.port));
    broker.wait_for("info", |broker| !broker.published().is_empty());
    let told = broker.told();
    assert!(
        matches!(&told[0].1, Told::Connect { clean: false, will: Some(_), client_id } if client_id == "unit")
    );
    stop(publisher);
}

#[test]
fn a_broker_that_does_not_acknowledge_or_another_message_has_not_acknowledged_ours() {
    for answer in [Answer::Silence, Answer::AcknowledgeAnother] {
        let broker = FakeBroker::start(accepted, move |message| match is_window(message) {
            true => answer,
            false => Answer::Acknowledge(0),
        });
        let publisher = start(settings(broker.port));
        window(&publisher, 0);
        broker.wait_for("the window", |broker| numbers(broker) == [0]);
        let began = Instant::now();
        assert_eq!(
            publisher.stop(Status::Stopped, Duration::from_secs(1)).unwrap(),
            summary(0, 0, 1)
        );
        assert!(began.elapsed() < Duration::from_secs(2), "and it ends in time");
    }
}

#[test]
fn a_message_that_is_never_acknowledged_does_not_block_the_rest() {
    let broker = FakeBroker::start(accepted, |message| match message.topic.ends_with("/info") {
        true => Answer::Silence,
        false => Answer::Acknowledge(0),
    });
    let publisher = start(settings(broker.port));
    window(&publisher, 0);
    broker.wait_for("the window", |broker| numbers(broker) == [0]);
    assert_eq!(stop(publisher), summary(1, 0, 0));
}

#[test]
fn a_stop_says_so_even_if_more_windows_wait_than_there_is_time_for() {
    let broker = FakeBroker::start(accepted, |_| {
        std::thread::sleep(Duration::from_millis(100));
        Answer::Acknowledge(0)
    });
    let publisher = start(settings(broker.port));
    (0..100).for_each(|seq| window(&publisher, seq));
    broker.wait_for("a window", |broker| !numbers(broker).is_empty());
    let summary = publisher.stop(Status::Stopped, Duration::from_secs(2)).unwrap();
    assert!(summary.acknowledged > 0 && summary.undelivered > 0, "{summary:?}");
    assert_eq!(summary.acknowledged + summary.undelivered, 100);
    let last = broker.published().pop().unwrap();
    assert_eq!((last.payload.as_str(), last.retain), ("stopped", true));
    assert!(matches!(broker.told().last(), Some((_, Told::Disconnect))));
}

#[test]
fn a_window_that_waited_too_long_is_dropped_and_counted() {
    // The broker takes windows after two seconds only, when they are worth nothing any more.
    let late = |number| match number {
        0..3 => b"\x20\x03\0\x89\0".to_vec(),
        _ => ACCEPTED.to_vec(),
    };
    let broker = FakeBroker::start(late, take);
    let publisher = start(Settings {
        limits: Limits {
            age: Duration::from_secs(1),
            size: 0,
        },
        ..settings(broker.port)
    });
    window(&publisher, 0);
    broker.wait_for("status", |broker| !broker.published().is_empty());
    window(&publisher, 1);
    broker.wait_for("the window", |broker| numbers(broker) == [1]);
    assert_eq!(
        stop(publisher),
        Summary {
            dropped: 1,
            ..summary(1, 0, 0)
        }
    );
}

#[test]
fn what_a_stop_has_taken_before_is_counted() {
    let progress = Arc::new(Progress::new(Arc::default()));
    let publisher = Publisher::start(settings(1), Vec::new(), Arc::clone(&progress)).expect("a thread");
    window(&publisher, 0);
    progress.ended().store(true, Ordering::Relaxed);
    // The pipeline ends.
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    assert_eq!(
        publisher.stop(Status::Stopped, Duration::from_secs(4)).unwrap(),
        summary(0, 0, 1)
    );
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_millis(2800),
        "{took:?}"
    );
}

#[test]
fn connecting_may_take_longer_than_five_seconds() {
    let slow = |_| {
        std::thread::sleep(Duration::from_millis(6500));
        ACCEPTED.to_vec()
    };
    let broker = FakeBroker::start(slow, take);
    let publisher = start(settings(broker.port));
    broker.wait_for("info", |broker| !broker.published().is_empty());
    let connects = broker
        .told()
        .into_iter()
        .filter(|(_, told)| matches!(told, Told::Connect { .. }));
    assert_eq!(connects.count(), 1, "and is not begun anew meanwhile");
    stop(publisher);
}

/// What is said about a broker that answers a connect like this.
fn why(answer: &'static [u8], protocol: Protocol) -> String {
    let broker = FakeBroker::start(move |_| answer.to_vec(), take);
    let settings = Settings {
        protocol,
        ..settings(broker.port)
    };
    probe(&settings, false).expect_err("not let in").to_string()
}

#[test]
fn each_way_of_not_being_let_in_says_what_to_do() {
    for (answer, words) in [
        (
            &b"\x20\x03\0\x86\0"[..],
            &["`door`", "/etc/affectd/secret", "password"][..],
        ),
        (
            b"\x20\x03\0\x87\0",
            &["`door`", "/etc/affectd/secret", "access rules", "`unit-check`"],
        ),
        (b"\x20\x03\0\x84\0", &["protocol = \"3.1.1\""]),
        (b"\x20\x02\0\x01", &["protocol = \"3.1.1\""]),
        (b"\x20\x02\0\0", &["protocol = \"3.1.1\""]),
        (b"\x20\x02\0\x03", &["not available now"]),
        (b"\x20\x02\0\x04", &["`door`", "/etc/affectd/secret"]),
        (b"\x20\x03\0\x85\0", &["client_id"]),
        (b"\x20\x03\0\x88\0", &["not available now"]),
        (b"\x20\x03\0\x89\0", &["busy"]),
        (b"\x20\x03\0\x8a\0", &["ban"]),
        (b"\x20\x03\0\x8c\0", &["authentication"]),
        (b"\x20\x03\0\x97\0", &["quota"]),
        (b"\x20\x03\0\x9f\0", &["too often"]),
        (b"\x20\x03\0\xab\0", &["not MQTT"]),
        (
            b"\x20\x14\0\x9c\x11\x1c\0\x0eother.host:188",
            &["`other.host:188`", "[mqtt] host"],
        ),
        (b"\x20\x03\0\x9d\0", &["does not say which"]),
        (b"\x20\x0e\0\x87\x0b\x1f\0\x08call\n+49", &["it says: call +49"]),
        (b"\x15\x03\x03\0\x02\x02\x28", &["TLS", "write url = \"mqtts://"]),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &["web server", "WebSocket", "1883"],
        ),
        (
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            &["no MQTT broker", "SSH-2.0-OpenSSH_9.2p1`"],
        ),
        (b"\x30\x02\0\0", &["no MQTT broker"]),
    ] {
        let why = why(answer, Protocol::V5);
        for word in words {
            assert!(why.contains(word), "{}: {why}", answer.escape_ascii());
        }
        assert!(!why.contains("hunter2") && !why.contains('\n'), "{why}");
    }
    for (answer, word) in [
        (&b"\x20\x02\0\x04"[..], "/etc/affectd/secret"),
        (b"\x20\x02\0\x01", "protocol = \"5\""),
        (b"\x20\x03\0\x84\0", "protocol = \"5\""),
    ] {
        let why = why(answer, Protocol::V311);
        assert!(why.contains(word), "{}: {why}", answer.escape_ascii());
    }
}

#[test]
fn without_an_answer_it_is_said_what_may_be_there() {
    // Nobody listens.
    let free = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let why = probe(&settings(free), false)
        .expect_err("nobody there")
        .to_string();
    assert!(why.contains("nothing listens on 127.0.0.1"), "{why}");
    // It closes at once.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let why = probe(&settings(port), false).expect_err("closed").to_string();
    assert!(why.contains("may be for TLS or WebSocket"), "{why}");
    // It closes what is not TLS.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut first = [0; 50];
            let count = stream.read(&mut first).unwrap_or(0);
            if first.starts_with(b"\x16\x03\x01\0\x2d") && count == 50 {
                let _ = stream.write_all(b"\x15\x03\x03\0\x02\x02\x28");
            }
        }
    });
    let why = probe(&settings(port), false).expect_err("closed").to_string();
    assert!(
        why.contains("speaks TLS") && why.contains("write url = \"mqtts://127.0.0.1:"),
        "{why}"
    );
    // No such name.
    let unknown = Settings {
        host: "no-such-host.invalid".to_owned(),
        ..settings(1)
    };
    let why = probe(&unknown, false).expect_err("no such name").to_string();
    assert!(why.contains("`no-such-host.invalid`"), "{why}");
}

#[test]
fn a_report_that_waited_for_the_clock_goes_out_with_its_date() {
    let clocks = |wall, after, synced| Clocks {
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
        uptime: Duration::from_secs(after),
        boot: 1,
        synced,
    };
    let payload = Payload::Dated(Box::new(Dated::Report(report(7))), clocks(3600, 0, false));
    let sent = |now| serde_json::from_slice::<WindowReport>(&payload.bytes(&now).unwrap()).unwrap();
    assert_eq!(
        sent(clocks(3660, 60, false)),
        report(7),
        "it is not known yet what time it is"
    );
    let window = Payload::Window(Window {
        topic: String::new(),
        report: serde_json::to_vec(&report(7)).unwrap(),
        given: clocks(3600, 0, false),
    });
    let now = clocks(1_800_000_000, 60, true);
    assert_eq!(window.bytes(&now).unwrap(), payload.bytes(&now).unwrap());
    let known = sent(now);
    assert_eq!(
        (known.start.as_str(), known.end.as_str()),
        ("2027-01-15T07:58:45.000Z", "2027-01-15T07:59:00.000Z")
    );
    assert!(known.clock_synced && known.seq == 7);
    let payload = Payload::Dated(Box::new(Dated::State(state(None))), clocks(3600, 0, false));
    let sent = payload.bytes(&clocks(1_800_000_000, 60, true)).unwrap();
    assert_eq!(
        serde_json::from_slice::<CameraState>(&sent).unwrap().since,
        "2027-01-15T07:59:00.000Z"
    );
}

#[test]
fn what_the_broker_keeps_with_dates_from_before_the_clock_was_known_goes_out_again() {
    let mut outbox = empty_outbox();
    let mut clocks = Clocks::now();
    for (topic, synced) in [("early", false), ("late", true)] {
        clocks.synced = synced;
        let payload = Payload::Dated(Box::new(Dated::State(state(None))), clocks);
        outbox.retain(topic.to_owned(), payload);
    }
    outbox.retain("undated".to_owned(), Payload::Bytes(Vec::new()));
    let now = Instant::now();
    for _ in 0..3 {
        let message = outbox.next(now, &clocks).unwrap();
        outbox.taken(&message, &clocks);
    }
    assert!(outbox.next(now, &clocks).is_none());
    outbox.clock_is_known();
    let message = outbox.next(now, &clocks).unwrap();
    assert_eq!(message.topic, "early");
    outbox.taken(&message, &clocks);
    assert!(outbox.next(now, &clocks).is_none());
}

fn empty_outbox() -> Outbox {
    let limits = settings(1).limits;
    Outbox::new("base", Spool::new(limits), f64::INFINITY, Duration::from_secs(1))
}

fn publisher(publish: impl FnOnce(&Shared) + Send + 'static) -> (Publisher, Arc<Progress>) {
    let progress = Arc::new(Progress::new(Arc::default()));
    let publisher = Publisher::spawn(
        "base".to_owned(),
        empty_outbox(),
        None,
        Arc::new(Desk::new(Ear::default())),
        Arc::clone(&progress),
        publish,
    )
    .expect("a thread");
    (publisher, progress)
}

#[test]
fn a_publishing_thread_that_dies_ends_the_run() {
    let (publisher, progress) = publisher(|_| panic!("on purpose"));
    let began = Instant::now();
    while !progress.is_ending() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the run goes on without it"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    // Nobody waits for it, and it is told.
    assert!(publisher.stop(Status::Stopped, Duration::from_secs(60)).is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_publishing_thread_that_was_asked_to_end_has_not_died() {
    let (publisher, _) = publisher(|shared| {
        while shared.lock().farewell.is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert!(publisher.stop(Status::Stopped, Duration::from_secs(60)).is_ok());
}
