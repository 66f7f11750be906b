//! The demo's own MQTT broker, on this machine's loopback only.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// How long the broker may take to open its port.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a broker (MQTT 3.1.1) on 127.0.0.1 in a thread that lives as long as the process. Port 0 picks a free
/// one. Returns the port.
pub(crate) fn start(port: u16) -> anyhow::Result<u16> {
    let port = free_port(port)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 256 << 10,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "demo".to_owned(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
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
        v4: Some(HashMap::from([("demo".to_owned(), server)])),
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
    while TcpStream::connect(address).is_err() {
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "The demo's broker does not open port {port}."
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(port)
}

/// The port itself if it is free; for 0, one that is.
fn free_port(port: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        anyhow::anyhow!(
            "Port {port} is not free for the demo's broker ({e}): give another one with --port, or 0 for any."
        )
    })?;
    Ok(listener.local_addr()?.port())
}
