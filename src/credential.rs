//! Files of secrets and certificates, among them the credentials that systemd hands to the service.

use std::io;
use std::path::{Path, PathBuf};

use affect_tflite::regular;

/// Where systemd shows the service its credentials, while it runs.
pub(crate) const FOLDER: &str = "/run/credentials/affectd.service";
/// Where systemd takes them from.
pub(crate) const STORE: &str = "/etc/credstore";
/// What systemd tells a service about where its own credentials are.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Reads a file of at most `longest` bytes. A credential of the service that does not run is read where systemd takes it
/// from, so that `affectd check` can be asked beforehand; `affectd check --service`, which is a service of another name,
/// reads its own.
///
/// # Errors
/// A sentence part that says why it cannot be read.
pub(crate) fn read(path: &Path, longest: u64) -> Result<Vec<u8>, String> {
    let words = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!("{} may not read it ({error})", whoever_runs_this())
        }
        _ => error.to_string(),
    };
    let Ok(name) = path.strip_prefix(FOLDER) else {
        return regular::read(path, longest).map_err(words);
    };
    if let Some(own) = std::env::var_os(VARIABLE)
        .map(PathBuf::from)
        .filter(|own| own != Path::new(FOLDER))
    {
        return regular::read(&own.join(name), longest).map_err(|_| {
            format!(
                "systemd hands the service no such credential: put it into {}, and let the unit have LoadCredential={}",
                Path::new(STORE).join(name).display(),
                name.display()
            )
        });
    }
    match regular::read(path, longest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let stored = Path::new(STORE).join(name);
            regular::read(&stored, longest).map_err(|error| {
                format!(
                    "it is there only while the service runs, and {} cannot be read either ({})",
                    stored.display(),
                    words(error)
                )
            })
        }
        read => read.map_err(words),
    }
}

/// Whether systemd runs this program with the credentials of a service.
pub(crate) fn is_inside_a_service() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// What credentials systemd hands to this program.
pub(crate) fn names() -> Vec<String> {
    let folder = std::env::var_os(VARIABLE).unwrap_or_default();
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = listed
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// By what name the system knows whoever runs this program, for messages about what they may not do.
fn whoever_runs_this() -> String {
    match rustix::process::geteuid() {
        user if user.is_root() => "not even root".to_owned(),
        user => format!("user number {}", user.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_looked_for_where_it_comes_from() {
        let path = Path::new(FOLDER).join("affectd.no-such-thing");
        let why = read(&path, 100).expect_err("not there");
        assert!(
            why.contains("only while the service runs")
                && why.contains("/etc/credstore/affectd.no-such-thing"),
            "{why}"
        );
    }
}
