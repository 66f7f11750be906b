//! Files of an older form, made into what this affectd reads: comments, order and blanks stay. What cannot be done without
//! somebody who knows the device is said.

mod login;

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Value};

use super::{CONFIG_VERSION, Secret};

/// A file that was made into one of today.
#[derive(Debug)]
pub(crate) struct Migrated {
    /// What is to stand in the file.
    pub(crate) text: String,
    /// What was changed, a sentence each.
    pub(crate) changes: Vec<String>,
    /// What somebody has to do, a sentence each.
    pub(crate) by_hand: Vec<String>,
    /// Files that are to hold a secret which stood in this one.
    pub(crate) secrets: Vec<(PathBuf, Secret)>,
}

/// Keys that had another name, or are gone: table, old name, new name.
const RENAMED: [(&str, &str, Option<&str>); 1] = [
    // Who is seen once counts from the second frame on, whatever the configuration says.
    ("detector", "track_confirm_frames", None),
];

/// What a key is now called or why it is gone, for a message about it.
pub(super) fn what_became_of(table: &str, key: &str) -> Option<&'static str> {
    let known = RENAMED.iter().any(|(t, k, _)| (*t, *k) == (table, key));
    known.then_some("a key of an older affectd: `affectd config migrate` mends the file")
}

/// Makes the text of a file one of today. Secrets that it holds are to go into files in `folder`.
///
/// # Errors
/// A sentence that says why not: it is no TOML, or of a newer affectd.
pub(crate) fn migrate(text: &str, folder: &Path) -> Result<Migrated, String> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| format!("it is not TOML: {}", error.message()))?;
    let mut steps = Steps::default();
    version(&mut document, &mut steps)?;
    renamed(&mut document, &mut steps);
    for (table, name) in [("mqtt", "mqtt-password"), ("camera", "camera-password")] {
        password(
            &mut document,
            table,
            &folder.join(format!("affectd.{name}")),
            &mut steps,
        );
    }
    login::of_camera(&mut document, &folder.join("affectd.camera-password"), &mut steps);
    let Steps {
        changes,
        by_hand,
        secrets,
    } = steps;
    let text = match changes.is_empty() {
        true => text.to_owned(),
        false => document.to_string(),
    };
    Ok(Migrated {
        text,
        changes,
        by_hand,
        secrets,
    })
}

/// What is done on the way.
#[derive(Debug, Default)]
struct Steps {
    changes: Vec<String>,
    by_hand: Vec<String>,
    secrets: Vec<(PathBuf, Secret)>,
}

/// A file without a version is one of before there were any. (Drop-ins need none.)
fn version(document: &mut DocumentMut, steps: &mut Steps) -> Result<(), String> {
    let current = i64::from(CONFIG_VERSION);
    let given = document.get("config_version").and_then(Item::as_integer);
    match given {
        Some(version) if version == current => return Ok(()),
        Some(version) if version > current => {
            return Err(format!(
                "config_version is {version}, and this affectd ({}) reads {current}: update affectd; it does not go back",
                env!("CARGO_PKG_VERSION")
            ));
        }
        None if !document.contains_key("deployment") => return Ok(()),
        _ => {}
    }
    document.insert("config_version", toml_edit::value(current));
    steps.changes.push(format!("config_version = {current}."));
    Ok(())
}

fn renamed(document: &mut DocumentMut, steps: &mut Steps) {
    for (table, old, new) in RENAMED {
        let Some(keys) = document.get_mut(table).and_then(Item::as_table_like_mut) else {
            continue;
        };
        let Some(value) = keys.remove(old) else { continue };
        match new {
            Some(new) => {
                keys.insert(new, value);
                steps.changes.push(format!("[{table}] {old} is called {new}."));
            }
            None => steps.changes.push(format!(
                "[{table}] {old} is taken out: nothing depends on it any more."
            )),
        }
    }
}

/// A password that stands in the file goes into one of its own.
fn password(document: &mut DocumentMut, table: &str, file: &Path, steps: &mut Steps) {
    let Some(keys) = document.get_mut(table).and_then(Item::as_table_like_mut) else {
        return;
    };
    let Some(password) = keys.get("password").and_then(Item::as_str).map(str::to_owned) else {
        return;
    };
    keys.remove("password");
    if password.is_empty() {
        steps
            .changes
            .push(format!("[{table}] password, which is empty, is taken out."));
        return;
    }
    put_aside(keys, table, &password, file, steps);
}

/// Gives a password's file in place of the password, unless the file gives one already.
fn put_aside(
    keys: &mut dyn toml_edit::TableLike,
    table: &str,
    password: &str,
    file: &Path,
    steps: &mut Steps,
) {
    let given = keys
        .get("password_file")
        .and_then(Item::as_str)
        .unwrap_or_default();
    if !given.is_empty() {
        steps.by_hand.push(format!(
            "[{table}] held a password besides password_file = {given:?}: look which of them is right."
        ));
        return;
    }
    let path = file.display().to_string();
    keys.insert("password_file", Item::Value(Value::from(path.clone())));
    steps.secrets.push((file.to_owned(), Secret::new(password)));
    steps.changes.push(format!(
        "[{table}] the password goes into {path}, readable by its owner alone, and password_file names it."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "[deployment]\nsite = \"s\"\nplace = \"museum\"\npurpose = \"Tests of affectd\"\ncontroller = \"c\"\n";

    fn migrated(text: &str) -> Migrated {
        migrate(text, Path::new("/etc/affectd")).expect("it can be")
    }

    #[test]
    fn a_file_of_today_stays_as_it_is_to_the_byte() {
        for text in [
            format!("config_version = 1 # x\n\n{DEPLOYMENT}\n[camera]\nsource=\"/dev/video0\"\n"),
            "[mqtt]\nhost='broker' # a drop-in\n".to_owned(),
            String::new(),
            super::super::template(),
        ] {
            let done = migrated(&text);
            assert_eq!(done.text, text);
            assert!(done.changes.is_empty() && done.by_hand.is_empty(), "{done:?}");
        }
    }

    #[test]
    fn what_comes_out_is_read() {
        let old = format!(
            "# Of the museum\n{DEPLOYMENT}\n[detector]\n# twice\ntrack_confirm_frames = 2\nscore_threshold = 0.7 # kept\n\n[mqtt]\nusername = \"door\"\n"
        );
        let done = migrated(&old);
        assert!(done.text.contains("# Of the museum") && done.text.contains("score_threshold = 0.7 # kept"));
        assert!(!done.text.contains("track_confirm_frames"));
        assert_eq!(done.changes.len(), 2, "{:?}", done.changes);
        let config =
            super::super::from_str(&done.text).unwrap_or_else(|error| panic!("{}\n{error}", done.text));
        assert_eq!(config.detector.score_threshold, 0.7);
        assert_eq!(
            migrated(&done.text).changes,
            [""; 0],
            "the second time there is nothing to do"
        );
    }

    #[test]
    fn a_password_goes_into_a_file_of_its_own() {
        let text = format!(
            "config_version = 1\n{DEPLOYMENT}[mqtt]\nusername = \"door\"\npassword = \"geheim-42\" # !\n[camera]\nurl = \"rtsp://cam/1\"\nusername = \"u\"\npassword = \"auch-geheim\"\n"
        );
        let done = migrated(&text);
        assert!(!done.text.contains("geheim"), "{}", done.text);
        let files: Vec<(&str, &str)> = done
            .secrets
            .iter()
            .map(|(path, secret)| (path.to_str().unwrap_or_default(), secret.reveal()))
            .collect();
        assert_eq!(
            files,
            [
                ("/etc/affectd/affectd.mqtt-password", "geheim-42"),
                ("/etc/affectd/affectd.camera-password", "auch-geheim")
            ]
        );
        assert!(
            done.text
                .contains("password_file = \"/etc/affectd/affectd.mqtt-password\"")
        );
        assert!(!format!("{done:?}").contains("geheim"));
    }

    #[test]
    fn a_newer_file_and_no_file_are_refused() {
        let newer = migrate("config_version = 2\n", Path::new("/")).expect_err("newer");
        assert!(newer.contains("update affectd"), "{newer}");
        let broken = migrate("a = \n", Path::new("/")).expect_err("broken");
        assert!(broken.contains("not TOML"), "{broken}");
        let zero = migrated("config_version = 0\n");
        assert_eq!(zero.text.trim(), "config_version = 1");
    }
}
