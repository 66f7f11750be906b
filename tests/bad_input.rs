//! What the real binary says to bad input: a message that says what, where, why and what to do, the right exit
//! code, and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::Path;

use common::{Daemon, affectd, affectd_output, clip_config, free_port, make_video, root, stderr, stdout};

/// Replays a path; exit code, reports, and what was said.
fn replay(path: &Path) -> (Option<i32>, Vec<serde_json::Value>, String) {
    let output = affectd().arg("replay").arg(path).output().unwrap();
    common::replayed(&output)
}

fn image(name: &str) -> Vec<u8> {
    std::fs::read(root().join("tests/data/images").join(name)).unwrap()
}

/// The header of a PNG with these sides, followed by nothing of use.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0]);
    let crc = crc32(&bytes[12..]);
    bytes.extend(crc.to_be_bytes());
    bytes.extend(b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e");
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn bad_pictures_are_left_out_and_the_good_ones_counted() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("a-broken.jpg", &image("portrait.jpg")[..20_000]);
    put("b-empty.jpg", b"");
    put("c-no-pixels.png", &png_header(0, 0));
    put("d-huge.png", &png_header(20_000, 20_000));
    put("e-text.png", b"not a picture");
    std::fs::create_dir(folder.path().join("f-unreadable.jpg")).unwrap();
    put("g-good.jpg", &image("five_friends.jpg"));
    put("h-nobody.jpg", &image("no_face.jpg"));
    let (code, reports, said) = replay(folder.path());
    assert_eq!(code, Some(0), "{said}");
    for (file, what) in [
        ("a-broken.jpg", "cut off"),
        ("b-empty.jpg", "neither a JPEG nor a PNG"),
        ("c-no-pixels.png", "left out"),
        (
            "d-huge.png",
            "20000×20000 px, but affectd decodes up to 64 megapixels",
        ),
        ("e-text.png", "neither a JPEG nor a PNG"),
        ("f-unreadable.jpg", "cannot be read"),
    ] {
        let line = said
            .lines()
            .find(|line| line.contains(file))
            .unwrap_or_else(|| panic!("{file}: {said}"));
        assert!(line.contains(what), "{line}");
    }
    // Each picture that can be read is a window of its own.
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["people"]["peak"], 5);
    assert!(reports[1]["suppressed"].is_object());
}

#[test]
fn a_picture_without_faces_is_a_suppressed_window() {
    let (code, reports, _) = replay(&root().join("tests/data/images/no_face.jpg"));
    assert_eq!(code, Some(0));
    assert_eq!(reports[0]["suppressed"], serde_json::json!({"min_group": 5}));
    for key in [
        "people",
        "emotion",
        "mood",
        "attributes",
        "coverage",
        "coarsened",
        "covers_seconds",
    ] {
        assert!(reports[0].get(key).is_none(), "{key}");
    }
}

#[test]
fn a_source_that_is_none_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = replay(folder.path());
    assert_eq!(code, Some(66));
    assert!(said.contains("has no picture"), "{said}");
    let (code, reports, said) = replay(&folder.path().join("gone"));
    assert_eq!((code, reports.len()), (Some(66), 0), "{said}");
    assert!(said.contains("There is no") && said.contains("gone"), "{said}");
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, "hello").unwrap();
    let (code, _, said) = replay(&other);
    assert_eq!(code, Some(66));
    assert!(
        said.contains("not a picture, an .mjpeg or a video file"),
        "{said}"
    );
}

#[test]
fn a_video_is_read_through_ffmpeg_and_without_it_the_message_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("clip.mp4");
    make_video(&video, &["-frames:v", "40", "-c:v", "mpeg4", "-q:v", "3"]);
    let output = affectd()
        .arg("replay")
        .arg(&video)
        .args(["--fps", "4"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    assert_eq!(report["coverage"]["frames"], 1.0, "{}", stderr(&output));
    assert_eq!(report["people"]["peak"], 5);

    let output = affectd()
        .arg("replay")
        .arg(&video)
        .env("PATH", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(66));
    assert!(
        stderr(&output).contains("apt-get install ffmpeg"),
        "{}",
        stderr(&output)
    );

    std::fs::write(&video, "not a video").unwrap();
    let (code, _, said) = replay(&video);
    assert_eq!(code, Some(66));
    assert!(said.contains("ffmpeg has ended with"), "{said}");
}

#[test]
fn a_folder_that_vanishes_and_returns_is_no_reason_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    let fill = || {
        std::fs::create_dir(&pictures).unwrap();
        std::fs::write(pictures.join("a.jpg"), image("five_friends.jpg")).unwrap();
    };
    fill();
    let clip = root().join("tests/data/clip.mjpeg").display().to_string();
    let config = clip_config(free_port(), "").replace(&clip, &pictures.display().to_string());
    let mut daemon = Daemon::run(&config);
    daemon.process.wait_for_log("is streaming");
    std::fs::remove_dir_all(&pictures).unwrap();
    daemon.process.wait_for_log("There is no");
    fill();
    let again = || daemon.process.log().matches("is streaming").count() == 2;
    common::wait_until("streaming again", again, || daemon.process.log());
    assert!(daemon.process.is_running());
}

/// A copy of a model's folder that may be spoilt.
fn model_copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join("models").join(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn spoil(folder: &Path, from: &str, to: &str) {
    let manifest = folder.join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(from), "the manifest has no `{from}`");
    std::fs::write(manifest, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_model_that_is_not_what_its_manifest_says_is_refused() {
    let complaint = |folder: &Path| {
        let output = affectd_output(&["model", folder.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        stderr(&output)
    };
    let copy = model_copy("fer-mini-xception");
    spoil(copy.path(), "\"surprise\", \"neutral\"]", "\"surprise\"]");
    assert!(complaint(copy.path()).contains("6 labels"), "wrong label count");

    let copy = model_copy("fer-mini-xception");
    spoil(copy.path(), "tensor = \"Identity\"", "tensor = \"Softmax\"");
    assert!(
        complaint(copy.path()).contains("the file's outputs are"),
        "wrong tensor"
    );

    let copy = model_copy("yunet-320");
    spoil(copy.path(), "zero_point = -128", "zero_point = 0");
    assert!(
        complaint(copy.path()).contains("does not match its manifest"),
        "wrong quantisation"
    );

    let copy = model_copy("fer-mini-xception");
    let file = copy.path().join("fer-mini-xception.tflite");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(complaint(copy.path()).contains("SHA-256"), "changed file");

    // What no structure can tell, the golden vectors do.
    let copy = model_copy("fer-mini-xception");
    spoil(
        copy.path(),
        "\"anger\", \"disgust\", \"fear\", \"happiness\"",
        "\"happiness\", \"disgust\", \"fear\", \"anger\"",
    );
    assert!(
        complaint(copy.path()).contains("golden vectors"),
        "wrong order of labels"
    );
    let copy = model_copy("fer-mini-xception");
    spoil(copy.path(), "mean = [127.5]", "mean = [0.0]");
    assert!(
        complaint(copy.path()).contains("golden vectors"),
        "wrong normalisation"
    );
    let copy = model_copy("yunet-320");
    spoil(copy.path(), "channels = \"bgr\"", "channels = \"rgb\"");
    assert!(
        complaint(copy.path()).contains("golden vectors"),
        "wrong channel order"
    );
}

#[test]
fn the_shipped_models_pass_their_golden_vectors() {
    for name in ["yunet-320", "yunet-640", "fer-mini-xception"] {
        let output = affectd_output(&["model", name]);
        assert!(
            output.status.success(),
            "{name}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        assert!(stdout(&output).contains(": ok"));
    }
}

#[test]
fn ten_errors_in_a_configuration_are_ten_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    let text = r#"config_version = 1
[deployment]
site = "Main Hall"
place = "shop"
purpose = "short"
controller = ""
[camera]
fps = 900
[window]
length = "15 seconds"
[privacy]
min_group = 2
[mqtt]
hots = "10.0.0.5"
port = "1883"
password = "secret"
"#;
    std::fs::write(&path, text).unwrap();
    for command in ["check", "run"] {
        let output = affectd_output(&[command, "-c", path.to_str().unwrap()]);
        let said = common::said(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        let lines = [3, 4, 5, 6, 8, 10, 12, 14, 15, 16];
        for line in lines {
            assert!(
                said.contains(&format!("affectd.toml:{line}:")),
                "line {line} is missing in:\n{said}"
            );
        }
        assert_eq!(said.matches("affectd.toml:").count(), lines.len(), "{said}");
        assert!(said.contains("did you mean `host`?"), "{said}");
        assert!(!said.contains("\"secret\""), "a secret is not shown:\n{said}");
    }
}

#[test]
fn a_workplace_needs_a_declared_basis() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    let config = clip_config(1, "").replace("place = \"other\"", "place = \"workplace\"");
    std::fs::write(&path, &config).unwrap();
    let output = affectd_output(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        common::said(&output).contains("5(1)(f)"),
        "{}",
        common::said(&output)
    );
    std::fs::write(
        &path,
        config.replace(
            "place = \"workplace\"",
            "place = \"workplace\"\nbasis = \"safety\"",
        ),
    )
    .unwrap();
    let output = affectd_output(&["config", "--effective", "-c", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn check_finds_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    std::fs::write(&path, clip_config(free_port(), "")).unwrap();
    let output = affectd_output(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(69), "all is well but the broker");
    assert!(
        stdout(&output).contains("ok      models: TensorFlow Lite 2.17"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("nothing listens on 127.0.0.1"),
        "{}",
        stdout(&output)
    );
    let config = clip_config(1, "[model]\nruntime = \"/nowhere/lib.so\"");
    std::fs::write(&path, config).unwrap();
    let output = affectd_output(&["run", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("/nowhere/lib.so"), "{}", stderr(&output));
}

#[test]
fn check_looks_at_a_first_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (path, picture) = (folder.path().join("affectd.toml"), folder.path().join("a.jpg"));
    let whole = image("five_friends.jpg");
    std::fs::write(&picture, [&whole[..60_000], &[0xFF, 0xD9]].concat()).unwrap();
    let clip = root().join("tests/data/clip.mjpeg").display().to_string();
    std::fs::write(
        &path,
        clip_config(1, "").replace(&clip, &picture.display().to_string()),
    )
    .unwrap();
    let output = affectd_output(&["check", "-c", path.to_str().unwrap()]);
    let said = stdout(&output);
    assert!(
        said.contains("error   source: ") && said.contains("is damaged"),
        "{said}"
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    assert_eq!(affectd_output(&["dance"]).status.code(), Some(64));
    assert_eq!(affectd_output(&["replay"]).status.code(), Some(64));
    assert_eq!(affectd_output(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_staff_area_hides_the_faces_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("affectd.toml");
    let people = |mask: &str| {
        let detector = "[detector]\nmodel = \"yunet-640\"\n";
        std::fs::write(&path, clip_config(1, &format!("{detector}{mask}"))).unwrap();
        let picture = root().join("tests/data/images/solvay_1927.jpg");
        let output = affectd_output(&["replay", picture.to_str().unwrap(), "-c", path.to_str().unwrap()]);
        let report: serde_json::Value =
            serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
        report["people"]["peak"].as_u64().unwrap()
    };
    let everybody = people("");
    let mask = "[[camera.mask]]\nname = \"left\"\nkind = \"staff\"\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]";
    let right_half = people(mask);
    assert!(
        everybody >= 25,
        "29 people sat for the Solvay conference of 1927; {everybody} found"
    );
    assert!(
        right_half < everybody && right_half >= 5,
        "{everybody} people, {right_half} outside the mask"
    );
}
