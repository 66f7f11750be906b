//! Whether the service may read what the configuration names. It runs as nobody in particular: systemd makes its user up
//! (DynamicUser), so a file is either a credential or readable for all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::config::Config;
use crate::credential;

/// The mode's bit by which everybody may read a file, and pass through a folder.
const ALL_MAY_READ: u32 = 0o004;
const ALL_MAY_PASS: u32 = 0o001;

/// Looks at the configuration's `files`, and at what they name.
pub(super) fn look(files: &[PathBuf], config: Option<&Config>) -> Finding {
    if credential::is_inside_a_service() {
        return inside();
    }
    let secrets = config.map(secrets).unwrap_or_default();
    let open = config.map(open).unwrap_or_default();
    let mut troubles: Vec<String> = files
        .iter()
        .chain(&open)
        .filter_map(|path| not_for_all(path))
        .map(|(path, bit)| {
            let (who, remedy) = match bit {
                ALL_MAY_PASS => ("may not go into", "chmod o+x"),
                _ => ("may not read", "chmod o+r"),
            };
            let path = path.display();
            format!("the service {who} {path}: `{remedy} {path}`")
        })
        .collect();
    // What is kept from others is kept from the service, too.
    troubles.extend(secrets.iter().filter(|(path, _)| not_for_all(path).is_some()).map(|(path, name)| {
        format!(
            "the service may not read {0}: `install -D -m 600 {0} {1}/affectd.{name}`, and write \"{2}/affectd.{name}\" in its place",
            path.display(),
            credential::STORE,
            credential::FOLDER
        )
    }));
    let user = rustix::process::geteuid().as_raw();
    match troubles.is_empty() {
        true => Finding::Works(format!(
            "by their modes the service may read what is named; tried as user {user}, and `affectd check --service` tries it as the service"
        )),
        // Whoever runs it by hand may read what the service may not.
        false => Finding::Remark(troubles.join("; ")),
    }
}

/// What the service is, and that all was tried as the service.
fn inside() -> Finding {
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let names = credential::names();
    let credentials = match names.is_empty() {
        true => "no credentials".to_owned(),
        false => format!("credentials {}", names.join(", ")),
    };
    Finding::Works(format!(
        "all this was tried as the service: user {user}, group {group}, {credentials}"
    ))
}

/// Files that are no secret.
fn open(config: &Config) -> Vec<PathBuf> {
    let tls = &config.mqtt.tls;
    [&tls.ca, &tls.certificate]
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

/// Files of secrets, and what they are called as credentials.
fn secrets(config: &Config) -> Vec<(PathBuf, &'static str)> {
    [
        (&config.mqtt.password_file, "mqtt-password"),
        (&config.camera.password_file, "camera-password"),
        (&config.mqtt.tls.key, "mqtt-key"),
    ]
    .into_iter()
    .filter_map(|(path, name)| Some((path.clone()?, name)))
    .collect()
}

/// The file, or the folder above it, that is closed to others, and the bit that is missing. A credential is for the service
/// alone, and what is not there is told elsewhere.
fn not_for_all(path: &Path) -> Option<(PathBuf, u32)> {
    if path.starts_with(credential::FOLDER) {
        return None;
    }
    let path = fs::canonicalize(path).ok()?;
    let mode = |path: &Path| fs::metadata(path).map_or(0o777, |metadata| metadata.mode());
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    if let Some(folder) = folders
        .into_iter()
        .find(|folder| mode(folder) & ALL_MAY_PASS == 0)
    {
        return Some((folder.to_owned(), ALL_MAY_PASS));
    }
    (mode(&path) & ALL_MAY_READ == 0).then_some((path, ALL_MAY_READ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn what_is_closed_to_others_is_closed_to_the_service() {
        let folder = tempfile::tempdir().expect("a folder");
        set(folder.path(), 0o755);
        let file = folder.path().join("affectd.toml");
        fs::write(&file, "").expect("written");
        set(&file, 0o644);
        assert_eq!(not_for_all(&file), None);
        set(&file, 0o640);
        let real = fs::canonicalize(&file).expect("there");
        assert_eq!(not_for_all(&file), Some((real.clone(), ALL_MAY_READ)));
        set(folder.path(), 0o750);
        let above = real.parent().expect("a folder").to_owned();
        assert_eq!(not_for_all(&file), Some((above, ALL_MAY_PASS)));
        assert!(matches!(look(&[file], None), Finding::Remark(text) if text.contains("chmod o+x")));
        assert_eq!(not_for_all(&Path::new(credential::FOLDER).join("x")), None);
        assert_eq!(not_for_all(Path::new("/no/such/file")), None);
    }
}
