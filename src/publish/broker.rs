//! The demo's own MQTT broker, on this machine's loopback only.
//!
//! `rumqttd` listens for MQTT 3.1.1 on one port and for MQTT 5 on another. Subscribers know one port, so a door stands before
//! both: it reads which of the two a client speaks and passes it on.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::io::copy_bidirectional;

/// How long the broker may take to open its ports, and a client to say which version it speaks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a broker on 127.0.0.1 in threads that live as long as the process. Port 0 picks a free one. Returns the port.
pub(crate) fn start(port: u16) -> anyhow::Result<u16> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        anyhow::anyhow!(
            "Port {port} is not free for the demo's broker ({e}): give another one with --port, or 0 for any."
        )
    })?;
    let rooms = Rooms {
        v311: free_address()?,
        v5: free_address()?,
    };
    let server = |name: &str, listen| {
        let connections = ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 256 << 10,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        };
        let server = ServerSettings {
            name: name.to_owned(),
            listen,
            tls: None,
            next_connection_delay_ms: 1,
            connections,
        };
        Some(HashMap::from([(name.to_owned(), server)]))
    };
    let router = RouterConfig {
        max_connections: 64,
        max_outgoing_packet_count: 100,
        max_segment_size: 1 << 20,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let config = Config {
        id: 0,
        router,
        v4: server("3.1.1", rooms.v311),
        v5: server("5", rooms.v5),
        ..Config::default()
    };
    let mut broker = Broker::new(config);
    std::thread::Builder::new()
        .name("broker".to_owned())
        .spawn(move || {
            if let Err(error) = broker.start() {
                log::error!("The demo's broker ended: {error}");
            }
        })?;
    let began = Instant::now();
    for room in [rooms.v311, rooms.v5] {
        while TcpStream::connect(room).is_err() {
            anyhow::ensure!(
                began.elapsed() < PATIENCE,
                "The demo's broker does not open its ports."
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let port = door.local_addr()?.port();
    open(door, rooms)?;
    Ok(port)
}

/// Where the broker listens, behind the door.
#[derive(Debug, Clone, Copy)]
struct Rooms {
    v311: SocketAddr,
    v5: SocketAddr,
}

/// An address on the loopback that is free.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Lets clients in, each to where its version is spoken.
fn open(door: TcpListener, rooms: Rooms) -> anyhow::Result<()> {
    door.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("door".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let door = match tokio::net::TcpListener::from_std(door) {
                    Ok(door) => door,
                    Err(error) => return log::error!("The demo's broker lets nobody in: {error}"),
                };
                loop {
                    match door.accept().await {
                        Ok((client, _)) => drop(tokio::spawn(pass_on(client, rooms))),
                        // No more files may be open, for instance: others close theirs.
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            });
        })?;
    Ok(())
}

async fn pass_on(mut client: tokio::net::TcpStream, rooms: Rooms) -> std::io::Result<()> {
    let Ok(version) = tokio::time::timeout(PATIENCE, version(&client)).await else {
        return Ok(());
    };
    let room = match version? {
        5 => rooms.v5,
        _ => rooms.v311,
    };
    let mut broker = tokio::net::TcpStream::connect(room).await?;
    copy_bidirectional(&mut client, &mut broker).await?;
    Ok(())
}

/// The version in a connect, which stays unread. What is no connect is left to 3.1.1 to refuse.
async fn version(client: &tokio::net::TcpStream) -> std::io::Result<u8> {
    let mut start = [0; 16];
    loop {
        let count = client.peek(&mut start).await?;
        let start = &start[..count];
        let length = start.iter().skip(1).position(|byte| byte & 0x80 == 0);
        // After the length comes the protocol's name with its own length.
        let level = length.map(|length| 2 + length + 2 + "MQTT".len());
        match level.and_then(|level| start.get(level)) {
            Some(level) => return Ok(*level),
            None if count == 0 || count == 16 => return Ok(0),
            // Peeking does not wait for more than is there.
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
