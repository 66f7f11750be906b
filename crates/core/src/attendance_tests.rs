//! What could be the same person, and how far two groups can and must differ.

use super::*;
use crate::geometry::Rect;

const SIZE: (f32, f32) = (640.0, 480.0);

fn rect(x: f32, y: f32, w: f32) -> Rect {
    Rect { x, y, w, h: w }
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// Shows `attendance` a face called `name` at each of these times and places.
fn show(attendance: &mut Attendance, name: u64, sights: &[(f64, Rect)]) -> usize {
    let mut place = usize::MAX;
    for (at, rect) in sights {
        let face = SeenFace {
            track: TrackId(name),
            before: None,
            rect: *rect,
            reading: None,
            since_read: None,
            lives: true,
        };
        place = attendance.see(seconds(*at), SIZE, &face).unwrap();
    }
    place
}

/// Somebody who sits at `x` from one time to another.
fn sits(attendance: &mut Attendance, name: u64, x: f32, from: f64, to: f64) -> usize {
    show(
        attendance,
        name,
        &[(from, rect(x, 200.0, 40.0)), (to, rect(x, 200.0, 40.0))],
    )
}

/// Somebody who walks through the picture from left to right in six seconds, at height `y`.
fn walks(attendance: &mut Attendance, name: u64, y: f32, from: f64) -> usize {
    let sights: Vec<(f64, Rect)> = (0..=60)
        .map(|i| (from + f64::from(i) / 10.0, rect(10.0 * i as f32, y, 40.0)))
        .collect();
    show(attendance, name, &sights)
}

fn alone(places: &[usize]) -> Vec<Person> {
    places.iter().map(|place| vec![*place]).collect()
}

#[test]
fn a_broken_track_is_a_leaver_and_a_joiner_and_could_be_neither() {
    let mut attendance = Attendance::default();
    let then: Vec<usize> = (0..6)
        .map(|i| {
            sits(
                &mut attendance,
                i,
                100.0 * i as f32,
                0.0,
                if i == 0 { 5.0 } else { 20.0 },
            )
        })
        .collect();
    // The first one turns away for four seconds.
    let back = sits(&mut attendance, 9, 0.0, 9.0, 20.0);
    let now: Vec<usize> = then[1..].iter().copied().chain([back]).collect();
    let change = attendance.change(&alone(&then), &alone(&now));
    assert_eq!(
        change,
        Change {
            left_most: 1,
            left_least: 0,
            joined_most: 1,
            joined_least: 0
        }
    );
}

#[test]
fn who_stays_is_the_same_under_every_name() {
    let mut attendance = Attendance::default();
    let place = sits(&mut attendance, 1, 100.0, 0.0, 5.0);
    let renamed = SeenFace {
        track: TrackId(77),
        before: Some(TrackId(1)),
        rect: rect(100.0, 200.0, 40.0),
        reading: None,
        since_read: None,
        lives: true,
    };
    assert_eq!(attendance.see(seconds(6.0), SIZE, &renamed), Some(place));
    let mut people = alone(&[place]);
    attendance.end_window(seconds(6.0), people.iter_mut().collect());
    assert_eq!(attendance.see(seconds(7.0), SIZE, &renamed), Some(people[0][0]));
}

#[test]
fn walkers_who_were_seen_to_leave_are_gone_and_those_seen_to_come_are_new() {
    let mut attendance = Attendance::default();
    let heights = [40.0, 110.0, 180.0, 250.0, 320.0, 390.0];
    let first: Vec<usize> = heights
        .iter()
        .enumerate()
        .map(|(i, y)| walks(&mut attendance, i as u64, *y, 0.0))
        .collect();
    let second: Vec<usize> = heights
        .iter()
        .enumerate()
        .map(|(i, y)| walks(&mut attendance, 10 + i as u64, *y, 15.0))
        .collect();
    let change = attendance.change(&alone(&first), &alone(&second));
    assert_eq!((change.left_least, change.joined_least), (6, 6));
}

#[test]
fn who_vanishes_in_the_middle_of_the_picture_may_be_anybody_who_comes_later() {
    // A covered lens: six people are lost where they sit, and five of them are found again a minute later elsewhere.
    let mut attendance = Attendance::default();
    let then: Vec<usize> = (0..6)
        .map(|i| sits(&mut attendance, i, 90.0 * i as f32, 0.0, 10.0))
        .collect();
    let now: Vec<usize> = (0..5)
        .map(|i| sits(&mut attendance, 10 + i, 90.0 * i as f32 + 60.0, 70.0, 80.0))
        .collect();
    let change = attendance.change(&alone(&then), &alone(&now));
    assert_eq!((change.left_most, change.left_least), (6, 1));
    assert_eq!((change.joined_most, change.joined_least), (5, 0));
}

#[test]
fn nobody_is_faster_than_two_metres_a_second_or_changes_size_at_once() {
    let mut attendance = Attendance::default();
    let here = sits(&mut attendance, 0, 0.0, 0.0, 10.0);
    // 550 pixels are nearly 14 widths of a face: in half a second somebody else, in two maybe the same.
    let soon = sits(&mut attendance, 1, 550.0, 10.5, 20.0);
    let later = sits(&mut attendance, 2, 550.0, 12.0, 20.0);
    let large = show(&mut attendance, 3, &[(10.2, rect(0.0, 200.0, 90.0))]);
    let least = |now: usize| attendance.change(&alone(&[here]), &alone(&[now])).left_least;
    assert_eq!((least(soon), least(later), least(large)), (1, 0, 1));
}

#[test]
fn a_person_may_come_back_by_way_of_another_track() {
    // a ends, m is a short track that nobody counts, b begins elsewhere: too far from a for the time, but not from m.
    let mut attendance = Attendance::default();
    let a = sits(&mut attendance, 0, 0.0, 0.0, 10.0);
    let b = show(&mut attendance, 2, &[(10.9, rect(500.0, 200.0, 40.0))]);
    let people = (alone(&[a]), alone(&[b]));
    assert_eq!(attendance.change(&people.0, &people.1).left_least, 1);
    show(
        &mut attendance,
        1,
        &[(10.3, rect(180.0, 200.0, 40.0)), (10.4, rect(250.0, 200.0, 40.0))],
    );
    assert_eq!(attendance.change(&people.0, &people.1).left_least, 0);
}

#[test]
fn fragments_of_one_person_are_one_person_and_two_at_once_are_two() {
    let mut attendance = Attendance::default();
    let pieces: Vec<usize> = (0..8)
        .map(|i| {
            let from = 2.0 * i as f64;
            sits(&mut attendance, i, 60.0 * (i % 3) as f32, from, from + 1.0)
        })
        .collect();
    let other = sits(&mut attendance, 99, 400.0, 0.0, 15.0);
    let all: Vec<usize> = pieces.iter().copied().chain([other]).collect();
    let mut people = attendance.people(all);
    people.sort_by_key(Vec::len);
    assert_eq!(people, [vec![other], pieces]);
}

#[test]
fn what_ended_long_ago_is_forgotten_and_who_was_reported_is_not() {
    let mut attendance = Attendance::default();
    let old = sits(&mut attendance, 0, 0.0, 0.0, 10.0);
    sits(&mut attendance, 1, 100.0, 0.0, 10.0);
    let present = sits(&mut attendance, 2, 200.0, 0.0, 900.0);
    let mut people = alone(&[old]);
    attendance.end_window(Attendance::horizon(seconds(900.0)), people.iter_mut().collect());
    assert_eq!(attendance.stays.len(), 2);
    assert_eq!(attendance.stay(people[0][0]).name, TrackId(0));
    assert_eq!(present, 2, "and the others move up");
}

#[test]
fn too_many_stays_are_bounded_and_told() {
    let mut attendance = Attendance::default();
    for i in 0..MOST as u64 {
        sits(&mut attendance, i, 0.0, i as f64, i as f64);
    }
    assert!(!attendance.overflowed());
    let face = SeenFace {
        track: TrackId(u64::MAX),
        before: None,
        rect: rect(0.0, 0.0, 40.0),
        reading: None,
        since_read: None,
        lives: true,
    };
    assert_eq!(attendance.see(seconds(1e6), SIZE, &face), None);
    assert!(attendance.overflowed());
}

/// The most partners that a table of who could be whom allows, by trying every way.
fn most_by_trying(could_be: &[Vec<bool>], from: usize, taken: &mut Vec<bool>) -> usize {
    if from == could_be.len() {
        return 0;
    }
    let mut best = most_by_trying(could_be, from + 1, taken);
    for to in 0..taken.len() {
        if could_be[from][to] && !taken[to] {
            taken[to] = true;
            best = best.max(1 + most_by_trying(could_be, from + 1, taken));
            taken[to] = false;
        }
    }
    best
}

#[test]
fn the_matching_is_the_largest_there_is() {
    let mut random = crate::random::seeded(3);
    for _ in 0..200 {
        let mut attendance = Attendance::default();
        let mut place = |name: u64, from: f64, to: f64| {
            let x = (random() % 600) as f32;
            sits(&mut attendance, name, x, from, to)
        };
        let then: Vec<usize> = (0..5).map(|i| place(i, 0.0, 10.0)).collect();
        let now: Vec<usize> = (0..5).map(|i| place(10 + i, 10.4, 20.0)).collect();
        let table: Vec<Vec<bool>> = then
            .iter()
            .map(|a| {
                now.iter()
                    .map(|b| attendance.stay(*a).could_become(attendance.stay(*b)))
                    .collect()
            })
            .collect();
        let most = most_by_trying(&table, 0, &mut vec![false; now.len()]);
        let change = attendance.change(&alone(&then), &alone(&now));
        assert_eq!(change.left_least, then.len() - most);
    }
}
