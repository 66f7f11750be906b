//! Scenes composed from single faces, for want of a set of labelled groups: people with known expressions are put
//! together, and most of them decide what the group is called.

use affect_core::mood::MoodClass;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Clip;

/// People in a room of one mood.
pub const ROOM: usize = 5;

/// `count` groups of [`ROOM`] people who all speak for the same class, the classes in equal parts. Empty if a class has no person.
#[must_use]
pub fn rooms(people: &[Person], count: usize, frames: usize, seed: u64) -> Vec<Clip> {
    let Some(by_class) = by_class(people) else {
        return Vec::new();
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|room| {
            let class = room % MoodClass::ALL.len();
            let group: Vec<&Person> = (0..ROOM)
                .filter_map(|_| by_class[class].choose(&mut rng).copied())
                .collect();
            let mut frame = || -> Vec<Vec<f64>> {
                let takes = group.iter().filter_map(|person| person.takes.choose(&mut rng));
                takes.cloned().collect()
            };
            Clip {
                frames: (0..frames).map(|_| frame()).collect(),
                label: MoodClass::ALL[class].name().to_owned(),
            }
        })
        .collect()
}

/// The people who speak for each class, in the order of [`MoodClass::ALL`]; `None` if a class has no person.
fn by_class(people: &[Person]) -> Option<[Vec<&Person>; 3]> {
    let of = |class| -> Vec<&Person> { people.iter().filter(|p| p.speaks_for == class).collect() };
    let by_class = MoodClass::ALL.map(of);
    (!by_class.iter().any(Vec::is_empty)).then_some(by_class)
}

/// Fewest and most people in a scene.
pub const PEOPLE: (usize, usize) = (3, 12);

/// A person to put into scenes.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The features of one picture of the face under several circumstances: one of them for every frame.
    pub takes: Vec<Vec<f64>>,
    /// What the face's expression speaks for.
    pub speaks_for: MoodClass,
}

/// `count` scenes of `frames` frames, the classes in equal parts. The strict majority of a scene's people speak for
/// its class, the others for anything else. Empty if a class has no person.
#[must_use]
pub fn scenes(people: &[Person], count: usize, frames: usize, seed: u64) -> Vec<Clip> {
    let Some(by_class) = by_class(people) else {
        return Vec::new();
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|scene| {
            let class = scene % MoodClass::ALL.len();
            let size = rng.random_range(PEOPLE.0..=PEOPLE.1);
            let agree = rng.random_range(size / 2 + 1..=size);
            let group: Vec<&Person> = (0..size)
                .filter_map(|place| {
                    let other = (class + rng.random_range(1..MoodClass::ALL.len())) % MoodClass::ALL.len();
                    let pool = &by_class[if place < agree { class } else { other }];
                    pool.choose(&mut rng).copied()
                })
                .collect();
            let mut frame = || -> Vec<Vec<f64>> {
                group
                    .iter()
                    .filter_map(|person| person.takes.choose(&mut rng).cloned())
                    .collect()
            };
            Clip {
                frames: (0..frames).map(|_| frame()).collect(),
                label: MoodClass::ALL[class].name().to_owned(),
            }
        })
        .collect()
}
