//! Records on the disk: files to which is only appended, and which go as a whole.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Record};

/// What the files' names end with, behind a number.
const ENDING: &str = ".spool";
/// A spool has about so many files.
const PARTS: u64 = 64;
/// Least and largest length of a file.
const LENGTHS: (u64, u64) = (16 << 10, 4 << 20);

/// Where a record is. The file stays readable for as long as somebody knows a place in it.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    file: Arc<File>,
    /// The file's number.
    pub(super) segment: u64,
    at: u64,
    length: u32,
}

impl Spot {
    /// The record's body, if it is still as it was written.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        self.file.read_exact_at(&mut bytes, self.at)?;
        match record::read(&bytes) {
            Some(record) => Ok(record.body.to_vec()),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// A folder of files, the oldest first.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    segments: VecDeque<Segment>,
    /// How many bytes all of them may have.
    most: u64,
    /// Number of the next file.
    next: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: Arc<File>,
    length: u64,
}

/// What opening found.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Bytes that belong to no record.
    pub(super) bytes: usize,
    /// Files in which they were.
    pub(super) files: Vec<PathBuf>,
}

impl Segments {
    /// Opens the folder, which is made if it is not there, and gives every record in it to `each`.
    pub(super) fn open(
        folder: &Path,
        most: u64,
        damage: &mut Damage,
        mut each: impl FnMut(&Record<'_>, Spot),
    ) -> io::Result<Self> {
        make_private(folder)?;
        let mut segments = VecDeque::new();
        for (number, path) in files(folder)? {
            let file = Arc::new(open(&path)?);
            let bytes = contents(&file, most)?;
            let (records, bad) = record::read_all(&bytes);
            let mut end = 0;
            for (at, record) in &records {
                let length = record::HEAD + record.body.len();
                end = (at + length) as u64;
                let spot = Spot {
                    file: Arc::clone(&file),
                    segment: number,
                    at: *at as u64,
                    length: u32::try_from(length).unwrap_or(u32::MAX),
                };
                each(record, spot);
            }
            if bad > 0 {
                damage.bytes += bad;
                damage.files.push(path.clone());
            }
            if records.is_empty() {
                fs::remove_file(&path)?;
                continue;
            }
            // What a power cut left half-written at the end.
            file.set_len(end)?;
            segments.push_back(Segment {
                number,
                file,
                length: end,
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
            next: segments.back().map_or(0, |last| last.number + 1),
            segments,
            most,
        })
    }

    /// Writes records, each whole, and waits until they are on the disk. To make room the oldest files go, whose numbers
    /// are put into `gone`. If it fails, nothing of them counts as written.
    pub(super) fn append(&mut self, records: &[Vec<u8>], gone: &mut Vec<u64>) -> io::Result<Vec<Spot>> {
        let mut spots = Vec::with_capacity(records.len());
        let mut from = 0;
        while from < records.len() {
            let full = longest(self.most);
            let room = full.saturating_sub(self.open_for_writing()?.length);
            let mut bytes = Vec::new();
            let first = from;
            while from < records.len()
                && (from == first || ((bytes.len() + records[from].len()) as u64) < room)
            {
                bytes.extend(&records[from]);
                from += 1;
            }
            self.make_room(bytes.len() as u64, gone);
            let most = self.most;
            let Some(segment) = self.segments.back_mut() else {
                return Err(io::Error::other(format!("{most} bytes are too few for it")));
            };
            write(segment, &bytes)?;
            for record in &records[first..from] {
                spots.push(Spot {
                    file: Arc::clone(&segment.file),
                    segment: segment.number,
                    at: segment.length,
                    length: u32::try_from(record.len()).unwrap_or(u32::MAX),
                });
                segment.length += record.len() as u64;
            }
        }
        Ok(spots)
    }

    /// The newest file, or a new one if it is full, or gone.
    fn open_for_writing(&mut self) -> io::Result<&mut Segment> {
        let full = longest(self.most);
        let last = self.segments.back();
        let is_good =
            |last: &Segment| last.length < full && last.file.metadata().is_ok_and(|data| data.nlink() > 0);
        if !last.is_some_and(is_good) {
            make_private(&self.folder)?;
            let path = self.folder.join(format!("{:016x}{ENDING}", self.next));
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            // The name must outlive a power cut as well as what is in it.
            File::open(&self.folder)?.sync_all()?;
            self.segments.push_back(Segment {
                number: self.next,
                file: Arc::new(file),
                length: 0,
            });
            self.next += 1;
        }
        self.segments
            .back_mut()
            .ok_or_else(|| io::Error::other("no file"))
    }

    /// Takes the oldest files away until there is room.
    fn make_room(&mut self, bytes: u64, gone: &mut Vec<u64>) {
        while self.segments.len() > 1 && self.bytes() + bytes > self.most {
            if let Some(oldest) = self.segments.front() {
                let number = oldest.number;
                gone.push(number);
                self.remove(number);
            }
        }
    }

    /// Takes a file away. One that cannot be removed is empty at least: its records must not come back.
    pub(super) fn remove(&mut self, number: u64) {
        let Some(index) = self.segments.iter().position(|segment| segment.number == number) else {
            return;
        };
        let path = self.folder.join(format!("{number:016x}{ENDING}"));
        if fs::remove_file(&path).is_err() {
            let _ = self.segments[index].file.set_len(0);
        }
        self.segments.remove(index);
    }

    /// The files' numbers, oldest first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().map(|segment| segment.number)
    }

    /// Bytes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }
}

/// Writes behind a file's records and waits for the disk; what was written of a failure is taken back.
fn write(segment: &Segment, bytes: &[u8]) -> io::Result<()> {
    let mut file = &*segment.file;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(segment.length);
    }
    written
}

/// The length at which a file is full.
fn longest(most: u64) -> u64 {
    (most / PARTS).clamp(LENGTHS.0, LENGTHS.1)
}

/// Makes a folder that nobody else may read.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if fs::metadata(folder)?.mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The spool's files in a folder, oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING));
        if let Some(number) = number.and_then(|number| u64::from_str_radix(number, 16).ok())
            && entry.file_type()?.is_file()
        {
            files.push((number, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).open(path)
}

/// What is in a file; of one that is longer than the whole spool may be, the beginning.
pub(super) fn contents(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.max(LENGTHS.1) + LENGTHS.1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::*;

    const MOST: u64 = 128 << 10;

    fn record(number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        record::write(&mut bytes, Kind::Window, number, &[b'x'; 1000]);
        bytes
    }

    /// The numbers of the records in a folder, the files opened anew.
    fn numbers(folder: &Path) -> Vec<u64> {
        let mut numbers = Vec::new();
        Segments::open(folder, MOST, &mut Damage::default(), |record, spot| {
            assert_eq!(spot.read().unwrap(), record.body);
            numbers.push(record.number);
        })
        .unwrap();
        numbers
    }

    fn segments(folder: &Path) -> Segments {
        Segments::open(folder, MOST, &mut Damage::default(), |_, _| {}).unwrap()
    }

    #[test]
    fn what_was_written_is_there_and_the_oldest_goes_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("spool");
        let mut gone = Vec::new();
        for batch in 0..10u64 {
            let records: Vec<_> = (batch * 20..(batch + 1) * 20).map(record).collect();
            // Each time after a restart.
            let spots = segments(&folder).append(&records, &mut gone).unwrap();
            assert_eq!(spots.len(), 20);
        }
        let numbers = numbers(&folder);
        assert!(!gone.is_empty() && segments(&folder).bytes() <= MOST);
        assert!(numbers.len() > 90, "{}", numbers.len());
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && numbers.last() == Some(&199));
        for (_, path) in files(&folder).unwrap() {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_vanished_is_made_anew_and_what_was_in_it_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("spool");
        let mut segments = segments(&folder);
        let spot = segments.append(&[record(1)], &mut Vec::new()).unwrap().remove(0);
        fs::remove_dir_all(&folder).unwrap();
        segments.append(&[record(2)], &mut Vec::new()).unwrap();
        assert_eq!(numbers(&folder), [2]);
        assert_eq!(spot.read().unwrap().len(), 1000);
    }

    #[test]
    fn a_half_written_end_is_told_and_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = segments(folder.path());
        segments.append(&[record(1), record(2)], &mut Vec::new()).unwrap();
        let (_, path) = files(folder.path()).unwrap().remove(0);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        let mut damage = Damage::default();
        let mut segments = Segments::open(folder.path(), MOST, &mut damage, |_, _| {}).unwrap();
        assert_eq!((damage.bytes, damage.files), (record(2).len() - 10, vec![path]));
        segments.append(&[record(3)], &mut Vec::new()).unwrap();
        assert_eq!(numbers(folder.path()), [1, 3]);
    }
}
