//! Tests of the configuration as a whole.

mod field;
mod files;
mod fuzz;
mod generated;
mod messages;

use super::*;

/// A deployment that nothing is wrong with, and the version.
const START: &str = "config_version = 1
[deployment]
site = \"museum-north\"
place = \"museum\"
purpose = \"Find out which rooms visitors enjoy.\"
controller = \"privacy@museum.example\"
";

/// What [`START`] declares.
fn deployment() -> Deployment {
    Deployment {
        site: "museum-north".to_owned(),
        place: Place::Museum,
        purpose: "Find out which rooms visitors enjoy.".to_owned(),
        controller: "privacy@museum.example".to_owned(),
        basis: Basis::None,
        room: String::new(),
        device: None,
    }
}

/// The messages that [`START`] followed by `rest` gives.
fn messages(rest: &str) -> Vec<String> {
    match from_str(&format!("{START}{rest}")) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(ToString::to_string).collect(),
    }
}

/// The one message that [`START`] followed by `rest` gives.
fn message(rest: &str) -> String {
    let mut messages = messages(rest);
    assert_eq!(messages.len(), 1, "{rest}: {messages:#?}");
    messages.remove(0)
}
