//! Where messages from the broker are laid, and orders are taken from.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::complaints::Complaints;
use super::{CommandWord, Heard, Ignored, read};

/// So many commands may come at once …
const BURST: u32 = 4;
/// … and then one in each such time.
const REFILL: Duration = Duration::from_secs(5);
/// Home Assistant takes nothing in the first moment after it says that it is there.
const SETTLE: Duration = Duration::from_secs(2);
/// And not all devices shall answer at once.
const SPREAD: Duration = Duration::from_secs(3);

/// A command that shall be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) word: CommandWord,
    /// What its sender knows the answer by.
    pub(crate) id: Option<String>,
}

/// What is listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ear {
    /// Below this are the topics of commands: `<base>/cmd`.
    pub(crate) commands_below: String,
    /// The commands that are allowed.
    pub(crate) allowed: Vec<CommandWord>,
    /// The topic on which Home Assistant says that it is there.
    pub(crate) birth: Option<String>,
}

impl Ear {
    /// The topics to subscribe to.
    pub(crate) fn topics(&self) -> Vec<String> {
        let commands = self.allowed.iter();
        commands
            .map(|word| format!("{}/{}", self.commands_below, word.name()))
            .chain(self.birth.clone())
            .collect()
    }

    /// The allowed command of a topic.
    fn command(&self, topic: &str) -> Option<CommandWord> {
        let name = topic.strip_prefix(&self.commands_below)?.strip_prefix('/')?;
        let mut allowed = self.allowed.iter().copied();
        allowed.find(|word| word.name() == name)
    }
}

/// Judges what comes from the broker.
#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ear: Ear,
    complaints: Complaints,
    orders: VecDeque<Order>,
    /// Commands that may come now, and since when they are counted.
    left: u32,
    counted: Instant,
    /// When the discovery is sent again.
    announce: Option<Instant>,
}

impl Desk {
    pub(crate) fn new(ear: Ear) -> Self {
        Self {
            state: Mutex::new(State {
                ear,
                complaints: Complaints::default(),
                orders: VecDeque::new(),
                left: BURST,
                counted: Instant::now(),
                announce: None,
            }),
        }
    }

    /// What is listened to.
    pub(crate) fn ear(&self) -> Ear {
        self.lock().ear.clone()
    }

    /// From now on something else is listened to. Orders that are not allowed any more are forgotten.
    pub(crate) fn listen(&self, ear: Ear) {
        let mut state = self.lock();
        state.orders.retain(|order| ear.allowed.contains(&order.word));
        state.ear = ear;
    }

    /// Takes in a message that came `now`.
    pub(crate) fn hear(&self, heard: &Heard, now: Instant) {
        let mut state = self.lock();
        if state.ear.birth.as_ref() == Some(&heard.topic) {
            // Whoever keeps it says nothing of now; and the message goes out on every connection anyway.
            if !heard.retained && heard.payload.as_deref() == Some(b"online") {
                let random = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
                state.announce = Some(now + SETTLE + SPREAD.mul_f64(random));
            }
            return;
        }
        if let Err(why) = state.take_in(heard, now)
            && let Some(line) = state.complaints.note(why, &shown(&heard.topic), now)
        {
            log::warn!("{line}");
        }
    }

    /// Whether the discovery is to be sent again; true once each time.
    pub(crate) fn announces(&self, now: Instant) -> bool {
        self.lock().announce.take_if(|when| *when <= now).is_some()
    }

    /// The next order among those that are `wanted`.
    pub(crate) fn order(&self, wanted: impl Fn(CommandWord) -> bool) -> Option<Order> {
        let mut state = self.lock();
        let at = state.orders.iter().position(|order| wanted(order.word))?;
        state.orders.remove(at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change to the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_in(&mut self, heard: &Heard, now: Instant) -> Result<(), Ignored> {
        let word = self.ear.command(&heard.topic).ok_or(Ignored::NotAllowed)?;
        if heard.retained {
            return Err(Ignored::Retained);
        }
        let id = read(heard.payload.as_deref().ok_or(Ignored::TooLarge)?)?;
        if !self.may_come(now) {
            return Err(Ignored::TooMany);
        }
        self.orders.push_back(Order { word, id });
        Ok(())
    }

    /// Counts a command; whether there are not too many.
    fn may_come(&mut self, now: Instant) -> bool {
        while self.left < BURST && now.saturating_duration_since(self.counted) >= REFILL {
            self.left += 1;
            self.counted += REFILL;
        }
        if self.left == BURST {
            self.counted = now;
        }
        // They wait for a thread that comes round several times a second.
        if self.left == 0 || self.orders.len() >= BURST as usize {
            return false;
        }
        self.left -= 1;
        true
    }
}

/// A topic that somebody else wrote, for a line of the log.
fn shown(topic: &str) -> String {
    let short: String = topic.chars().take(120).collect();
    crate::redact::line(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ear(allowed: &[CommandWord]) -> Ear {
        Ear {
            commands_below: "affectd/site/unit/cmd".to_owned(),
            allowed: allowed.to_vec(),
            birth: Some("homeassistant/status".to_owned()),
        }
    }

    fn heard(topic: &str, payload: &[u8]) -> Heard {
        Heard {
            topic: topic.to_owned(),
            payload: Some(payload.to_vec()),
            retained: false,
        }
    }

    fn orders(desk: &Desk) -> Vec<CommandWord> {
        std::iter::from_fn(|| desk.order(|_| true).map(|order| order.word)).collect()
    }

    #[test]
    fn only_what_is_allowed_whole_and_fresh_becomes_an_order() {
        let desk = Desk::new(ear(&[CommandWord::Pause]));
        let now = Instant::now();
        desk.hear(&heard("affectd/site/unit/cmd/pause", br#"{"id":"7"}"#), now);
        let order = desk.order(|_| true).expect("an order");
        assert_eq!((order.word, order.id.as_deref()), (CommandWord::Pause, Some("7")));
        let pause = heard("affectd/site/unit/cmd/pause", b"");
        for message in [
            heard("affectd/site/unit/cmd/resume", b""),
            heard("affectd/site/unit/cmd/pause/result", b""),
            heard("affectd/site/unit/cmdpause", b""),
            heard("affectd/site/unit/cmd/", b""),
            heard("affectd/site/other/cmd/pause", b""),
            heard("affectd/site/unit/cmd/pause", b"[[[["),
            heard("homeassistant/status", b"offline"),
            Heard {
                retained: true,
                ..pause.clone()
            },
            Heard {
                payload: None,
                ..pause
            },
        ] {
            desk.hear(&message, now);
            assert_eq!(orders(&desk), [], "{message:?}");
        }
    }

    #[test]
    fn a_flood_is_let_through_by_drops() {
        let desk = Desk::new(ear(&CommandWord::ALL));
        let start = Instant::now();
        let mut count = 0;
        for tick in 0..10_000u64 {
            let now = start + Duration::from_millis(tick);
            desk.hear(&heard("affectd/site/unit/cmd/identify", b""), now);
            count += orders(&desk).len();
        }
        assert_eq!(count, 5, "four at once, and one after five seconds");
        // Nobody takes them: they do not pile up.
        let later = start + Duration::from_secs(3600);
        for tick in 0..100 {
            let now = later + REFILL * tick;
            desk.hear(&heard("affectd/site/unit/cmd/pause", b""), now);
        }
        assert_eq!(orders(&desk).len(), 4);
    }

    #[test]
    fn an_order_is_forgotten_when_it_is_not_allowed_any_more() {
        let desk = Desk::new(ear(&CommandWord::ALL));
        desk.hear(&heard("affectd/site/unit/cmd/resume", b""), Instant::now());
        desk.listen(ear(&[CommandWord::Pause]));
        assert_eq!(orders(&desk), []);
    }

    #[test]
    fn home_assistant_is_answered_two_to_five_seconds_after_its_birth() {
        let desk = Desk::new(ear(&[]));
        let start = Instant::now();
        let birth = heard("homeassistant/status", b"online");
        desk.hear(
            &Heard {
                retained: true,
                ..birth.clone()
            },
            start,
        );
        assert!(!desk.announces(start + Duration::from_secs(9)), "it is kept");
        desk.hear(&birth, start);
        assert!(!desk.announces(start + Duration::from_millis(1999)));
        assert!(desk.announces(start + Duration::from_secs(5)));
        assert!(!desk.announces(start + Duration::from_secs(9)), "once");
    }
}
