//! Sizes as people write them: `32MiB`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Bytes of a unit.
const MIB: u64 = 1 << 20;

/// Reads a size in bytes; `None` if `text` is not whole MiB, 9999 at most.
fn parse(text: &str) -> Option<u64> {
    let number = text.strip_suffix("MiB")?;
    let is_number = (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number)?;
    Some(number * MIB)
}

/// Schema of a size.
pub(crate) struct Text;

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,4}MiB$",
            "x-form": "whole MiB, such as \"32MiB\"",
        })
    }
}

/// For `#[serde(with)]`: writes whole MiB.
pub(crate) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}MiB", bytes / MIB))
}

/// For `#[serde(with)]`: reads what [`serialize`] writes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom("a size is whole MiB, such as \"32MiB\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_mebibytes_and_nothing_else() {
        assert_eq!(parse("32MiB"), Some(32 << 20));
        assert_eq!(parse("0MiB"), Some(0));
        assert_eq!(parse("9999MiB"), Some(9999 << 20));
        for text in [
            "", "MiB", "32", "32 MiB", "32MB", "32mib", "+3MiB", "1.5MiB", "10000MiB", "٣MiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
