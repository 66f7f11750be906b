//! Files whose names come from outside are opened here: a regular file, or nothing. A pipe, a device or a socket would
//! make whoever opens or reads it wait for somebody who never comes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file for reading, without waiting.
///
/// # Errors
/// What the system says; or, of what is no regular file, what it is instead.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    if kind.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    let what = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, and only a file is read"),
    ))
}

/// Reads a regular file of at most `longest` bytes.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] for more bytes.
pub fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .take(longest.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {} KiB", longest >> 10),
        ));
    }
    Ok(bytes)
}

/// The same of text.
///
/// # Errors
/// As [`read`]; [`io::ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read_text(path: &Path, longest: u64) -> io::Result<String> {
    String::from_utf8(read(path, longest)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text (UTF-8)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "12345").expect("written");
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).expect("made");
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("made");
        let why = |path: &Path| open(path).expect_err("refused").to_string();
        assert_eq!(read(&path("file"), 5).expect("read"), b"12345");
        assert_eq!(
            read(&path("file"), 4).expect_err("too long").kind(),
            io::ErrorKind::FileTooLarge
        );
        assert_eq!(why(&path("pipe")), "it is a pipe, and only a file is read");
        assert_eq!(
            why(Path::new("/dev/zero")),
            "it is a device, and only a file is read"
        );
        assert!(why(folder.path()).starts_with("Is a directory"));
        assert!(why(&path("absent")).starts_with("No such file"));
        assert!(open(&path("socket")).is_err());
    }
}
