//! The broker's address: `mqtts://broker.example:8883`.

use tokio_tungstenite::tungstenite::http::Uri;

use super::tables::Mqtt;

/// Where the broker is, and what is spoken on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
    /// The path of MQTT over WebSocket, if it is spoken so.
    pub(crate) websocket: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What is wrong with an address, and what to do.
pub(super) type Wrong = (String, String);

/// The ways that lead to a broker: scheme, TLS, WebSocket, the usual port.
const WAYS: [(&str, bool, bool, u16); 4] = [
    ("mqtt", false, false, 1883),
    ("mqtts", true, false, 8883),
    ("ws", false, true, 80),
    ("wss", true, true, 443),
];
/// What others call them.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("tcp", "mqtt"),
    ("mqtt5", "mqtt"),
    ("ssl", "mqtts"),
    ("tls", "mqtts"),
    ("tcps", "mqtts"),
    ("mqtt+ssl", "mqtts"),
    ("http", "ws"),
    ("https", "wss"),
];
/// The path that most brokers have.
const USUAL_PATH: &str = "/mqtt";

impl BrokerAddress {
    /// The address of a configuration that was checked.
    pub(crate) fn of(mqtt: &Mqtt) -> Self {
        let by_url = mqtt.url.as_deref().and_then(|url| Self::parse(url).ok());
        by_url.unwrap_or_else(|| Self {
            tls: false,
            websocket: None,
            host: mqtt.host.clone(),
            port: mqtt.port,
        })
    }

    /// Reads an address.
    pub(super) fn parse(url: &str) -> Result<Self, Wrong> {
        const WAYS_IN_WORDS: &str = "write mqtt://, mqtts://, ws:// or wss:// and the broker's name";
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err((
                "`url` does not say what is spoken".to_owned(),
                format!(
                    "write mqtts://{0} (with TLS) or mqtt://{0} (without)",
                    url.trim_start_matches('/')
                ),
            ));
        };
        let lower = scheme.to_ascii_lowercase();
        let Some((_, tls, websocket, usual_port)) = WAYS.into_iter().find(|(name, ..)| *name == lower) else {
            let meant = OTHER_NAMES.iter().find(|(name, _)| *name == lower);
            let note = meant.map_or_else(
                || WAYS_IN_WORDS.to_owned(),
                |(_, meant)| format!("write {meant}://{rest}"),
            );
            return Err((
                format!("`url` begins with {scheme}://, which is no way to a broker"),
                note,
            ));
        };
        let uri: Uri = url
            .parse()
            .map_err(|error| (format!("`url` is no address ({error})"), WAYS_IN_WORDS.to_owned()))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err((
                "`url` holds a login".to_owned(),
                "give the user as `username`, and write the password into a file of its own, given as `password_file`".to_owned(),
            ));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(("`url` names no host".to_owned(), WAYS_IN_WORDS.to_owned()));
        }
        let behind_host = authority.rsplit(']').next().unwrap_or_default();
        let port = match behind_host.split_once(':') {
            None => usual_port,
            Some((_, port)) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                (
                    format!("`url` has the port `{port}`"),
                    "a port is a number from 1 to 65535".to_owned(),
                )
            })?,
        };
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        if !websocket && !matches!(path, "" | "/") {
            return Err((
                format!("`url` has the path `{path}`, which {lower}:// knows nothing of"),
                format!(
                    "take it away; topics begin with [mqtt] base, and paths belong to {}://",
                    if tls { "wss" } else { "ws" }
                ),
            ));
        }
        let path = match path {
            "" | "/" => USUAL_PATH,
            path => path,
        };
        Ok(Self {
            tls,
            websocket: websocket.then(|| path.to_owned()),
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_host_port_and_way() {
        for (url, tls, path, host, port) in [
            ("mqtt://broker.example", false, None, "broker.example", 1883),
            ("mqtts://broker.example/", true, None, "broker.example", 8883),
            ("MQTTS://10.0.0.5:18883", true, None, "10.0.0.5", 18883),
            ("mqtts://[fd00::5]", true, None, "fd00::5", 8883),
            ("mqtts://[fd00::5]:9", true, None, "fd00::5", 9),
            ("ws://b", false, Some("/mqtt"), "b", 80),
            ("wss://b/", true, Some("/mqtt"), "b", 443),
            ("wss://b:8884/ws?x=1", true, Some("/ws?x=1"), "b", 8884),
        ] {
            let read = BrokerAddress::parse(url).unwrap_or_else(|why| panic!("{url}: {why:?}"));
            assert_eq!(
                (read.tls, read.websocket.as_deref(), read.host.as_str(), read.port),
                (tls, path, host, port),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_was_meant() {
        for (url, what, note) in [
            (
                "broker.example",
                "does not say what is spoken",
                "mqtts://broker.example",
            ),
            ("ssl://b:8883", "begins with ssl://", "write mqtts://b:8883"),
            ("https://b", "begins with https://", "write wss://b"),
            ("amqp://b", "begins with amqp://", "write mqtt://, mqtts://"),
            ("mqtts://user:pw@b", "holds a login", "password_file"),
            ("mqtts://", "`url`", "the broker's name"),
            ("mqtts://b:0", "port `0`", "from 1 to 65535"),
            ("mqtts://b:99999", "port `99999`", "from 1 to 65535"),
            ("mqtts://b:", "port ``", "from 1 to 65535"),
            ("mqtts://b/affectd", "path `/affectd`", "[mqtt] base"),
            ("mqtts://a b", "is no address", "the broker's name"),
        ] {
            let (said, advice) = BrokerAddress::parse(url).expect_err(url);
            assert!(
                said.contains(what) && advice.contains(note),
                "{url}: {said}: {advice}"
            );
        }
    }
}
