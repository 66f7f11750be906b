//! Windows that wait for the broker. In memory for now; the disk store of a later version takes this place.

use std::collections::VecDeque;

use super::{Message, Summary};

/// A bounded queue, oldest first.
#[derive(Debug)]
pub(super) struct Spool {
    waiting: VecDeque<Message>,
    most: usize,
    acknowledged: u64,
    dropped: u64,
    /// Whether this outage's first dropped window was logged.
    told: bool,
}

impl Spool {
    /// An empty spool for up to `most` windows.
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            most: most.max(1),
            acknowledged: 0,
            dropped: 0,
            told: false,
        }
    }

    /// Adds a window. If there is no room, the oldest goes, and is counted.
    pub(super) fn push(&mut self, message: Message) {
        if self.waiting.len() == self.most {
            self.waiting.pop_front();
            self.dropped += 1;
            if !self.told {
                self.told = true;
                log::warn!(
                    "The queue of {} windows is full, so the oldest are dropped until the broker is back; [mqtt] queue sets its size.",
                    self.most
                );
            }
        }
        self.waiting.push_back(message);
    }

    /// The oldest window.
    pub(super) fn first(&self) -> Option<&Message> {
        self.waiting.front()
    }

    /// The broker has a window: it leaves, unless it was dropped meanwhile.
    pub(super) fn acknowledge(&mut self, message: &Message) {
        self.acknowledged += 1;
        self.told = false;
        if self.waiting.front() == Some(message) {
            self.waiting.pop_front();
        }
    }

    /// What became of the windows so far.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            acknowledged: self.acknowledged,
            dropped: self.dropped,
            undelivered: self.waiting.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn message(number: u8) -> Message {
        Message {
            topic: "t".to_owned(),
            payload: vec![number],
            kind: Kind::Window,
        }
    }

    #[test]
    fn a_window_stays_until_it_is_acknowledged() {
        let mut spool = Spool::new(3);
        (0..2).for_each(|n| spool.push(message(n)));
        assert_eq!(spool.first(), Some(&message(0)));
        assert_eq!(spool.first(), Some(&message(0)), "asking takes nothing away");
        spool.acknowledge(&message(0));
        assert_eq!(spool.first(), Some(&message(1)));
        assert_eq!(
            spool.summary(),
            Summary {
                acknowledged: 1,
                dropped: 0,
                undelivered: 1
            }
        );
    }

    #[test]
    fn a_full_spool_drops_the_oldest_and_counts_it() {
        let mut spool = Spool::new(3);
        (0..5).for_each(|n| spool.push(message(n)));
        assert_eq!(spool.first(), Some(&message(2)));
        // An acknowledgement of a window that was dropped meanwhile takes no other one with it.
        spool.acknowledge(&message(1));
        assert_eq!(spool.first(), Some(&message(2)));
        assert_eq!(spool.summary().dropped, 2);
    }
}
