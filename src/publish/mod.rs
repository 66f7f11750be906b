//! Publishing over MQTT: status, info, camera states and windows, by the contract in `docs/payloads.md`.
//!
//! The rest of the daemon hands messages to a [`Publisher`] and goes on at once. A thread of its own sends them, one
//! at a time and in order; a window leaves the [`spool::Spool`] when the broker has acknowledged it, and not before.
//!
//! [`client`] connects by [`dial`] and sends what the [`outbox`] gives it over a [`link`], which speaks in [`packets`];
//! what a broker does not take is judged in [`refusal`], and [`explain`] has the words for connections that fail.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affect_core::report::{CameraState, Status, WindowReport};
use tokio::sync::Notify;

use crate::clock::Clocks;
use crate::config::{Protocol, Secret};
use crate::progress::Progress;
use crate::tls::{Expiry, Files};

pub(crate) mod broker;
mod certificates;
mod client;
mod dial;
mod explain;
mod link;
mod outbox;
mod packets;
mod probe;
mod refusal;
mod spool;
mod websocket;

use outbox::Outbox;
pub(crate) use probe::{Probe, probe};

/// Where and how to publish.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether host and port stand in `[mqtt] url`, for messages.
    pub(crate) by_url: bool,
    /// The path of MQTT over WebSocket, if it is spoken so.
    pub(crate) websocket: Option<String>,
    /// What encrypts the connection, if anything does.
    pub(crate) tls: Option<Files>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    /// Where the password was read from, for messages.
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) client_id: String,
    pub(crate) protocol: Protocol,
    pub(crate) keep_alive: Duration,
    /// The topics' common start: `affectd/<site>/<device>`.
    pub(crate) base: String,
    /// Windows kept while the broker is away.
    pub(crate) queue: usize,
    /// The longest wait between two attempts to connect.
    pub(crate) retry_max: Duration,
    /// The age at which a window is worth nothing: it is dropped from the queue then, and by the broker (MQTT 5).
    pub(crate) message_expiry: Duration,
}

impl Settings {
    fn status_topic(&self) -> String {
        format!("{}/status", self.base)
    }

    /// The broker as an address, for people.
    pub(crate) fn address(&self) -> String {
        match self.websocket_url() {
            Some(url) => url,
            None if self.tls.is_some() => format!("mqtts://{}", self.authority()),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Where MQTT over WebSocket is asked for, if it is spoken so.
    fn websocket_url(&self) -> Option<String> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let path = self.websocket.as_ref()?;
        Some(format!("{scheme}://{}{path}", self.authority()))
    }

    /// Host and port as addresses have them.
    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The key of `[mqtt]` that the host stands in.
    fn host_key(&self) -> &'static str {
        if self.by_url { "url" } else { "host" }
    }

    /// The keys of `[mqtt]` that the port stands in.
    fn port_key(&self) -> &'static str {
        if self.by_url { "url" } else { "host and port" }
    }

    /// The same without a login.
    fn anonymous(self) -> Self {
        Self {
            username: None,
            password: None,
            ..self
        }
    }
}

/// What is left at least for the last windows and the goodbye.
const LEAST: Duration = Duration::from_secs(1);

/// What became of the windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Windows that the broker has acknowledged.
    pub(crate) acknowledged: u64,
    /// Windows dropped because the queue was full, or they were too old.
    pub(crate) dropped: u64,
    /// Windows that the broker would never have taken, so that they were set aside.
    pub(crate) refused: u64,
    /// Windows that were still waiting at the end.
    pub(crate) undelivered: u64,
}

/// What publishing looks like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Whether the broker is reached.
    pub(crate) connected: bool,
    /// Windows that wait for it.
    pub(crate) waiting: u64,
    /// Windows dropped because the queue was full, or they were too old.
    pub(crate) dropped: u64,
    /// Windows that were set aside since it would never have taken them.
    pub(crate) refused: u64,
    /// Whether it refuses windows now, so that they wait.
    pub(crate) refuses: bool,
    /// Windows that it has acknowledged.
    pub(crate) acknowledged: u64,
}

/// A message on its way.
#[derive(Debug, Clone)]
struct Message {
    topic: String,
    payload: Payload,
    kind: Kind,
    /// Tells it from any other.
    version: u64,
}

/// What a message says.
#[derive(Debug, Clone)]
enum Payload {
    Bytes(Vec<u8>),
    /// Written when it goes out, since it may have to be dated anew; with the clocks by which it was dated.
    Dated(Box<Dated>, Clocks),
}

/// What has dates.
#[derive(Debug, Clone)]
enum Dated {
    Report(WindowReport),
    State(CameraState),
}

impl Payload {
    /// What has just been dated.
    fn dated(what: Dated) -> Self {
        Self::Dated(Box::new(what), Clocks::now())
    }

    /// Whether the clock was not known when it was dated.
    fn is_dated_too_early(&self) -> bool {
        matches!(self, Self::Dated(_, given) if !given.synced)
    }

    /// How long it has waited.
    fn age(&self, now: &Clocks) -> Duration {
        match self {
            Self::Bytes(_) => Duration::ZERO,
            Self::Dated(_, given) => now.monotonic.saturating_duration_since(given.monotonic),
        }
    }

    /// As it goes out now.
    fn bytes(&self, now: &Clocks) -> serde_json::Result<Vec<u8>> {
        let (what, given) = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::Dated(what, given) => (&**what, given),
        };
        match what {
            Dated::Report(report) => match given.mend(&report.start, &report.end, now) {
                None => serde_json::to_vec(report),
                Some((start, end)) => serde_json::to_vec(&WindowReport {
                    start,
                    end,
                    clock_synced: true,
                    ..report.clone()
                }),
            },
            Dated::State(state) => match given.mend(&state.since, &state.since, now) {
                None => serde_json::to_vec(state),
                Some((since, _)) => serde_json::to_vec(&CameraState {
                    since,
                    ..state.clone()
                }),
            },
        }
    }
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Kept by the broker for whoever comes later, and sent again on every connection. QoS 1.
    Retained,
    /// Kept by us until the broker has acknowledged it. QoS 1.
    Window,
    /// Worth nothing later. QoS 0.
    Passing,
}

/// What the daemon and the publishing thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the publishing thread.
    changed: Notify,
    /// Where the thread tells that it comes round.
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// Whether a connection stands.
    connected: bool,
    /// When the daemon was asked to end.
    asked: Option<Instant>,
    /// When to be done, once stopping.
    deadline: Option<Instant>,
    /// The last word on the status topic, once stopping.
    farewell: Option<Status>,
    /// When the certificates end that the last encrypted connection rested on.
    certificates: Vec<Expiry>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change to the state is whole, even if a thread died while it held the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Notes when the daemon is asked to end; when publishing has to be over, once that is known.
    fn look_for_stop(&self) -> Option<Instant> {
        let mut state = self.lock();
        if self.progress.stop().load(Ordering::Relaxed) {
            state.asked.get_or_insert_with(Instant::now);
        }
        state.deadline
    }
}

impl State {
    fn begin_connection(&mut self) {
        self.outbox.begin_connection();
        self.connected = true;
    }

    fn end_connection(&mut self) {
        self.outbox.end_connection();
        self.connected = false;
    }
}

/// The publishing thread has died of a fault of its own.
#[derive(Debug, thiserror::Error)]
#[error("The publishing thread has died; please report what the log says before this.")]
pub(crate) struct Died;

/// The daemon's side.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    base: String,
    thread: JoinHandle<()>,
}

impl Publisher {
    /// Starts the publishing thread, which connects and keeps connecting. `info` is the payload of `<base>/info`.
    pub(crate) fn start(settings: Settings, info: Vec<u8>, progress: Arc<Progress>) -> std::io::Result<Self> {
        let base = settings.base.clone();
        let mut outbox = Outbox::new(settings.queue, settings.retry_max);
        outbox.retain(
            settings.status_topic(),
            Payload::Bytes(Status::Online.word().into()),
        );
        outbox.retain(format!("{base}/info"), Payload::Bytes(info));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Self::spawn(base, outbox, progress, move |shared| {
            runtime.block_on(client::publish_loop(&settings, shared));
        })
    }

    /// Runs `publish` in a thread. If that ends before anybody asked it to, the daemon ends.
    fn spawn(
        base: String,
        outbox: Outbox,
        progress: Arc<Progress>,
        publish: impl FnOnce(&Shared) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outbox,
                connected: false,
                asked: None,
                deadline: None,
                farewell: None,
                certificates: Vec::new(),
            }),
            changed: Notify::new(),
            progress,
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("publish".to_owned())
            .spawn(move || {
                let _ended = EndsTheRun(&theirs.progress);
                publish(&theirs);
            })?;
        Ok(Self { shared, base, thread })
    }

    /// Queues a window report that has just been dated. Returns at once; if the queue is full, the oldest window goes.
    pub(crate) fn window(&self, camera: &str, report: WindowReport) {
        let topic = format!("{}/{camera}/window", self.base);
        self.shared
            .lock()
            .outbox
            .window(topic, Payload::dated(Dated::Report(report)));
        self.shared.changed.notify_one();
    }

    /// Publishes the last report with numbers, which has just been dated, retained, for whoever subscribes later.
    pub(crate) fn latest(&self, camera: &str, report: WindowReport) {
        let topic = format!("{}/{camera}/latest", self.base);
        self.shared
            .lock()
            .outbox
            .retain(topic, Payload::dated(Dated::Report(report)));
        self.shared.changed.notify_one();
    }

    /// Publishes the device's health, unless the broker is away: then it is worth nothing.
    pub(crate) fn health(&self, payload: Vec<u8>) {
        let topic = format!("{}/health", self.base);
        let mut state = self.shared.lock();
        if state.connected {
            state.outbox.pass(topic, Payload::Bytes(payload));
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// What publishing looks like now.
    pub(crate) fn outlook(&self) -> Outlook {
        let state = self.shared.lock();
        let summary = state.outbox.summary();
        Outlook {
            connected: state.connected,
            waiting: summary.undelivered,
            dropped: summary.dropped,
            refused: summary.refused,
            refuses: state.outbox.windows_are_refused(),
            acknowledged: summary.acknowledged,
        }
    }

    /// When the certificates end that the last encrypted connection to the broker rested on.
    pub(crate) fn certificates(&self) -> Vec<Expiry> {
        self.shared.lock().certificates.clone()
    }

    /// Publishes a camera's state, which has just been dated, retained, now and after every reconnection.
    pub(crate) fn camera_state(&self, camera: &str, state: CameraState) {
        let topic = format!("{}/{camera}/state", self.base);
        let payload = Payload::dated(Dated::State(state));
        self.shared.lock().outbox.retain(topic, payload);
        self.shared.changed.notify_one();
    }

    /// Sends what is queued, says `farewell` as the last status, and ends; `patience` after the daemon was asked to end at
    /// the latest, whatever was done since, but a second is always left.
    ///
    /// # Errors
    /// [`Died`] if the thread has ended by itself.
    pub(crate) fn stop(self, farewell: Status, patience: Duration) -> Result<Summary, Died> {
        {
            let mut state = self.shared.lock();
            let now = Instant::now();
            state.deadline = Some((state.asked.unwrap_or(now) + patience).max(now + LEAST));
            state.farewell = Some(farewell);
        }
        self.shared.changed.notify_one();
        let ended = self.thread.join();
        let summary = self.shared.lock().outbox.summary();
        ended.map(|()| summary).map_err(|_| Died)
    }
}

/// Ends the daemon's run when it is dropped: without its publisher there is nothing to run for.
struct EndsTheRun<'a>(&'a Progress);

impl Drop for EndsTheRun<'_> {
    fn drop(&mut self) {
        self.0.stop().store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
