//! What there is to publish, and what became of it: the part of publishing that knows no network and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::refusal::{Treatment, treatment};
use super::spool::Spool;
use super::{Kind, Message, Payload, Summary};

/// The first wait of a topic that is refused.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// So often a message is tried that is refused without a reason that would last.
const TRIES: u32 = 10;
/// How long a retained message rests over which the broker ends the connection: each try costs one.
const REST: Duration = Duration::from_secs(600);
/// So many answers to commands wait at most; there are never more commands at once.
const MOST_ANSWERS: usize = 8;

/// Everything that is to be published.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Retained messages by topic.
    retained: BTreeMap<String, Retained>,
    /// The newest health, if it was not sent yet.
    passing: Option<Message>,
    /// Answers to commands, oldest first.
    answers: VecDeque<Message>,
    spool: Spool,
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
    pub(super) fn new(most_windows: usize, longest_wait: Duration) -> Self {
        Self {
            retained: BTreeMap::new(),
            passing: None,
            answers: VecDeque::new(),
            spool: Spool::new(most_windows),
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

    pub(super) fn window(&mut self, topic: String, payload: Payload) {
        let message = self.message(topic, payload, Kind::Window);
        self.spool.push(message);
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

    /// From now on for up to so many windows, and with another longest wait.
    pub(super) fn resize(&mut self, most_windows: usize, longest_wait: Duration) {
        self.spool.resize(most_windows);
        self.longest_wait = longest_wait;
    }

    /// A new connection: retained messages go out again, since the broker may have lost them.
    pub(super) fn begin_connection(&mut self) {
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

    /// The connection is gone: health is worth nothing later, and a window on its way is still the oldest.
    pub(super) fn end_connection(&mut self) {
        self.passing = None;
        self.spool.put_back();
    }

    /// What to send next: retained messages first, so that a subscriber knows whose windows it reads; health before
    /// windows, so that it is fresh even when many wait. A topic that is refused comes after all others, since the broker
    /// may end the connection over it, and when its wait is over.
    pub(super) fn next(&mut self, now: Instant) -> Option<Message> {
        self.first(|pause| pause.is_none())
            .or_else(|| self.first(|pause| pause.is_some_and(|pause| pause.until <= now)))
    }

    /// The first message on a topic of which the pause, if any, is as wanted.
    fn first(&mut self, wanted: impl Fn(Option<&Pause>) -> bool) -> Option<Message> {
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
        match wanted(&self.spool.first()?.topic) {
            true => self.spool.take(),
            false => None,
        }
    }

    /// A window is too old to go out.
    pub(super) fn expired(&mut self, message: &Message) {
        match message.kind {
            Kind::Window => self.spool.expire(),
            Kind::Retained | Kind::Passing | Kind::Answer => self.done(message),
        }
    }

    /// The broker has taken a message. Whether its topic was refused before.
    pub(super) fn taken(&mut self, message: &Message) -> bool {
        match message.kind {
            Kind::Window => self.spool.acknowledge(),
            Kind::Retained | Kind::Passing | Kind::Answer => self.done(message),
        }
        let was_refused = self.pauses.remove(&message.topic).is_some();
        if was_refused {
            self.told.retain(|(topic, _)| *topic != message.topic);
        }
        was_refused
    }

    /// The broker has refused a message; whether it `ended` the connection over it.
    pub(super) fn refused(&mut self, message: &Message, code: u8, ended: bool, now: Instant) -> Refused {
        let tries = self.pauses.get(&message.topic).map_or(0, |pause| pause.tries) + 1;
        let treatment = match treatment(code).unwrap_or(Treatment::Retry) {
            Treatment::Retry if tries >= TRIES => Treatment::SetAside,
            treatment => treatment,
        };
        match (treatment, message.kind) {
            (Treatment::SetAside, Kind::Window) => self.spool.set_aside(),
            (Treatment::SetAside, Kind::Retained | Kind::Passing) => self.done(message),
            // Whoever asked has gone by the time that the broker takes it.
            (_, Kind::Answer) => self.done(message),
            (Treatment::Wait | Treatment::Retry, _) => self.spool.put_back(),
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
        self.spool
            .first()
            .is_some_and(|window| self.pauses.contains_key(&window.topic))
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
mod tests {
    use super::super::refusal::{CLOSES, NOT_AUTHORISED, QUOTA, TOO_LARGE, TOPIC_INVALID};
    use super::*;

    const LONGEST_WAIT: Duration = Duration::from_secs(60);

    fn bytes(number: u8) -> Payload {
        Payload::Bytes(vec![number])
    }

    /// With a retained info and two windows.
    fn outbox() -> Outbox {
        let mut outbox = Outbox::new(10, LONGEST_WAIT);
        outbox.retain("info".to_owned(), bytes(0));
        outbox.window("window".to_owned(), bytes(1));
        outbox.window("window".to_owned(), bytes(2));
        outbox
    }

    fn next(outbox: &mut Outbox, now: Instant) -> Message {
        outbox.next(now).expect("there is something to send")
    }

    #[test]
    fn a_refused_info_does_not_keep_windows_from_going_out() {
        for code in [
            NOT_AUTHORISED,
            QUOTA,
            TOPIC_INVALID,
            TOO_LARGE,
            CLOSES,
            0x80,
            0x83,
        ] {
            let now = Instant::now();
            let mut outbox = outbox();
            let info = next(&mut outbox, now);
            assert_eq!(info.kind, Kind::Retained);
            outbox.refused(&info, code, code == CLOSES, now);
            // Even if so much time is lost over it that its wait is over.
            outbox.end_connection();
            outbox.begin_connection();
            let window = next(&mut outbox, now + REST);
            assert_eq!(window.kind, Kind::Window, "0x{code:x}");
        }
    }

    #[test]
    fn windows_that_are_not_authorised_wait_and_go_out_in_order_when_they_are() {
        let now = Instant::now();
        let mut outbox = outbox();
        let info = next(&mut outbox, now);
        assert!(!outbox.taken(&info));
        let window = next(&mut outbox, now);
        let news = |news| Refused {
            treatment: Treatment::Wait,
            news,
        };
        assert_eq!(outbox.refused(&window, NOT_AUTHORISED, false, now), news(true));
        assert!(outbox.windows_are_refused());
        assert!(outbox.next(now).is_none(), "not before the wait is over");
        let later = now + FIRST_WAIT;
        let again = next(&mut outbox, later);
        assert_eq!(again.version, window.version);
        assert_eq!(
            outbox.refused(&again, NOT_AUTHORISED, false, later),
            news(false),
            "told once"
        );
        assert!(outbox.next(later + FIRST_WAIT).is_none(), "the wait grows");
        let later = later + LONGEST_WAIT;
        let again = next(&mut outbox, later);
        assert!(outbox.taken(&again), "it is news that it is taken");
        let second = next(&mut outbox, later);
        assert!(second.version > window.version && !outbox.taken(&second));
        assert_eq!(outbox.summary().acknowledged, 2);
        assert_eq!(outbox.summary().refused, 0);
    }

    #[test]
    fn a_window_that_can_never_be_taken_is_set_aside_and_counted() {
        let now = Instant::now();
        for (code, tries) in [(TOO_LARGE, 1), (TOPIC_INVALID, 1), (CLOSES, 1), (0x80, TRIES)] {
            let mut outbox = Outbox::new(10, LONGEST_WAIT);
            outbox.window("window".to_owned(), bytes(1));
            outbox.window("window".to_owned(), bytes(2));
            let first = next(&mut outbox, now).version;
            for round in 0..tries {
                let now = now + LONGEST_WAIT * round;
                let window = next(&mut outbox, now);
                assert_eq!(window.version, first);
                outbox.refused(&window, code, code == CLOSES, now);
            }
            assert_eq!(outbox.summary().refused, 1, "0x{code:x}");
            assert_eq!(outbox.next(now).is_none(), code == CLOSES, "0x{code:x}");
            outbox.end_connection();
            let second = next(&mut outbox, now + LONGEST_WAIT);
            assert!(second.version > first, "0x{code:x}");
        }
    }

    #[test]
    fn what_is_retained_goes_out_once_per_connection_and_when_it_changes() {
        let now = Instant::now();
        let mut outbox = Outbox::new(10, LONGEST_WAIT);
        outbox.retain("info".to_owned(), bytes(0));
        let first = next(&mut outbox, now);
        outbox.retain("info".to_owned(), bytes(1));
        outbox.taken(&first);
        let second = next(&mut outbox, now);
        assert!(
            second.version > first.version,
            "it changed while it was on its way"
        );
        outbox.taken(&second);
        assert!(outbox.next(now).is_none());
        outbox.begin_connection();
        let third = next(&mut outbox, now);
        // What makes the broker close the connection is not tried on the next one, but again some time.
        outbox.refused(&third, CLOSES, true, now);
        outbox.begin_connection();
        assert!(outbox.next(now + LONGEST_WAIT).is_none());
        assert!(
            outbox.next(now + REST).is_some(),
            "the broker's rules may have been mended"
        );
    }

    #[test]
    fn health_is_dropped_with_the_connection() {
        let now = Instant::now();
        let mut outbox = Outbox::new(10, LONGEST_WAIT);
        outbox.pass("health".to_owned(), bytes(0));
        assert_eq!(next(&mut outbox, now).kind, Kind::Passing);
        outbox.end_connection();
        assert!(outbox.next(now).is_none());
    }
}
