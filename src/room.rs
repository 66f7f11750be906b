//! One device looks at one room with one source: two reports of the same people, one of which lacks somebody, would tell of him.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::config::Config;

/// Another affectd on this device looks at the same room.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// The name is taken.
    #[error(
        "Another affectd on this device looks at the room {0:?} already. Two sources that see the same people would let each of them be told by the difference: stop the other one. If nobody can be seen by both cameras, give each its own [deployment] room."
    )]
    Taken(String),
    /// The name cannot be taken.
    #[error("Whether another affectd looks at the same room cannot be found out: {0}.")]
    Unknown(#[from] std::io::Error),
}

/// A room that nobody else on this device looks at, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Room(
    #[expect(dead_code, reason = "the name is free again when it is dropped")] UnixListener,
);

impl Room {
    /// Takes the configured room: its name in the kernel's list of abstract sockets, which ends with the process.
    pub(crate) fn take(config: &Config) -> Result<Self, RoomError> {
        let room = &config.deployment.room;
        let name = SocketAddr::from_abstract_name(format!("affectd/room/{room}"))?;
        match UnixListener::bind_addr(&name) {
            Ok(listener) => Ok(Self(listener)),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                Err(RoomError::Taken(room.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
