//! Thousands of damaged models: each must be refused in words or run, and never bring the process down.
//!
//! The work is done in a child process, this test binary run again, so that a crash of the C library shows up as a
//! failing test that names the mutation. `AFFECTD_MUTATIONS=200000` runs more of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use affect_tflite::{Delegate, Interpreter, Model, Options, Runtime};
use common::{USUAL, library, models};

const COUNT: &str = "AFFECTD_MUTATIONS";
const CHILD: &str = "AFFECTD_MUTATIONS_FROM";
const DEFAULT_COUNT: u64 = 6_000;

/// SplitMix64: the same damage for the same number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Places of the file that are not weights: tables, offsets, options. Damage there is where crashes come from.
fn structure(bytes: &[u8]) -> Vec<usize> {
    // A byte belongs to the structure if the 16 bytes around it have at least five zeros, as small numbers have.
    let busy = |at: &usize| {
        bytes[at.saturating_sub(8)..(at + 8).min(bytes.len())]
            .iter()
            .filter(|b| **b == 0)
            .count()
            >= 5
    };
    (0..bytes.len()).filter(busy).collect()
}

fn damage(original: &[u8], places: &[usize], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = places[random.below(places.len())];
        match random.below(10) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = [0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF][random.below(8)],
            // A whole number or offset.
            3 | 4 => {
                let wide = at & !3;
                let values = [
                    0,
                    1,
                    2,
                    3,
                    255,
                    65_536,
                    0x7FFF_FFFF,
                    0x8000_0000,
                    0xFFFF_FFFF,
                    random.next() as u32,
                ];
                let value = values[random.below(values.len())];
                bytes[wide..wide + 4].copy_from_slice(&value.to_le_bytes());
            }
            5 => {
                let wide = at & !3;
                let old =
                    u32::from_le_bytes([bytes[wide], bytes[wide + 1], bytes[wide + 2], bytes[wide + 3]]);
                let new = old.wrapping_add((random.below(65) as u32).wrapping_sub(32));
                bytes[wide..wide + 4].copy_from_slice(&new.to_le_bytes());
            }
            // One region over another.
            6 | 7 => {
                let from = places[random.below(places.len())];
                let length = random.below(64).min(bytes.len() - at.max(from));
                let piece = bytes[from..from + length].to_vec();
                bytes[at..at + length].copy_from_slice(&piece);
            }
            8 => {
                let length = random.below(16).min(bytes.len() - at);
                bytes[at..at + length].fill(0);
            }
            _ => {
                if random.below(8) == 0 {
                    bytes.truncate(8 + random.below(original.len() - 8));
                    return bytes;
                }
            }
        }
    }
    bytes
}

/// Whether the model was run, or refused by the verifier, or by the library.
fn try_one(runtime: &Runtime, bytes: Vec<u8>, delegate: Delegate) -> &'static str {
    let Ok(model) = Model::from_bytes(bytes) else {
        return "refused";
    };
    match Interpreter::new(runtime, &model, &Options { threads: 1, delegate }) {
        Err(_) => "library",
        Ok(mut interpreter) => match interpreter.invoke() {
            Err(_) => "library",
            Ok(()) => "run",
        },
    }
}

/// The child: works through the mutations from a number on, and says which it is at.
fn child(from: u64, count: u64) {
    let runtime = Runtime::load(&library()).unwrap();
    let originals: Vec<Vec<u8>> = models().iter().map(|path| std::fs::read(path).unwrap()).collect();
    let places: Vec<Vec<usize>> = originals.iter().map(|bytes| structure(bytes)).collect();
    let mut out = std::io::stdout().lock();
    for seed in from..count {
        let which = seed as usize % originals.len();
        writeln!(out, "\nat {seed}").unwrap();
        out.flush().unwrap();
        let bytes = damage(&originals[which], &places[which], seed);
        let delegate = if seed % 3 == 0 { Delegate::None } else { USUAL };
        writeln!(out, "{}", try_one(&runtime, bytes, delegate)).unwrap();
    }
    writeln!(out, "\ndone").unwrap();
}

#[test]
fn damaged_models_never_bring_the_process_down() {
    let count = std::env::var(COUNT)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(DEFAULT_COUNT);
    if let Some(from) = std::env::var(CHILD).ok().and_then(|n| n.parse().ok()) {
        return child(from, count);
    }
    assert!(!models().is_empty());
    let mut crashes = Vec::new();
    let (mut refused, mut by_library, mut run) = (0, 0, 0);
    let mut from = 0;
    while from < count && crashes.len() < 10 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "damaged_models_never_bring_the_process_down",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, from.to_string())
            .env(COUNT, count.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut at, mut done) = (from, false);
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            match line.unwrap().as_str() {
                "refused" => refused += 1,
                "library" => by_library += 1,
                "run" => run += 1,
                "done" => done = true,
                other => {
                    at = other
                        .strip_prefix("at ")
                        .and_then(|n| n.parse().ok())
                        .unwrap_or(at)
                }
            }
        }
        let status = process.wait().unwrap();
        if done {
            break;
        }
        crashes.push(format!("mutation {at}: {status}"));
        from = at + 1;
    }
    println!("{refused} refused by the verifier, {by_library} by the library, {run} run");
    assert!(crashes.is_empty(), "{crashes:#?}");
    assert!(refused > 0 && run > 0, "the damage is neither harmless nor total");
    assert_eq!(refused + by_library + run, count);
}
