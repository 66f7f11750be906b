//! Whole pictures of every way of coding pass, and damaged ones are found: a generator of damages says how many.

use std::path::Path;
use std::time::Instant;

use image::ImageDecoder;
use image::codecs::jpeg::JpegDecoder;

use super::*;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
    .unwrap()
}

/// One picture in every way of coding, made by libjpeg-turbo (`tests/data/make_jpegs.py`).
fn ways() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jpeg");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut ways: Vec<_> = files
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    ways.sort();
    ways
}

/// Every `step`th picture of the demo's clip.
fn clip(step: usize) -> Vec<Vec<u8>> {
    let mut stream = Stream::default();
    stream.push(&data("clip.mjpeg"));
    std::iter::from_fn(|| stream.next()).step_by(step).collect()
}

/// Where the coded pixels of the first scan begin.
fn pixels_at(jpeg: &[u8]) -> usize {
    let mut at = 2;
    loop {
        let segment = header::Segment::at(jpeg, at).unwrap();
        if segment.mark == SOS {
            return segment.end;
        }
        at = segment.end;
    }
}

#[test]
fn whole_pictures_pass_however_they_are_coded() {
    let ways = ways();
    assert!(ways.len() >= 14);
    for (name, jpeg) in &ways {
        assert_eq!(account(jpeg), Ok(()), "{name}");
        let shape = Shape::of(jpeg).unwrap();
        assert_eq!((shape.width, shape.height), (157, 109), "{name}");
        assert_eq!(shape.progressive, name.contains("progressive"), "{name}");
    }
    for (number, jpeg) in clip(8).iter().enumerate() {
        assert_eq!(account(jpeg), Ok(()), "picture {number} of the clip");
    }
    // From cameras and telephones, by way of several editors.
    for name in [
        "expressions",
        "five_friends",
        "no_face",
        "portrait",
        "seven_people",
        "solvay_1927",
    ] {
        assert_eq!(account(&data(&format!("images/{name}.jpg"))), Ok(()), "{name}");
    }
}

#[test]
fn what_lies_behind_the_end_does_not_matter() {
    let jpeg = data("jpeg/plain.jpg");
    for behind in [
        vec![0; 100_000],
        b"\0\0\0\x18ftypmp42".repeat(5000),
        jpeg.clone(),
        vec![0xFF; 9],
    ] {
        let jpeg = [&jpeg[..], &behind].concat();
        assert!(has_start_and_end(&jpeg));
        assert_eq!(account(&jpeg), Ok(()));
    }
}

#[test]
fn bytes_before_a_mark_that_belong_to_no_block_pass() {
    for extra in [&[0][..], &[0x3F, 0x12], &[0; 16], &[0xFF, 0xFF]] {
        for name in ["restarts", "plain"] {
            let jpeg = data(&format!("jpeg/{name}.jpg"));
            let pixels = pixels_at(&jpeg);
            let mut padded = jpeg[..pixels].to_vec();
            for pair in jpeg[pixels..].windows(2) {
                if pair[0] == 0xFF && matches!(pair[1], 0xD0..=0xD7 | EOI) {
                    padded.extend(extra);
                }
                padded.push(pair[0]);
            }
            padded.push(EOI);
            assert!(padded.len() > jpeg.len());
            assert_eq!(account(&padded), Ok(()), "{name} {extra:?}");
        }
    }
}

#[test]
fn a_picture_cut_off_anywhere_is_found_with_and_without_an_end_mark() {
    for (name, jpeg) in ways() {
        let end = jpeg.len() - 2;
        for at in (2..end - 1).step_by(1 + end / 97) {
            assert!(account(&jpeg[..at]).is_err(), "{name} cut at {at} of {end}");
            let marked = [&jpeg[..at], &[0xFF, EOI]].concat();
            assert!(
                account(&marked).is_err(),
                "{name} cut at {at} of {end}, with a mark"
            );
        }
    }
}

#[test]
fn restarts_in_the_wrong_order_and_missing_scans_are_found() {
    let jpeg = data("jpeg/restarts.jpg");
    let marks: Vec<usize> = (0..jpeg.len() - 1)
        .filter(|&at| jpeg[at] == 0xFF && matches!(jpeg[at + 1], 0xD0..=0xD7))
        .collect();
    let lost = [&jpeg[..marks[0]], &jpeg[marks[1]..]].concat();
    assert!(matches!(account(&lost), Err(Flaw::Order { .. })));
    let twice = [&jpeg[..marks[1]], &jpeg[marks[0]..]].concat();
    assert!(matches!(account(&twice), Err(Flaw::Order { .. })));
    let jpeg = data("jpeg/progressive.jpg");
    let scans: Vec<usize> = (0..jpeg.len() - 1)
        .filter(|&at| jpeg[at..at + 2] == [0xFF, SOS])
        .collect();
    assert!(scans.len() > 4);
    let without_the_last = [&jpeg[..scans[scans.len() - 1]], &[0xFF, EOI]].concat();
    assert_eq!(account(&without_the_last), Err(Flaw::NoDetail));
}

/// A generator of numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// Does something to the coded pixels of a picture.
type Damage = fn(&mut Vec<u8>, &mut Dice);

/// Damages; each gives a picture that begins and ends as it should.
const DAMAGES: [(&str, Damage); 10] = [
    ("cut off, end mark put behind", |pixels, dice| {
        let at = dice.below(pixels.len() - 64);
        pixels.truncate(at);
    }),
    ("a hole of 1 byte", |pixels, dice| hole(pixels, dice, 1)),
    ("a hole of 16 bytes", |pixels, dice| hole(pixels, dice, 16)),
    ("a hole of 512 bytes", |pixels, dice| hole(pixels, dice, 512)),
    ("a hole of 3072 bytes", |pixels, dice| hole(pixels, dice, 3072)),
    ("512 bytes overwritten with 0", |pixels, dice| {
        overwrite(pixels, dice, |_, _| vec![0; 512]);
    }),
    ("512 bytes overwritten with others", |pixels, dice| {
        overwrite(pixels, dice, |_, dice| dice.bytes(512));
    }),
    (
        "512 bytes overwritten with some of the same picture",
        |pixels, dice| {
            overwrite(pixels, dice, |pixels, dice| {
                let from = dice.below(pixels.len() - 512);
                pixels[from..from + 512].to_vec()
            });
        },
    ),
    ("16 bytes overwritten with others", |pixels, dice| {
        overwrite(pixels, dice, |_, dice| dice.bytes(16));
    }),
    ("1 bit turned", |pixels, dice| {
        let at = dice.below(pixels.len());
        pixels[at] ^= 1 << dice.below(8);
    }),
];

fn hole(pixels: &mut Vec<u8>, dice: &mut Dice, size: usize) {
    let at = dice.below(pixels.len() - size);
    pixels.drain(at..at + size);
}

fn overwrite(pixels: &mut [u8], dice: &mut Dice, with: fn(&[u8], &mut Dice) -> Vec<u8>) {
    let new = with(pixels, dice);
    let at = dice.below(pixels.len() - new.len());
    pixels[at..at + new.len()].copy_from_slice(&new);
}

fn decoded(jpeg: &[u8]) -> Option<Vec<u8>> {
    let decoder = JpegDecoder::new(std::io::Cursor::new(jpeg)).ok()?;
    let mut pixels = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut pixels).ok()?;
    Some(pixels)
}

/// The part of the samples that a damage has changed by more than one can see.
fn changed(whole: &[u8], damaged: &[u8]) -> f64 {
    let pairs = whole.iter().zip(damaged);
    pairs.filter(|(a, b)| a.abs_diff(**b) > 16).count() as f64 / whole.len() as f64
}

/// How many of the damaged pictures are found. `AFFECTD_DAMAGES=2000 cargo test --release damages -- --nocapture` gives
/// the numbers of docs/decisions/0024.
#[test]
fn damages_are_found_at_the_stated_rates() {
    let rounds = std::env::var("AFFECTD_DAMAGES").map_or(60, |rounds| rounds.parse().unwrap());
    let pictures = clip(5);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut in_all = (0, 0);
    for (name, damage) in DAMAGES {
        let (mut found, mut seen_by_decoder, mut slight, mut worst) = (0, 0, 0, 0.0_f64);
        for round in 0..rounds {
            let jpeg = &pictures[round % pictures.len()];
            let at = pixels_at(jpeg);
            let mut pixels = jpeg[at..jpeg.len() - 2].to_vec();
            damage(&mut pixels, &mut dice);
            let damaged = [&jpeg[..at], &pixels, &[0xFF, EOI]].concat();
            let result = decoded(&damaged);
            seen_by_decoder += usize::from(result.is_none());
            if account(&damaged).is_err() {
                found += 1;
            } else if let (Some(result), Some(whole)) = (result, decoded(jpeg)) {
                let changed = changed(&whole, &result);
                worst = worst.max(changed);
                slight += usize::from(changed < 0.01);
            }
        }
        let percent = |count: usize| 100.0 * count as f64 / rounds as f64;
        println!(
            "{name:52} found {:5.1} %, by the decoder alone {:5.1} %; not found and hardly to be seen {:4.1} %; worst changes {:.0} %",
            percent(found),
            percent(seen_by_decoder),
            percent(slight),
            100.0 * worst
        );
        let least = match name {
            "1 bit turned" => 30.0,
            "a hole of 1 byte" => 35.0,
            "a hole of 16 bytes" | "16 bytes overwritten with others" => 75.0,
            _ => 95.0,
        };
        assert!(percent(found) >= least, "{name}: {:.1} % found", percent(found));
        in_all = (in_all.0 + found, in_all.1 + rounds);
    }
    println!("in all {:.1} %", 100.0 * in_all.0 as f64 / in_all.1 as f64);
    let time = |work: &dyn Fn(&[u8]) -> bool| {
        let began = Instant::now();
        assert!(pictures.iter().all(|jpeg| work(jpeg)));
        began.elapsed().as_secs_f64()
    };
    let (walk, decoding) = (
        time(&|jpeg| account(jpeg).is_ok()),
        time(&|jpeg| decoded(jpeg).is_some()),
    );
    println!(
        "going over a picture takes {:.2} of what decoding it takes",
        walk / decoding
    );
}
