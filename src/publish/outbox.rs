//! What there is to publish, and what became of it: the part of publishing that knows no network and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::refusal::{NOT_AUTHORISED, Treatment, treatment};
use super::spool::{Settled, Spool, Window};
use super::{Kind, Message, Payload, Summary};
use crate::clock::Clocks;

/// The first wait of a topic that is refused.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// So often a message is tried that is refused without a reason that would last.
const TRIES: u32 = 10;
/// How long a retained message rests over which the broker ends the connection: each try costs one.
const REST: Duration = Duration::from_secs(600);
/// So many answers to commands wait at most; there are never more commands at once.
const MOST_ANSWERS: usize = 8;
/// How many windows are on their way at once, at most.
pub(super) const MOST_IN_FLIGHT: usize = 16;
/// How many windows that waited go out in a second: a day in two minutes, without flooding whoever reads them.
pub(crate) const DRAIN_PER_SECOND: f64 = 50.0;

/// Everything that is to be published.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Retained messages by topic.
    retained: BTreeMap<String, Retained>,
    /// The newest health, if it was not sent yet.
    passing: Option<Message>,
    /// Answers to commands, oldest first.
    answers: VecDeque<Message>,
    pub(super) spool: Spool,
    /// How windows go out.
    drain: Drain,
    /// What topics of this device begin with: windows on others were made under a name of before.
    base: String,
    /// Topics that the broker refuses for now.
    pauses: BTreeMap<String, Pause>,
    /// Topics and codes of refusals that were logged.
    told: BTreeSet<(String, u8)>,
    /// The longest wait of a topic that is refused.
    longest_wait: Duration,
    versions: u64,
}

#[derive(Debug)]
struct Retained {
    payload: Payload,
    version: u64,
    /// Whether this connection has dealt with it.
    done: bool,
}

/// How windows go out: one until the broker has taken it, then twice as many each time, up to what it allows; and not faster
/// than a rate.
#[derive(Debug)]
struct Drain {
    /// Least time between two windows.
    spacing: Duration,
    /// When the next one may go.
    next: Option<Instant>,
    /// How many may be on their way now, and at most.
    now: usize,
    most: usize,
    /// So many go one by one, since the broker ended the connection over one of them.
    careful: usize,
}

impl Drain {
    fn begin(&mut self, most: usize) {
        (self.now, self.most) = (1, most.clamp(1, MOST_IN_FLIGHT));
    }

    /// A window is settled, and whether the broker took it.
    fn settled(&mut self, taken: bool) {
        self.careful = self.careful.saturating_sub(1);
        self.now = match taken && self.careful == 0 {
            true => (self.now * 2).min(self.most),
            false => 1,
        };
    }

    fn sent(&mut self, now: Instant) {
        self.next = Some(self.next.map_or(now, |next| next.max(now)) + self.spacing);
    }
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    tries: u32,
}

/// What follows from a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) treatment: Treatment,
    /// Whether the technician has not been told yet.
    pub(super) news: bool,
}

impl Outbox {
    /// For topics that begin with `base`; `per_second` windows that waited go out in a second.
    pub(super) fn new(base: &str, spool: Spool, per_second: f64, longest_wait: Duration) -> Self {
        Self {
            retained: BTreeMap::new(),
            passing: None,
            answers: VecDeque::new(),
            spool,
            drain: Drain {
                spacing: Duration::from_secs_f64(1.0 / per_second),
                next: None,
                now: 1,
                most: 1,
                careful: 0,
            },
            base: format!("{base}/"),
            pauses: BTreeMap::new(),
            told: BTreeSet::new(),
            longest_wait,
            versions: 0,
        }
    }

    /// A message that the broker is to keep; it takes the place of an earlier one on the topic.
    pub(super) fn retain(&mut self, topic: String, payload: Payload) {
        let version = self.next_version();
        let message = Retained {
            payload,
            version,
            done: false,
        };
        self.retained.insert(topic, message);
    }

    pub(super) fn window(&mut self, window: Window, now: &Clocks) {
        self.spool.push(window, now);
    }

    pub(super) fn pass(&mut self, topic: String, payload: Payload) {
        self.passing = Some(self.message(topic, payload, Kind::Passing));
    }

    /// An answer to a command. It waits for a connection: a command may have ended the last one.
    pub(super) fn answer(&mut self, topic: String, payload: Payload) {
        let message = self.message(topic, payload, Kind::Answer);
        self.answers.push_back(message);
        if self.answers.len() > MOST_ANSWERS {
            self.answers.pop_front();
        }
    }

    /// From now on with another longest wait.
    pub(super) fn wait_up_to(&mut self, longest_wait: Duration) {
        self.longest_wait = longest_wait;
    }

    /// A retained message goes out once more on this connection.
    pub(super) fn send_again(&mut self, topic: &str) {
        if let Some(retained) = self.retained.get_mut(topic) {
            retained.done = false;
        }
    }

    /// A retained message goes out no more.
    pub(super) fn forget(&mut self, topic: &str) {
        self.retained.remove(topic);
    }

    /// A new connection, on which the broker takes so many messages at once: retained ones go out again, since it may have
    /// lost them.
    pub(super) fn begin_connection(&mut self, at_once: usize) {
        self.drain.begin(at_once);
        self.retained
            .values_mut()
            .for_each(|message| message.done = false);
    }

    /// The clock is known now: what the broker keeps with dates from before goes out again.
    pub(super) fn clock_is_known(&mut self) {
        let early = self.retained.values_mut();
        early
            .filter(|message| message.payload.is_dated_too_early())
            .for_each(|message| message.done = false);
    }

    /// The connection is gone: health is worth nothing later, and windows on their way still wait.
    pub(super) fn end_connection(&mut self) {
        self.passing = None;
        self.spool.put_all_back();
    }

    /// From now on one window after the other goes out.
    pub(super) fn go_slowly(&mut self) {
        self.drain.begin(1);
    }

    /// The broker ended the connection over one of so many windows: they go one by one, until it is known which.
    pub(super) fn be_careful(&mut self, windows: usize) {
        self.drain.careful = windows;
    }

    /// What to send next: retained messages first, so that a subscriber knows whose windows it reads; health before
    /// windows, so that it is fresh even when many wait. A topic that is refused comes after all others, since the broker
    /// may end the connection over it, and when its wait is over.
    pub(super) fn next(&mut self, now: Instant, clocks: &Clocks) -> Option<Message> {
        self.first(now, clocks, |pause| pause.is_none())
            .or_else(|| self.first(now, clocks, |pause| pause.is_some_and(|pause| pause.until <= now)))
    }

    /// The first message on a topic of which the pause, if any, is as wanted.
    fn first(
        &mut self,
        now: Instant,
        clocks: &Clocks,
        wanted: impl Fn(Option<&Pause>) -> bool,
    ) -> Option<Message> {
        let wanted = |topic: &String| wanted(self.pauses.get(topic));
        let mut retained = self.retained.iter();
        if let Some((topic, message)) = retained.find(|(topic, message)| !message.done && wanted(topic)) {
            return Some(Message {
                topic: topic.clone(),
                payload: message.payload.clone(),
                kind: Kind::Retained,
                version: message.version,
            });
        }
        if let Some(message) = self.answers.front().filter(|message| wanted(&message.topic)) {
            return Some(message.clone());
        }
        if let Some(message) = self.passing.as_ref().filter(|message| wanted(&message.topic)) {
            return Some(message.clone());
        }
        if self.drain.next.is_some_and(|next| next > now) || self.spool.in_flight() >= self.drain.now {
            return None;
        }
        let (_, window) = self.spool.first(clocks)?;
        if !wanted(&window.topic) {
            return None;
        }
        let (version, window) = self.spool.take()?;
        self.drain.sent(now);
        Some(Message {
            topic: window.topic.clone(),
            payload: Payload::Window(window),
            kind: Kind::Window,
            version,
        })
    }

    /// How long the next window waits for its turn.
    pub(super) fn rests(&self, now: Instant) -> Option<Duration> {
        let next = self.drain.next.filter(|_| !self.spool.is_empty())?;
        Some(next.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Whether nothing more can go out for now but by its turn.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        self.rests(now).is_none() && self.spool.in_flight() == 0
    }

    /// A window is too old to go out.
    pub(super) fn expired(&mut self, message: &Message, clocks: &Clocks) {
        match message.kind {
            Kind::Window => self.spool.settle(message.version, Settled::Expired, clocks),
            Kind::Retained | Kind::Passing | Kind::Answer => self.done(message),
        }
    }

    /// The broker has taken a message. Whether its topic was refused before.
    pub(super) fn taken(&mut self, message: &Message, clocks: &Clocks) -> bool {
        match message.kind {
            Kind::Window => {
                self.drain.settled(true);
                self.spool.settle(message.version, Settled::Acknowledged, clocks);
            }
            Kind::Retained | Kind::Passing | Kind::Answer => self.done(message),
        }
        let was_refused = self.pauses.remove(&message.topic).is_some();
        if was_refused {
            self.told.retain(|(topic, _)| *topic != message.topic);
        }
        was_refused
    }

    /// The broker has refused a message; whether it `ended` the connection over it.
    pub(super) fn refused(
        &mut self,
        message: &Message,
        code: u8,
        ended: bool,
        now: Instant,
        clocks: &Clocks,
    ) -> Refused {
        let treatment = treatment(code).unwrap_or(Treatment::Retry);
        let is_window = message.kind == Kind::Window;
        if is_window && treatment != Treatment::SetAside && !self.spool.is_oldest(message.version) {
            // Of several that are refused at once, the oldest decides.
            self.spool.put_back(message.version);
            return Refused {
                treatment,
                news: false,
            };
        }
        let tries = self.pauses.get(&message.topic).map_or(0, |pause| pause.tries) + 1;
        let treatment = match treatment {
            Treatment::Retry if tries >= TRIES => Treatment::SetAside,
            // Nobody would ever allow it, and the windows of now would wait behind it.
            Treatment::Wait
                if is_window && code == NOT_AUTHORISED && !message.topic.starts_with(&self.base) =>
            {
                Treatment::SetAside
            }
            treatment => treatment,
        };
        match (treatment, message.kind) {
            (Treatment::SetAside, Kind::Window) => {
                self.drain.settled(false);
                self.spool.settle(message.version, Settled::Refused(code), clocks);
            }
            (Treatment::SetAside, Kind::Retained | Kind::Passing) => self.done(message),
            // Whoever asked has gone by the time that the broker takes it.
            (_, Kind::Answer) => self.done(message),
            (Treatment::Wait | Treatment::Retry, Kind::Window) => {
                self.drain.begin(self.drain.most);
                self.spool.put_back(message.version);
            }
            (Treatment::Wait | Treatment::Retry, Kind::Retained | Kind::Passing) => {}
        }
        // The next window may well be taken; but not at the price of the connection each time.
        if treatment == Treatment::SetAside && message.kind == Kind::Window && !ended {
            self.pauses.remove(&message.topic);
        } else {
            let doubled = FIRST_WAIT.saturating_mul(1 << (tries - 1).min(16));
            let until = match ended && message.kind == Kind::Retained {
                true => now + REST,
                false => now + doubled.min(self.longest_wait),
            };
            self.pauses.insert(message.topic.clone(), Pause { until, tries });
        }
        let news = self.told.insert((message.topic.clone(), code));
        Refused { treatment, news }
    }

    /// Whether the broker refused the message's topic last.
    pub(super) fn is_refused(&self, message: &Message) -> bool {
        self.pauses.contains_key(&message.topic)
    }

    /// Whether the broker refuses the windows for now.
    pub(super) fn windows_are_refused(&self) -> bool {
        self.pauses.keys().any(|topic| topic.ends_with(super::WINDOW)) && !self.spool.is_empty()
    }

    pub(super) fn summary(&self) -> Summary {
        self.spool.summary()
    }

    fn done(&mut self, message: &Message) {
        self.passing.take_if(|passing| passing.version == message.version);
        self.answers.retain(|answer| answer.version != message.version);
        if let Some(retained) = self.retained.get_mut(&message.topic)
            // It may have changed while it was on its way.
            && retained.version == message.version
        {
            retained.done = true;
        }
    }

    fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    fn message(&mut self, topic: String, payload: Payload, kind: Kind) -> Message {
        let version = self.next_version();
        Message {
            topic,
            payload,
            kind,
            version,
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
