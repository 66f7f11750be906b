//! What a camera is logged in with, out of addresses and arguments, where everybody may see it.

use std::path::Path;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::{Steps, put_aside};

/// Moves user name and password out of `[camera]` source, url and command.
pub(super) fn of_camera(document: &mut DocumentMut, file: &Path, steps: &mut Steps) {
    let Some(camera) = document.get_mut("camera").and_then(Item::as_table_like_mut) else {
        return;
    };
    address_in_source(camera, steps);
    if let Some(url) = text(camera, "url")
        && let Some(address) = Address::of(&url)
    {
        log_in(camera, &address, file, steps);
    }
    in_command(camera, file, steps);
}

/// An address belongs into `url`.
fn address_in_source(camera: &mut dyn TableLike, steps: &mut Steps) {
    let Some(source) = text(camera, "source").filter(|source| is_network(source)) else {
        return;
    };
    if text(camera, "url").is_some_and(|url| !url.is_empty()) {
        steps
            .by_hand
            .push("[camera] has an address in source, and one in url: keep the right one as url.".to_owned());
        return;
    }
    camera.remove("source");
    camera.insert("url", Item::Value(Value::from(source)));
    steps
        .changes
        .push("[camera] the address in source is called url.".to_owned());
}

/// An address with a password among a command's arguments. affectd reads a network camera itself, so that a plain ffmpeg is not
/// needed for it; what else a command does with an address, nobody knows but who wrote it.
fn in_command(camera: &mut dyn TableLike, file: &Path, steps: &mut Steps) {
    let Some(command) = camera.get("command").and_then(Item::as_array) else {
        return;
    };
    let words: Vec<String> = command
        .iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    let Some(address) = words.iter().find_map(|word| Address::of(word)) else {
        return;
    };
    if text(camera, "url").is_some_and(|url| !url.is_empty()) {
        steps
            .by_hand
            .push("[camera] command holds a password although url is given: take it out by hand.".to_owned());
        return;
    }
    let program = words.first().map(String::as_str).unwrap_or_default();
    let is_ffmpeg = Path::new(program)
        .file_name()
        .is_some_and(|name| name == "ffmpeg");
    if !is_ffmpeg || !words.contains(&address.whole) {
        steps.by_hand.push(
            "[camera] command holds a password: write the address as url, username and password_file, and let the command take it from its environment (AFFECTD_CAMERA_URL)."
                .to_owned(),
        );
        return;
    }
    camera.remove("command");
    steps.changes.push(
        "[camera] command was ffmpeg with an address, which affectd reads itself: the address is url, and the command is taken out with its other arguments."
            .to_owned(),
    );
    log_in(camera, &address, file, steps);
}

/// Writes an address as url, username and password_file.
fn log_in(camera: &mut dyn TableLike, address: &Address, file: &Path, steps: &mut Steps) {
    camera.insert("url", Item::Value(Value::from(address.bare.clone())));
    camera.insert("username", Item::Value(Value::from(address.username.clone())));
    steps
        .changes
        .push("[camera] the user name in the address is username.".to_owned());
    if let Some(password) = &address.password {
        put_aside(camera, "camera", password, file, steps);
    }
}

fn text(table: &dyn TableLike, key: &str) -> Option<String> {
    table.get(key).and_then(Item::as_str).map(str::to_owned)
}

fn is_network(address: &str) -> bool {
    let scheme = address
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| ["rtsp", "rtsps", "http", "https"].contains(&scheme.as_str()))
}

/// An address with what to log in with.
struct Address {
    whole: String,
    /// Without it.
    bare: String,
    username: String,
    password: Option<String>,
}

impl Address {
    /// `None` if it is no address of a network camera, or has no user name.
    fn of(whole: &str) -> Option<Self> {
        if !is_network(whole) {
            return None;
        }
        let (scheme, rest) = whole.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (login, host) = rest[..end].rsplit_once('@')?;
        let (username, password) = match login.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (login, None),
        };
        Some(Self {
            whole: whole.to_owned(),
            bare: format!("{}://{host}{}", scheme.to_ascii_lowercase(), &rest[end..]),
            username: decoded(username),
            password: password.map(decoded),
        })
    }
}

/// `%40` is `@`, and so on; what is no such thing stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Migrated, migrate};
    use super::*;
    use crate::config;

    const START: &str = "config_version = 1\n[deployment]\nsite = \"s\"\nplace = \"museum\"\npurpose = \"Tests of affectd\"\ncontroller = \"c\"\n[camera]\n";

    fn migrated(folder: &Path, camera: &str) -> Migrated {
        migrate(&format!("{START}{camera}\n"), folder).expect("it can be")
    }

    #[test]
    fn an_address_with_a_password_is_url_username_and_password_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for camera in [
            r#"source = "rtsp://admin:gehe%40im@10.0.0.7:554/stream?a=1""#,
            r#"url = "RTSP://admin:gehe%40im@10.0.0.7:554/stream?a=1""#,
            r#"command = ["/usr/bin/ffmpeg", "-i", "rtsp://admin:gehe%40im@10.0.0.7:554/stream?a=1", "-f", "mjpeg", "-"]"#,
        ] {
            let done = migrated(folder.path(), camera);
            assert!(!done.text.contains("gehe"), "{}", done.text);
            assert!(done.by_hand.is_empty(), "{:?}", done.by_hand);
            let [(path, secret)] = &done.secrets[..] else {
                panic!("{done:?}");
            };
            assert_eq!(secret.reveal(), "gehe@im");
            std::fs::write(path, secret.reveal()).expect("written");
            // What comes out logs in as before.
            let config =
                config::from_str(&done.text).unwrap_or_else(|error| panic!("{}\n{error}", done.text));
            let address = config.camera.address().expect("an address");
            assert_eq!(address.reveal(), "rtsp://admin:gehe%40im@10.0.0.7:554/stream?a=1");
        }
    }

    #[test]
    fn what_cannot_be_known_is_left_to_somebody() {
        let folder = Path::new("/nowhere");
        for camera in [
            r#"command = ["gst-launch-1.0", "rtspsrc", "location=x", "rtsp://a:b@c/d"]"#,
            "url = \"rtsp://c/d\"\ncommand = [\"ffmpeg\", \"-i\", \"rtsp://a:b@c/d\"]",
            "url = \"rtsp://c/d\"\nsource = \"rtsp://c/e\"",
        ] {
            let done = migrated(folder, camera);
            assert_eq!(done.by_hand.len(), 1, "{camera}: {:?}", done.by_hand);
            assert_eq!(done.changes, [""; 0]);
        }
        let plain = migrated(folder, r#"url = "http://c/video?user=a@b""#);
        assert!(plain.changes.is_empty() && plain.by_hand.is_empty());
    }
}
