//! What is allowed but unwise, or there and not read.

use std::time::Duration;

use affect_core::tracker::TrackSettings;

use super::tables::Detector;
use super::{Config, duration, secret};
use crate::credential;
use crate::redact;

/// Each as a sentence for the log and for `affectd check`.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let (mqtt, camera) = (&config.mqtt, &config.camera);
    let logins = [
        ("mqtt", &mqtt.username, &mqtt.password_file),
        ("camera", &camera.username, &camera.password_file),
    ];
    let mut all = config.unread.clone();
    for (table, username, password_file) in logins {
        match (username, password_file) {
            (Some(_), None) => all.push(format!(
                "[{table}] username is given without password_file, so no password is sent; if one is needed, {}",
                secret::advice(&format!("{table}-password"))
            )),
            (_, Some(path)) if secret::is_open_to_all(path) => all.push(format!(
                "[{table}] password_file: every user of this machine can read {}; {}",
                path.display(),
                secret::advice(&format!("{table}-password"))
            )),
            _ => {}
        }
    }
    if let Some(key) = mqtt.tls.key.as_deref().filter(|key| secret::is_open_to_all(key)) {
        all.push(format!(
            "[mqtt.tls] key: every user of this machine can read {0}; put it into {1}/affectd.mqtt-key (owner root, mode \
             0600) and write key = \"{2}/affectd.mqtt-key\": systemd hands it to the service alone",
            key.display(),
            credential::STORE,
            credential::FOLDER
        ));
    }
    if mqtt.url.is_none() && mqtt.port == 8883 {
        all.push(format!(
            "[mqtt] port is 8883, which is mostly for TLS, and without `url` there is none: write url = \"mqtts://{}\" in \
             place of `host` and `port`",
            mqtt.host
        ));
    }
    all.extend(short_memory(config));
    let status = &config.status;
    if let (Some(_), None, Ok(listen)) = (
        &status.password,
        &status.tls_certificate,
        status.listen.parse::<std::net::SocketAddr>(),
    ) && !listen.ip().is_loopback()
        && status.metrics
    {
        all.push(format!(
            "[status] password_file: at {listen} the password of the metrics is sent in the clear; give tls_certificate and tls_key, or leave it out: the metrics tell nothing of people"
        ));
    }
    if !mqtt.commands.is_empty() && mqtt.username.is_none() {
        all.push(
            "[mqtt] commands are on, and affectd logs in without a user name: whoever reaches the broker may send them, \
             unless its access rules forbid it (docs/operate/commands.md has some)"
                .to_owned(),
        );
    }
    let arguments: Vec<String> = camera
        .command
        .iter()
        .map(|argument| format!("{argument:?}"))
        .collect();
    if !redact::hidden_parts(&arguments.join(", ")).is_empty() {
        all.push(
            "[camera] command holds a password, and every user of this machine can see the arguments of a running \
             program; give [camera] url, username and password_file instead: the command finds the whole address in \
             its environment as AFFECTD_CAMERA_URL, and without a command affectd reads the camera itself"
                .to_owned(),
        );
    }
    all
}

/// A memory that was given, and that is too short for the frame rate: at it nobody would be followed past a missed frame.
fn short_memory(config: &Config) -> Option<String> {
    let (memory, fps) = (config.detector.track_memory, config.camera.fps);
    let settings = TrackSettings { iou: 0.0, memory };
    let waits = settings.memory_at(Duration::from_secs_f64(1.0 / fps));
    let is_given = memory != Detector::default().track_memory;
    (is_given && waits > memory).then(|| {
        format!(
            "[detector] track_memory is {}, less than two frames and a half at [camera] fps = {fps}: a face that is not \
             seen is waited for {} instead, and longer when heat slows the frames down",
            duration::format(memory),
            duration::format(Duration::from_millis(waits.as_millis() as u64))
        )
    })
}
