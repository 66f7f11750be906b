//! What is made from the types: the template, the schema, the values in effect.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;

/// Holds a committed file equal to what the types give. `UPDATE_GENERATED=1` writes it instead.
fn assert_committed(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, generated).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is not what the types give; `UPDATE_GENERATED=1 cargo test -p affectd config` writes it",
        path.display()
    );
}

/// The template with the # taken away before the keys that `which` chooses.
fn uncommented(which: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for line in template().lines() {
        let key = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        text.push_str(key.filter(|key| which(key)).unwrap_or(line));
        text.push('\n');
    }
    text
}

#[test]
fn the_committed_template_is_what_the_types_give() {
    assert_committed("config/affectd.toml", &template());
}

#[test]
fn the_committed_schema_is_what_the_types_give() {
    assert_committed("config/schema/config.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_unedited_template_asks_for_the_deployment_and_nothing_else() {
    let errors = from_str(&template()).expect_err("not filled in");
    assert_eq!(errors.problems().len(), 1, "{errors}");
    let text = errors.to_string();
    assert!(
        text.contains("[deployment] is not filled in: it needs `site`, `place`, `purpose` and"),
        "{text}"
    );
    assert!(text.contains("fill in [deployment]"), "{text}");
}

#[test]
fn the_template_with_a_deployment_is_the_default() {
    let keys = ["site ", "place ", "purpose ", "controller "];
    let config =
        from_str(&uncommented(|line| keys.iter().any(|key| line.starts_with(key)))).expect("accepted");
    assert_eq!(config.deployment.place, Place::Museum);
    assert_eq!(config, Config::new(config.deployment.clone()));
    assert_eq!(from_str(START).expect("accepted"), Config::new(deployment()));
}

#[test]
fn every_key_of_the_template_is_accepted_and_no_key_is_missing_from_it() {
    let text = uncommented(|_| true);
    let config = from_str(&text).expect("accepted");
    assert_eq!(config.camera.mask.len(), 1);

    fn count(schema: &serde_json::Value) -> usize {
        let keys = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|keys| keys.values());
        keys.map(|key| 1 + count(key) + count(&key["items"])).sum()
    }
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count();
    assert_eq!(lines, count(&schema()), "one line for each key and each table");
}

#[test]
fn every_key_has_a_description_and_every_number_a_range() {
    fn walk(schema: &serde_json::Value, path: &str) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                key["description"].as_str().is_some_and(|text| text.len() > 10),
                "{path}"
            );
            if key.get("const").is_none() && matches!(key["type"].as_str(), Some("integer" | "number")) {
                assert!(key["minimum"].is_number() && key["maximum"].is_number(), "{path}");
            }
            if key["format"] == super::super::duration::FORMAT {
                for limit in ["x-minimum", "x-maximum"] {
                    let limit = key[limit].as_str().and_then(super::super::duration::parse);
                    assert!(limit.is_some(), "{path}");
                }
            }
            if let Some(pattern) = key["pattern"].as_str() {
                assert!(regex_lite::Regex::new(pattern).is_ok(), "{path}");
                assert!(
                    key["x-form"].is_string() || key["format"].is_string(),
                    "{path}: no words for its pattern"
                );
            }
            walk(key, &path);
            walk(&key["items"], &path);
        }
    }
    walk(&schema(), "");
}

#[test]
fn the_limits_in_the_schema_are_those_of_the_core() {
    let least = &schema()["properties"]["privacy"]["properties"]["min_group"]["minimum"];
    assert_eq!(least, affect_core::gate::MIN_GROUP_FLOOR);
}

#[test]
fn the_values_in_effect_read_back_the_same() {
    let mut config = Config::for_replay();
    config.deployment.purpose = "Quotes \" ' and \\ and\nlines, ümlauts.".to_owned();
    config.camera.source = Some("/srv/clip.mjpeg".into());
    config.camera.mask.push(Mask {
        name: "till".to_owned(),
        kind: MaskKind::Privacy,
        polygon: vec![[0.0, 0.25], [1.0, 0.0], [0.125, 1.0]],
    });
    config.model.delegate = Delegate::Edgetpu;
    config.model.delegate_library = Some("/usr/lib/libedgetpu.so.1".into());
    config.mqtt.protocol = Protocol::V311;
    config.window.length = Duration::from_millis(1500);
    let text = config.effective_toml();
    assert_eq!(from_str(&text).expect("accepted"), config, "{text}");
}

#[test]
fn replay_needs_no_file() {
    let config = Config::for_replay();
    assert_eq!(from_str(&config.effective_toml()).expect("accepted"), config);
}
