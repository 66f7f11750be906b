#![allow(clippy::unwrap_used)] // a test that fails shall say where

use super::super::refusal::{CLOSES, NOT_AUTHORISED, QUOTA, TOO_LARGE, TOPIC_INVALID};
use super::super::spool::Limits;
use super::*;

const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn bytes(number: u8) -> Payload {
    Payload::Bytes(vec![number])
}

const TOPIC: &str = "base/door/window";

fn empty() -> Outbox {
    let limits = Limits {
        age: Duration::from_secs(3600),
        size: 0,
    };
    let mut outbox = Outbox::new("base", Spool::new(limits), f64::INFINITY, LONGEST_WAIT);
    outbox.begin_connection(usize::MAX);
    outbox
}

fn window(outbox: &mut Outbox, number: u8) {
    let given = clocks();
    let window = Window {
        topic: TOPIC.to_owned(),
        report: vec![number],
        given,
    };
    outbox.window(window, &given);
}

fn clocks() -> Clocks {
    Clocks {
        wall: std::time::SystemTime::UNIX_EPOCH,
        uptime: Duration::from_secs(60),
        boot: 1,
        synced: true,
    }
}

/// With a retained info and two windows.
fn outbox() -> Outbox {
    let mut outbox = empty();
    outbox.retain("info".to_owned(), bytes(0));
    window(&mut outbox, 1);
    window(&mut outbox, 2);
    outbox
}

fn next(outbox: &mut Outbox, now: Instant) -> Message {
    outbox.next(now, &clocks()).expect("there is something to send")
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
        outbox.refused(&info, code, code == CLOSES, now, &clocks());
        // Even if so much time is lost over it that its wait is over.
        outbox.end_connection();
        outbox.begin_connection(usize::MAX);
        let window = next(&mut outbox, now + REST);
        assert_eq!(window.kind, Kind::Window, "0x{code:x}");
    }
}

#[test]
fn windows_that_are_not_authorised_wait_and_go_out_in_order_when_they_are() {
    let now = Instant::now();
    let mut outbox = outbox();
    let info = next(&mut outbox, now);
    assert!(!outbox.taken(&info, &clocks()));
    let window = next(&mut outbox, now);
    let news = |news| Refused {
        treatment: Treatment::Wait,
        news,
    };
    assert_eq!(
        outbox.refused(&window, NOT_AUTHORISED, false, now, &clocks()),
        news(true)
    );
    assert!(outbox.windows_are_refused());
    assert!(
        outbox.next(now, &clocks()).is_none(),
        "not before the wait is over"
    );
    let later = now + FIRST_WAIT;
    let again = next(&mut outbox, later);
    assert_eq!(again.version, window.version);
    assert_eq!(
        outbox.refused(&again, NOT_AUTHORISED, false, later, &clocks()),
        news(false),
        "told once"
    );
    assert!(
        outbox.next(later + FIRST_WAIT, &clocks()).is_none(),
        "the wait grows"
    );
    let later = later + LONGEST_WAIT;
    let again = next(&mut outbox, later);
    assert!(outbox.taken(&again, &clocks()), "it is news that it is taken");
    let second = next(&mut outbox, later);
    assert!(second.version > window.version && !outbox.taken(&second, &clocks()));
    assert_eq!(outbox.summary().acknowledged, 2);
    assert_eq!(outbox.summary().refused, 0);
}

#[test]
fn a_window_that_can_never_be_taken_is_set_aside_and_counted() {
    let now = Instant::now();
    for (code, tries) in [(TOO_LARGE, 1), (TOPIC_INVALID, 1), (CLOSES, 1), (0x80, TRIES)] {
        let mut outbox = empty();
        (1..3).for_each(|number| window(&mut outbox, number));
        let first = outbox.spool.first(&clocks()).unwrap().0;
        for round in 0..tries {
            let now = now + LONGEST_WAIT * round;
            let window = next(&mut outbox, now);
            assert_eq!(window.version, first);
            outbox.refused(&window, code, code == CLOSES, now, &clocks());
        }
        assert_eq!(outbox.summary().refused, 1, "0x{code:x}");
        let last = now + LONGEST_WAIT * (tries - 1);
        assert_eq!(
            outbox.next(last, &clocks()).is_none(),
            code == CLOSES,
            "0x{code:x}"
        );
        outbox.end_connection();
        let second = next(&mut outbox, last + LONGEST_WAIT);
        assert!(second.version > first, "0x{code:x}");
    }
}

#[test]
fn what_is_retained_goes_out_once_per_connection_and_when_it_changes() {
    let now = Instant::now();
    let mut outbox = empty();
    outbox.retain("info".to_owned(), bytes(0));
    let first = next(&mut outbox, now);
    outbox.retain("info".to_owned(), bytes(1));
    outbox.taken(&first, &clocks());
    let second = next(&mut outbox, now);
    assert!(
        second.version > first.version,
        "it changed while it was on its way"
    );
    outbox.taken(&second, &clocks());
    assert!(outbox.next(now, &clocks()).is_none());
    outbox.begin_connection(usize::MAX);
    let third = next(&mut outbox, now);
    // What makes the broker close the connection is not tried on the next one, but again some time.
    outbox.refused(&third, CLOSES, true, now, &clocks());
    outbox.begin_connection(usize::MAX);
    assert!(outbox.next(now + LONGEST_WAIT, &clocks()).is_none());
    assert!(
        outbox.next(now + REST, &clocks()).is_some(),
        "the broker's rules may have been mended"
    );
}

#[test]
fn health_is_dropped_with_the_connection() {
    let now = Instant::now();
    let mut outbox = empty();
    outbox.pass("health".to_owned(), bytes(0));
    assert_eq!(next(&mut outbox, now).kind, Kind::Passing);
    outbox.end_connection();
    assert!(outbox.next(now, &clocks()).is_none());
}

/// An outbox on a good connection with this many windows.
fn busy(windows: u8) -> Outbox {
    let mut outbox = empty();
    (0..windows).for_each(|number| window(&mut outbox, number));
    outbox
}

/// All that goes out now.
fn all(outbox: &mut Outbox, now: Instant) -> Vec<Message> {
    std::iter::from_fn(|| outbox.next(now, &clocks())).collect()
}

/// The broker takes them.
fn take(outbox: &mut Outbox, messages: &[Message]) {
    for message in messages {
        outbox.taken(message, &clocks());
    }
}

fn versions(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.version).collect()
}

#[test]
fn several_are_on_their_way_once_the_broker_has_taken_the_first() {
    let now = Instant::now();
    let mut outbox = busy(60);
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..6 {
        let sent = all(&mut outbox, now);
        sizes.push(sent.len());
        seen.extend(versions(&sent));
        sent.iter()
            .for_each(|message| assert!(!outbox.taken(message, &clocks())));
    }
    assert_eq!(sizes, [1, 2, 8, MOST_IN_FLIGHT, MOST_IN_FLIGHT, MOST_IN_FLIGHT]);
    assert!(seen.is_sorted() && outbox.summary().acknowledged == seen.len() as u64);
    // As many as the broker allows.
    let mut outbox = busy(60);
    outbox.begin_connection(3);
    for _ in 0..4 {
        let sent = all(&mut outbox, now);
        assert!(sent.len() <= 3);
        take(&mut outbox, &sent);
    }
    assert_eq!(all(&mut outbox, now).len(), 3);
}

#[test]
fn what_waited_goes_out_at_a_limited_rate() {
    let begin = Instant::now();
    let mut outbox = busy(200);
    outbox.drain.spacing = Duration::from_millis(20);
    let mut count = 0;
    for millis in 0..1000 {
        let now = begin + Duration::from_millis(millis);
        for message in all(&mut outbox, now) {
            count += 1;
            outbox.taken(&message, &clocks());
        }
        assert!(outbox.rests(now).is_some());
    }
    assert_eq!(count, 50);
}

#[test]
fn of_several_that_are_refused_at_once_the_oldest_decides_and_all_stay_in_order() {
    let now = Instant::now();
    let mut outbox = busy(10);
    let first = all(&mut outbox, now);
    take(&mut outbox, &first);
    let sent = all(&mut outbox, now);
    assert_eq!(versions(&sent), [2, 3]);
    for message in &sent {
        outbox.refused(message, QUOTA, false, now, &clocks());
    }
    assert_eq!(outbox.pauses[TOPIC].tries, 1);
    let later = now + LONGEST_WAIT;
    let again = all(&mut outbox, later);
    assert_eq!(versions(&again), [2], "one until it is taken");
    outbox.taken(&again[0], &clocks());
    assert_eq!(versions(&all(&mut outbox, later)), [3, 4]);
}

#[test]
fn after_a_connection_that_was_ended_over_one_of_several_they_go_one_by_one() {
    let now = Instant::now();
    let mut outbox = busy(60);
    for _ in 0..3 {
        let sent = all(&mut outbox, now);
        take(&mut outbox, &sent);
    }
    let lost = all(&mut outbox, now);
    assert!(lost.len() > 4);
    outbox.be_careful(lost.len());
    outbox.end_connection();
    outbox.begin_connection(usize::MAX);
    for message in &lost {
        let sent = all(&mut outbox, now);
        assert_eq!(versions(&sent), [message.version]);
        outbox.taken(&sent[0], &clocks());
    }
    assert!(all(&mut outbox, now).len() > 1);
}

#[test]
fn a_window_under_a_name_of_before_that_is_not_allowed_holds_up_nobody() {
    let now = Instant::now();
    let mut outbox = empty();
    let given = clocks();
    let old = Window {
        topic: "another/door/window".to_owned(),
        report: Vec::new(),
        given,
    };
    outbox.window(old, &given);
    window(&mut outbox, 1);
    let old = next(&mut outbox, now);
    let refused = outbox.refused(&old, NOT_AUTHORISED, false, now, &clocks());
    assert_eq!(refused.treatment, Treatment::SetAside);
    assert_eq!(next(&mut outbox, now).topic, TOPIC);
    assert_eq!(outbox.summary().refused, 1);
}
