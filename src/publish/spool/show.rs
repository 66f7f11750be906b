//! A look at the spool from outside, while the daemon may run: nothing is written, nothing is locked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::fresh::Fresh;
use super::keeper::{Place, REFUSED, REFUSED_SIZE, WAITING};
use super::record::{self, Kind, Record, Window};
use super::segments::{contents, files};

/// What is in the spool.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Windows that wait, oldest first.
    pub(crate) waiting: Vec<Window>,
    /// Windows that were refused for good, each with the reason's code.
    pub(crate) refused: Vec<(u8, Window)>,
    /// Bytes on the disk.
    pub(crate) bytes: u64,
    /// Bytes that cannot be read.
    pub(crate) bad: usize,
}

/// Looks at what is there. A daemon that writes at the same moment may make a window be missed, or be shown that has just gone
/// out.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn look(place: &Place, most: u64) -> io::Result<Look> {
    let mut look = Look::default();
    let (mut windows, mut up_to, mut settled) = (BTreeMap::new(), 0, Vec::new());
    let mut take = |bytes: &[u8]| {
        let (records, bad) = record::read_all(bytes);
        for (_, Record { kind, number, body }) in records {
            match kind {
                Kind::Window => drop(Window::decode(body).map(|window| windows.insert(number, window))),
                Kind::SettledUpTo => up_to = number.max(up_to),
                Kind::Settled => settled.push(number),
                Kind::Refused => {}
            }
        }
        bad
    };
    let read = |part: &str, most| -> io::Result<Vec<Vec<u8>>> {
        let files = match files(&place.state.join(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            files => files?,
        };
        let read = files.into_iter().map(|(_, path)| File::open(path));
        // The daemon takes files away that are done.
        let read = read.filter(|file| !matches!(file, Err(e) if e.kind() == io::ErrorKind::NotFound));
        read.map(|file| contents(&file?, most)).collect()
    };
    // Before the rest, in which what is written to the disk meanwhile is taken away.
    let fresh = place
        .runtime
        .iter()
        .chain([&place.state])
        .map(|folder| Fresh::read(folder));
    for bytes in fresh.collect::<io::Result<Vec<_>>>()? {
        look.bad += take(&bytes);
    }
    for bytes in read(WAITING, most)? {
        look.bytes += bytes.len() as u64;
        look.bad += take(&bytes);
    }
    for bytes in read(REFUSED, REFUSED_SIZE)? {
        look.bytes += bytes.len() as u64;
        let (records, bad) = record::read_all(&bytes);
        look.bad += bad;
        let refused = records.into_iter().filter_map(|(_, record)| {
            let (code, body) = record.body.split_first()?;
            Some((*code, Window::decode(body)?))
        });
        look.refused.extend(refused);
    }
    let waits = |number: &u64| *number > up_to && !settled.contains(number);
    look.waiting = windows
        .into_iter()
        .filter(|(number, _)| waits(number))
        .map(|(_, window)| window)
        .collect();
    Ok(look)
}
