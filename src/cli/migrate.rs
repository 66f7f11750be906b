//! `affectd config migrate`: files of an older form, made into what this affectd reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{ConfigFiles, Exit, Failure, print};
use crate::config::{self, Migrated};
use crate::redact;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFiles,
    /// Write the files, each beside a copy of what it was (`.before-migrate`), and the files of secrets. Without it the result is
    /// printed, and nothing is changed.
    #[arg(long)]
    write: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = config::files(&arguments.config.files()).map_err(|error| bad(&error))?;
    let mut all = Vec::new();
    for file in files {
        let place = file.display();
        let text =
            fs::read_to_string(&file).map_err(|error| bad(&format!("{place} cannot be read: {error}.")))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let done = config::migrate(&text, folder.unwrap_or(Path::new(".")))
            .map_err(|why| bad(&format!("{place}: {why}.")))?;
        all.push((file, text, done));
    }
    let mut err = io::stderr();
    for (file, _, done) in &all {
        let notes = done.changes.iter().map(|change| ("changed", change));
        let open = done.by_hand.iter().map(|what| ("BY HAND", what));
        for (kind, words) in notes.chain(open) {
            writeln!(err, "{}: {kind}: {}", file.display(), redact::line(words))?;
        }
        if done.changes.is_empty() && done.by_hand.is_empty() {
            writeln!(err, "{}: nothing to do", file.display())?;
        }
    }
    for (file, text, done) in &all {
        match arguments.write {
            true if !done.changes.is_empty() => write(file, text, done)?,
            true => {}
            false => {
                if all.len() > 1 {
                    print(format_args!("# {}", file.display()))?;
                }
                print(redact::text(done.text.trim_end()))?;
            }
        }
    }
    Ok(())
}

fn bad(words: &str) -> Failure {
    Failure::new(Exit::Config, anyhow::Error::msg(words.to_owned()))
}

/// First the secrets, then the copy, then the file: whatever is cut short, nothing is lost, and doing it again ends it.
fn write(file: &Path, before: &str, done: &Migrated) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| {
            Failure::new(
                Exit::Io,
                anyhow::anyhow!("{} cannot be written: {error}.", path.display()),
            )
        }
    };
    for (path, secret) in &done.secrets {
        if path.exists() {
            return Err(bad(&format!(
                "{} is there already; look what it is for, and move it away.",
                path.display()
            )));
        }
        let line = format!("{}\n", secret.reveal());
        put(path, &line, 0o600).map_err(failed(path))?;
    }
    let mut copy = file.as_os_str().to_owned();
    copy.push(".before-migrate");
    let copy = PathBuf::from(copy);
    // It may hold the secrets that the file itself holds no more.
    put(&copy, before, 0o600).map_err(failed(&copy))?;
    let mode = fs::metadata(file).map_err(failed(file))?.mode() & 0o7777;
    put(file, &done.text, mode).map_err(failed(file))
}

/// Puts the text in place of the file's, so that either is whole.
fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
