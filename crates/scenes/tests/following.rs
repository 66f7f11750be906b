//! Whether people are followed as well as `docs/measurements.md` says; a small part of `make track`.

use affect_scenes::Kind;
use affect_scenes::earlier::Way;
use affect_scenes::follow::{earlier, found, known, ours, truth};
use affect_scenes::scene::{SceneFrame, SceneSettings, frames};
use affect_scenes::score::{Score, score};

fn scene(kind: Kind, people: usize, fps: f64, seed: u64) -> Vec<SceneFrame> {
    frames(&SceneSettings {
        kind,
        people,
        fps,
        seconds: 40.0,
        seed,
    })
}

/// Over two scenes: of our tracker, all faces and those that were found; of the one before, those that were found.
fn scores(kind: Kind, people: usize, fps: f64) -> [Score; 3] {
    let mut sums = [Score::default(); 3];
    for seed in [101, 102] {
        let frames = scene(kind, people, fps, seed);
        let (all, tracks) = (truth(&frames), ours(&frames));
        let found = found(&all, &known(&frames));
        sums[0].add(&score(&all, &tracks));
        sums[1].add(&score(&found, &tracks));
        sums[2].add(&score(&found, &earlier(&frames, Way::Prediction)));
    }
    sums
}

#[test]
fn walkers_are_followed() {
    // At best, 0.94 of all faces can be had: a tenth is missed by the detector.
    for (fps, people, of_found, of_all) in [
        (10.0, 5, 0.90, 0.88),
        (10.0, 15, 0.90, 0.86),
        (10.0, 30, 0.90, 0.83),
        (4.0, 5, 0.80, 0.80),
        (4.0, 15, 0.80, 0.78),
        (4.0, 30, 0.78, 0.72),
    ] {
        let [all, found, before] = scores(Kind::Walking, people, fps);
        let (all_idf1, idf1) = (all.idf1(), found.idf1());
        assert!(
            idf1 >= of_found,
            "{people} at {fps} fps: {idf1:.3} of the faces found"
        );
        assert!(
            all_idf1 >= of_all,
            "{people} at {fps} fps: {all_idf1:.3} of all faces"
        );
        assert!(
            found.switches < before.switches / 2,
            "{found:?} instead of {before:?}"
        );
        assert!(
            8 * found.mixed < found.tracks + 8,
            "{people} at {fps} fps: {found:?}"
        );
    }
}

#[test]
fn who_comes_towards_a_camera_that_looks_down_is_followed() {
    let [_, found, before] = scores(Kind::Coming, 15, 10.0);
    assert!(found.idf1() >= 0.9, "{:.3}", found.idf1());
    assert!(
        found.idf1() > before.idf1() + 0.1,
        "{:.3}, before {:.3}",
        found.idf1(),
        before.idf1()
    );
}

#[test]
fn the_same_seed_gives_the_same_scene() {
    let (one, two) = (scene(Kind::Mixed, 10, 4.0, 5), scene(Kind::Mixed, 10, 4.0, 5));
    assert!(
        one.iter()
            .zip(&two)
            .all(|(a, b)| a.truth == b.truth && a.boxes == b.boxes)
    );
    let other = scene(Kind::Mixed, 10, 4.0, 6);
    assert!(one.iter().zip(&other).any(|(a, b)| a.boxes != b.boxes));
}

#[test]
fn the_detector_misses_doubles_and_doubts_as_it_is_said_to() {
    let frames = scene(Kind::Walking, 5, 10.0, 7);
    let all: usize = frames.iter().map(|frame| frame.truth.len()).sum();
    let found: usize = known(&frames).iter().map(Vec::len).sum();
    let missed = 1.0 - found as f64 / all as f64;
    assert!((0.08..0.14).contains(&missed), "{missed}");
    let boxes: usize = frames.iter().map(|frame| frame.boxes.len()).sum();
    assert!(boxes > found, "some are doubled");
    let doubtful = frames
        .iter()
        .flat_map(|frame| &frame.boxes)
        .filter(|one| one.score < 0.6)
        .count();
    assert!(
        (0.01..0.3).contains(&(doubtful as f64 / boxes as f64)),
        "{doubtful} of {boxes}"
    );
}
