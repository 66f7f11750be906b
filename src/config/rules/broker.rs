//! The broker's address, and what encrypts the way to it.

use super::super::broker::BrokerAddress;
use super::super::entry::{self, Table};
use super::super::problem::Problems;
use super::super::tables::{Mqtt, Tls};
use crate::tls::Files;

/// The keys of `[mqtt.tls]`.
const KEYS: [&str; 4] = ["ca", "certificate", "key", "server_name"];

pub(super) fn check(table: &Table, problems: &mut Problems) {
    host(table, problems);
    let address = address(table, problems);
    let Ok(address) = address else { return };
    let tls: Tls = entry::read(table, &["mqtt", "tls"]).unwrap_or_default();
    if address.as_ref().is_none_or(|address| !address.tls) {
        not_encrypted(table, problems, address.as_ref());
    } else if let Some(address) = address {
        files(table, problems, &tls, &address);
    }
}

/// Text at `[mqtt] key` that is not empty.
fn text(table: &Table, path: &[&str]) -> Option<String> {
    entry::read::<String>(table, path).filter(|text| !text.is_empty())
}

/// A port behind the host. (An IPv6 address has two colons at least.)
fn host(table: &Table, problems: &mut Problems) {
    let path = ["mqtt", "host"];
    let (Some(entry), Some(host)) = (entry::get(table, &path), text(table, &path)) else {
        return;
    };
    if let Some((name, port)) = host.split_once(':').filter(|(_, port)| !port.contains(':')) {
        let what = format!("`host` is \"{host}\", with a port");
        problems.add(
            &entry.span,
            "mqtt",
            what,
            format!("write host = \"{name}\" and port = {port}"),
        );
    }
}

/// What `url` says; `None` if it is not given, `Err` if it says nothing of use.
fn address(table: &Table, problems: &mut Problems) -> Result<Option<BrokerAddress>, ()> {
    let path = ["mqtt", "url"];
    let (Some(entry), Some(url)) = (entry::get(table, &path), text(table, &path)) else {
        return Ok(None);
    };
    // What stands in the template is no second opinion.
    let usual = Mqtt::default();
    let host = text(table, &["mqtt", "host"]).filter(|host| *host != usual.host);
    let port = entry::read::<u16>(table, &["mqtt", "port"]).filter(|port| *port != usual.port);
    for (key, given) in [("host", host.is_some()), ("port", port.is_some())] {
        if let (true, Some(other)) = (given, entry::get(table, &["mqtt", key])) {
            let what = format!("`{key}` is given, and so is `url`");
            let note = format!("take `{key}` away: `url` has the broker's name and its port");
            problems.add(&other.span, "mqtt", what, note);
        }
    }
    BrokerAddress::parse(&url)
        .map(Some)
        .map_err(|(what, note)| problems.add(&entry.span, "mqtt", what, note))
}

/// Keys of TLS that would do nothing.
fn not_encrypted(table: &Table, problems: &mut Problems, address: Option<&BrokerAddress>) {
    let usual = Mqtt::default();
    let note = match address {
        Some(address) => {
            let secure = if address.websocket.is_some() {
                "wss"
            } else {
                "mqtts"
            };
            format!("write url = \"{secure}://…\" in [mqtt]")
        }
        None => {
            let host = text(table, &["mqtt", "host"]).unwrap_or(usual.host);
            let port = entry::read::<u16>(table, &["mqtt", "port"]).filter(|port| *port != usual.port);
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            format!("write url = \"mqtts://{host}{port}\" in [mqtt], in place of `host` and `port`")
        }
    };
    for key in KEYS {
        let path = ["mqtt", "tls", key];
        if let (Some(entry), Some(_)) = (entry::get(table, &path), text(table, &path)) {
            let what = format!("`{key}` is given, but the way to the broker is not encrypted");
            problems.add(&entry.span, "mqtt.tls", what, note.clone());
        }
    }
}

/// Files that are missing, or are not what they should be.
fn files(table: &Table, problems: &mut Problems, tls: &Tls, address: &BrokerAddress) {
    for (given, key, missing) in [
        (&tls.certificate, "certificate", ("key", &tls.key)),
        (&tls.key, "key", ("certificate", &tls.certificate)),
    ] {
        if let (Some(_), (other, None), Some(entry)) =
            (given, missing, entry::get(table, &["mqtt", "tls", key]))
        {
            let what = format!("`{key}` is given, but `{other}` is not");
            let note =
                format!("a broker takes the two only together: give the file of the {other} as `{other}`");
            problems.add(&entry.span, "mqtt.tls", what, note);
            return;
        }
    }
    if let Err(fault) = Files::from(tls).read(&address.host) {
        let path = ["mqtt", "tls", fault.key];
        // What is not given there has no place of its own.
        let entry = entry::get(table, &path).or_else(|| entry::get(table, &["mqtt", "url"]));
        if let Some(entry) = entry {
            problems.add(
                &entry.span,
                "mqtt.tls",
                format!("`{}`: {}", fault.key, fault.what),
                fault.note,
            );
        }
    }
}

impl From<&Tls> for Files {
    fn from(tls: &Tls) -> Self {
        let Tls {
            ca,
            certificate,
            key,
            server_name,
        } = tls.clone();
        Self {
            ca,
            certificate,
            key,
            server_name,
        }
    }
}
