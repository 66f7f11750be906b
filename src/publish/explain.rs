//! Connections that do not come about or break off: a sentence part for each cause, that says what to do.

use super::Settings;
use super::packets::{Notice, in_codes_of_5, printable};
use super::refusal::{
    ADMINISTRATIVE, ANOTHER_SERVER, BAD_CLIENT_ID, BAD_METHOD, BAD_PASSWORD, BANNED, BUSY, CONNECTION_RATE,
    KEEP_ALIVE, MOVED, NO_QOS, NO_RETAIN, NOT_AUTHORISED, OTHER_VERSION, QUOTA, RATE_TOO_HIGH, SHUTTING_DOWN,
    TAKEN_OVER, TOO_LARGE, TOPIC_INVALID, UNAVAILABLE,
};
use crate::config::Protocol;

/// The broker does not let us in.
pub(super) fn refused(notice: &Notice, settings: &Settings) -> String {
    let text = match notice.code {
        BAD_PASSWORD => format!("it refuses user name or password: {}", credentials(settings)),
        NOT_AUTHORISED => format!(
            "it does not authorise this client: {}; then the broker's access rules for client id `{}`",
            credentials(settings),
            settings.client_id
        ),
        BANNED => "it has banned this client: lift the ban at the broker".to_owned(),
        OTHER_VERSION => other_version(settings),
        BAD_CLIENT_ID => format!(
            "it does not accept the client id `{}`: set [mqtt] client_id to one that it allows, at best letters and digits",
            settings.client_id
        ),
        UNAVAILABLE => "it is not available now".to_owned(),
        BUSY => "it is busy".to_owned(),
        BAD_METHOD => "it wants a method of authentication that affectd does not know: let it take a user name and a password".to_owned(),
        TOPIC_INVALID => format!(
            "it does not allow the topic `{}` of the last will: set [mqtt] base and [deployment] site to what it allows",
            settings.status_topic()
        ),
        TOO_LARGE => "the first packet is too large for it: raise its limit for the size of packets".to_owned(),
        QUOTA => "its quota is exceeded: free or raise it".to_owned(),
        NO_RETAIN => "it keeps no retained messages, not even as a last will".to_owned(),
        NO_QOS => "it does not take QoS 1, not even for a last will".to_owned(),
        ANOTHER_SERVER | MOVED => return elsewhere(notice, settings),
        CONNECTION_RATE => "it is connected to too often: other clients may do so, too, or the broker's limit is low".to_owned(),
        other => format!("it refuses the connection with code 0x{other:02x}"),
    };
    with_words(text, notice)
}

/// The broker ended the connection.
pub(super) fn goodbye(notice: &Notice, settings: &Settings) -> String {
    let text = match notice.code {
        TAKEN_OVER => "another client connected with the same client id (a cloned SD card?): give each device its own [mqtt] client_id".to_owned(),
        NOT_AUTHORISED => format!(
            "it does not authorise what this client does: {}; then the broker's access rules for `{}/#`",
            credentials(settings),
            settings.base
        ),
        SHUTTING_DOWN => "it is shutting down".to_owned(),
        BUSY => "it is busy".to_owned(),
        KEEP_ALIVE => "it heard nothing for too long: the network is slow or breaks off; a longer [mqtt] keep_alive may help".to_owned(),
        RATE_TOO_HIGH | QUOTA => "its limits are exceeded: raise the broker's quota or rate".to_owned(),
        ADMINISTRATIVE => "somebody ended the connection at the broker".to_owned(),
        ANOTHER_SERVER | MOVED => return elsewhere(notice, settings),
        other => format!("it closed the connection with code 0x{other:02x}"),
    };
    with_words(text, notice)
}

/// The connection was closed without a word, after it stood.
pub(super) const CLOSED: &str = "it closed the connection without a word; if this goes on, another client may use the same client id: give each device its own [mqtt] client_id";

/// Connected, but closed before a word was said.
pub(super) fn closed_at_once(settings: &Settings) -> String {
    let port = settings.port;
    let version = version(settings);
    let other = match (&settings.websocket, &settings.tls) {
        (Some(_), _) => format!("it may not speak MQTT {version} ([mqtt] protocol)"),
        (None, Some(_)) => format!(
            "port {port} may be for WebSocket (then write wss:// in [mqtt] url), or it does not speak MQTT {version} ([mqtt] protocol)"
        ),
        (None, None) => format!(
            "port {port} may be for TLS or WebSocket (MQTT without them is mostly on 1883), or it does not speak MQTT {version} ([mqtt] protocol)"
        ),
    };
    format!("it closes the connection before it lets anybody in: {other}")
}

/// The port is for TLS, and we spoke without.
pub(super) fn tls(settings: &Settings) -> String {
    let scheme = if settings.websocket.is_some() {
        "wss"
    } else {
        "mqtts"
    };
    format!(
        "port {0} speaks TLS, and affectd is told to speak without: write url = \"{scheme}://{1}{2}\" in [mqtt]",
        settings.port,
        settings.authority(),
        settings.websocket.as_deref().unwrap_or_default()
    )
}

/// The broker does not let us listen to a topic.
pub(super) fn may_not_listen(topic: &str, settings: &Settings) -> String {
    let user = super::refusal::user(settings);
    format!(
        "The MQTT broker does not let affectd listen to `{topic}`: let {user} read it in the broker's access rules, or take it out of the configuration ([mqtt] commands, homeassistant)."
    )
}

/// We spoke TLS, and the port is for MQTT without.
pub(super) fn no_tls_here(settings: &Settings) -> String {
    format!(
        "port {} speaks MQTT without TLS: give the broker's port for TLS in [mqtt] url, mostly 8883; or, in a network that nobody else is in, write url = \"mqtt://{}\"",
        settings.port,
        settings.authority()
    )
}

/// We spoke TLS, and something else answers.
pub(super) fn not_tls(settings: &Settings) -> String {
    format!(
        "what answers on port {} speaks no TLS: check the port in [mqtt] url (TLS is mostly on 8883, wss:// on 443)",
        settings.port
    )
}

/// The connection was closed in the midst of TLS.
pub(super) fn tls_closed(settings: &Settings, error: &std::io::Error) -> String {
    format!(
        "it ends the connection while TLS begins ({error}): port {} may be for something else (TLS is mostly on 8883), or the broker refuses this device; its log may say more",
        settings.port
    )
}

/// We asked for WebSocket, and something else answers.
pub(super) fn no_web(settings: &Settings) -> String {
    format!(
        "port {} speaks no WebSocket: check port and path in [mqtt] url, or write {}:// in place of {}://",
        settings.port,
        if settings.tls.is_some() { "mqtts" } else { "mqtt" },
        if settings.tls.is_some() { "wss" } else { "ws" },
    )
}

/// Connected, but nothing is said.
pub(super) fn silent(settings: &Settings, seconds: u64) -> String {
    format!(
        "something takes the connection but says nothing for {seconds} s: check that an MQTT broker listens on port {}",
        settings.port
    )
}

/// What stands at the other end, if the first bytes that it says are not MQTT's answer to a connect.
pub(super) fn stranger(first: &[u8], settings: &Settings) -> Option<String> {
    let port = settings.port;
    let answer = match first {
        [] | [0x20] | [0xe0 | 0xf0, ..] => return None,
        // Without properties it is the answer of 3.1.1, and with them that of 5.
        [0x20, 2, rest @ ..] if settings.protocol == Protocol::V5 => {
            let code = rest.get(1)?;
            return Some(match in_codes_of_5(*code) {
                0 | OTHER_VERSION => other_version(settings),
                code => refused(&Notice::of(code), settings),
            });
        }
        [0x20, 3..=255, ..] if settings.protocol == Protocol::V311 => return Some(other_version(settings)),
        [0x20, ..] => return None,
        [0x15 | 0x16, 3, ..] => tls(settings),
        first if first.starts_with(b"HTTP/") || first.starts_with(b"<") => {
            let scheme = if settings.tls.is_some() { "wss" } else { "ws" };
            format!(
                "a web server answers on port {port}, or MQTT over WebSocket: for that write url = \"{scheme}://{}/mqtt\" in [mqtt]; for MQTT itself give the broker's other port, mostly {}",
                settings.authority(),
                if settings.tls.is_some() { 8883 } else { 1883 }
            )
        }
        first => format!(
            "what answers on port {port} is no MQTT broker (it says `{}`): check [mqtt] {}",
            printable(&String::from_utf8_lossy(&first[..first.len().min(40)])),
            settings.port_key()
        ),
    };
    Some(answer)
}

/// The name is not found, or nobody says whether it is.
pub(super) fn no_name(settings: &Settings, cause: Option<&std::io::Error>, seconds: u64) -> String {
    let (host, key) = (&settings.host, settings.host_key());
    match cause {
        Some(cause) => format!(
            "the name `{host}` is not found ({cause}): check [mqtt] {key} and the network's name server (DNS), or give the broker's address"
        ),
        None => format!(
            "nobody answers within {seconds} s what address `{host}` has: the network's name server (DNS) is not reached; check the network, or set [mqtt] {key} to the broker's address"
        ),
    }
}

/// The address is known, but nothing is there.
pub(super) fn no_connection(
    address: std::net::SocketAddr,
    cause: Option<&std::io::Error>,
    seconds: u64,
    settings: &Settings,
) -> String {
    use std::io::ErrorKind;
    let keys = settings.port_key();
    match cause {
        Some(cause) if cause.kind() == ErrorKind::ConnectionRefused => format!(
            "nothing listens on {address} ({cause}): check [mqtt] {keys}, and that the broker runs and listens on more than its own loopback"
        ),
        Some(cause) => format!(
            "{address} is not reached ({cause}): check the network and [mqtt] {}",
            settings.host_key()
        ),
        None => format!(
            "{address} does not answer within {seconds} s: it is switched off, a firewall is in between, or [mqtt] {keys} is wrong"
        ),
    }
}

/// What is to be checked of user name and password.
fn credentials(settings: &Settings) -> String {
    match (&settings.username, &settings.password_file) {
        (None, _) => "set [mqtt] username and password_file if it wants them".to_owned(),
        (Some(user), None) => {
            format!("check [mqtt] username `{user}`, and set password_file if it wants a password")
        }
        (Some(user), Some(file)) => format!(
            "check [mqtt] username `{user}` and the password in the password_file {} (it is read at the start)",
            printable(&file.display().to_string())
        ),
    }
}

fn other_version(settings: &Settings) -> String {
    let other = match settings.protocol {
        Protocol::V5 => "3.1.1",
        Protocol::V311 => "5",
    };
    format!(
        "it does not speak MQTT {}: set [mqtt] protocol = \"{other}\"",
        version(settings)
    )
}

fn version(settings: &Settings) -> &'static str {
    match settings.protocol {
        Protocol::V5 => "5",
        Protocol::V311 => "3.1.1",
    }
}

fn elsewhere(notice: &Notice, settings: &Settings) -> String {
    let text = match &notice.server {
        Some(server) => format!("it sends its clients to `{server}`: set [mqtt] {} to that", settings.port_key()),
        None => "it sends its clients to another server and does not say which: ask who runs it, then change [mqtt]".to_owned(),
    };
    with_words(text, notice)
}

/// With what the broker says itself.
fn with_words(text: String, notice: &Notice) -> String {
    match &notice.words {
        Some(words) => format!("{text}; it says: {words}"),
        None => text,
    }
}
