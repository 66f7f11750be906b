//! Durations as people write them: `250ms`, `15s`, `2m`, `1h`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The forms a duration may have, for messages.
pub(crate) const FORMS: &str = "a whole number and a unit: \"250ms\", \"15s\", \"2m\", \"1h\"";
/// Value of `format` in the schema by which a duration is known.
pub(crate) const FORMAT: &str = "affectd-duration";

/// Units with their milliseconds, smallest first.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a duration; `None` if `text` is not in one of the [`FORMS`] or too large to count.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(*millis)
        .map(Duration::from_millis)
}

/// Writes a duration in the largest unit that divides it. What is below a millisecond is dropped.
#[must_use]
pub(crate) fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (name, unit) = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit))
        .unwrap_or(&UNITS[1]);
    format!("{}{name}", millis / unit)
}

/// Schema of a duration.
pub(crate) struct Text;

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": FORMAT, "pattern": "^[0-9]+(ms|s|m|h)$" })
    }
}

/// For `#[serde(with)]`.
pub(crate) mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a duration by [`super::format`].
    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*duration))
    }

    /// Reads a duration by [`super::parse`].
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).ok_or_else(|| de::Error::custom(format!("a duration is {}", super::FORMS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_and_nothing_else() {
        for (text, millis) in [
            ("250ms", 250),
            ("15s", 15_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "15",
            "s",
            "15 s",
            "1.5s",
            "-1s",
            "15S",
            "1h30m",
            "1d",
            "٣s",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("{}h", u64::MAX)), None);
    }

    #[test]
    fn the_largest_unit_that_divides() {
        for (text, out) in [
            ("60s", "1m"),
            ("90s", "90s"),
            ("24h", "24h"),
            ("1000ms", "1s"),
            ("0ms", "0s"),
        ] {
            assert_eq!(parse(text).map(format).as_deref(), Some(out));
        }
    }
}
