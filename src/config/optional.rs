//! Text that may be left empty: `""` in the file is `None` in the program.

use std::ffi::OsStr;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes `None` as empty text.
pub(crate) fn serialize<T: AsRef<OsStr>, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = value
        .as_ref()
        .map(|text| text.as_ref().to_string_lossy())
        .unwrap_or_default();
    serializer.serialize_str(&text)
}

/// Reads empty text as `None`.
pub(crate) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| T::from(text)))
}
