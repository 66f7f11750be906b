//! Commands over MQTT: what comes from outside is judged here before anybody acts on it.
//!
//! ```text
//! publish ──> Desk ──> Order ──> board (pause, resume, identify), steward (reload)
//! ```
//! The publishing thread lays everything that it hears on the [`Desk`]. What is allowed, whole, fresh and not too much
//! becomes an [`Order`]; the rest is ignored, with one line in the log for many.

mod answer;
mod complaints;
mod desk;

use serde::Deserialize;

pub(crate) use affect_core::command::CommandWord;
pub(crate) use answer::result;
pub(crate) use desk::{Desk, Ear, Order};

/// The longest payload of a command, in bytes.
pub(crate) const LONGEST: usize = 256;
/// The longest `id` of a command, in characters.
const LONGEST_ID: usize = 64;

/// A message that came from the broker, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    /// `None` if it is so long that it was skipped.
    pub(crate) payload: Option<Vec<u8>>,
    /// Whether the broker has kept it, so that nobody knows how old it is.
    pub(crate) retained: bool,
}

/// What a payload may hold: nothing, or a JSON object with what the sender knows the answer by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    id: Option<String>,
}

/// The sender's `id` in a payload, or why the payload is none of a command.
fn read(payload: &[u8]) -> Result<Option<String>, Ignored> {
    if payload.len() > LONGEST {
        return Err(Ignored::TooLarge);
    }
    match payload.trim_ascii().first() {
        None => return Ok(None),
        Some(b'{') => {}
        Some(_) => return Err(Ignored::NotUnderstood),
    }
    let letter: Letter = serde_json::from_slice(payload).map_err(|_| Ignored::NotUnderstood)?;
    match &letter.id {
        Some(id) if id.chars().count() > LONGEST_ID || id.chars().any(crate::redact::is_unseen) => {
            Err(Ignored::NotUnderstood)
        }
        _ => Ok(letter.id),
    }
}

/// Why a message is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ignored {
    /// Its topic is none of the commands that are allowed.
    NotAllowed,
    /// The broker has kept it.
    Retained,
    TooLarge,
    NotUnderstood,
    /// Too many came.
    TooMany,
}

impl Ignored {
    /// Why, and what to do, as a sentence part for the log.
    fn words(self) -> &'static str {
        match self {
            Self::NotAllowed => "[mqtt] commands does not allow it",
            Self::Retained => {
                "it is retained, so nobody knows how old it is: send commands without the retain flag, and delete it at the broker"
            }
            Self::TooLarge => "it has more than 256 bytes: a command needs none, or {\"id\": \"…\"}",
            Self::NotUnderstood => "its payload is neither empty nor {\"id\": \"…\"}",
            Self::TooMany => "too many come: at most one in five seconds, and four at once",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_nothing_or_an_id() {
        let id = |text: &str| Ok(Some(text.to_owned()));
        for (payload, expected) in [
            ("", Ok(None)),
            (" \n", Ok(None)),
            ("{}", Ok(None)),
            (r#"{"id":null}"#, Ok(None)),
            (r#"{"id":"a-1"}"#, id("a-1")),
            (r#" {"id" : "ä b"} "#, id("ä b")),
            ("now", Err(Ignored::NotUnderstood)),
            ("1", Err(Ignored::NotUnderstood)),
            (r#"["a"]"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":1}"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":"a","id":"b"}"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":{"id":"a"}}"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":"a","force":true}"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":"a\u0007"}"#, Err(Ignored::NotUnderstood)),
            (r#"{"id":"a"} x"#, Err(Ignored::NotUnderstood)),
        ] {
            assert_eq!(read(payload.as_bytes()), expected, "{payload}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "a".repeat(LONGEST_ID + 1));
        assert_eq!(read(long.as_bytes()), Err(Ignored::NotUnderstood));
        for nested in ["[", "{\"id\":", "\u{ff}"] {
            assert_eq!(
                read(nested.repeat(10_000).as_bytes()),
                Err(Ignored::TooLarge),
                "{nested}"
            );
            assert_eq!(
                read(nested.repeat(40).as_bytes()),
                Err(Ignored::NotUnderstood),
                "{nested}"
            );
        }
        assert_eq!(read(&[0xff, 0xfe]), Err(Ignored::NotUnderstood));
    }
}
