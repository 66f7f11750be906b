//! Windows that wait for the broker. In memory for now; the disk store of a later version takes this place.

use std::collections::VecDeque;

use super::{Message, Summary};

/// A bounded queue, oldest first. The oldest may be on its way; then it does not count as waiting, and is not dropped,
/// since it may arrive.
#[derive(Debug)]
pub(super) struct Spool {
    waiting: VecDeque<Message>,
    in_flight: bool,
    most: usize,
    acknowledged: u64,
    dropped: u64,
    refused: u64,
    /// Whether this outage's first dropped window was logged.
    told: bool,
}

impl Spool {
    /// An empty spool for up to `most` windows.
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: false,
            most: most.max(1),
            acknowledged: 0,
            dropped: 0,
            refused: 0,
            told: false,
        }
    }

    /// From now on for up to so many windows; if there are more, the oldest go when the next comes.
    pub(super) fn resize(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// Adds a window. If there is no room, the oldest that is not on its way goes, and is counted.
    pub(super) fn push(&mut self, message: Message) {
        let on_their_way = usize::from(self.in_flight);
        while self.waiting.len() - on_their_way >= self.most {
            self.waiting.remove(on_their_way);
            self.dropped += 1;
            if !self.told {
                self.told = true;
                log::warn!(
                    "The queue of {} windows is full, so the oldest are dropped until the broker takes them; [mqtt] queue sets its size.",
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

    /// The oldest window goes out.
    pub(super) fn take(&mut self) -> Option<Message> {
        self.in_flight = !self.waiting.is_empty();
        self.first().cloned()
    }

    /// The broker has the window that is on its way.
    pub(super) fn acknowledge(&mut self) {
        if self.end_flight() {
            self.waiting.pop_front();
            self.acknowledged += 1;
            self.told = false;
        }
    }

    /// The broker will never take the window that is on its way.
    pub(super) fn set_aside(&mut self) {
        if self.end_flight() {
            self.waiting.pop_front();
            self.refused += 1;
        }
    }

    /// The window that is on its way is worth nothing any more.
    pub(super) fn expire(&mut self) {
        if self.end_flight() {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// The window that is on its way stays the oldest.
    pub(super) fn put_back(&mut self) {
        self.end_flight();
    }

    fn end_flight(&mut self) -> bool {
        std::mem::take(&mut self.in_flight)
    }

    /// What became of the windows so far.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            acknowledged: self.acknowledged,
            dropped: self.dropped,
            refused: self.refused,
            undelivered: self.waiting.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Payload};
    use super::*;

    fn message(number: u8) -> Message {
        Message {
            topic: "t".to_owned(),
            payload: Payload::Bytes(vec![number]),
            kind: Kind::Window,
            version: number.into(),
        }
    }

    fn first(spool: &Spool) -> Option<u64> {
        spool.first().map(|message| message.version)
    }

    fn summary(acknowledged: u64, dropped: u64, refused: u64, undelivered: u64) -> Summary {
        Summary {
            acknowledged,
            dropped,
            refused,
            undelivered,
        }
    }

    #[test]
    fn a_window_stays_until_it_is_acknowledged() {
        let mut spool = Spool::new(3);
        (0..2).for_each(|n| spool.push(message(n)));
        spool.take();
        spool.put_back();
        assert_eq!(
            first(&spool),
            Some(0),
            "a connection that broke takes nothing away"
        );
        spool.take();
        spool.acknowledge();
        assert_eq!(first(&spool), Some(1));
        assert_eq!(spool.summary(), summary(1, 0, 0, 1));
        spool.take();
        spool.set_aside();
        assert_eq!(spool.summary(), summary(1, 0, 1, 0));
    }

    #[test]
    fn a_full_spool_drops_the_oldest_and_counts_it() {
        let mut spool = Spool::new(3);
        (0..5).for_each(|n| spool.push(message(n)));
        assert_eq!(first(&spool), Some(2));
        assert_eq!(spool.summary(), summary(0, 2, 0, 3));
    }

    #[test]
    fn a_window_on_its_way_is_counted_once_whatever_comes_meanwhile() {
        let mut spool = Spool::new(1);
        spool.push(message(0));
        spool.take();
        (1..4).for_each(|n| spool.push(message(n)));
        assert_eq!(
            spool.summary(),
            summary(0, 2, 0, 2),
            "the one on its way is not dropped"
        );
        spool.acknowledge();
        assert_eq!(first(&spool), Some(3));
        assert_eq!(
            spool.summary(),
            summary(1, 2, 0, 1),
            "four windows, each counted once"
        );
        // If it comes back, there is one too many for a moment, and then the oldest goes.
        spool.take();
        spool.push(message(4));
        spool.put_back();
        spool.push(message(5));
        assert_eq!(first(&spool), Some(5));
        assert_eq!(spool.summary(), summary(1, 4, 0, 1));
    }

    #[test]
    fn an_answer_to_nothing_changes_nothing() {
        let mut spool = Spool::new(1);
        spool.push(message(0));
        spool.acknowledge();
        spool.set_aside();
        assert_eq!(spool.summary(), summary(0, 0, 0, 1));
    }
}
