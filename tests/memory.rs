//! How much memory affectd takes: of files that were made to take much, and at its daily work with a large camera, many
//! faces and a broker that is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::memory::{Limited, highest_mib};
use common::{PATIENCE, Process, affectd, clip_config, free_port, root};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, replace, resize};
use image::{ImageReader, RgbImage};

/// What the unit gives the daemon, in MiB (`MemoryMax` in systemd/affectd.service).
const UNIT: u64 = 512;
/// What a camera of 3840×2160 px, MJPEG, with more than 60 faces takes at most while the broker is away and the queue of
/// windows is full, in MiB. It stands in docs/cameras.md.
const LARGE_CAMERA: u64 = 160;

/// What zlib makes of so many zeros.
fn packed_zeros(mib: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    (0..mib).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(body);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], kind, body, &crc.sum().to_be_bytes()].concat()
}

/// A black PNG of this size with these chunks behind its header.
fn png(side: u32, depth: u8, colour: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let channels = match colour {
        6 => 4,
        _ => 3,
    };
    let row = 1 + side as usize * channels * usize::from(depth / 8);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    (0..side).for_each(|_| pixels.write_all(&vec![0; row]).unwrap());
    let side = side.to_be_bytes();
    let header = [&side[..], &side, &[depth, colour, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunks.concat(),
        chunk(b"IDAT", &pixels.finish().unwrap()),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn files_that_were_made_to_take_much_memory_take_little() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let bomb = [b"name\0\0", &packed_zeros(700)[..]].concat();
    put("a-profile.png", &png(64, 8, 2, &[chunk(b"iCCP", &bomb)]));
    put("b-text.png", &png(64, 8, 2, &[chunk(b"zTXt", &bomb)]));
    let international = [b"name\0\x01\0\0\0", &bomb[6..]].concat();
    put("c-text.png", &png(64, 8, 2, &[chunk(b"iTXt", &international)]));
    // 36 megapixels of eight bytes.
    put("d-deep.png", &png(6000, 16, 6, &[]));
    // A progressive JPEG that says that it has 60 megapixels.
    let mut progressive = std::fs::read(root().join("tests/data/jpeg/progressive.jpg")).unwrap();
    let frame = progressive
        .windows(2)
        .position(|mark| mark == [0xFF, 0xC2])
        .unwrap();
    progressive[frame + 5..frame + 9].copy_from_slice(&[0x1E, 0x46, 0x1E, 0x46]);
    put("e-large.jpg", &progressive);
    put("f-sparse.jpg", b"\xFF\xD8\xFF\xE0");
    let sparse = std::fs::File::options()
        .write(true)
        .open(folder.path().join("f-sparse.jpg"));
    sparse.unwrap().set_len(3 << 30).unwrap();
    std::fs::copy(
        root().join("tests/data/images/five_friends.jpg"),
        folder.path().join("g.jpg"),
    )
    .unwrap();

    let limit = Limited::to(UNIT);
    let mut command = affectd();
    command.arg("replay").arg(folder.path());
    let mut process = Process::start(limit.command(&command).stdout(Stdio::null()));
    let (began, mut highest) = (Instant::now(), 0);
    while process.is_running() {
        assert!(began.elapsed() < PATIENCE, "{}", process.log());
        highest = highest.max(highest_mib(process.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = process.wait();
    let log = process.log();
    println!(
        "at most {highest} MiB resident, {:?} MiB in the control group",
        limit.peak_mib()
    );
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("5 frames looked at, 2 left out"), "{log}");
    assert!(log.contains("MiB of memory to decode"), "{log}");
    assert!(log.contains("longer than 32768 KiB"), "{log}");
    assert!(highest < 320, "{highest} MiB");
}

/// A picture of 3840×2160 px with 63 people, moved by so many pixels.
fn large_picture(moved: i64) -> Vec<u8> {
    let seven = ImageReader::open(root().join("tests/data/images/seven_people.jpg")).unwrap();
    let seven = seven.decode().unwrap().crop_imm(150, 70, 470, 264).into_rgb8();
    let seven = resize(&seven, 1280, 720, FilterType::Triangle);
    let mut large = RgbImage::new(3840, 2160);
    for (column, row) in (0..3).flat_map(|column| (0..3).map(move |row| (column, row))) {
        replace(&mut large, &seven, column * 1280 + moved, row * 720);
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode_image(&large)
        .unwrap();
    bytes
}

/// A film of large pictures, and of many damaged ones, which only take time.
fn film(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    (0..3).for_each(|number| file.write_all(&large_picture(number * 4)).unwrap());
    let mut small = Vec::new();
    JpegEncoder::new(&mut small)
        .encode_image(&RgbImage::new(64, 48))
        .unwrap();
    let torn = [&small[..small.len() - 6], &[0xFF, 0xD9]].concat();
    (0..1100).for_each(|_| file.write_all(&torn).unwrap());
}

#[test]
fn a_large_camera_with_many_faces_and_a_full_queue_fits_into_what_is_stated() {
    let folder = tempfile::tempdir().unwrap();
    let (video, config) = (
        folder.path().join("film.mjpeg"),
        folder.path().join("affectd.toml"),
    );
    film(&video);
    let clip = root().join("tests/data/clip.mjpeg").display().to_string();
    let port = free_port();
    let more = "[spool]\nmax_size = \"0MiB\"\n[detector]\nmodel = \"yunet-640\"\nmin_face_px = 12\nscore_threshold = 0.5";
    let text = clip_config(port, more)
        .replace(&clip, &video.display().to_string())
        .replace("fps = 4.0", "fps = 0.5\npace = \"fast\"");
    std::fs::write(&config, text).unwrap();
    let picture = folder.path().join("large.jpg");
    std::fs::write(&picture, large_picture(0)).unwrap();
    let output = affectd()
        .arg("replay")
        .arg(&picture)
        .arg("-c")
        .arg(&config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["people"]["peak"].as_u64() >= Some(60), "{report}");

    let limit = Limited::to(LARGE_CAMERA);
    let mut command = affectd();
    command.arg("run").arg("-c").arg(&config);
    let mut process = Process::start(&mut limit.command(&command));
    // Twice: the second time the large pictures come to a full queue.
    let full = "1000 windows wait that are not on the disk";
    let began = Instant::now();
    while !process.log().contains(full) {
        assert!(process.is_running(), "{}", process.log());
        assert!(began.elapsed() < PATIENCE * 3, "{}", process.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(6));
    assert!(process.is_running(), "{}", process.log());
    let highest = highest_mib(process.id()).unwrap();
    process.signal("-TERM");
    assert!(process.wait().success(), "{}", process.log());
    println!(
        "at most {highest} MiB resident, {:?} MiB in the control group",
        limit.peak_mib()
    );
    assert!(highest < LARGE_CAMERA, "{highest} MiB");
}
