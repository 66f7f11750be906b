//! What Home Assistant is told of this device: one retained message (MQTT device discovery) by which it makes its entities.
//!
//! A key that is missing in a report was not told: its entity is then unknown, never 0. Every message of a topic feeds
//! `expire_after`, also a window without numbers; only a device that says nothing at all makes its entities unavailable.

use std::time::Duration;

use affect_core::expression::Expression;
use affect_core::mood::MoodClass;
use serde_json::{Map, Value as Json, json};

use crate::config::Config;
use crate::identity::Names;

/// Windows that may be missed before the entities are unavailable, and what a slow network adds.
const MISSED: u32 = 3;
const SLACK: Duration = Duration::from_secs(30);
/// Where to read about it.
const ORIGIN: &str = "affectd";

/// The topic on which Home Assistant says that it has started.
pub(crate) fn birth_topic(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// The topic of a device's discovery.
pub(crate) fn topic(prefix: &str, device: &str) -> String {
    format!("{prefix}/device/affectd_{device}/config")
}

/// Topic and payload of the discovery; `None` if it is not configured. `labels` are the expressions that the network knows.
pub(crate) fn discovery(config: &Config, labels: &[Expression], names: &Names) -> Option<(String, Vec<u8>)> {
    if !config.mqtt.homeassistant {
        return None;
    }
    let payload = serde_json::to_vec(&message(config, labels, names)).ok()?;
    Some((topic(&config.mqtt.homeassistant_prefix, &names.device), payload))
}

/// The payload.
pub(crate) fn message(config: &Config, labels: &[Expression], names: &Names) -> Json {
    let base = format!("{}/{}/{}", config.mqtt.base, names.site, names.device);
    let camera = &config.camera.name;
    let device = Device {
        id: format!("affectd_{}", names.device),
        window: format!("{base}/{camera}/window"),
        window_expires: (config.window.length * MISSED + SLACK).as_secs(),
        health: format!("{base}/health"),
        health_expires: (config.status.health_interval * MISSED + SLACK).as_secs(),
        state: format!("{base}/{camera}/state"),
        camera: camera.clone(),
    };
    let mut about = json!({
        "identifiers": [device.id],
        "name": format!("{} {}", names.site, names.device),
        "manufacturer": "affectd",
        "model": "Mood of a group, by camera",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if !config.deployment.room.is_empty() {
        about["suggested_area"] = config.deployment.room.clone().into();
    }
    json!({
        "device": about,
        "origin": {"name": ORIGIN, "sw_version": env!("CARGO_PKG_VERSION")},
        // A clean end says `stopped`, which Home Assistant would not take for away.
        "availability": [{
            "topic": format!("{base}/status"),
            "value_template": "{{ 'online' if value == 'online' else 'offline' }}",
            "payload_available": "online",
            "payload_not_available": "offline",
        }],
        "qos": 1,
        "components": device.components(labels),
    })
}

/// The topics of a device, and when what they said is worth nothing any more, in seconds.
struct Device {
    id: String,
    camera: String,
    window: String,
    window_expires: u64,
    health: String,
    health_expires: u64,
    state: String,
}

impl Device {
    fn components(&self, labels: &[Expression]) -> Map<String, Json> {
        let moods: Vec<&str> = MoodClass::ALL.into_iter().map(MoodClass::name).collect();
        let mut all = Map::new();
        let mut add = |key: &str, entity: Json| {
            let mut entity = entity;
            entity["unique_id"] = format!("{}_{}_{key}", self.id, self.camera).into();
            all.insert(key.to_owned(), entity);
        };
        add(
            "mood",
            self.of_window(
                "Mood",
                "(value_json.get('mood') or {}).get('class')",
                json!({"device_class": "enum", "options": moods, "icon": "mdi:emoticon-outline"}),
            ),
        );
        add(
            "people",
            self.of_window(
                "People",
                "(value_json.get('people') or {}).get('mean')",
                json!({"state_class": "measurement", "icon": "mdi:account-group", "suggested_display_precision": 1}),
            ),
        );
        add(
            "people_peak",
            self.of_window(
                "People at most",
                "(value_json.get('people') or {}).get('peak')",
                json!({"state_class": "measurement", "icon": "mdi:account-group"}),
            ),
        );
        for label in labels {
            let name = label.name();
            add(
                &format!("share_{name}"),
                self.of_window(
                    &format!("Share of {name}"),
                    &percent(&format!(
                        "((value_json.get('emotion') or {{}}).get('share') or {{}}).get('{name}')"
                    )),
                    json!({"state_class": "measurement", "unit_of_measurement": "%", "icon": "mdi:percent"}),
                ),
            );
        }
        add(
            "report",
            self.of_window(
                "Report",
                "'suppressed' if value_json.get('suppressed') else 'held' if value_json.get('held') else 'numbers'",
                json!({
                    "device_class": "enum", "options": ["numbers", "suppressed", "held"],
                    "entity_category": "diagnostic", "icon": "mdi:shield-account",
                }),
            ),
        );
        add(
            "camera",
            json!({
                "platform": "sensor", "name": "Camera", "state_topic": self.state,
                "value_template": "{{ value_json.get('state') }}",
                "device_class": "enum",
                "options": ["streaming", "no_device", "no_signal", "no_data", "busy", "denied", "paused", "stopped"],
                "entity_category": "diagnostic", "icon": "mdi:cctv",
            }),
        );
        for (key, name, value, more) in HEALTH {
            let more: Json = serde_json::from_str(more).unwrap_or_default();
            add(key, self.of_health(name, value, more));
        }
        for (key, name, value) in PROBLEMS {
            add(
                key,
                json!({
                    "platform": "binary_sensor", "name": name, "state_topic": self.health,
                    "expire_after": self.health_expires,
                    "value_template": format!(
                        "{{% set v = {value} %}}{{{{ None if v is none else 'ON' if v else 'OFF' }}}}"
                    ),
                    "device_class": "problem", "entity_category": "diagnostic",
                }),
            );
        }
        all
    }

    /// A sensor that is fed by windows. What waited for the broker and comes too late to be of now is unknown.
    fn of_window(&self, name: &str, value: &str, more: Json) -> Json {
        let late = format!(
            "value_json.get('clock_synced') and as_timestamp(now()) - as_timestamp(value_json.get('end'), 0) > {}",
            self.window_expires
        );
        let template = format!("{{{{ None if {late} else ({value}) }}}}");
        with(
            json!({
                "platform": "sensor", "name": name, "state_topic": self.window,
                "expire_after": self.window_expires, "value_template": template,
            }),
            more,
        )
    }

    /// A sensor that is fed by the device's health.
    fn of_health(&self, name: &str, value: &str, more: Json) -> Json {
        with(
            json!({
                "platform": "sensor", "name": name, "state_topic": self.health,
                "expire_after": self.health_expires, "value_template": format!("{{{{ {value} }}}}"),
                "entity_category": "diagnostic",
            }),
            more,
        )
    }
}

/// Numbers of the device's health: key, name, value, what else there is to say.
const HEALTH: [(&str, &str, &str, &str); 5] = [
    (
        "frame_rate",
        "Frame rate",
        "(value_json.get('frames') or {}).get('per_second')",
        r#"{"state_class": "measurement", "unit_of_measurement": "fps", "icon": "mdi:filmstrip"}"#,
    ),
    (
        "temperature",
        "Processor temperature",
        "(value_json.get('board') or {}).get('celsius')",
        r#"{"state_class": "measurement", "device_class": "temperature", "unit_of_measurement": "°C"}"#,
    ),
    (
        "waiting",
        "Windows waiting",
        "(value_json.get('spool') or {}).get('waiting')",
        r#"{"state_class": "measurement", "icon": "mdi:tray-full"}"#,
    ),
    (
        "dropped",
        "Windows dropped",
        "(value_json.get('spool') or {}).get('dropped')",
        r#"{"state_class": "total_increasing", "icon": "mdi:tray-remove"}"#,
    ),
    (
        "uptime",
        "Running for",
        "value_json.get('uptime_seconds')",
        r#"{"device_class": "duration", "unit_of_measurement": "s", "suggested_unit_of_measurement": "h"}"#,
    ),
];

/// What is wrong with the board, if it says so: key, name, value.
const PROBLEMS: [(&str, &str, &str); 2] = [
    (
        "throttled",
        "Processor slowed down",
        "(value_json.get('board') or {}).get('throttled')",
    ),
    (
        "under_voltage",
        "Supply voltage too low",
        "(value_json.get('board') or {}).get('under_voltage')",
    ),
];

/// A part in percent; what was not told stays so.
fn percent(value: &str) -> String {
    format!("({value} * 100) | round(0) | int if {value} is not none else None")
}

fn with(mut entity: Json, more: Json) -> Json {
    if let (Some(entity), Json::Object(more)) = (entity.as_object_mut(), more) {
        entity.extend(more);
    }
    entity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            device: "unit".to_owned(),
            site: "test".to_owned(),
            boot_id: "b".to_owned(),
        }
    }

    #[test]
    fn it_is_off_unless_configured() {
        let mut config = Config::for_replay();
        assert!(discovery(&config, &[], &names()).is_none());
        config.mqtt.homeassistant = true;
        let (topic, _) = discovery(&config, &[], &names()).expect("configured");
        assert_eq!(topic, "homeassistant/device/affectd_unit/config");
    }

    #[test]
    fn every_entity_has_a_name_of_its_own_and_what_comes_by_itself_expires() {
        let config = Config::for_replay();
        let message = message(&config, &[Expression::Happiness, Expression::Neutral], &names());
        let components = message["components"].as_object().expect("components");
        let mut ids: Vec<&str> = components
            .values()
            .filter_map(|entity| entity["unique_id"].as_str())
            .collect();
        assert_eq!(ids.len(), 14);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), components.len());
        for (key, entity) in components {
            assert!(
                entity["name"].is_string() && entity["state_topic"].is_string(),
                "{key}"
            );
            // A camera's state is retained and holds as long as the device is there.
            assert_eq!(entity.get("expire_after").is_some(), key != "camera", "{key}");
        }
        assert_eq!(components["mood"]["expire_after"], 75);
        for word in ["health", "state"] {
            assert!(components.values().any(|entity| {
                entity["state_topic"]
                    .as_str()
                    .is_some_and(|topic| topic.ends_with(word))
            }));
        }
    }
}
