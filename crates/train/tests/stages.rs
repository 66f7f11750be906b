//! Every stage with the real program on a small made-up set: identity → attributes and emotion → int8 → evaluation.
//! This is `make train-smoke`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use affect_train::weights::Weights;
use common::{affect_train, ages, all_expressions, expressions, people, recipe, root, run, runtime, stderr};

const ONE_EPOCH: &str = "[[phase]]\nname = \"whole\"\nepochs = 1\nrate = 2e-3\n";

fn train(
    stage: &str,
    folder: &Path,
    out: &str,
    weights: Option<&Path>,
    more: &[&str],
) -> std::process::Output {
    let mut command = affect_train();
    command
        .arg(stage)
        .arg(folder.join("recipe.toml"))
        .arg("--data")
        .arg(folder)
        .arg("--out")
        .arg(folder.join(out));
    if let Some(weights) = weights {
        command.arg("--weights").arg(weights);
    }
    command.args(more).output().unwrap()
}

#[test]
fn all_stages_run_one_after_another_and_end_in_a_model_folder() {
    let place = tempfile::tempdir().unwrap();
    let (who, what, how) = (
        place.path().join("who"),
        place.path().join("what"),
        place.path().join("how"),
    );

    people(&who.join("set"), 6, 8);
    std::fs::write(
        who.join("recipe.toml"),
        recipe("identity", "lfw", "", "sam_rho = 0.05", ONE_EPOCH),
    )
    .unwrap();
    let output = train("identity", &who, "out", None, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let base = who.join("out/best.safetensors");

    ages(&what.join("set"), 60);
    let heads = "[[phase]]\nname = \"heads\"\nepochs = 1\nrate = 1e-3\nlearns = \"heads\"\n";
    std::fs::write(
        what.join("recipe.toml"),
        recipe("attributes", "utkface", "", "", heads),
    )
    .unwrap();
    let output = train("attributes", &what, "out", Some(&base), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (before, after) = (
        Weights::read(&base).unwrap(),
        Weights::read(&what.join("out/best.safetensors")).unwrap(),
    );
    for (name, array) in before.iter().filter(|(name, _)| name.starts_with("conv")) {
        assert_eq!(
            after.find(name),
            Some(array),
            "{name} of the frozen base has changed"
        );
    }

    all_expressions(&how.join("set"), 40);
    let phases = "[[phase]]\nname = \"heads\"\nepochs = 1\nrate = 1e-2\nlearns = \"heads\"\n[[phase]]\nname = \"whole\"\nepochs = 12\nrate = 3e-3\nfinal_rate = 1e-4\n[augmentation]\nflip = 0.5\nshift = 0.05\nshrink = 0.2\nshrink_to = 32.0\nblur = 0.2\ngrey = 0.3\nbrightness = 0.1\ncontrast = 0.2\nrotate = 5.0\nerase = 0.1\n[loss]\nclass_weights = \"root\"\n";
    std::fs::write(
        how.join("recipe.toml"),
        recipe("emotion", "folder", "train", "", phases),
    )
    .unwrap();
    let output = train("emotion", &how, "out", Some(&base), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let curves = std::fs::read_to_string(how.join("out/curves.csv")).unwrap();
    let loss = |line: usize| {
        curves
            .lines()
            .nth(line)
            .unwrap()
            .split(',')
            .nth(3)
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert_eq!(curves.lines().count(), 14, "{curves}");
    assert!(loss(13) < loss(2), "training lowers the loss: {curves}");
    assert!(
        std::fs::read_to_string(how.join("out/curves.svg"))
            .unwrap()
            .contains("<svg")
    );

    let model = place.path().join("models/tiny-emotion");
    let calibrate = format!("folder:{}:train", how.join("set").display());
    let mut export = affect_train();
    export
        .arg("export")
        .arg(how.join("out/best.safetensors"))
        .arg("--out")
        .arg(&model);
    export.args([
        "--title",
        "tiny",
        "--source",
        "a test",
        "--pictures",
        "32",
        "--calibrate",
        &calibrate,
    ]);
    export.arg("--runtime").arg(runtime());
    let said = stderr(&run(&mut export));
    assert!(said.contains("XNNPACK takes 29 of 29 operators"), "{said}");
    let same = said
        .split("same answer to ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse::<usize>()
        .unwrap();
    println!("int8 gives the float network's answer to {same} of 32 pictures");
    assert!(same >= 26, "{said}");

    let figures = |model: &Path| {
        let mut command = affect_train();
        command
            .arg("evaluate")
            .arg("--model")
            .arg(model)
            .arg("--data")
            .arg(how.join("set"))
            .arg("--runtime")
            .arg(runtime());
        let output = run(command.args(["--format", "folder", "--split", "valid", "--json"]));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let int8 = figures(&model);
    let float = figures(&how.join("out/best.safetensors"));
    let accuracy = |report: &serde_json::Value| report["expression"]["accuracy"]["value"].as_f64().unwrap();
    println!("float {}, int8 {}", accuracy(&float), accuracy(&int8));
    assert!(accuracy(&float) > 0.17, "always the same answer is 0.14: {float}");
    assert!((accuracy(&float) - accuracy(&int8)).abs() < 0.15);
    assert_eq!(int8["expression"]["labels"].as_array().unwrap().len(), 8);
}

#[test]
fn a_run_that_was_stopped_goes_on_bit_for_bit() {
    let place = tempfile::tempdir().unwrap();
    expressions(&place.path().join("set"), 12);
    all_expressions(&place.path().join("set"), 12);
    let text = recipe(
        "emotion",
        "folder",
        "train",
        "sam_rho = 0.05",
        "[[phase]]\nname = \"whole\"\nepochs = 2\nrate = 1e-3\n[augmentation]\nflip = 0.5\n",
    );
    std::fs::write(place.path().join("recipe.toml"), text).unwrap();
    assert!(
        train("emotion", place.path(), "whole", None, &[])
            .status
            .success()
    );
    for _ in 0..4 {
        let output = train("emotion", place.path(), "parts", None, &["--stop-after", "3"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let weights =
        |out: &str| Weights::read(&place.path().join(out).join("checkpoint/weights.safetensors")).unwrap();
    let state = |out: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(place.path().join(out).join("checkpoint/state.json")).unwrap())
            .unwrap()
    };
    assert_eq!(state("parts")["epoch"], 2, "{}", state("parts"));
    let (whole, parts) = (weights("whole"), weights("parts"));
    for (name, array) in whole.iter() {
        assert_eq!(parts.find(name), Some(array), "{name}");
    }
}

#[test]
fn the_command_line_says_what_it_can_do() {
    let output = run(affect_train().arg("--help"));
    let text = String::from_utf8(output.stdout).unwrap();
    for command in [
        "data",
        "import",
        "identity",
        "attributes",
        "emotion",
        "export",
        "evaluate",
    ] {
        assert!(text.contains(command), "{command}");
    }
    assert!(root().join("crates/train/recipes/emotion.toml").is_file());
}
