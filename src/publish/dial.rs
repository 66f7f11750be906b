//! From a host name to an open TCP connection, within a limit, whatever name server and network do.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::explain;

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
    /// A connection to the broker, or why there is none. Takes no longer than `limit` for the name and as long again for
    /// the connection.
    pub(super) async fn dial(&mut self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, String> {
        let addresses = self.resolve(host, port, limit).await?;
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
            last = Some(explain::no_connection(address, cause.as_ref(), share.as_secs()));
        }
        Err(last.unwrap_or_else(|| format!("the name `{host}` has no address: check [mqtt] host")))
    }

    /// Whether the port speaks TLS. Its servers close a connection that begins otherwise without a word, so it is asked by
    /// another one.
    pub(super) async fn speaks_tls(&mut self, host: &str, port: u16, limit: Duration) -> bool {
        let Ok(mut stream) = self.dial(host, port, limit).await else {
            return false;
        };
        let mut answer = [0; 2];
        let asked = timeout(limit, async {
            stream.write_all(CLIENT_HELLO).await?;
            stream.read_exact(&mut answer).await
        });
        // A handshake or an alert of version 3, whatever it says.
        matches!(asked.await, Ok(Ok(_))) && matches!(answer, [0x15 | 0x16, 3])
    }

    async fn resolve(&mut self, host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => none.insert(ask(self.look_up, host.to_owned(), port)?),
        };
        let Ok(found) = timeout(limit, &mut *asked).await else {
            return Err(explain::no_name(host, None, limit.as_secs()));
        };
        self.asked = None;
        match found {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(cause)) => Err(explain::no_name(host, Some(&cause), limit.as_secs())),
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            [
                dialer.dial("broker.example", 9, limit).await,
                dialer.dial("broker.example", 9, limit).await,
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
            let result = runtime.block_on(dialer.dial(address, 1, Duration::from_secs(5)));
            assert!(result.is_err_and(|why| why.contains(address)));
        }
    }
}
