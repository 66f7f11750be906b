//! `[status]`: who may reach metrics and page, and by what.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Passwords;
use crate::config::entry::{self, Table};
use crate::config::problem::Problems;
use crate::config::tables::Status;

/// A password that is shorter could be guessed.
const SHORTEST_PASSWORD: usize = 12;

/// Applies them; `passwords` has what was read of `password_file`.
pub(super) fn check(table: &Table, passwords: &Passwords, problems: &mut Problems) {
    let given = |key| {
        let path = entry::read::<PathBuf>(table, &["status", key]);
        path.is_some_and(|path| !path.as_os_str().is_empty())
    };
    password(table, passwords, problems);
    let (certificate, key) = (given("tls_certificate"), given("tls_key"));
    for (this, other, [name, missing]) in [
        (certificate, key, ["tls_certificate", "tls_key"]),
        (key, certificate, ["tls_key", "tls_certificate"]),
    ] {
        if let Some(entry) = entry::get(table, &["status", name])
            && this
            && !other
        {
            let what = format!("`{name}` is given, but `{missing}` is not");
            problems.add(&entry.span, "status", what, "HTTPS takes both");
        }
    }
    let Some(listen) = listen(table, problems) else {
        return;
    };
    let page = entry::read::<bool>(table, &["status", "page"]).unwrap_or(Status::default().page);
    if let Some(entry) = entry::get(table, &["status", "page"])
        && page
        && !listen.ip().is_loopback()
        && !(given("password_file") && certificate && key)
    {
        let what = format!("`page` is on, at {listen}, where others can reach it");
        let note = "there it takes a password and HTTPS: give password_file, tls_certificate and tls_key; or leave \
                    listen at 127.0.0.1 and come by `ssh -L 9464:127.0.0.1:9464`";
        problems.add(&entry.span, "status", what, note);
    }
}

/// The address to listen at; `None` if it is wrong, which is said.
fn listen(table: &Table, problems: &mut Problems) -> Option<SocketAddr> {
    let written = entry::read::<String>(table, &["status", "listen"]);
    let entry = entry::get(table, &["status", "listen"]);
    let (Some(written), Some(entry)) = (written, entry) else {
        return Status::default().listen.parse().ok();
    };
    let parsed = written.parse();
    if parsed.is_err() {
        let what = format!("`listen` is \"{written}\", which is no address and port");
        let note = "write such as listen = \"127.0.0.1:9464\"; a port is at most 65535";
        problems.add(&entry.span, "status", what, note);
    }
    parsed.ok()
}

fn password(table: &Table, passwords: &Passwords, problems: &mut Problems) {
    let Some(entry) = entry::get(table, &["status", "password_file"]) else {
        return;
    };
    let length = |password: &crate::config::Secret| password.reveal().chars().count();
    if passwords
        .status
        .as_ref()
        .is_some_and(|password| length(password) < SHORTEST_PASSWORD)
    {
        let what = format!("the password in `password_file` has fewer than {SHORTEST_PASSWORD} characters");
        let note = "whoever reaches the page could guess it: `openssl rand -base64 18` makes a good one";
        problems.add(&entry.span, "status", what, note);
    }
}
