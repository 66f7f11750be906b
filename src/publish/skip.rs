//! Messages from others that are longer than any command: they are not read, and do not cost the connection. (A broker of
//! MQTT 5 keeps to the limit that it is told; one of 3.1.1 is told none.)

use bytes::{Buf, BytesMut};

use super::packets::Reply;
use crate::command::Heard;

/// The longest packet of a message that is read: a command with its topic, and what MQTT 5 may put beside it.
const LONGEST: usize = 4 << 10;

/// Takes long messages out of what was read.
#[derive(Debug, Default)]
pub(super) struct Skip {
    /// Bytes of one that are still to come.
    left: usize,
}

/// What stands at the start of what was read.
#[derive(Debug, PartialEq)]
pub(super) enum Start {
    /// Something that is to be read.
    Readable,
    /// A part of a long message: the next part must come first.
    Part,
    /// A long message, of which nothing is left but where it came from.
    Long(Reply),
}

impl Skip {
    pub(super) fn look(&mut self, inbox: &mut BytesMut) -> Start {
        let come = self.left.min(inbox.len());
        inbox.advance(come);
        self.left -= come;
        if self.left > 0 {
            return Start::Part;
        }
        let Some((head, length, from)) = begin(inbox).filter(|(_, length, _)| *length > LONGEST) else {
            return Start::Readable;
        };
        let Some((topic, id)) = address(&inbox[from..], head) else {
            return Start::Part;
        };
        let reply = Reply::Message {
            heard: Heard {
                topic,
                payload: None,
                retained: head & 1 != 0,
            },
            id,
        };
        self.left = from + length;
        let come = self.left.min(inbox.len());
        inbox.advance(come);
        self.left -= come;
        Start::Long(reply)
    }
}

/// Of a message's packet: its first byte, how long it is, and where that begins to count.
fn begin(inbox: &[u8]) -> Option<(u8, usize, usize)> {
    let (head, rest) = inbox.split_first()?;
    if head >> 4 != 3 {
        return None;
    }
    let digits = rest.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    let length = rest[..digits]
        .iter()
        .rev()
        .fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    Some((*head, length, 1 + digits))
}

/// Topic and identifier, which stand first; `None` if they are not there yet.
fn address(body: &[u8], head: u8) -> Option<(String, Option<u16>)> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let id = match head >> 1 & 3 {
        0 => None,
        _ => Some(u16::from_be_bytes(*rest.first_chunk::<2>()?)),
    };
    Some((String::from_utf8_lossy(topic).into_owned(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message's packet, with so many bytes of payload.
    fn packet(qos: u8, payload: usize) -> Vec<u8> {
        let mut body = b"\x00\x05a/cmd".to_vec();
        if qos > 0 {
            body.extend([0x12, 0x34]);
        }
        body.resize(body.len() + payload, b'x');
        let mut packet = vec![0x30 | qos << 1];
        let mut length = body.len();
        loop {
            let more = length >> 7;
            packet.push((length & 0x7f) as u8 | if more > 0 { 0x80 } else { 0 });
            length = more;
            if more == 0 {
                break;
            }
        }
        packet.extend(body);
        packet
    }

    #[test]
    fn a_long_message_is_skipped_in_whatever_pieces_it_comes() {
        for (qos, id) in [(0, None), (1, Some(0x1234))] {
            let mut stream = packet(qos, 300_000);
            stream.extend(packet(0, 10));
            for piece in [1, 7, 4096, stream.len()] {
                let (mut skip, mut inbox, mut longs) = (Skip::default(), BytesMut::new(), 0);
                for part in stream.chunks(piece) {
                    inbox.extend_from_slice(part);
                    loop {
                        match skip.look(&mut inbox) {
                            Start::Long(Reply::Message { heard, id: given }) => {
                                assert_eq!((heard.topic.as_str(), heard.payload), ("a/cmd", None));
                                assert_eq!(given, id);
                                longs += 1;
                            }
                            Start::Long(other) => panic!("{other:?}"),
                            Start::Part | Start::Readable => break,
                        }
                    }
                    assert!(inbox.len() < 5000, "nothing piles up");
                }
                assert_eq!(longs, 1);
                assert_eq!(inbox, packet(0, 10)[..], "what follows is whole");
            }
        }
    }

    #[test]
    fn what_is_short_or_something_else_is_left_alone() {
        for bytes in [
            packet(1, 256),
            vec![0xd0, 0],
            vec![0x20],
            vec![0x30, 0xff],
            vec![],
        ] {
            let mut inbox = BytesMut::from(&bytes[..]);
            assert_eq!(Skip::default().look(&mut inbox), Start::Readable);
            assert_eq!(inbox, bytes[..]);
        }
    }
}
