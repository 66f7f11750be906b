//! What systemd is told: sd_notify(3), a line or a few of text in a datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::redact;

/// The way to systemd. Where there is none, everything that is told goes nowhere.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: Option<UnixDatagram>,
    /// How long systemd waits for a sign of life before it starts the daemon anew.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As systemd set the environment.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self {
            socket: variable("NOTIFY_SOCKET").and_then(|name| {
                connect(&name)
                    .inspect_err(|error| {
                        log::warn!("systemd is not told anything: NOTIFY_SOCKET {name:?}: {error}")
                    })
                    .ok()
            }),
            watchdog: watchdog(
                variable("WATCHDOG_USEC"),
                variable("WATCHDOG_PID"),
                std::process::id(),
            ),
        }
    }

    /// How long systemd waits for a sign of life; `None` if it does not.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon does its work.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is read again; [`Self::ready`] says when that is done.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// A sign of life.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The daemon is about to end.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The line that `systemctl status` shows.
    pub(crate) fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", redact::line(line)));
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            log::debug!("systemd does not hear {text:?}: {error}");
        }
    }
}

/// Connects to the socket: a path, or an abstract name behind `@`. Does not block when systemd is busy.
fn connect(name: &OsStr) -> std::io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The watchdog's time, if it is meant for this process.
fn watchdog(usec: Option<OsString>, pid: Option<OsString>, own: u32) -> Option<Duration> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
    if pid.is_some_and(|pid| number(pid) != Some(u64::from(own))) {
        return None;
    }
    usec.and_then(number)
        .filter(|usec| *usec > 0)
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 256];
        let count = socket.recv(&mut text).expect("something was told");
        String::from_utf8_lossy(&text[..count]).into_owned()
    }

    #[test]
    fn paths_and_abstract_names_both_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let abstract_name = format!("affectd-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        for (socket, name) in [
            (UnixDatagram::bind(&path).expect("bound"), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&address).expect("bound"),
                format!("@{abstract_name}").into(),
            ),
        ] {
            let notify = Notify {
                socket: Some(connect(&name).expect("connected")),
                watchdog: None,
            };
            notify.ready();
            notify.status("two\nlines");
            assert_eq!(heard(&socket), "READY=1");
            assert_eq!(heard(&socket), r"STATUS=two\u{a}lines");
        }
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let text = |text: &str| Some(OsString::from(text));
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(text("1000000"), None, 7), second);
        assert_eq!(watchdog(text("1000000"), text("7"), 7), second);
        assert_eq!(watchdog(text("1000000"), text("8"), 7), None);
        assert_eq!(watchdog(text("0"), None, 7), None);
        assert_eq!(watchdog(text("soon"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}
