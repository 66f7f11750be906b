//! What goes wrong in training is said in a sentence, and costs no checkpoint.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use affect_train::weights::{Array, Weights};
use common::{affect_train, all_expressions, recipe, runtime, stderr};

const PHASE: &str = "[[phase]]\nname = \"whole\"\nepochs = 2\nrate = 1e-3\n";

fn emotion(folder: &Path, more: &[&str]) -> Output {
    let mut command = affect_train();
    command
        .arg("emotion")
        .arg(folder.join("recipe.toml"))
        .arg("--data")
        .arg(folder)
        .arg("--out")
        .arg(folder.join("out"));
    command.args(more).output().unwrap()
}

fn place(phases: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    all_expressions(&place.path().join("set"), 8);
    std::fs::write(
        place.path().join("recipe.toml"),
        recipe("emotion", "folder", "train", "", phases),
    )
    .unwrap();
    place
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    let text = stderr(output);
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn classes_that_cannot_be_learnt_are_named() {
    let here = place(PHASE);
    std::fs::remove_dir_all(here.path().join("set/train/contempt")).unwrap();
    let text = complaint(&emotion(here.path(), &[]));
    assert!(
        text.contains("No training picture has class `contempt`"),
        "{text}"
    );

    for class in ["happiness", "sadness", "surprise", "fear", "anger", "disgust"] {
        std::fs::remove_dir_all(here.path().join("set/train").join(class)).unwrap();
    }
    let text = complaint(&emotion(here.path(), &[]));
    assert!(text.contains("fewer than two classes"), "{text}");

    std::fs::remove_dir_all(here.path().join("set")).unwrap();
    std::fs::create_dir_all(here.path().join("set/train/happiness")).unwrap();
    let text = complaint(&emotion(here.path(), &[]));
    assert!(
        text.contains("no usable face picture") && text.contains("no picture (.png, .jpg)"),
        "{text}"
    );
}

#[test]
fn a_picture_that_is_none_is_named() {
    let here = place(PHASE);
    std::fs::write(here.path().join("set/train/fear/0.png"), "no picture").unwrap();
    let text = complaint(&emotion(here.path(), &[]));
    assert!(text.contains("fear/0.png"), "{text}");
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let here = place(PHASE);
    assert!(emotion(here.path(), &["--stop-after", "2"]).status.success());
    let weights = here.path().join("out/checkpoint/weights.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let text = complaint(&emotion(here.path(), &[]));
    assert!(
        text.contains("checkpoint") && text.contains("damaged") && text.contains("delete this one"),
        "{text}"
    );
    std::fs::write(&weights, &whole).unwrap();
    let state = here.path().join("out/checkpoint/state.json");
    let json = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, &json[..json.len() / 2]).unwrap();
    assert!(complaint(&emotion(here.path(), &[])).contains("state.json"));
    std::fs::write(&state, json).unwrap();

    let other = recipe("emotion", "folder", "train", "", PHASE).replace("width = 0.25", "width = 0.5");
    std::fs::write(here.path().join("recipe.toml"), other).unwrap();
    assert!(complaint(&emotion(here.path(), &[])).contains("another recipe"));
}

#[test]
fn weights_of_another_network_are_refused() {
    let here = place(PHASE);
    let mut weights = Weights::default();
    weights.insert(
        "conv1.kernel".to_owned(),
        Array {
            shape: vec![2],
            values: vec![0.0; 2],
        },
    );
    let file = here.path().join("other.safetensors");
    weights.write(&file).unwrap();
    let text = complaint(&emotion(here.path(), &["--weights", file.to_str().unwrap()]));
    assert!(text.contains("does not fit mobilenet-v1"), "{text}");
    std::fs::write(&file, "no weights").unwrap();
    let text = complaint(&emotion(here.path(), &["--weights", file.to_str().unwrap()]));
    assert!(text.contains("not a weight file"), "{text}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_batch() {
    let here = place(PHASE);
    assert!(emotion(here.path(), &["--stop-after", "1"]).status.success());
    let file = here.path().join("out/checkpoint/weights.safetensors");
    let mut weights = Weights::read(&file).unwrap();
    let mut kernel = weights.find("expression.kernel").unwrap().clone();
    kernel.values[0] = f32::NAN;
    weights.insert("expression.kernel".to_owned(), kernel);
    weights.write(&file).unwrap();
    let text = complaint(&emotion(here.path(), &[]));
    assert!(
        text.contains("no longer a number in epoch 1, batch 2 of") && text.contains(".png"),
        "{text}"
    );
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint_intact() {
    let here = place(PHASE);
    assert!(emotion(here.path(), &["--stop-after", "1"]).status.success());
    let state = || std::fs::read(here.path().join("out/checkpoint/state.json")).unwrap();
    let before = state();
    // A limit on file sizes makes writing fail as a full disk does.
    let line = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} emotion {} --data {} --out {} --stop-after 1",
        env!("CARGO_BIN_EXE_affect-train"),
        here.path().join("recipe.toml").display(),
        here.path().display(),
        here.path().join("out").display()
    );
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    let text = complaint(&output);
    assert!(text.contains("Free some space"), "{text}");
    assert_eq!(state(), before);
    assert!(
        emotion(here.path(), &["--stop-after", "1"]).status.success(),
        "and goes on from there"
    );
}

#[test]
fn impossible_recipes_are_refused() {
    let here = place(PHASE);
    let good = recipe("emotion", "folder", "train", "", PHASE);
    for (from, to, wanted) in [
        ("size = 48", "size = 40", "at least 48"),
        ("width = 0.25", "width = 3.0", "0.25 to 1"),
        ("rate = 1e-3", "rate = 2.0", "between 0 and 1"),
        ("shards = 2", "shards = 40", "cannot be split"),
        ("seed = 3", "seed = 3\nsede = 3", "sede"),
        ("rate = 1e-3", "rate = 1e-3\nlearns = \"conv9\"", "conv9"),
        ("stage = \"emotion\"", "stage = \"identity\"", "another stage"),
        ("format = \"folder\"", "format = \"zip\"", "zip"),
    ] {
        assert!(good.contains(from));
        std::fs::write(here.path().join("recipe.toml"), good.replace(from, to)).unwrap();
        let text = complaint(&emotion(here.path(), &[]));
        assert!(text.contains(wanted), "{to}: {text}");
    }
}

#[test]
fn too_few_calibration_pictures_and_identity_heads_are_refused() {
    let here = place(PHASE);
    assert!(emotion(here.path(), &[]).status.success());
    let export = |weights: &Path, pictures: &str| {
        let mut command = affect_train();
        command
            .arg("export")
            .arg(weights)
            .arg("--out")
            .arg(here.path().join("model"));
        let calibrate = format!("folder:{}", here.path().join("set").display());
        command.args([
            "--title",
            "t",
            "--source",
            "s",
            "--calibrate",
            &calibrate,
            "--pictures",
            pictures,
        ]);
        command.arg("--runtime").arg(runtime()).output().unwrap()
    };
    let best = here.path().join("out/best.safetensors");
    let text = complaint(&export(&best, "3"));
    assert!(text.contains("3 calibration picture(s) are too few"), "{text}");

    let mut weights = Weights::read(&best).unwrap();
    let heads = weights.about["heads"].replace("expression", "identity");
    weights.about.insert("heads".to_owned(), heads);
    for part in ["kernel", "bias"] {
        let array = weights.find(&format!("expression.{part}")).unwrap().clone();
        weights.insert(format!("identity.{part}"), array);
    }
    let file = here.path().join("identity.safetensors");
    weights.write(&file).unwrap();
    let text = complaint(&export(&file, "32"));
    assert!(text.contains("`identity` is not exported"), "{text}");
}

#[cfg(not(feature = "vulkan"))]
#[test]
fn a_device_that_the_program_was_not_built_for_is_said() {
    let place = place(PHASE);
    let output = emotion(place.path(), &["--device", "vulkan"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("was built without Vulkan. Build it with `--features vulkan`"),
        "{}",
        stderr(&output)
    );
}
