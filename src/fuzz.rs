//! Everything that reads what others wrote, as targets of a fuzzer: whatever the bytes are, there is an answer, in bounded time
//! and memory, and never a panic.
//!
//! `make fuzz` builds the program anew around libFuzzer (feature `fuzz`) and runs each target from its corpus in
//! `tests/fuzz/`; `cargo test` plays the corpora and some damage to them. A new reader is a function and a line in
//! [`TARGETS`], with a file or two in `tests/fuzz/<name>/`.

use std::sync::Arc;

use affect_core::manifest::Manifest;
use affect_core::report::WindowReport;

use crate::capture::{self, Image};
use crate::config::{self, Config};
use crate::progress::Progress;
use crate::status::{Fixed, Shown, tests_only};
use crate::vision::Decoder;
use crate::{jpeg, redact};

/// A reader of bytes.
type Target = fn(&[u8]);

/// The readers, by the names of their corpora.
pub(crate) const TARGETS: [(&str, Target); 10] = [
    ("config", configuration),
    ("manifest", manifest),
    ("model", model),
    ("redact", words),
    ("report", report),
    ("http", http),
    ("jpeg_stream", jpeg_stream),
    ("jpeg_account", jpeg_account),
    ("picture", picture),
    ("video", video),
];

/// A configuration that is accepted reads back the same.
fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::from_str(&text) {
        Ok(config) => {
            let again = config::from_str(&config.effective_toml()).map_err(|errors| errors.to_string());
            assert_eq!(again, Ok(config));
        }
        Err(errors) => assert!(
            !errors
                .to_string()
                .contains("passed all checks and cannot be used")
        ),
    }
}

fn manifest(bytes: &[u8]) {
    let _ = Manifest::from_toml(&String::from_utf8_lossy(bytes));
}

/// The checks of a model file; what the C library makes of one that passes, `mutations.rs` of `affect-tflite` tries.
fn model(bytes: &[u8]) {
    let _ = affect_tflite::Model::from_bytes(bytes.to_vec());
}

/// What leaves as words is one line of what can be printed.
fn words(bytes: &[u8]) {
    let line = redact::line(&String::from_utf8_lossy(bytes));
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
}

/// A report as others write it down: what is read can be written and read again.
fn report(bytes: &[u8]) {
    if let Ok(report) = serde_json::from_slice::<WindowReport>(bytes) {
        let text = serde_json::to_string(&report).unwrap_or_default();
        assert!(serde_json::from_str::<WindowReport>(&text).is_ok(), "{text}");
    }
}

/// The whole server: what comes back is HTTP, or nothing.
fn http(bytes: &[u8]) {
    let settings = config::Status {
        metrics: true,
        page: true,
        ..config::Status::default()
    };
    let fixed = Fixed::of(&Config::for_replay(), "none".to_owned());
    let shown = Arc::new(Shown::new(fixed, Arc::new(Progress::new(Arc::default()))));
    let answer = tests_only::answer(&settings, shown, bytes);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
}

/// The pieces of a stream: no byte is given twice, wherever the stream is cut.
fn jpeg_stream(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let (mut jpegs, mut given) = (jpeg::Stream::default(), 0);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        jpegs.push(piece);
        while let Some(picture) = jpegs.next() {
            assert!(picture.starts_with(&[0xFF, 0xD8]));
            given += picture.len();
        }
    }
    assert!(given <= stream.len());
}

fn jpeg_account(bytes: &[u8]) {
    let _ = jpeg::has_start_and_end(bytes);
    let _ = jpeg::Shape::of(bytes);
    let _ = jpeg::account(&jpeg::with_tables(bytes));
}

/// A picture of a file: it has the pixels that it says, or is refused.
fn picture(bytes: &[u8]) {
    // Large ones take long, and nothing else.
    if crate::vision::is_large(bytes) {
        return;
    }
    let image = Image::Encoded {
        bytes: bytes.to_vec(),
        name: "a picture".to_owned(),
    };
    if let Ok((width, height, rgb)) = Decoder::default().decode(image) {
        assert_eq!(rgb.len(), width * height * 3);
    }
}

/// What ffmpeg writes.
fn video(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    capture::play_ppms(stream, usize::from(*size).max(1));
}

#[cfg(feature = "fuzz")]
mod engine {
    /// The target that was asked for.
    fn target() -> super::Target {
        let name = std::env::var("AFFECTD_FUZZ_TARGET").unwrap_or_default();
        let found = super::TARGETS.into_iter().find(|(known, _)| *known == name);
        let names = super::TARGETS.map(|(name, _)| name).join(", ");
        found
            .unwrap_or_else(|| panic!("AFFECTD_FUZZ_TARGET is one of {names}"))
            .1
    }

    libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
        static TARGET: std::sync::LazyLock<super::Target> = std::sync::LazyLock::new(target);
        TARGET(bytes);
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// How often each file of a corpus is damaged; `AFFECTD_DAMAGE=100000` does it more often.
    const TIMES: u64 = 60;

    /// SplitMix64: the same damage for the same number.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
        let (mut state, mut bytes) = (seed, bytes.to_vec());
        for _ in 0..1 + random(&mut state) % 4 {
            let at = random(&mut state) as usize % bytes.len().max(1);
            match random(&mut state) % 5 {
                0 if at < bytes.len() => bytes[at] ^= 1 << (random(&mut state) % 8),
                1 if at < bytes.len() => {
                    bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random(&mut state) as usize % 5]
                }
                2 => bytes.truncate(at),
                3 => bytes.insert(at.min(bytes.len()), random(&mut state) as u8),
                _ => {
                    let tail = bytes.get(at..).map(<[u8]>::to_vec).unwrap_or_default();
                    bytes.extend(tail.into_iter().take(64));
                }
            }
        }
        bytes
    }

    #[test]
    fn every_reader_bears_its_corpus_and_damage_to_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        let asked = std::env::var("AFFECTD_DAMAGE").ok();
        let times = asked.and_then(|times| times.parse().ok()).unwrap_or(TIMES);
        for (name, target) in TARGETS {
            let began = std::time::Instant::now();
            let files: Vec<_> = std::fs::read_dir(root.join(name))
                .unwrap_or_else(|error| panic!("tests/fuzz/{name}: {error}"))
                .map(|entry| entry.expect("an entry").path())
                .collect();
            assert!(!files.is_empty(), "{name} has no corpus");
            for (number, path) in files.iter().enumerate() {
                let bytes = std::fs::read(path).expect("read");
                target(&bytes);
                for time in 0..times {
                    target(&damaged(&bytes, (number as u64) << 32 | time));
                }
            }
            target(b"");
            let runs = files.len() as u64 * (times + 1) + 1;
            println!(
                "{name}: {runs} runs in {:.1} s, no panic",
                began.elapsed().as_secs_f64()
            );
        }
    }
}
