//! The packets of MQTT 5 and 3.1.1, as far as a publisher needs them. Nobody else knows which of the two is spoken:
//! what 3.1.1 cannot say is left out, and its answers are told in the codes of MQTT 5.

use bytes::{Bytes, BytesMut};
use mqtt5::mqttbytes::v5;
use mqtt311::mqttbytes::v4;

use super::Settings;
use super::refusal::{BAD_CLIENT_ID, BAD_PASSWORD, NOT_AUTHORISED, OTHER_VERSION, SUCCESS, UNAVAILABLE};
use crate::command::Heard;
use crate::config::Protocol;

/// Seconds that the broker waits before it publishes the last will, so that a short break of the network does
/// not show (MQTT 5).
const WILL_DELAY: u32 = 5;
/// The longest packet that is read. A publisher is sent short ones only.
const LONGEST: u32 = 64 << 10;

/// What a broker says.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// It lets us in.
    Accepted(Limits),
    /// It does not let us in.
    Refused(Notice),
    /// It has had message `id`; the notice says whether it takes it.
    Acknowledged { id: u16, notice: Notice },
    /// Somebody's message on a topic that we listen to; to be acknowledged by its `id`, if it has one.
    Message { heard: Heard, id: Option<u16> },
    /// It has had our wish to listen `id`: a code for each topic, of which 0x80 and more are refusals.
    Listening { id: u16, codes: Vec<u8> },
    /// It is there.
    Pong,
    /// It ends the connection.
    Goodbye(Notice),
    /// Something that a publisher has no use for.
    Other,
}

/// A reason, as brokers give it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// MQTT 5's reason code; 0 is success.
    pub(super) code: u8,
    /// What the broker adds in words.
    pub(super) words: Option<String>,
    /// The server that it names in its place.
    pub(super) server: Option<String>,
}

impl Notice {
    /// A reason without more.
    pub(super) fn of(code: u8) -> Self {
        Self {
            code,
            words: None,
            server: None,
        }
    }
}

/// What a broker takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// Longest packet in bytes.
    pub(super) longest: Option<u32>,
    /// Whether it acknowledges messages (QoS 1).
    pub(super) acknowledges: bool,
    /// Whether it keeps retained messages.
    pub(super) retains: bool,
    /// How many messages it takes before it has acknowledged the first.
    pub(super) at_once: u16,
    /// The keep-alive that it wants in place of ours, in seconds.
    pub(super) keep_alive: Option<u16>,
    /// The client id that it gave us in place of ours.
    pub(super) client_id: Option<String>,
}

impl Default for Limits {
    /// None.
    fn default() -> Self {
        Self {
            longest: None,
            acknowledges: true,
            retains: true,
            at_once: u16::MAX,
            keep_alive: None,
            client_id: None,
        }
    }
}

/// How the last will is left. A broker that does not know retained messages or QoS 1 takes no will with them either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Will {
    pub(super) acknowledged: bool,
    pub(super) retained: bool,
}

impl Will {
    /// From the one that we want to the one that any broker takes.
    pub(super) const LADDER: [Self; 4] = [
        Self::new(true, true),
        Self::new(true, false),
        Self::new(false, true),
        Self::new(false, false),
    ];

    const fn new(acknowledged: bool, retained: bool) -> Self {
        Self {
            acknowledged,
            retained,
        }
    }
}

/// A message as it goes out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// Its number if it is to be acknowledged (QoS 1); else it is sent once (QoS 0).
    pub(super) id: Option<u16>,
    pub(super) retain: bool,
    /// Seconds after which nobody needs it any more.
    pub(super) expiry: Option<u32>,
}

/// The packet that opens a connection. With `will` the broker publishes `offline` when it breaks.
pub(super) fn connect(settings: &Settings, will: Option<Will>) -> Result<BytesMut, String> {
    let keep_alive = u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX);
    let client_id = settings.client_id.clone();
    let (topic, offline) = (
        settings.status_topic(),
        affect_core::report::Status::Offline.word(),
    );
    let password = settings
        .password
        .as_ref()
        .map(|secret| Bytes::from(secret.reveal().to_owned()));
    let username = settings.username.clone();
    match settings.protocol {
        Protocol::V5 => {
            let properties = v5::ConnectProperties {
                // The will's delay counts within the session's life, so the session must live a little longer.
                session_expiry_interval: will.map(|_| WILL_DELAY * 2),
                max_packet_size: Some(LONGEST),
                request_problem_info: Some(1),
                ..v5::ConnectProperties::new()
            };
            let delay = v5::LastWillProperties {
                delay_interval: Some(WILL_DELAY),
                payload_format_indicator: Some(1),
                message_expiry_interval: None,
                content_type: None,
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            };
            let will = will.map(|will| {
                let qos = qos5(will.acknowledged);
                v5::LastWill::new(topic, offline, qos, will.retained, Some(delay))
            });
            let auth = match (username, password) {
                (Some(username), Some(password)) => v5::ConnectAuth::UsernamePassword { username, password },
                (Some(username), None) => v5::ConnectAuth::Username { username },
                (None, _) => v5::ConnectAuth::None,
            };
            let connect = v5::Connect {
                keep_alive,
                client_id,
                // A clean start would end the session, and with it the will's delay: every short break would show.
                clean_start: will.is_none(),
                properties: Some(properties),
            };
            write5(&v5::Packet::Connect(connect, will, auth))
        }
        Protocol::V311 => {
            let auth = match (username, password) {
                (Some(username), Some(password)) => v4::ConnectAuth::UsernamePassword { username, password },
                (Some(username), None) => v4::ConnectAuth::Username { username },
                (None, _) => v4::ConnectAuth::None,
            };
            let connect = v4::Connect {
                keep_alive,
                client_id,
                clean_session: true,
                last_will: will
                    .map(|will| v4::LastWill::new(topic, offline, qos311(will.acknowledged), will.retained)),
                auth,
            };
            write311(&v4::Packet::Connect(connect))
        }
    }
}

pub(super) fn publish(protocol: Protocol, message: &Outgoing) -> Result<BytesMut, String> {
    let topic = Bytes::from(message.topic.clone());
    let (payload, pkid) = (Bytes::from(message.payload.clone()), message.id.unwrap_or(0));
    let (acknowledged, retain) = (message.id.is_some(), message.retain);
    match protocol {
        Protocol::V5 => {
            let properties = v5::PublishProperties {
                payload_format_indicator: Some(1),
                message_expiry_interval: message.expiry,
                content_type: Some("application/json".to_owned()).filter(|_| payload.starts_with(b"{")),
                ..Default::default()
            };
            write5(&v5::Packet::Publish(v5::Publish {
                dup: false,
                qos: qos5(acknowledged),
                retain,
                topic,
                pkid,
                payload,
                properties: Some(properties),
            }))
        }
        Protocol::V311 => write311(&v4::Packet::Publish(v4::Publish {
            dup: false,
            qos: qos311(acknowledged),
            retain,
            topic,
            pkid,
            payload,
        })),
    }
}

/// Asks to hear what others write to `topics`, with the flag by which kept messages are told.
pub(super) fn subscribe(protocol: Protocol, id: u16, topics: &[String]) -> Result<BytesMut, String> {
    match protocol {
        Protocol::V5 => {
            let filters = topics.iter().map(|topic| v5::SubscribeFilter {
                preserve_retain: true,
                ..v5::SubscribeFilter::new(topic, qos5(true))
            });
            let mut packet = v5::Subscribe::new_many(filters, None);
            packet.pkid = id;
            write5(&v5::Packet::Subscribe(packet))
        }
        Protocol::V311 => {
            let filters = topics
                .iter()
                .map(|topic| v4::SubscribeFilter::new(topic.clone(), qos311(true)));
            let mut packet = v4::Subscribe::new_many(filters);
            packet.pkid = id;
            write311(&v4::Packet::Subscribe(packet))
        }
    }
}

/// Asks not to hear it any more.
pub(super) fn unsubscribe(protocol: Protocol, id: u16, topics: &[String]) -> Result<BytesMut, String> {
    match protocol {
        Protocol::V5 => write5(&v5::Packet::Unsubscribe(v5::Unsubscribe {
            pkid: id,
            filters: topics.to_vec(),
            properties: None,
        })),
        Protocol::V311 => write311(&v4::Packet::Unsubscribe(v4::Unsubscribe {
            pkid: id,
            topics: topics.to_vec(),
        })),
    }
}

/// Says that somebody's message `id` has come.
pub(super) fn acknowledge(protocol: Protocol, id: u16) -> Result<BytesMut, String> {
    match protocol {
        Protocol::V5 => write5(&v5::Packet::PubAck(v5::PubAck::new(id, None))),
        Protocol::V311 => write311(&v4::Packet::PubAck(v4::PubAck { pkid: id })),
    }
}

pub(super) fn ping(protocol: Protocol) -> Result<BytesMut, String> {
    match protocol {
        Protocol::V5 => write5(&v5::Packet::PingReq),
        Protocol::V311 => write311(&v4::Packet::PingReq),
    }
}

/// Says goodbye, so that the broker does not publish the last will.
pub(super) fn disconnect(protocol: Protocol) -> Result<BytesMut, String> {
    match protocol {
        Protocol::V5 => {
            let reason = v5::DisconnectReasonCode::NormalDisconnection;
            write5(&v5::Packet::Disconnect(v5::Disconnect::new(reason)))
        }
        Protocol::V311 => write311(&v4::Packet::Disconnect),
    }
}

/// Takes the next packet off what was read; `None` if it is not whole yet.
pub(super) fn read(protocol: Protocol, inbox: &mut BytesMut) -> Result<Option<Reply>, String> {
    match protocol {
        Protocol::V5 => read5(inbox),
        Protocol::V311 => read311(inbox),
    }
}

fn read5(inbox: &mut BytesMut) -> Result<Option<Reply>, String> {
    use mqtt5::mqttbytes::Error;
    use v5::Packet;
    if let Some(0x40 | 0xe0) = inbox.first() {
        return read_code(inbox);
    }
    let code = connack_code(inbox);
    let packet = match Packet::read(inbox, Some(LONGEST)) {
        Ok(packet) => packet,
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some(match packet {
        Packet::ConnAck(ack) => {
            let properties = ack.properties.as_ref();
            match code.unwrap_or(SUCCESS) {
                SUCCESS => Reply::Accepted(Limits {
                    longest: properties.and_then(|p| p.max_packet_size),
                    acknowledges: properties.and_then(|p| p.max_qos) != Some(0),
                    retains: properties.and_then(|p| p.retain_available) != Some(0),
                    at_once: properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX),
                    keep_alive: properties.and_then(|p| p.server_keep_alive),
                    client_id: properties
                        .and_then(|p| p.assigned_client_identifier.as_deref().map(printable)),
                }),
                code => Reply::Refused(Notice {
                    code,
                    words: properties.and_then(|p| p.reason_string.as_deref().map(printable)),
                    server: properties.and_then(|p| p.server_reference.as_deref().map(printable)),
                }),
            }
        }
        Packet::Publish(message) => incoming(&message.topic, &message.payload, message.retain, message.pkid),
        Packet::SubAck(ack) => Reply::Listening {
            id: ack.pkid,
            codes: ack
                .return_codes
                .iter()
                .map(|code| match code {
                    v5::SubscribeReasonCode::Success(_) => SUCCESS,
                    v5::SubscribeReasonCode::NotAuthorized => NOT_AUTHORISED,
                    _ => 0x80,
                })
                .collect(),
        },
        Packet::PingResp => Reply::Pong,
        _ => Reply::Other,
    }))
}

/// An acknowledgement or a goodbye of MQTT 5. The library ends the connection over a code that it does not know, and waits for more
/// of one without properties; but what a broker says of a message is about that message alone.
fn read_code(inbox: &mut BytesMut) -> Result<Option<Reply>, String> {
    let Some((length, start)) = number(&inbox[1..]) else {
        return match inbox.len() {
            0..5 => Ok(None),
            _ => Err("the length of a packet has no end".to_owned()),
        };
    };
    let end = 1 + start + length;
    if length > LONGEST as usize {
        return Err(format!("an answer of {length} bytes"));
    }
    if inbox.len() < end {
        return Ok(None);
    }
    let packet = inbox.split_to(end);
    let body = &packet[1 + start..];
    match (packet[0], body) {
        (0xe0, code) => Ok(Some(Reply::Goodbye(notice(code)))),
        (_, [high, low, code @ ..]) => Ok(Some(Reply::Acknowledged {
            id: u16::from_be_bytes([*high, *low]),
            notice: notice(code),
        })),
        _ => Err("an acknowledgement of nothing".to_owned()),
    }
}

/// A number of up to four bytes, and how many it has; `None` if it is not whole.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let last = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let digits = bytes[..=last].iter().rev();
    let value = digits.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    Some((value, last + 1))
}

/// A code with what is said beside it. Where there is none, all is well.
fn notice(bytes: &[u8]) -> Notice {
    let Some((code, rest)) = bytes.split_first() else {
        return Notice::default();
    };
    let mut notice = Notice::of(*code);
    let mut properties = number(rest).map_or(&[][..], |(_, count)| &rest[count..]);
    while let Some((kind, more)) = properties.split_first() {
        let after = match kind {
            0x11 => more.get(4..),
            0x1c => text(more).map(|(text, after)| {
                notice.server = Some(text);
                after
            }),
            0x1f => text(more).map(|(text, after)| {
                notice.words = Some(text);
                after
            }),
            0x26 => text(more).and_then(|(_, after)| Some(text(after)?.1)),
            _ => None,
        };
        // What is not known has a length that is not known.
        let Some(after) = after else { break };
        properties = after;
    }
    notice
}

/// A text with its length before it, and what follows.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, after) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((printable(&String::from_utf8_lossy(text)), after))
}

fn read311(inbox: &mut BytesMut) -> Result<Option<Reply>, String> {
    use mqtt311::mqttbytes::Error;
    use v4::Packet;
    let code = connack_code(inbox);
    let packet = match Packet::read(inbox, LONGEST as usize) {
        Ok(packet) => packet,
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    Ok(Some(match packet {
        Packet::ConnAck(_) => match code.map_or(SUCCESS, in_codes_of_5) {
            SUCCESS => Reply::Accepted(Limits::default()),
            code => Reply::Refused(Notice::of(code)),
        },
        Packet::PubAck(ack) => Reply::Acknowledged {
            id: ack.pkid,
            notice: Notice::default(),
        },
        Packet::Publish(message) => incoming(&message.topic, &message.payload, message.retain, message.pkid),
        Packet::SubAck(ack) => Reply::Listening {
            id: ack.pkid,
            codes: ack
                .return_codes
                .iter()
                .map(|code| match code {
                    v4::SubscribeReasonCode::Success(_) => SUCCESS,
                    v4::SubscribeReasonCode::Failure => 0x80,
                })
                .collect(),
        },
        Packet::PingResp => Reply::Pong,
        _ => Reply::Other,
    }))
}

fn incoming(topic: &[u8], payload: &[u8], retained: bool, id: u16) -> Reply {
    Reply::Message {
        heard: Heard {
            topic: String::from_utf8_lossy(topic).into_owned(),
            payload: Some(payload.to_vec()),
            retained,
        },
        id: (id != 0).then_some(id),
    }
}

/// The codes by which a broker of 3.1.1 refuses a connection.
pub(super) fn in_codes_of_5(code: u8) -> u8 {
    match code {
        1 => OTHER_VERSION,
        2 => BAD_CLIENT_ID,
        3 => UNAVAILABLE,
        4 => BAD_PASSWORD,
        5 => NOT_AUTHORISED,
        other => other,
    }
}

/// The code in the answer to a connect, if that is what stands at the start.
fn connack_code(inbox: &[u8]) -> Option<u8> {
    let (0x20, rest) = inbox.split_first()? else {
        return None;
    };
    let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    rest.get(length + 1).copied()
}

/// What others wrote, for a line of our log: no control characters, and not too long.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = text.trim().chars();
    text.take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn qos5(acknowledged: bool) -> mqtt5::mqttbytes::QoS {
    match acknowledged {
        true => mqtt5::mqttbytes::QoS::AtLeastOnce,
        false => mqtt5::mqttbytes::QoS::AtMostOnce,
    }
}

fn qos311(acknowledged: bool) -> mqtt311::mqttbytes::QoS {
    match acknowledged {
        true => mqtt311::mqttbytes::QoS::AtLeastOnce,
        false => mqtt311::mqttbytes::QoS::AtMostOnce,
    }
}

fn write5(packet: &v5::Packet) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::new();
    packet
        .write(&mut bytes, None)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn write311(packet: &v4::Packet) -> Result<BytesMut, String> {
    let mut bytes = BytesMut::new();
    packet
        .write(&mut bytes, usize::MAX)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "packets_tests.rs"]
mod tests;
