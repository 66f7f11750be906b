//! Opens files that somebody named: regular ones only, and without waiting. Opening a FIFO would wait for a writer, a
//! terminal or a tape would do things; and a file of many gigabytes is not to end in memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // What is not there is told as such, and a folder or a FIFO is not even opened.
    check(&std::fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // It may have become another one in between.
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads a whole regular file of up to `most` bytes; a larger one takes no memory.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    let too_large = |size: u64| {
        io::Error::other(format!(
            "it has {} MiB, and affectd reads files of up to {} MiB",
            size >> 20,
            most >> 20
        ))
    };
    if size > most as u64 {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(most));
    // Some files grow, and some, as those of `/proc`, have more than their size says.
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

fn check(metadata: &std::fs::Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false if metadata.is_dir() => Err(io::Error::other("it is a folder, not a file")),
        false => Err(io::Error::other("it is no regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn only_regular_files_are_opened_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, link) = (folder.path().join("fifo"), folder.path().join("link"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for path in [&fifo, &link, Path::new("/dev/null")] {
            let error = read(path, 10).unwrap_err().to_string();
            assert_eq!(error, "it is no regular file", "{}", path.display());
        }
        assert_eq!(
            read(folder.path(), 10).unwrap_err().to_string(),
            "it is a folder, not a file"
        );
        let gone = read(&folder.path().join("gone"), 10).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_large_file_takes_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"0123456789");
        assert!(read(&path, 9).is_err());
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(3 << 40)
            .unwrap();
        let error = read(&path, 32 << 20).unwrap_err().to_string();
        assert!(
            error.contains("3145728 MiB, and affectd reads files of up to 32 MiB"),
            "{error}"
        );
    }
}
