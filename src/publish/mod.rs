//! Publishing over MQTT: status, info, camera states and windows, by the contract in `docs/payloads.md`.
//!
//! The rest of the daemon hands messages to a [`Publisher`] and goes on at once. A thread of its own sends them in order,
//! windows several at a time; a window leaves the [`spool::Spool`] when the broker has acknowledged it, and not before.
//! Another thread keeps what waits on the disk.
//!
//! [`client`] connects by [`dial`] and sends what the [`outbox`] gives it over a [`link`], which speaks in [`packets`];
//! what a broker does not take is judged in [`refusal`], and [`explain`] has the words for connections that fail.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affect_core::command::CommandResult;
use affect_core::report::{CameraState, Status, WindowReport};
use tokio::sync::Notify;

use crate::clock::Clocks;
use crate::command::{Desk, Ear};
use crate::config::{Protocol, Secret};
use crate::progress::Progress;
use crate::tls::{Expiry, Files};

pub(crate) mod broker;
mod certificates;
mod client;
mod dial;
mod explain;
mod keeping;
mod link;
mod message;
mod outbox;
mod packets;
mod probe;
mod refusal;
mod retained;
mod skip;
mod spool;
mod websocket;

use keeping::{keep, keeper_loop};
use message::{Dated, Kind, Message, Payload};
pub(crate) use outbox::DRAIN_PER_SECOND;
use outbox::Outbox;
pub(crate) use probe::{Probe, probe};
pub(crate) use refusal::name as refusal;
pub(crate) use retained::{kept, remove};
use spool::{Keeper, Spool, Window};
pub(crate) use spool::{Limits, Look, Place, look};

/// Where and how to publish.
#[derive(Debug, Clone, PartialEq)]
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
    /// How long and how much windows wait; the broker is told how long a window is worth something, too (MQTT 5).
    pub(crate) limits: Limits,
    /// Where windows wait on the disk; `None`: in memory alone.
    pub(crate) spool: Option<Place>,
    /// Windows that waited go out at this rate.
    pub(crate) drain_per_second: f64,
    /// The longest wait between two attempts to connect.
    pub(crate) retry_max: Duration,
    /// What is listened to.
    pub(crate) ear: Ear,
}

impl Settings {
    fn status_topic(&self) -> String {
        format!("{}/status", self.base)
    }

    /// Whether a connection that was made by these settings does for the others.
    fn is_connected_like(&self, other: &Self) -> bool {
        let connection = |settings: &Self| Self {
            retry_max: Duration::ZERO,
            spool: None,
            ear: Ear::default(),
            ..settings.clone()
        };
        connection(self) == connection(other)
    }

    /// Whether the others lead to the same broker.
    fn is_to_same_broker(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
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
/// How long the end waits for what waits to be on the disk.
const LAST_WRITE: Duration = Duration::from_millis(800);
/// What a window's topic ends with.
const WINDOW: &str = "/window";

/// What became of the windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Windows that the broker has acknowledged.
    pub(crate) acknowledged: u64,
    /// Windows dropped because too many waited, or they were too old.
    pub(crate) dropped: u64,
    /// Windows that the broker would never have taken, so that they were set aside.
    pub(crate) refused: u64,
    /// Windows that could not be read from the disk any more.
    pub(crate) damaged: u64,
    /// Windows that were still waiting at the end.
    pub(crate) undelivered: u64,
    /// Whether those outlive the daemon.
    pub(crate) kept: bool,
}

impl Summary {
    /// Together with what became of those of the next run.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + next.acknowledged,
            dropped: self.dropped + next.dropped,
            refused: self.refused + next.refused,
            damaged: self.damaged + next.damaged,
            // What was kept waits in the next run.
            undelivered: next.undelivered + if self.kept { 0 } else { self.undelivered },
            kept: next.kept,
        }
    }
}

/// What publishing looks like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Whether the broker is reached.
    pub(crate) connected: bool,
    /// Windows that wait for it.
    pub(crate) waiting: u64,
    /// Windows dropped because too many waited, or they were too old.
    pub(crate) dropped: u64,
    /// Windows that were set aside since it would never have taken them.
    pub(crate) refused: u64,
    /// Windows that could not be read from the disk any more.
    pub(crate) damaged: u64,
    /// Whether windows that wait are on the disk.
    pub(crate) on_disk: bool,
    /// How long the oldest window has waited.
    pub(crate) oldest: Option<Duration>,
    /// Whether it refuses windows now, so that they wait.
    pub(crate) refuses: bool,
    /// Windows that it has acknowledged.
    pub(crate) acknowledged: u64,
}

/// What the daemon and the publishing thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the publishing thread.
    changed: Notify,
    /// Where messages from others are laid.
    desk: Arc<Desk>,
    /// Wakes the keeper's thread, if there is one.
    keeper: Option<SyncSender<()>>,
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
    /// Where and how to publish from now on.
    change: Option<Settings>,
    /// The topic of the discovery.
    discovery: Option<String>,
    /// When the certificates end that the last encrypted connection rested on.
    certificates: Vec<Expiry>,
    /// Whether publishing has ended.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change to the state is whole, even if a thread died while it held the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Something has to be written to the disk soon.
    fn wake_keeper(&self) {
        if let Some(keeper) = &self.keeper {
            // It has been woken already, or it is gone.
            let _ = keeper.try_send(());
        }
    }

    /// Notes when the daemon is asked to end; when publishing has to be over, once that is known.
    fn look_for_stop(&self) -> Option<Instant> {
        let mut state = self.lock();
        if self.progress.is_ending() {
            state.asked.get_or_insert_with(Instant::now);
        }
        state.deadline
    }
}

impl State {
    fn begin_connection(&mut self, at_once: usize) {
        self.outbox.begin_connection(at_once);
        self.connected = true;
    }

    /// The discovery goes out once more.
    fn announce(&mut self) {
        if let Some(topic) = &self.discovery {
            self.outbox.send_again(topic);
        }
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
    keeper: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts the publishing thread, which connects and keeps connecting. `info` is the payload of `<base>/info`.
    pub(crate) fn start(settings: Settings, info: Vec<u8>, progress: Arc<Progress>) -> std::io::Result<Self> {
        let base = settings.base.clone();
        let spool = Spool::new(settings.limits);
        let mut outbox = Outbox::new(&base, spool, settings.drain_per_second, settings.retry_max);
        let keeper = settings.spool.clone().filter(|_| settings.limits.size > 0);
        let keeper = keeper.map(|place| {
            let mut keeper = Keeper::new(place, settings.limits);
            // What waits from before goes out first.
            keep(&mut keeper, &mut |act| act(&mut outbox.spool), false);
            keeper
        });
        outbox.retain(
            settings.status_topic(),
            Payload::Bytes(Status::Online.word().into()),
        );
        outbox.retain(format!("{base}/info"), Payload::Bytes(info));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let desk = Arc::new(Desk::new(settings.ear.clone()));
        Self::spawn(base, outbox, keeper, desk, progress, move |shared| {
            runtime.block_on(client::publish_loop(settings, shared));
        })
    }

    /// Runs `publish` in a thread. If that ends before anybody asked it to, the daemon ends.
    fn spawn(
        base: String,
        outbox: Outbox,
        keeper: Option<Keeper>,
        desk: Arc<Desk>,
        progress: Arc<Progress>,
        publish: impl FnOnce(&Shared) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outbox,
                connected: false,
                asked: None,
                deadline: None,
                farewell: None,
                change: None,
                discovery: None,
                certificates: Vec::new(),
                ended: false,
            }),
            changed: Notify::new(),
            desk,
            keeper: keeper.as_ref().map(|_| wake),
            progress,
        });
        let theirs = Arc::clone(&shared);
        let keeper = keeper.map(|keeper| {
            std::thread::Builder::new()
                .name("spool".to_owned())
                .spawn(move || keeper_loop(keeper, &theirs, &woken))
        });
        let keeper = keeper.transpose()?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("publish".to_owned())
            .spawn(move || {
                let _ended = EndsTheRun(&theirs.progress);
                publish(&theirs);
            })?;
        Ok(Self {
            shared,
            base,
            thread,
            keeper,
        })
    }

    /// Queues a window report that has just been dated. It is in the spool when this returns; if that is full, the oldest
    /// window goes.
    pub(crate) fn window(&self, camera: &str, report: WindowReport) {
        let now = Clocks::now();
        let report = match serde_json::to_vec(&report) {
            Ok(report) => report,
            Err(error) => return log::error!("A window cannot be written as JSON: {error}"),
        };
        let window = Window {
            topic: format!("{}/{camera}{WINDOW}", self.base),
            report,
            given: now,
        };
        let mut state = self.shared.lock();
        state.outbox.window(window, &now);
        let is_due = state.outbox.spool.needs_the_keeper();
        drop(state);
        self.shared.changed.notify_one();
        if is_due {
            self.shared.wake_keeper();
        }
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

    /// Where commands are laid.
    pub(crate) fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    /// Publishes what became of a command.
    pub(crate) fn answer(&self, result: &CommandResult) {
        let topic = format!("{}/cmd/{}/result", self.base, result.command.name());
        let Ok(payload) = serde_json::to_vec(result) else {
            return;
        };
        self.shared.lock().outbox.answer(topic, Payload::Bytes(payload));
        self.shared.changed.notify_one();
    }

    /// Publishes what there is to know of the device, retained, in place of what was said at the start.
    pub(crate) fn info(&self, payload: Vec<u8>) {
        let topic = format!("{}/info", self.base);
        self.shared.lock().outbox.retain(topic, Payload::Bytes(payload));
        self.shared.changed.notify_one();
    }

    /// Publishes Home Assistant's discovery, retained, and again whenever that has started anew. `None`: no longer; what the
    /// broker has of it stays.
    pub(crate) fn discovery(&self, message: Option<(String, Vec<u8>)>) {
        let mut state = self.shared.lock();
        let before = std::mem::take(&mut state.discovery);
        if let Some((topic, payload)) = message {
            state.discovery = Some(topic.clone());
            state.outbox.retain(topic, Payload::Bytes(payload));
        } else if let Some(topic) = before {
            state.outbox.forget(&topic);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Publishes by other settings from now on: at once where the connection can stay, else over a new one. What waits is
    /// kept, and goes out there. The topics stay the same.
    pub(crate) fn change(&self, settings: Settings) {
        self.shared.desk.listen(settings.ear.clone());
        let mut state = self.shared.lock();
        state.outbox.wait_up_to(settings.retry_max);
        state.change = Some(settings);
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
            damaged: summary.damaged,
            on_disk: summary.kept,
            oldest: state.outbox.spool.oldest(&Clocks::now()),
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
        if let Some(keeper) = self.keeper {
            // What waits is in memory that outlives this process already; a card that hangs shall not hold up the end.
            let until = Instant::now() + LAST_WRITE;
            self.shared.lock().ended = true;
            self.shared.wake_keeper();
            while !keeper.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if keeper.is_finished() && keeper.join().is_err() {
                return Err(Died);
            }
        }
        let summary = self.shared.lock().outbox.summary();
        ended.map(|()| summary).map_err(|_| Died)
    }
}

/// Ends the daemon's run when it is dropped: without its publisher there is nothing to run for.
struct EndsTheRun<'a>(&'a Progress);

impl Drop for EndsTheRun<'_> {
    fn drop(&mut self) {
        self.0.ended().store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
