//! One device looks at one room with one source: two reports of the same people, one of which lacks somebody, would tell of him.
//! And every daemon has a state directory of its own: in a shared one, each would overwrite when the other last reported.

use std::fs::File;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::config::Config;

/// Name of the file in the state directory that a running daemon has locked.
const LOCK: &str = "lock";

/// Another affectd on this device is in the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// It looks at the same room.
    #[error(
        "Another affectd on this device looks at the room {0:?} already. Two sources that see the same people would let each of them be told by the difference: stop the other one. If nobody can be seen by both cameras, give each its own [deployment] room."
    )]
    Taken(String),
    /// It has the same state directory.
    #[error(
        "Another affectd uses the state directory `{}`. Each needs its own, since it says when the last report went out: set STATE_DIRECTORY, or StateDirectory= in the unit.", .0.display()
    )]
    Shared(PathBuf),
    /// That cannot be found out.
    #[error("Whether another affectd looks at the same room cannot be found out: {0}.")]
    Unknown(#[from] std::io::Error),
}

/// A room and a state directory that nobody else on this device uses, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Room {
    _name: UnixListener,
    _lock: Option<File>,
}

impl Room {
    /// Takes the configured room, whose name is in the kernel's list of abstract sockets until the process ends, and the state
    /// directory. One that cannot be written is said to be so by whoever writes there.
    pub(crate) fn take(config: &Config, state: Option<&Path>) -> Result<Self, RoomError> {
        let room = &config.deployment.room;
        let name = SocketAddr::from_abstract_name(format!("affectd/room/{room}"))?;
        let name = match UnixListener::bind_addr(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(RoomError::Taken(room.clone()));
            }
            bound => bound?,
        };
        let lock = state.and_then(|folder| Some((folder, File::create(folder.join(LOCK)).ok()?)));
        if let Some((folder, file)) = &lock
            && flock(file, FlockOperation::NonBlockingLockExclusive).is_err()
        {
            return Err(RoomError::Shared((*folder).to_owned()));
        }
        Ok(Self {
            _name: name,
            _lock: lock.map(|(_, file)| file),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_with_one_state_directory_are_refused_in_other_rooms_too() {
        let folder = tempfile::tempdir().unwrap();
        let config = |room: &str| {
            let mut config = Config::for_replay();
            config.deployment.room = format!("test-{}-{room}", std::process::id());
            config
        };
        let first = Room::take(&config("a"), Some(folder.path())).unwrap();
        assert!(matches!(Room::take(&config("a"), None), Err(RoomError::Taken(_))));
        assert!(matches!(
            Room::take(&config("b"), Some(folder.path())),
            Err(RoomError::Shared(_))
        ));
        drop(first);
        Room::take(&config("a"), Some(folder.path())).unwrap();
    }
}
