//! A real mosquitto that speaks TLS and WebSocket, with one fault at each port: whether we get in, and what is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub
)] // a test that fails shall say where

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::probe::{Probe, probe};
use super::{Settings, tests};
use crate::config::Protocol;
use crate::tls::Files;
use certificates::{Authority, DAY, Pair, Ports, Wish, free_port, secure};

#[path = "../../tests/common/certificates.rs"]
mod certificates;

/// How we go to a port.
fn settings(port: u16, ca: &Path) -> Settings {
    Settings {
        host: "localhost".to_owned(),
        by_url: true,
        tls: Some(Files {
            ca: Some(ca.to_owned()),
            ..Files::default()
        }),
        username: None,
        password: None,
        ..tests::settings(port)
    }
}

fn with_certificate(settings: Settings, pair: &Pair) -> Settings {
    let files = settings.tls.unwrap();
    Settings {
        tls: Some(Files {
            certificate: Some(pair.certificate.clone()),
            key: Some(pair.key.clone()),
            ..files
        }),
        ..settings
    }
}

fn over_websocket(settings: Settings) -> Settings {
    Settings {
        websocket: Some("/mqtt".to_owned()),
        ..settings
    }
}

fn works(settings: &Settings) -> Probe {
    probe(settings, true).unwrap_or_else(|why| panic!("{}: {why:#}", settings.address()))
}

/// Why we do not get in.
fn fails(settings: &Settings) -> String {
    match probe(settings, true) {
        Ok(found) => panic!("it is let in at {}: {}", settings.address(), found.text),
        Err(why) => format!("{why:#}"),
    }
}

fn without_tls(settings: &Settings) -> Settings {
    Settings {
        tls: None,
        ..settings.clone()
    }
}

#[test]
fn each_way_is_found_and_each_fault_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let other_folder = tempfile::tempdir().unwrap();
    let (ours, other) = (
        Authority::new(folder.path(), "our CA"),
        Authority::new(other_folder.path(), "another CA"),
    );
    let ca = ours.file();
    let now = SystemTime::now();
    let sign = |name, change: &dyn Fn(&mut Wish<'static>)| {
        let mut wish = Wish::good(name);
        change(&mut wish);
        ours.sign(&wish)
    };
    let good = sign("good", &|_| {});
    let soon = sign("soon", &|wish| {
        wish.end = now + 3 * DAY + Duration::from_secs(600)
    });
    let over = sign("over", &|wish| wish.end = now - DAY / 2);
    let early = sign("early", &|wish| wish.begin = now + DAY);
    let elsewhere = sign("elsewhere", &|wish| wish.hosts = &["broker.example", "10.9.8.7"]);
    let nameless = sign("nameless", &|wish| wish.hosts = &[]);
    let ca_like = sign("ca-like", &|wish| wish.is_ca = true);
    let client = sign("client", &|wish| wish.hosts = &[]);
    let client_over = sign("client-over", &|wish| wish.end = now - DAY / 2);
    let stranger = other.sign(&Wish::good("stranger"));

    let ports: Vec<u16> = (0..12).map(|_| free_port()).collect();
    let [
        plain,
        p_good,
        p_soon,
        p_over,
        p_early,
        p_elsewhere,
        p_nameless,
        p_ca,
        p_demands,
        p_old,
        p_ws,
        p_wss,
    ] = ports[..]
    else {
        unreachable!()
    };
    let mut lines = format!("listener {plain} 127.0.0.1\n");
    for (port, pair) in [
        (p_good, &good),
        (p_soon, &soon),
        (p_over, &over),
        (p_early, &early),
        (p_elsewhere, &elsewhere),
        (p_nameless, &nameless),
        (p_ca, &ca_like),
    ] {
        lines += &secure(port, pair);
    }
    let demand = format!("cafile {}\nrequire_certificate true\n", ca.display());
    lines += &(secure(p_demands, &good) + &demand);
    lines += &(secure(p_old, &good) + &demand + "tls_version tlsv1.2\n");
    lines += &format!("listener {p_ws} 127.0.0.1\nprotocol websockets\n");
    lines += &(secure(p_wss, &good) + "protocol websockets\n");
    let _broker = Ports::open(folder.path(), &lines, &ports);
    let to = |port| settings(port, &ca);

    // What works, in both versions of MQTT, and says that a message came back.
    for protocol in [Protocol::V5, Protocol::V311] {
        for way in [
            to(p_good),
            with_certificate(to(p_demands), &client),
            with_certificate(to(p_old), &client),
            over_websocket(to(p_wss)),
            over_websocket(without_tls(&to(p_ws))),
            without_tls(&to(plain)),
        ] {
            let found = works(&Settings { protocol, ..way });
            assert!(
                found.text.contains("was taken and read back") && !found.remark,
                "{}",
                found.text
            );
        }
    }
    let found = works(&to(p_soon));
    assert!(
        found.remark && found.text.contains("ends in 3 days"),
        "{}",
        found.text
    );
    let renamed = |name: &str, port| {
        let settings = to(port);
        let files = settings.tls.clone().unwrap();
        Settings {
            tls: Some(Files {
                server_name: Some(name.to_owned()),
                ..files
            }),
            ..settings
        }
    };
    works(&renamed("broker.example", p_elsewhere));
    works(&renamed("10.9.8.7", p_elsewhere));

    let no_ca = |port| {
        let settings = to(port);
        Settings {
            tls: Some(Files::default()),
            ..settings
        }
    };
    let faults: Vec<(&str, Settings, &[&str])> = vec![
        (
            "over",
            to(p_over),
            &["its certificate ended", "renew it at the broker"],
        ),
        ("early", to(p_early), &["its certificate is valid from", "clock"]),
        (
            "elsewhere",
            to(p_elsewhere),
            &["`broker.example`, `10.9.8.7`, not for `localhost`", "server_name"],
        ),
        (
            "nameless",
            to(p_nameless),
            &["names no host", "subjectAltName = DNS:localhost"],
        ),
        ("a CA's own", to(p_ca), &["a CA's own", "CA:FALSE"]),
        (
            "unknown CA",
            settings(p_good, &other.file()),
            &[
                "not signed by a CA in [mqtt.tls] ca",
                "give the CA that signed it",
            ],
        ),
        (
            "the system's CAs",
            no_ca(p_good),
            &["nobody whom this system trusts", "[mqtt.tls] ca"],
        ),
        (
            "demanded",
            to(p_demands),
            &["demands a client certificate", "[mqtt.tls] certificate and key"],
        ),
        (
            "demanded by TLS 1.2",
            to(p_old),
            &["demands a client certificate", "[mqtt.tls] certificate and key"],
        ),
        (
            "refused",
            with_certificate(to(p_demands), &stranger),
            &["does not know the CA that signed our certificate", "cafile"],
        ),
        (
            "refused by TLS 1.2",
            with_certificate(to(p_old), &stranger),
            &["does not know the CA that signed our certificate", "cafile"],
        ),
        (
            "refused because it is over",
            with_certificate(to(p_demands), &client_over),
            &["refuses our certificate", "over", "renew"],
        ),
        (
            "TLS at a plain port",
            to(plain),
            &["speaks MQTT without TLS", "mostly 8883", "mqtt://localhost"],
        ),
        (
            "plain at a port for TLS",
            without_tls(&to(p_good)),
            &["speaks TLS", "write url = \"mqtts://localhost:"],
        ),
        (
            "plain at a port for WebSocket over TLS",
            over_websocket(without_tls(&to(p_wss))),
            &["speaks TLS", "write url = \"wss://localhost:", "/mqtt\""],
        ),
        (
            "MQTT at a port for WebSocket",
            without_tls(&to(p_ws)),
            &[
                "web server answers",
                "write url = \"ws://localhost:",
                "mostly 1883",
            ],
        ),
        (
            "MQTT at a port for WebSocket over TLS",
            to(p_wss),
            &[
                "web server answers",
                "write url = \"wss://localhost:",
                "mostly 8883",
            ],
        ),
        (
            "WebSocket at a port for MQTT",
            over_websocket(without_tls(&to(plain))),
            &["speaks no WebSocket", "write mqtt:// in place of ws://"],
        ),
        (
            "WebSocket at a port for MQTT over TLS",
            over_websocket(to(p_good)),
            &["speaks no WebSocket", "write mqtts:// in place of wss://"],
        ),
    ];
    for (what, settings, words) in faults {
        let why = fails(&settings);
        for word in words {
            assert!(why.contains(word), "{what}: {word:?} is not in: {why}");
        }
        println!("{what}: {why}\n");
    }
}

#[test]
fn a_file_that_is_no_certificate_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "our CA");
    let (good, other) = (ours.sign(&Wish::good("good")), ours.sign(&Wish::good("other")));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let pem = fs::read(ours.file()).unwrap();
    let text = String::from_utf8(pem.clone()).unwrap();
    let p12 = [
        b"\x30\x82\x09\x00\x02\x01\x03\x30\x82\x08\xc6\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xff"
            .as_slice(),
        b"x",
    ]
    .concat();
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();

    // What other systems make of the same text is read.
    for bytes in [
        text.replace('\n', "\r\n").into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        [b"\xef\xbb\xbf".as_slice(), &pem].concat(),
        format!("subject=CN = our CA\n\n{text}trailing words\n").into_bytes(),
    ] {
        let files = Files {
            ca: Some(write("read.pem", &bytes)),
            ..Files::default()
        };
        assert!(
            files.read("localhost").is_ok(),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }

    let ca = |path| Files {
        ca: Some(path),
        ..Files::default()
    };
    let pair = |certificate: &Path, key: &Path| Files {
        ca: Some(ours.file()),
        certificate: Some(certificate.to_owned()),
        key: Some(key.to_owned()),
        server_name: None,
    };
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    for (files, key, what, note) in [
        (
            ca(folder.path().join("gone")),
            "ca",
            "there is no such file",
            "0644",
        ),
        (ca(folder.path().to_owned()), "ca", "Is a directory", "0644"),
        (ca(write("empty", b"\r\n")), "ca", "it is empty", "copy it"),
        (
            ca(write("der", &ours.der())),
            "ca",
            "it is DER",
            "openssl x509 -inform der",
        ),
        (ca(write("p12", &p12)), "ca", "PKCS#12", "openssl pkcs12"),
        (ca(write("utf16", &utf16)), "ca", "UTF-16", "UTF-8"),
        (
            ca(good.key.clone()),
            "ca",
            "a private key and no certificate",
            "into `key` alone",
        ),
        (
            ca(write("request", request.as_bytes())),
            "ca",
            "a request for a certificate",
            "the CA made of",
        ),
        (
            ca(write("words", b"hello\n")),
            "ca",
            "no certificate in it",
            "BEGIN CERTIFICATE",
        ),
        (
            ca(write("cut", &pem[..pem.len() / 2])),
            "ca",
            "cut off",
            "copy it",
        ),
        (
            ca(write("holes", text.replacen('M', "!", 3).as_bytes())),
            "ca",
            "damaged",
            "copy it",
        ),
        (
            ca(write(
                "other",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            )),
            "ca",
            "cannot be read",
            "copy it",
        ),
        (
            pair(&good.certificate, &other.key),
            "key",
            "not the key of the certificate",
            "made together",
        ),
        (
            pair(&good.key, &good.certificate),
            "certificate",
            "a private key and no certificate",
            "`key`",
        ),
        (
            pair(&good.certificate, &good.certificate),
            "key",
            "a certificate and no private key",
            "as `key`",
        ),
        (
            pair(&good.certificate, &write("encrypted", encrypted.as_bytes())),
            "key",
            "has a passphrase",
            "openssl pkey",
        ),
        (
            pair(&good.certificate, &write("no-key", b"x")),
            "key",
            "no private key in it",
            "BEGIN PRIVATE KEY",
        ),
        (
            pair(
                &good.certificate,
                Path::new("/run/credentials/affectd.service/no-such-key"),
            ),
            "key",
            "only while the service runs",
            "/etc/credstore/affectd.mqtt-key",
        ),
    ] {
        let fault = files.read("localhost").expect_err(what);
        assert!(
            fault.key == key && fault.what.contains(what) && fault.note.contains(note),
            "{what}: {fault:?}"
        );
    }
}
