//! From a host name to an open connection, encrypted and by WebSocket where that is wanted, within a limit, whatever name
//! server and network do.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::websocket::{self, Refusal};
use super::{Settings, explain, packets};
use crate::tls::{self, Expiry};

/// Bytes there and back.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Bytes there and back, by whatever way.
pub(super) type Stream = Box<dyn Duplex>;

/// A connection to the broker, in which nothing of MQTT was said yet.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// When the certificates end that it rests on.
    pub(super) certificates: Vec<Expiry>,
}

/// How long it may take to find out what a port speaks.
const ASKING: Duration = Duration::from_secs(5);
/// The shortest greeting of TLS 1.2: one cipher, no extension.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03\
    affectd asks whether this is TLS\x00\x00\x02\x00\x2f\x01\x00";

type Found = std::io::Result<Vec<SocketAddr>>;

/// Opens connections. The system's resolver cannot be told to give up, so it is asked by a thread of its own, and by
/// one at a time: a name server that never answers holds up neither a stop nor more than that thread.
#[derive(Debug)]
pub(super) struct Dialer {
    look_up: fn(&str, u16) -> Found,
    asked: Option<oneshot::Receiver<Found>>,
}

impl Default for Dialer {
    /// With the system's resolver.
    fn default() -> Self {
        Self {
            look_up: |host, port| (host, port).to_socket_addrs().map(Iterator::collect),
            asked: None,
        }
    }
}

impl Dialer {
    /// A connection to the broker as the settings want it, or why there is none. Takes no longer than `limit` each for the name,
    /// TCP, TLS and WebSocket.
    pub(super) async fn connect(
        &mut self,
        settings: &Settings,
        limit: Duration,
    ) -> Result<Connection, String> {
        let mut certificates = Vec::new();
        // Read before anybody is called: a broker that waits for us would close the connection.
        let ready = match &settings.tls {
            Some(files) => Some(files.read(&settings.host).map_err(|fault| fault.to_string())?),
            None => None,
        };
        let stream = self.dial(settings, limit).await?;
        let stream: Stream = match ready {
            None => Box::new(stream),
            Some(ready) => match timeout(limit, ready.connect(stream)).await {
                Ok(Ok((stream, expiries))) => {
                    certificates = expiries;
                    Box::new(stream)
                }
                Ok(Err(error)) => return Err(self.no_tls(&error, settings).await),
                Err(_) => return Err(explain::silent(settings, limit.as_secs())),
            },
        };
        let stream: Stream = match settings.websocket_url() {
            None => stream,
            Some(url) => match timeout(limit, websocket::open(stream, &url)).await {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(refusal)) => return Err(self.no_websocket(refusal, settings).await),
                Err(_) => return Err(explain::silent(settings, limit.as_secs())),
            },
        };
        Ok(Connection { stream, certificates })
    }

    /// A TCP connection to the broker, or why there is none. Takes no longer than `limit` for the name and as long again for
    /// the connection.
    pub(super) async fn dial(&mut self, settings: &Settings, limit: Duration) -> Result<TcpStream, String> {
        let addresses = self.resolve(settings, limit).await?;
        let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = None;
        for address in addresses {
            let cause = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Messages are small and wait for their answers.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(cause)) => Some(cause),
                Err(_) => None,
            };
            last = Some(explain::no_connection(
                address,
                cause.as_ref(),
                share.as_secs(),
                settings,
            ));
        }
        Err(last.unwrap_or_else(|| {
            format!(
                "the name `{}` has no address: check [mqtt] {}",
                settings.host,
                settings.host_key()
            )
        }))
    }

    /// Whether the port speaks TLS. Its servers close a connection that begins otherwise without a word, so it is asked by
    /// another one.
    pub(super) async fn speaks_tls(&mut self, settings: &Settings) -> bool {
        // A handshake or an alert of version 3, whatever it says.
        self.answers(settings, CLIENT_HELLO, |answer| {
            matches!(answer, [0x15 | 0x16, 3])
        })
        .await
    }

    /// Whether the port speaks MQTT without encryption.
    async fn speaks_mqtt(&mut self, settings: &Settings) -> bool {
        // Whether it lets us in is not asked, so no password goes out.
        let probe = Settings {
            client_id: format!("{}-ask", settings.client_id),
            ..settings.clone().anonymous()
        };
        match packets::connect(&probe, None) {
            Ok(hello) => {
                self.answers(settings, &hello, |answer| answer.first() == Some(&0x20))
                    .await
            }
            Err(_) => false,
        }
    }

    /// Whether what the port answers to `hello` begins so.
    async fn answers(&mut self, settings: &Settings, hello: &[u8], is_it: fn(&[u8]) -> bool) -> bool {
        let Ok(mut stream) = self.dial(settings, ASKING).await else {
            return false;
        };
        let mut answer = [0; 2];
        let asked = timeout(ASKING, async {
            stream.write_all(hello).await?;
            stream.read_exact(&mut answer).await
        });
        matches!(asked.await, Ok(Ok(_))) && is_it(&answer)
    }

    /// Why there is no encrypted connection.
    async fn no_tls(&mut self, error: &std::io::Error, settings: &Settings) -> String {
        let words = settings
            .tls
            .as_ref()
            .and_then(|files| tls::in_words(error, &settings.host, files));
        match words {
            Some(words) if tls::is_tls(error) => words,
            // Something else answers, or the connection was closed: which brokers do over a greeting of TLS.
            _ if self.speaks_mqtt(settings).await => explain::no_tls_here(settings),
            Some(_) => explain::not_tls(settings),
            None => explain::tls_closed(settings, error),
        }
    }

    /// Why there is no WebSocket.
    async fn no_websocket(&mut self, refusal: Refusal, settings: &Settings) -> String {
        let tls = settings.tls.as_ref();
        let words = match refusal {
            Refusal::Words(words) => Some(words),
            Refusal::Io(error) => tls.and_then(|files| tls::in_words(&error, &settings.host, files)),
            Refusal::NoWeb => None,
        };
        match words {
            Some(words) => words,
            None if tls.is_none() && self.speaks_tls(settings).await => explain::tls(settings),
            None => explain::no_web(settings),
        }
    }

    async fn resolve(&mut self, settings: &Settings, limit: Duration) -> Result<Vec<SocketAddr>, String> {
        let Settings { host, port, .. } = settings;
        let port = *port;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => none.insert(ask(self.look_up, host.clone(), port)?),
        };
        let Ok(found) = timeout(limit, &mut *asked).await else {
            return Err(explain::no_name(settings, None, limit.as_secs()));
        };
        self.asked = None;
        match found {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(cause)) => Err(explain::no_name(settings, Some(&cause), limit.as_secs())),
            Err(_) => Err(format!(
                "the name `{host}` could not be looked up: its thread died"
            )),
        }
    }
}

/// Asks in a thread of its own.
fn ask(look_up: fn(&str, u16) -> Found, host: String, port: u16) -> Result<oneshot::Receiver<Found>, String> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("resolve".to_owned());
    thread
        .spawn(move || {
            // If nobody waits any more, nobody needs it.
            let _ = sender.send(look_up(&host, port));
        })
        .map_err(|cause| {
            format!(
                "no thread can be had to look up its name ({cause}): raise TasksMax or the limit of processes"
            )
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    /// Dials a name twice, each time within `limit`.
    fn twice(look_up: fn(&str, u16) -> Found, limit: Duration) -> [Result<TcpStream, String>; 2] {
        let mut dialer = Dialer { look_up, asked: None };
        let settings = Settings {
            host: "broker.example".to_owned(),
            ..super::super::tests::settings(9)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            [
                dialer.dial(&settings, limit).await,
                dialer.dial(&settings, limit).await,
            ]
        })
    }

    #[test]
    fn a_name_server_that_never_answers_costs_the_limit_and_one_thread() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let black_hole = |_: &str, _| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(600));
            Ok(Vec::new())
        };
        let began = Instant::now();
        for result in twice(black_hole, Duration::from_millis(200)) {
            let why = result.expect_err("no address");
            assert!(why.contains("name server (DNS) is not reached"), "{why}");
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the thread is not waited for"
        );
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_name_is_looked_up_anew_each_time_and_every_address_tried() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        static PORT: AtomicUsize = AtomicUsize::new(0);
        PORT.store(
            listener.local_addr().expect("an address").port().into(),
            Ordering::Relaxed,
        );
        let second_works = |_: &str, _| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let port = PORT.load(Ordering::Relaxed) as u16;
            Ok(vec![([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], port).into()])
        };
        assert!(
            twice(second_works, Duration::from_secs(5))
                .iter()
                .all(Result::is_ok)
        );
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        let nothing = twice(|_, _| Ok(Vec::new()), Duration::from_secs(5));
        assert!(
            nothing[0]
                .as_ref()
                .is_err_and(|why| why.contains("has no address"))
        );
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let never = |_: &str, _| panic!("nobody asks");
        let mut dialer = Dialer {
            look_up: never,
            asked: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        for address in ["127.0.0.1", "::1"] {
            let settings = Settings {
                host: address.to_owned(),
                ..super::super::tests::settings(1)
            };
            let result = runtime.block_on(dialer.dial(&settings, Duration::from_secs(5)));
            assert!(result.is_err_and(|why| why.contains(address)));
        }
    }
}
