//! A broker with one fault: a real listener that speaks as much MQTT 5 and 3.1.1 as a publisher hears, and answers as the
//! test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A connect that lets everybody in, in MQTT 5.
pub const ACCEPTED: &[u8] = b"\x20\x03\0\0\0";

/// What the broker does about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It acknowledges it with a reason code; 0 is success.
    Acknowledge(u8),
    /// It acknowledges another one.
    AcknowledgeAnother,
    /// It says nothing.
    Silence,
    /// It ends the connection with a reason code.
    Goodbye(u8),
    /// It ends the connection without a word.
    Close,
}

/// What the broker was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Connect {
        client_id: String,
        clean: bool,
        will: Option<Will>,
    },
    Publish(Published),
    Ping,
    Disconnect,
}

/// The last will in a connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will {
    pub qos: u8,
    pub retain: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub payload: String,
    /// Seconds after which nobody needs it (MQTT 5).
    pub expiry: Option<u32>,
}

type OnConnect = dyn Fn(usize) -> Vec<u8> + Send + Sync;
type OnPublish = dyn Fn(&Published) -> Answer + Send + Sync;

/// The listener; it lives as long as the test's process.
pub struct FakeBroker {
    pub port: u16,
    told: Arc<Mutex<Vec<(Instant, Told)>>>,
}

impl FakeBroker {
    /// Answers the connect of connection 0, 1, … with the bytes that `connect` gives, and closes it if these do not let the
    /// client in; answers every message with what `publish` gives.
    pub fn start(
        connect: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
        publish: impl Fn(&Published) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let told = Arc::default();
        let ours = Arc::clone(&told);
        let (connect, publish): (Arc<OnConnect>, Arc<OnPublish>) = (Arc::new(connect), Arc::new(publish));
        let count = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                let (told, connect, publish) =
                    (Arc::clone(&ours), Arc::clone(&connect), Arc::clone(&publish));
                thread::spawn(move || {
                    serve(
                        stream,
                        &told,
                        || connect(count.fetch_add(1, Ordering::Relaxed)),
                        &*publish,
                    )
                });
            }
        });
        Self { port, told }
    }

    /// What it was told so far, with the time.
    pub fn told(&self) -> Vec<(Instant, Told)> {
        self.told.lock().expect("no panic").clone()
    }

    /// The messages so far.
    pub fn published(&self) -> Vec<Published> {
        let told = self.told().into_iter();
        told.filter_map(|(_, told)| match told {
            Told::Publish(message) => Some(message),
            _ => None,
        })
        .collect()
    }

    /// Waits until what it was told is as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !wanted(self) {
            assert!(
                began.elapsed() < Duration::from_secs(40),
                "waited in vain for {what}: {:#?}",
                self.told()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// One connection, up to its end.
fn serve(
    mut stream: TcpStream,
    told: &Mutex<Vec<(Instant, Told)>>,
    connect: impl Fn() -> Vec<u8>,
    publish: &OnPublish,
) -> Option<()> {
    let tell = |what| told.lock().expect("no panic").push((Instant::now(), what));
    let (0x10, body) = packet(&mut stream)? else {
        return None;
    };
    let version = *body.get(6)?;
    tell(read_connect(&body, version)?);
    let answer = connect();
    let accepted = matches!(answer[..], [0x20, _, _, 0, ..]);
    stream.write_all(&answer).ok()?;
    if !accepted {
        return None;
    }
    loop {
        let (head, body) = packet(&mut stream)?;
        match head >> 4 {
            3 => {
                let (message, id) = read_publish(head, &body, version)?;
                tell(Told::Publish(message.clone()));
                let answer = publish(&message);
                match answer {
                    Answer::Silence => {}
                    Answer::Close => return None,
                    Answer::Goodbye(code) => {
                        stream.write_all(&[0xe0, 2, code, 0]).ok()?;
                        return None;
                    }
                    Answer::Acknowledge(_) | Answer::AcknowledgeAnother if message.qos == 0 => {}
                    Answer::Acknowledge(0) => stream.write_all(&[0x40, 2, id[0], id[1]]).ok()?,
                    Answer::Acknowledge(code) => stream.write_all(&[0x40, 4, id[0], id[1], code, 0]).ok()?,
                    Answer::AcknowledgeAnother => stream.write_all(&[0x40, 2, 0x7f, 0xff]).ok()?,
                }
            }
            12 => {
                tell(Told::Ping);
                stream.write_all(&[0xd0, 0]).ok()?;
            }
            14 => {
                tell(Told::Disconnect);
                return None;
            }
            _ => {}
        }
    }
}

/// The next packet: its first byte and what follows the length.
fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        Some(byte[0])
    };
    let head = byte()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let more = byte()?;
        length |= usize::from(more & 0x7f) << shift;
        shift += 7;
        if more & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn read_connect(body: &[u8], version: u8) -> Option<Told> {
    let flags = *body.get(7)?;
    let mut rest = body.get(10..)?;
    if version == 5 {
        rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    }
    let will = (flags & 4 != 0).then_some(Will {
        qos: flags >> 3 & 3,
        retain: flags & 0x20 != 0,
    });
    Some(Told::Connect {
        client_id: text(&mut rest)?,
        clean: flags & 2 != 0,
        will,
    })
}

/// A message, and its packet identifier.
fn read_publish(head: u8, mut rest: &[u8], version: u8) -> Option<(Published, [u8; 2])> {
    let topic = text(&mut rest)?;
    let qos = head >> 1 & 3;
    let mut id = [0; 2];
    if qos > 0 {
        id = [rest[0], rest[1]];
        rest = &rest[2..];
    }
    let mut expiry = None;
    if version == 5 {
        let length = usize::from(*rest.first()?);
        expiry = message_expiry(rest.get(1..1 + length)?);
        rest = rest.get(1 + length..)?;
    }
    let message = Published {
        topic,
        qos,
        retain: head & 1 != 0,
        payload: String::from_utf8_lossy(rest).into_owned(),
        expiry,
    };
    Some((message, id))
}

/// The message expiry interval among properties, which may be behind the payload format alone.
fn message_expiry(mut properties: &[u8]) -> Option<u32> {
    if let [1, _, rest @ ..] = properties {
        properties = rest;
    }
    match properties {
        [2, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// A text with its length before it.
fn text(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let text = String::from_utf8_lossy(after.get(..length)?).into_owned();
    *rest = &after[length..];
    Some(text)
}
