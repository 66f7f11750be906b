//! What makes a model look outward: teachers, rehearsals of runs, tables over several sets, calibration, weights out of a shipped model.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use affect_train::data::{Format, teachers};
use affect_train::weights::Weights;
use common::{affect_train, ages, all_expressions, people, recipe, root, run, runtime, stderr};

const PHASE: &str = "[[phase]]\nname = \"whole\"\nepochs = 5\nrate = 1e-3\n";

/// A labelled set and one of people without labels; the recipe learns from both.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    all_expressions(&place.path().join("set"), 8);
    people(&place.path().join("people"), 3, 4);
    let more = "[[data]]\nformat = \"lfw\"\npath = \"people\"\nteachers = \"table.csv\"\n\
                [loss]\nsoft_labels = true\nprior = 1.0\n[augmentation]\nsurround = 1.0\naspect = 0.3\ngamma = 0.5\ntint = 0.2\n";
    let text = recipe("emotion", "folder", "train", "", PHASE);
    let (data, rest) = text.split_once("[validation]").unwrap();
    let (more, loss) = more.split_once("[loss]").unwrap();
    let text = format!("{data}{more}[loss]{loss}[validation]{rest}");
    std::fs::write(place.path().join("recipe.toml"), text).unwrap();
    place
}

fn table(place: &Path, rows: &[(&str, &str)]) {
    let rows: String = rows
        .iter()
        .map(|(file, answer)| format!("{file},{answer}\n"))
        .collect();
    let head = "file,neutral,happiness,sadness,surprise,fear,anger,disgust,contempt\n";
    std::fs::write(place.join("table.csv"), format!("{head}{rows}")).unwrap();
}

fn emotion(place: &Path, more: &[&str]) -> Output {
    let mut command = affect_train();
    command
        .arg("emotion")
        .arg(place.join("recipe.toml"))
        .arg("--data")
        .arg(place);
    command.arg("--out").arg(place.join("out")).args(more);
    command.output().unwrap()
}

#[test]
fn a_rehearsal_shows_what_would_be_learnt_and_trains_nothing() {
    let here = place();
    let half = "0.5,0.5,0,0,0,0,0,0";
    let files: Vec<String> = (0..3)
        .flat_map(|person| (0..4).map(move |number| format!("person_{person}/{number}.png")))
        .collect();
    let mut rows: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), half)).collect();
    rows[11].1 = "0.5,0.6,0,0,0,0,0,0";
    table(here.path(), &rows);
    let done = emotion(here.path(), &["--dry-run", "--epochs", "2"]);
    let (said, log) = (String::from_utf8_lossy(&done.stdout).into_owned(), stderr(&done));
    assert!(done.status.success(), "{log}");
    assert!(
        said.contains("| people | 11 | 11 | expression 0.500 0.500 0.000"),
        "{said}"
    );
    assert!(said.contains("2 epochs"), "{said}");
    assert!(
        log.contains("no distribution") && log.contains("no answer for it"),
        "{log}"
    );
    let sheet = image::open(here.path().join("out/pictures.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (16 * 96, 2 * 96));
    assert!(
        !here.path().join("out/checkpoint").exists() && !here.path().join("out/best.safetensors").exists()
    );

    // The same for good, a step or two: faces without a label teach by their teachers.
    let done = emotion(here.path(), &["--stop-after", "2", "--seed", "9"]);
    assert!(done.status.success(), "{}", stderr(&done));
}

#[test]
fn a_table_of_teachers_that_is_missing_or_of_other_pictures_is_said() {
    let here = place();
    let complaint = |place: &Path| {
        let done = emotion(place, &["--dry-run"]);
        assert_eq!(done.status.code(), Some(1));
        stderr(&done)
    };
    let said = complaint(here.path());
    assert!(
        said.contains("table.csv") && said.contains("No such file"),
        "{said}"
    );
    table(here.path(), &[("somebody/0.png", "1,0,0,0,0,0,0,0")]);
    let said = complaint(here.path());
    assert!(
        said.contains("table.csv") && said.contains("person_0/0.png") && said.contains("teach.py"),
        "{said}"
    );
    std::fs::write(here.path().join("table.csv"), "file,neutral\n").unwrap();
    let said = complaint(here.path());
    assert!(said.contains("no column `happiness`"), "{said}");
}

#[test]
fn only_the_split_that_is_learnt_from_needs_teachers() {
    let here = place();
    table(
        here.path(),
        &[
            ("train/neutral/0.png", "0,0,1,0,0,0,0,0"),
            ("train/fear/0.png", "nan,1,0,0,0,0,0,0"),
        ],
    );
    let folder = here.path().join("set");
    let mut faces = Format::Folder.read(&folder).unwrap();
    let valid = faces.split("valid").len();
    teachers::teach(
        &mut faces,
        (&folder, "train"),
        (&here.path().join("table.csv"), 0.25),
    )
    .unwrap();
    let taught: Vec<_> = faces
        .split("train")
        .into_iter()
        .filter_map(|face| face.taught)
        .collect();
    assert_eq!(taught.len(), 1, "a row that is no number teaches nobody");
    assert_eq!((taught[0].answer[2], taught[0].share), (1.0, 0.25));
    assert_eq!(faces.split("train").len(), 1);
    assert_eq!(faces.split("valid").len(), valid);
}

/// The shipped expression model as float weights.
fn shipped(place: &Path) -> PathBuf {
    let out = place.join("shipped.safetensors");
    let model = root().join("models/emotion-mobilenet-v1/emotion-mobilenet-v1.tflite");
    let mut command = affect_train();
    command
        .arg("import")
        .arg(model)
        .args(["--size", "96", "--channels", "bgr"]);
    run(command.arg("--out").arg(&out));
    out
}

fn evaluate(model: &Path, more: &[&str]) -> Output {
    let mut command = affect_train();
    command
        .arg("evaluate")
        .arg("--model")
        .arg(model)
        .arg("--runtime")
        .arg(runtime());
    command.args(more).output().unwrap()
}

#[test]
fn several_sets_and_changed_faces_are_one_table_with_their_mean() {
    let place = tempfile::tempdir().unwrap();
    for set in ["one", "two"] {
        all_expressions(&place.path().join(set), 4);
    }
    let model = root().join("models/emotion-mobilenet-v1");
    let one = format!("folder:{}:train", place.path().join("one").display());
    let two = format!("folder:{}", place.path().join("two").display());
    let sets = [
        "--set",
        one.as_str(),
        "--set",
        two.as_str(),
        "--change",
        "ellipse",
        "--change",
        "size=16",
    ];
    let done = evaluate(&model, &sets);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", stderr(&done));
    for row in [
        "| one train |",
        "| one train, ellipse |",
        "| two, size=16 |",
        "| mean |",
        "| mean, ellipse |",
    ] {
        assert!(said.contains(row), "{row}: {said}");
    }
    let figures = |row: &str| {
        said.lines()
            .find(|line| line.starts_with(row))
            .unwrap()
            .split('|')
            .nth(7)
            .unwrap()
            .to_owned()
    };
    assert_ne!(figures("| two |"), figures("| two, ellipse |"), "{said}");

    // The weights that come out of the int8 file answer as it does.
    let weights = shipped(place.path());
    let json = |model: &Path| -> Vec<serde_json::Value> {
        let done = evaluate(model, &["--set", &two, "--json"]);
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let (int8, float) = (json(&model), json(&weights));
    let confidence = |rows: &[serde_json::Value]| rows[0]["confidence"].as_f64().unwrap();
    assert!(
        (confidence(&int8) - confidence(&float)).abs() < 0.03,
        "{int8:?} {float:?}"
    );

    let two = two.as_str();
    for (more, message) in [
        (
            vec!["--set", two, "--change", "elipse"],
            "there are ellipse, aspect",
        ),
        (vec!["--set", two, "--record"], "cannot be used with"),
        (vec!["--change", "grey"], "--set"),
        (vec!["--set", "folder:/nowhere"], "/nowhere"),
    ] {
        let done = evaluate(&model, &more);
        assert!(!done.status.success());
        assert!(stderr(&done).contains(message), "{more:?}: {}", stderr(&done));
    }
}

#[test]
fn calibration_changes_the_expression_head_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    all_expressions(&place.path().join("set"), 8);
    let weights = shipped(place.path());
    let out = place.path().join("calibrated.safetensors");
    let calibrate = |set: &str, more: &[&str]| {
        let mut command = affect_train();
        command
            .arg("calibrate")
            .arg(&weights)
            .arg("--out")
            .arg(&out)
            .args(["--set", set])
            .args(more);
        command
    };
    let set = format!("folder:{}", place.path().join("set").display());
    let done = run(&mut calibrate(&set, &["--second"]));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        said.contains(", cross-fitted | ") && said.contains("| unknown below |"),
        "{said}"
    );
    let (before, after) = (Weights::read(&weights).unwrap(), Weights::read(&out).unwrap());
    for (name, array) in before.iter() {
        let same = after.find(name).unwrap() == array;
        assert_eq!(same, !name.starts_with("expression."), "{name}");
    }
    assert_eq!(after.about["calibrated on"], "set");

    people(&place.path().join("people"), 2, 2);
    let unlabelled = format!("lfw:{}", place.path().join("people").display());
    let output = calibrate(&unlabelled, &[]).output().unwrap();
    assert!(
        stderr(&output).contains("no face here has a label"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_tflite_that_is_none_or_not_ours_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let import = |bytes: &[u8]| {
        let file = place.path().join("model.tflite");
        std::fs::write(&file, bytes).unwrap();
        let mut command = affect_train();
        command
            .arg("import")
            .arg(&file)
            .args(["--size", "96", "--out"])
            .arg(place.path().join("out.safetensors"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    let whole =
        std::fs::read(root().join("models/emotion-mobilenet-v1/emotion-mobilenet-v1.tflite")).unwrap();
    assert!(import(b"no model").contains("does not begin as a .tflite file does"));
    assert!(import(&whole[..whole.len() / 2]).contains("points outside it"));
    let other = std::fs::read(root().join("models/fer-mini-xception/fer-mini-xception.tflite")).unwrap();
    assert!(import(&other).contains("did not write it"));
}

#[test]
fn ages_are_read_from_as_many_of_the_probable_ones_as_is_said() {
    let place = tempfile::tempdir().unwrap();
    ages(&place.path().join("ages"), 20);
    let model = root().join("models/attributes-mobilenet-v1");
    let data = place.path().join("ages").display().to_string();
    let error = |more: &[&str]| {
        let all = [&["--data", data.as_str(), "--format", "utkface", "--json"], more].concat();
        let done = evaluate(&model, &all);
        assert!(done.status.success(), "{}", stderr(&done));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        report["age_error"].as_f64().unwrap()
    };
    assert_eq!(
        error(&[]),
        error(&["--most-probable", "100"]),
        "as its manifest says"
    );
    assert_ne!(error(&[]), error(&["--most-probable", "1"]));
    let done = evaluate(
        &model,
        &["--data", &data, "--format", "utkface", "--most-probable", "0"],
    );
    assert!(stderr(&done).contains("1..=100"), "{}", stderr(&done));
}
