//! Messages that a broker does not take: what is done about each reason, and what the technician is told.

use super::packets::Notice;
use super::{Kind, Message, Settings};

/// MQTT 5's reason codes, as far as something is done about them.
pub(super) const SUCCESS: u8 = 0x00;
pub(super) const OTHER_VERSION: u8 = 0x84;
pub(super) const BAD_CLIENT_ID: u8 = 0x85;
pub(super) const BAD_PASSWORD: u8 = 0x86;
pub(super) const NOT_AUTHORISED: u8 = 0x87;
pub(super) const UNAVAILABLE: u8 = 0x88;
pub(super) const BUSY: u8 = 0x89;
pub(super) const BANNED: u8 = 0x8a;
pub(super) const SHUTTING_DOWN: u8 = 0x8b;
pub(super) const BAD_METHOD: u8 = 0x8c;
pub(super) const KEEP_ALIVE: u8 = 0x8d;
pub(super) const TAKEN_OVER: u8 = 0x8e;
pub(super) const TOPIC_INVALID: u8 = 0x90;
pub(super) const TOO_LARGE: u8 = 0x95;
pub(super) const RATE_TOO_HIGH: u8 = 0x96;
pub(super) const QUOTA: u8 = 0x97;
pub(super) const ADMINISTRATIVE: u8 = 0x98;
pub(super) const PAYLOAD_INVALID: u8 = 0x99;
pub(super) const NO_RETAIN: u8 = 0x9a;
pub(super) const NO_QOS: u8 = 0x9b;
pub(super) const ANOTHER_SERVER: u8 = 0x9c;
pub(super) const MOVED: u8 = 0x9d;
pub(super) const CONNECTION_RATE: u8 = 0x9f;
/// Not a code of MQTT: the broker closes the connection each time that the message comes.
pub(super) const CLOSES: u8 = 0xff;
/// Not a code of MQTT: the broker does not answer the message.
pub(super) const NO_ANSWER: u8 = 0xfe;

/// What is done with a message that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It waits, and its topic with it, until the broker takes it: somebody must change the broker's rules.
    Wait,
    /// The same for a while; a message that is refused often is set aside.
    Retry,
    /// It would be refused again, so it is counted and the next one goes out.
    SetAside,
}

/// What is done about a code, if it is about the message at all.
pub(super) fn treatment(code: u8) -> Option<Treatment> {
    match code {
        NOT_AUTHORISED | QUOTA | NO_ANSWER => Some(Treatment::Wait),
        0x80 | 0x83 | 0x91 => Some(Treatment::Retry),
        TOPIC_INVALID | TOO_LARGE | PAYLOAD_INVALID | CLOSES => Some(Treatment::SetAside),
        _ => None,
    }
}

/// What a broker that ends the connection over a message says about it. Codes that are as well about anything else are
/// not among them.
pub(super) fn is_about_the_message(code: u8) -> bool {
    matches!(
        code,
        NOT_AUTHORISED | TOPIC_INVALID | TOO_LARGE | QUOTA | PAYLOAD_INVALID
    )
}

/// What a broker that ends a connection says about itself, the network or other clients. It is the same whatever is on its way.
pub(super) fn is_about_something_else(code: u8) -> bool {
    const MOST_TIME: u8 = 0xa0;
    matches!(
        code,
        UNAVAILABLE
            | BUSY
            | BANNED
            | SHUTTING_DOWN
            | KEEP_ALIVE
            | TAKEN_OVER
            | RATE_TOO_HIGH
            | ADMINISTRATIVE
            | ANOTHER_SERVER
            | MOVED
            | CONNECTION_RATE
            | MOST_TIME
    )
}

/// Why, in a word or two.
pub(crate) fn name(code: u8) -> String {
    let name = match code {
        0x80 => "no reason given",
        0x83 => "a reason of its own",
        NOT_AUTHORISED => "not authorised",
        TOPIC_INVALID => "topic name invalid",
        0x91 => "packet identifier in use",
        TOO_LARGE => "packet too large",
        QUOTA => "quota exceeded",
        PAYLOAD_INVALID => "payload format invalid",
        CLOSES => return "it closes the connection each time".to_owned(),
        NO_ANSWER => return "it does not acknowledge it".to_owned(),
        _ => "unknown",
    };
    format!("{name}, 0x{code:02x}")
}

/// The sentences for the log: which topic, why, what becomes of it, what to do.
pub(super) fn sentence(
    message: &Message,
    notice: &Notice,
    treatment: Treatment,
    settings: &Settings,
) -> String {
    let topic = &message.topic;
    let why = name(notice.code);
    let words = notice
        .words
        .as_ref()
        .map_or_else(String::new, |words| format!(": {words}"));
    let fate = match (treatment, message.kind) {
        (_, Kind::Answer) => "This answer to a command is dropped; the rest goes on.",
        (Treatment::Wait, _) => "What belongs to it waits and is tried again; the rest goes on.",
        (Treatment::Retry, _) => "It is tried again a few times and then set aside; the rest goes on.",
        (Treatment::SetAside, Kind::Window) => "It is set aside and counted as refused; the rest goes on.",
        (Treatment::SetAside, _) => "It is set aside; the rest goes on.",
    };
    let remedy = match notice.code {
        NOT_AUTHORISED if !topic.starts_with(&settings.base) => {
            let user = user(settings);
            format!(
                " Let {user} write to it in the broker's access rules, or set [mqtt] homeassistant = false."
            )
        }
        code => remedy(code, settings),
    };
    format!("The MQTT broker does not take `{topic}` ({why}{words}). {fate}{remedy}")
}

/// What to do about a refusal, as a sentence with a blank before it.
pub(super) fn remedy(code: u8, settings: &Settings) -> String {
    let base = &settings.base;
    let user = user(settings);
    match code {
        NOT_AUTHORISED => format!(" Let {user} write to `{base}/#` in the broker's access rules."),
        QUOTA => " Free or raise the broker's quota.".to_owned(),
        TOPIC_INVALID => " Change [mqtt] base or [deployment] site to what the broker allows.".to_owned(),
        TOO_LARGE => " Raise the broker's limit for the size of packets.".to_owned(),
        PAYLOAD_INVALID => " Look for a rule in the broker that checks payloads.".to_owned(),
        CLOSES => {
            " Look into the broker's log: a limit for the size of messages, or an access rule.".to_owned()
        }
        _ => " The broker's log may say more.".to_owned(),
    }
}

/// Whom the broker lets in, for people.
pub(super) fn user(settings: &Settings) -> String {
    let named = |name: &String| format!("user `{name}`");
    settings
        .username
        .as_ref()
        .map_or_else(|| "anonymous clients".to_owned(), named)
}
