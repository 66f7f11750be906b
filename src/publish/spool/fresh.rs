//! The newest windows, written at once: a file that outlives the daemon's death, not the power.
//!
//! With systemd it lies in the runtime directory, in memory, so that a window that is delivered soon never costs the card a
//! write. What waits longer is written to the disk by the [`super::keeper`] and taken out here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{self, Kind, Window};
use super::segments::make_private;

/// The file's name.
pub(super) const FILE: &str = "fresh";
/// How long it becomes before it is written anew without what is settled.
const LONG: u64 = 256 << 10;

/// The file; whatever becomes of it, publishing goes on.
#[derive(Debug)]
pub(super) struct Fresh {
    path: PathBuf,
    file: Option<File>,
    length: u64,
    /// Whether it could not be written, so that it was said.
    told: bool,
}

impl Fresh {
    /// A file in this folder, in place of the one from before, of which the caller knows what was in it.
    pub(super) fn begin(folder: &Path, waiting: &[Vec<u8>]) -> Self {
        let mut fresh = Self {
            path: folder.join(FILE),
            file: None,
            length: 0,
            told: false,
        };
        fresh.write_anew(waiting);
        fresh
    }

    /// What the files of before hold.
    pub(super) fn read(folder: &Path) -> io::Result<Vec<u8>> {
        let path = folder.join(FILE);
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_file() => fs::read(path),
            Ok(_) => Err(io::Error::other(format!("`{}` is no file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds a window.
    pub(super) fn window(&mut self, number: u64, window: &Window, waiting: impl Fn() -> Vec<Vec<u8>>) {
        self.add(&encoded(number, window), waiting);
    }

    /// Notes that windows are settled: all up to `number`, or that one.
    pub(super) fn settled(&mut self, kind: Kind, number: u64, waiting: impl Fn() -> Vec<Vec<u8>>) {
        self.add(&settled(kind, number), waiting);
    }

    /// Adds a record. Where that does not go, or the file is long, it is written anew, with all that is `waiting` and not
    /// on the disk.
    fn add(&mut self, bytes: &[u8], waiting: impl Fn() -> Vec<Vec<u8>>) {
        // Somebody may have cleaned up.
        let is_there = |file: &File| file.metadata().is_ok_and(|data| data.nlink() > 0);
        if self.length < LONG
            && let Some(file) = self.file.as_mut().filter(|file| is_there(file))
            && file.write_all(bytes).is_ok()
        {
            self.length += bytes.len() as u64;
        } else {
            self.write_anew(&waiting());
        }
    }

    /// Puts a file with these records in place of the file.
    pub(super) fn write_anew(&mut self, waiting: &[Vec<u8>]) {
        let written = self.replace(&waiting.concat());
        match written {
            Ok(()) => self.told = false,
            Err(error) => {
                self.file = None;
                if !std::mem::replace(&mut self.told, true) {
                    log::warn!(
                        "`{}` cannot be written ({error}), so each window is written to the disk at once, which wears out a card: look at its folder's space and permissions.",
                        self.path.display()
                    );
                }
            }
        }
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        make_private(self.path.parent().unwrap_or(Path::new("/")))?;
        let new = self.path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, &self.path)?;
        (self.file, self.length) = (Some(file), bytes.len() as u64);
        Ok(())
    }

    /// Whether windows are in it.
    pub(super) fn works(&self) -> bool {
        self.file.is_some()
    }
}

/// A record that says that windows are settled.
pub(super) fn settled(kind: Kind, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write(&mut bytes, kind, number, &[]);
    bytes
}

/// A window as a record.
pub(super) fn encoded(number: u64, window: &Window) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write(&mut bytes, Kind::Window, number, &window.encode());
    bytes
}
