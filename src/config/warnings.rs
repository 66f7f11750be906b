//! What is allowed but unwise, or there and not read.

use super::{Config, secret};
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
