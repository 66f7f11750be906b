//! Environment variables that override keys, and those that nearly do.

use serde_json::{Map, Value as Json};

use super::source::ENV_PREFIX;
use super::suggest::near;

/// Variables of affectd that are no keys: where things lie, and what a camera's command is given.
const OTHERS: [&str; 3] = ["AFFECTD_SHARE", "AFFECTD_TFLITE", "AFFECTD_CAMERA_URL"];

/// The environment variables that are ours or nearly so, sorted by name. Bytes that are no text are replaced, and then
/// refused by the check of their value.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| is_near(name))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    variables.sort();
    variables.into_iter()
}

/// Whether somebody who set this variable may have meant us.
fn is_near(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.split_once('_')
        .is_some_and(|(first, _)| strsim::osa_distance(first, "AFFECTD") <= 1)
}

/// Why a variable with this name sets nothing, as a sentence; `None` if it does, or is none of ours.
pub(super) fn unread(name: &str, schema: &Json) -> Option<String> {
    if name.starts_with(ENV_PREFIX) || OTHERS.contains(&name) || !is_near(name) {
        return None;
    }
    Some(match meant(name, schema) {
        Some(meant) => format!("the environment variable {name} is not read; did you mean {meant}?"),
        None => format!(
            "the environment variable {name} is not read: those that set a key are {ENV_PREFIX}TABLE__KEY, with two underscores each"
        ),
    })
}

/// The variable that was probably meant by `name`.
pub(super) fn meant(name: &str, schema: &Json) -> Option<String> {
    let written = name.to_ascii_lowercase();
    let (_, written) = written.split_once('_')?;
    let plain = |text: &str| {
        text.split('_')
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("_")
    };
    let tables = schema["properties"].as_object()?;
    let names: Vec<(String, String)> = tables
        .iter()
        .flat_map(|(table, inner)| {
            let keys = inner["properties"].as_object().into_iter().flat_map(Map::keys);
            keys.map(move |key| {
                (
                    format!("{table}_{key}"),
                    format!("{ENV_PREFIX}{table}__{key}").to_uppercase(),
                )
            })
        })
        .collect();
    let found = near(&plain(written), names.iter().map(|(plain, _)| plain.as_str()))?;
    names
        .iter()
        .find(|(plain, _)| plain == found)
        .map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_ours_is_told_with_what_was_meant() {
        let schema = super::super::schema();
        for (name, expected) in [
            ("AFFECTD_MQTT_HOST", Some("did you mean AFFECTD__MQTT__HOST?")),
            ("AFFECTED__MQTT__HOST", Some("did you mean AFFECTD__MQTT__HOST?")),
            (
                "affectd__camera__frame_timeout",
                Some("did you mean AFFECTD__CAMERA__FRAME_TIMEOUT?"),
            ),
            (
                "AFFECTD_MQTT__PASWORD_FILE",
                Some("did you mean AFFECTD__MQTT__PASSWORD_FILE?"),
            ),
            ("AFFECTD_HOME", Some("AFFECTD__TABLE__KEY, with two underscores")),
            ("AFFECTD__MQTT__HOST", None),
            ("AFFECTD_SHARE", None),
            ("AFFECTD_TFLITE", None),
            ("EFFECTS_HOME", None),
            ("MQTT_HOST", None),
        ] {
            let told = unread(name, &schema);
            assert_eq!(told.is_some(), expected.is_some(), "{name}: {told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                assert!(told.contains(expected), "{told}");
            }
        }
    }
}
