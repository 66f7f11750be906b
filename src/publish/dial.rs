//! From a host name to an open TCP connection, within a limit, whatever name server and network do.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Settings, explain};

type Found = std::io::Result<Vec<SocketAddr>>;

/// Opens connections. The system's resolver cannot be told to give up, so it is asked by a thread of its own, and by
/// one at a time: a name server that never answers holds up neither a stop nor more than that thread.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    asked: Option<oneshot::Receiver<Found>>,
}

impl Dialer {
    /// A connection to the broker, or why there is none. Takes no longer than `limit` for the name and as long again for
    /// the connection.
    pub(super) async fn dial(&mut self, settings: &Settings, limit: Duration) -> Result<TcpStream, String> {
        let addresses = self.resolve(&settings.host, settings.port, limit).await?;
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
        Err(last.unwrap_or_else(|| format!("the name `{}` has no address: check [mqtt] host", settings.host)))
    }

    async fn resolve(&mut self, host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => none.insert(ask(host.to_owned(), port)?),
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

/// Asks the system's resolver.
fn ask(host: String, port: u16) -> Result<oneshot::Receiver<Found>, String> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("resolve".to_owned());
    thread
        .spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            // If nobody waits any more, nobody needs it.
            let _ = sender.send(found.map(Iterator::collect));
        })
        .map_err(|cause| {
            format!(
                "no thread can be had to look up its name ({cause}): raise TasksMax or the limit of processes"
            )
        })?;
    Ok(receiver)
}
