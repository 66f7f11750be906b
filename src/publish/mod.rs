//! Publishing over MQTT: status, info, camera states and windows, by the contract in `docs/payloads.md`.
//!
//! The rest of the daemon hands messages to a [`Publisher`] and goes on at once. A thread of its own sends them, one
//! at a time and in order; a window leaves the [`spool::Spool`] when the broker has acknowledged it, and not before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affect_core::report::Status;
use tokio::sync::Notify;

use crate::config::{Protocol, Secret};
use crate::progress::Progress;

pub(crate) mod broker;
mod client;
mod link;
mod spool;

use spool::Spool;

/// Where and how to publish.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) client_id: String,
    pub(crate) protocol: Protocol,
    pub(crate) keep_alive: Duration,
    /// The topics' common start: `affectd/<site>/<device>`.
    pub(crate) base: String,
    /// Windows kept while the broker is away.
    pub(crate) queue: usize,
    /// The longest wait between two attempts to connect.
    pub(crate) retry_max: Duration,
    /// How long the broker keeps a window for an absent subscriber (MQTT 5).
    pub(crate) message_expiry: Duration,
}

impl Settings {
    fn status_topic(&self) -> String {
        format!("{}/status", self.base)
    }
}

/// What became of the windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Windows that the broker has acknowledged.
    pub(crate) acknowledged: u64,
    /// Windows dropped because the queue was full.
    pub(crate) dropped: u64,
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
    /// Windows dropped because the queue was full.
    pub(crate) dropped: u64,
    /// Windows that it has acknowledged.
    pub(crate) acknowledged: u64,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    topic: String,
    payload: Vec<u8>,
    kind: Kind,
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
    /// Retained messages by topic, and whether this connection has sent them.
    retained: BTreeMap<String, (Vec<u8>, bool)>,
    /// The newest health, if it was not sent yet.
    passing: Option<Message>,
    spool: Spool,
    /// Whether a connection stands.
    connected: bool,
    /// When to be done, once stopping.
    deadline: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change to the state is whole, even if a thread died while it held the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What to send next: retained messages first, so that a subscriber knows whose windows it reads; health before
    /// windows, so that it is fresh even when many wait.
    fn next(&self) -> Option<Message> {
        let unsent = self.retained.iter().find(|(_, (_, sent))| !sent);
        let retained = unsent.map(|(topic, (payload, _))| Message {
            topic: topic.clone(),
            payload: payload.clone(),
            kind: Kind::Retained,
        });
        retained
            .or_else(|| self.passing.clone())
            .or_else(|| self.spool.first().cloned())
    }

    /// The broker has acknowledged a message.
    fn acknowledged(&mut self, message: &Message) {
        match message.kind {
            Kind::Retained => {
                if let Some((payload, sent)) = self.retained.get_mut(&message.topic) {
                    // It may have changed while it was on its way.
                    *sent = *payload == message.payload;
                }
            }
            Kind::Window => self.spool.acknowledge(message),
            Kind::Passing => {
                self.passing.take_if(|passing| passing == message);
            }
        }
    }

    fn retain(&mut self, topic: String, payload: Vec<u8>) {
        self.retained.insert(topic, (payload, false));
    }

    /// A new connection: retained messages go out again, since the broker may have lost them.
    fn begin_connection(&mut self) {
        self.retained.values_mut().for_each(|(_, sent)| *sent = false);
        self.connected = true;
    }
}

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
        let mut state = State {
            retained: BTreeMap::new(),
            passing: None,
            spool: Spool::new(settings.queue),
            connected: false,
            deadline: None,
        };
        state.retain(settings.status_topic(), Status::Online.word().into());
        state.retain(format!("{base}/info"), info);
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
            progress,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("publish".to_owned())
            .spawn(move || runtime.block_on(client::publish_loop(&settings, &theirs)))?;
        Ok(Self { shared, base, thread })
    }

    /// Queues a window report. Returns at once; if the queue is full, the oldest window goes.
    pub(crate) fn window(&self, camera: &str, payload: Vec<u8>) {
        let topic = format!("{}/{camera}/window", self.base);
        self.shared.lock().spool.push(Message {
            topic,
            payload,
            kind: Kind::Window,
        });
        self.shared.changed.notify_one();
    }

    /// Publishes the last report with numbers, retained, for whoever subscribes later.
    pub(crate) fn latest(&self, camera: &str, payload: Vec<u8>) {
        self.shared
            .lock()
            .retain(format!("{}/{camera}/latest", self.base), payload);
        self.shared.changed.notify_one();
    }

    /// Publishes the device's health, unless the broker is away: then it is worth nothing.
    pub(crate) fn health(&self, payload: Vec<u8>) {
        let topic = format!("{}/health", self.base);
        let mut state = self.shared.lock();
        state.passing = state.connected.then_some(Message {
            topic,
            payload,
            kind: Kind::Passing,
        });
        drop(state);
        self.shared.changed.notify_one();
    }

    /// What publishing looks like now.
    pub(crate) fn outlook(&self) -> Outlook {
        let state = self.shared.lock();
        let summary = state.spool.summary();
        Outlook {
            connected: state.connected,
            waiting: summary.undelivered,
            dropped: summary.dropped,
            acknowledged: summary.acknowledged,
        }
    }

    /// Publishes a camera's state, retained, now and after every reconnection.
    pub(crate) fn camera_state(&self, camera: &str, payload: Vec<u8>) {
        self.shared
            .lock()
            .retain(format!("{}/{camera}/state", self.base), payload);
        self.shared.changed.notify_one();
    }

    /// Sends what is queued, says `stopped`, and ends; takes no longer than `patience`.
    pub(crate) fn stop(self, patience: Duration) -> Summary {
        self.shared.lock().deadline = Some(Instant::now() + patience);
        self.shared.changed.notify_one();
        if self.thread.join().is_err() {
            log::error!("The publishing thread has panicked.");
        }
        self.shared.lock().spool.summary()
    }
}
