//! What a spool's file is made of: records, each with its own sum, so that a bad one is skipped and the next is found.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 1 | kind |
//! | 4 | length of the body |
//! | 8 | number |
//! | 4 | CRC-32 of kind, length, number and body |
//! | … | body |
//!
//! Numbers are little-endian.

use std::time::{Duration, SystemTime};

use crate::clock::Clocks;

/// What a record begins with; JSON has no such bytes.
const MAGIC: [u8; 4] = [0xaf, 0xfe, 0xc7, 0x01];
/// Bytes before the body.
pub(super) const HEAD: usize = 21;
/// The longest body. A window has one or two thousand bytes.
const LONGEST: usize = 64 << 10;
/// Bytes of the clocks in a window.
const CLOCKS: usize = 25;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A window.
    Window,
    /// Every window up to this number is settled.
    SettledUpTo,
    /// The window with this number is settled.
    Settled,
    /// A window that the broker refused for good, behind the reason's code.
    Refused,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Window, Self::SettledUpTo, Self::Settled, Self::Refused];

    fn byte(self) -> u8 {
        self as u8 + 1
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// A record in the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) body: &'a [u8],
}

/// Writes a record behind `out`.
pub(super) fn write(out: &mut Vec<u8>, kind: Kind, number: u64, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut head = [0; HEAD - 8];
    head[0] = kind.byte();
    head[1..5].copy_from_slice(&length.to_le_bytes());
    head[5..].copy_from_slice(&number.to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head);
    sum.update(body);
    out.extend(MAGIC);
    out.extend(head);
    out.extend(sum.finalize().to_le_bytes());
    out.extend(body);
}

/// The record at the start of `bytes`, if there is a whole one.
pub(super) fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    if head[..4] != MAGIC {
        return None;
    }
    let kind = Kind::of(head[4])?;
    let length = u32::from_le_bytes(head[5..9].try_into().ok()?) as usize;
    let number = u64::from_le_bytes(head[9..17].try_into().ok()?);
    if length > LONGEST {
        return None;
    }
    let body = rest.get(..length)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head[4..17]);
    sum.update(body);
    (sum.finalize().to_le_bytes() == head[17..]).then_some(Record { kind, number, body })
}

/// All records of a file, each with where it begins; and how many bytes belong to none.
pub(super) fn read_all(bytes: &[u8]) -> (Vec<(usize, Record<'_>)>, usize) {
    let (mut records, mut at, mut bad) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match read(&bytes[at..]) {
            Some(record) => {
                let length = HEAD + record.body.len();
                records.push((at, record));
                at += length;
            }
            None => {
                // To where the next one may begin.
                let rest = &bytes[at + 1..];
                let next = rest.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
                let skipped = next.map_or(bytes.len() - at, |next| next + 1);
                bad += skipped;
                at += skipped;
            }
        }
    }
    (records, bad)
}

/// A window that has passed the gate, as it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) topic: String,
    /// The report in JSON, as it goes out.
    pub(crate) report: Vec<u8>,
    /// What the clocks showed when it was dated.
    pub(crate) given: Clocks,
}

impl Window {
    /// As the body of a record.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { topic, report, given } = self;
        let wall = given
            .wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut out = Vec::with_capacity(CLOCKS + 2 + topic.len() + report.len());
        for number in [millis(wall), millis(given.uptime), given.boot] {
            out.extend(number.to_le_bytes());
        }
        out.push(given.synced.into());
        out.extend(u16::try_from(topic.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(topic.as_bytes());
        out.extend(report);
        out
    }

    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (given, rest) = clocks(body)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (topic, report) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        Some(Self {
            topic: String::from_utf8(topic.to_vec()).ok()?,
            report: report.to_vec(),
            given,
        })
    }
}

/// When the window in a record's body was dated, and what follows.
pub(super) fn clocks(body: &[u8]) -> Option<(Clocks, &[u8])> {
    let (head, rest) = body.split_first_chunk::<CLOCKS>()?;
    let number = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?)) };
    let given = Clocks {
        wall: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(number(0)?))?,
        uptime: Duration::from_millis(number(8)?),
        boot: number(16)?,
        synced: head[24] == 1,
    };
    Some((given, rest))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(report: &str) -> Window {
        Window {
            topic: "affectd/site/device/door/window".to_owned(),
            report: report.into(),
            given: Clocks {
                wall: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
                uptime: Duration::from_millis(4711),
                boot: 0x1234_5678_9abc_def0,
                synced: true,
            },
        }
    }

    #[test]
    fn a_window_reads_back_as_it_was_written() {
        let window = window("{\"seq\":1}");
        let body = window.encode();
        assert_eq!(Window::decode(&body), Some(window));
        for end in 0..CLOCKS + 2 {
            assert_eq!(Window::decode(&body[..end]), None);
        }
    }

    #[test]
    fn whatever_byte_is_bad_the_other_records_are_found() {
        let mut bytes = Vec::new();
        for number in 0..4 {
            write(
                &mut bytes,
                Kind::Window,
                number,
                &window(&format!("{{\"seq\":{number}}}")).encode(),
            );
        }
        let length = bytes.len() / 4;
        let numbers = |bytes: &[u8]| -> Vec<u64> {
            read_all(bytes)
                .0
                .iter()
                .map(|(_, record)| record.number)
                .collect()
        };
        assert_eq!(numbers(&bytes), [0, 1, 2, 3]);
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let hit = (at / length) as u64;
                let expected: Vec<u64> = (0..4).filter(|number| *number != hit).collect();
                assert_eq!(numbers(&bytes), expected, "byte {at}");
                assert_eq!(read_all(&bytes).1, length, "byte {at}");
            }
        }
        // Cut off anywhere, and with bytes lost or put in.
        for at in 0..bytes.len() {
            assert_eq!(numbers(&bytes[..at]).len(), at / length);
            let lost = [&bytes[..at], &bytes[at + 1..]].concat();
            let more = [&bytes[..at], &[0xaf][..], &bytes[at..]].concat();
            assert!(
                numbers(&lost).len() == 3 && numbers(&more).len() >= 3,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_length_that_lies_costs_nothing() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Window, 1, &[0; LONGEST + 1]);
        let after = bytes.len();
        write(&mut bytes, Kind::Settled, 2, &[]);
        let (records, bad) = read_all(&bytes);
        assert_eq!((records.len(), records[0].0, bad), (1, after, after));
    }
}
