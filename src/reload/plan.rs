//! What changes from one configuration to the next, and which part of the daemon that concerns.

use serde_json::{Map, Value as Json};

use crate::config::Config;

/// A part of the daemon that takes a change over by itself. The later one in this list is the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Taken over at once.
    Live,
    /// The connection to the broker: made anew if need be; what waits stays.
    Publisher,
    /// Camera, networks, windows, gate.
    Pipeline,
    /// Everything, as at a start, but in the same process.
    Everything,
    /// Only a start of the service takes it over.
    NextStart,
}

/// Which room a key belongs to: the first line that its path begins with. What is not here is everything's.
const ROOMS: [(&str, Room); 22] = [
    ("config_version", Room::Live),
    ("log.level", Room::Live),
    ("log.", Room::NextStart),
    ("deployment.place", Room::Live),
    ("deployment.purpose", Room::Live),
    ("deployment.controller", Room::Live),
    ("deployment.basis", Room::Live),
    ("camera.name", Room::Everything),
    ("camera.", Room::Pipeline),
    ("detector.", Room::Pipeline),
    ("model.", Room::Pipeline),
    ("attributes.", Room::Pipeline),
    ("window.", Room::Pipeline),
    ("privacy.", Room::Pipeline),
    ("mqtt.base", Room::Everything),
    ("mqtt.commands", Room::Live),
    ("mqtt.homeassistant_prefix", Room::Everything),
    ("mqtt.homeassistant", Room::Live),
    ("mqtt.", Room::Publisher),
    ("status.health_interval", Room::Live),
    ("status.hot_celsius", Room::Live),
    ("indicator.", Room::Everything),
];

/// Keys by which the networks are chosen: with any of them changed they are opened anew.
const OF_NETWORKS: [&str; 7] = [
    "detector.model",
    "model.path",
    "model.delegate",
    "model.delegate_library",
    "model.delegate_timeout",
    "model.runtime",
    "model.models_dir",
];

/// What a new configuration changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The keys that have another value, such as `mqtt.host`.
    pub(crate) changed: Vec<String>,
}

impl Plan {
    /// From `old` to `new`.
    pub(crate) fn of(old: &Config, new: &Config) -> Self {
        let mut changed = Vec::new();
        let values = |config: &Config| serde_json::to_value(config).unwrap_or_default();
        compare("", &values(old), &values(new), &mut changed);
        // Secrets are not among the values: they stand in files, which may change alone.
        for (path, is_same) in [
            ("mqtt.password_file", old.mqtt.password == new.mqtt.password),
            ("camera.password_file", old.camera.password == new.camera.password),
        ] {
            if !is_same && !changed.iter().any(|known| known == path) {
                changed.push(path.to_owned());
            }
        }
        Self { changed }
    }

    /// Whether a room must take something over.
    pub(crate) fn concerns(&self, room: Room) -> bool {
        self.changed.iter().any(|path| room_of(path) == room)
    }

    /// Whether the networks are chosen anew.
    pub(crate) fn concerns_networks(&self) -> bool {
        self.changed
            .iter()
            .any(|path| OF_NETWORKS.contains(&path.as_str()))
    }

    /// What is done, as a sentence for people.
    pub(crate) fn in_words(&self) -> String {
        const SHOWN: usize = 12;
        let mut text = format!(
            "Changed: {}",
            self.changed
                .iter()
                .take(SHOWN)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        );
        if self.changed.len() > SHOWN {
            text += &format!(" and {} more", self.changed.len() - SHOWN);
        }
        text += ".";
        if self.concerns(Room::Everything) {
            text += " Everything begins anew.";
        } else if self.concerns(Room::Pipeline) {
            text += " The camera's part begins anew; no numbers are published before ten minutes after the last report.";
        }
        if self.concerns(Room::NextStart) {
            text += " What is in [log] besides the level takes effect at the next start of the service.";
        }
        text
    }
}

fn room_of(path: &str) -> Room {
    let line = ROOMS.iter().find(|(start, _)| path.starts_with(start));
    line.map_or(Room::Everything, |(_, room)| *room)
}

/// Notes the paths below `path` at which two values differ.
fn compare(path: &str, old: &Json, new: &Json, changed: &mut Vec<String>) {
    let none = Map::new();
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let inner = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                let value = |table: &Map<String, Json>| table.get(key).cloned().unwrap_or(Json::Null);
                compare(&inner, &value(old), &value(new), changed);
            }
        }
        // A table that is there on one side only.
        (Json::Object(table), Json::Null) => compare(path, &table.clone().into(), &none.into(), changed),
        (Json::Null, Json::Object(table)) => compare(path, &none.into(), &table.clone().into(), changed),
        (old, new) if old == new => {}
        _ => changed.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use std::time::Duration;

    fn plan(change: impl FnOnce(&mut Config)) -> Plan {
        let old = Config::for_replay();
        let mut new = old.clone();
        change(&mut new);
        Plan::of(&old, &new)
    }

    #[test]
    fn every_key_belongs_to_one_room() {
        assert_eq!(plan(|_| {}).changed, [""; 0]);
        type Change = fn(&mut Config);
        let table: [(&str, Room, Change); 14] = [
            ("log.level", Room::Live, |c| {
                c.log.level = crate::config::Level::Debug
            }),
            ("status.hot_celsius", Room::Live, |c| c.status.hot_celsius = 60.0),
            ("mqtt.commands", Room::Live, |c| {
                c.mqtt.commands = crate::command::CommandWord::ALL.to_vec();
            }),
            ("mqtt.homeassistant", Room::Live, |c| c.mqtt.homeassistant = true),
            ("deployment.purpose", Room::Live, |c| c.deployment.purpose += "!"),
            ("mqtt.host", Room::Publisher, |c| c.mqtt.host = "other".to_owned()),
            ("mqtt.password_file", Room::Publisher, |c| {
                c.mqtt.password = Some(Secret::new("another-secret"));
            }),
            ("camera.password_file", Room::Pipeline, |c| {
                c.camera.password = Some(Secret::new("another-secret"));
            }),
            ("camera.fps", Room::Pipeline, |c| c.camera.fps = 5.0),
            ("window.length", Room::Pipeline, |c| {
                c.window.length = Duration::from_secs(60)
            }),
            ("privacy.min_group", Room::Pipeline, |c| c.privacy.min_group = 9),
            ("camera.name", Room::Everything, |c| {
                c.camera.name = "other".to_owned()
            }),
            ("deployment.room", Room::Everything, |c| {
                c.deployment.room = "other".to_owned()
            }),
            ("indicator.led_active_low", Room::Everything, |c| {
                c.indicator.led_active_low = true
            }),
        ];
        for (path, room, change) in table {
            let plan = plan(change);
            assert_eq!(plan.changed, [path]);
            for other in [
                Room::Live,
                Room::Publisher,
                Room::Pipeline,
                Room::Everything,
                Room::NextStart,
            ] {
                assert_eq!(plan.concerns(other), other == room, "{path} {other:?}");
            }
        }
        assert_eq!(room_of("something.new"), Room::Everything);
    }

    #[test]
    fn the_networks_are_opened_anew_for_what_they_are_chosen_by() {
        assert!(!plan(|c| c.camera.fps = 5.0).concerns_networks());
        assert!(!plan(|c| c.model.threads = 2).concerns_networks());
        assert!(plan(|c| c.model.path = "other".to_owned()).concerns_networks());
    }

    #[test]
    fn every_key_of_the_networks_is_one() {
        let values = serde_json::to_value(Config::for_replay()).unwrap_or_default();
        for path in OF_NETWORKS {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(values.pointer(&pointer).is_some(), "{path}");
        }
        for (path, _) in ROOMS.iter().filter(|(path, _)| !path.ends_with('.')) {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(values.pointer(&pointer).is_some(), "{path}");
        }
    }
}
