//! Every stage with the real program on a small made-up set: identity → attributes and emotion → int8 → evaluation.
//! This is `make train-smoke`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use affect_train::train::recipe::{Recipe, Stage};
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
    recognition_in_float_and_int8(&base, &who);

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
    let phases = "[[phase]]\nname = \"heads\"\nepochs = 1\nrate = 1e-2\nlearns = \"heads\"\n[[phase]]\nname = \"whole\"\nepochs = 30\nrate = 3e-3\nfinal_rate = 1e-4\n[augmentation]\nflip = 0.5\nshift = 0.05\nshrink = 0.2\nshrink_to = 32.0\nblur = 0.2\ngrey = 0.3\nbrightness = 0.1\ncontrast = 0.2\nrotate = 5.0\nerase = 0.1\n[loss]\nclass_weights = \"root\"\n";
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
    assert_eq!(curves.lines().count(), 32, "{curves}");
    assert!(loss(31) < loss(2), "training lowers the loss: {curves}");
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
    // Who is on the pictures 0.png to 19.png of every class.
    let people = (0..20).map(|id| {
        let (gender, origin) = (["female", "male"][id % 2], ["north", "south"][id / 10]);
        format!("{id},{},{gender},{origin}\n", 15 + id)
    });
    let table = format!("id,age,gender,ethnicity\n{}", people.collect::<String>());
    std::fs::write(how.join("set/people.csv"), table).unwrap();
    let int8 = figures(&model);
    groups_add_up(&int8);
    let float = figures(&how.join("out/best.safetensors"));
    let accuracy = |report: &serde_json::Value| report["expression"]["accuracy"]["value"].as_f64().unwrap();
    println!("float {}, int8 {}", accuracy(&float), accuracy(&int8));
    assert!(accuracy(&float) > 0.17, "always the same answer is 0.14: {float}");
    assert!((accuracy(&float) - accuracy(&int8)).abs() < 0.15);
    assert_eq!(int8["expression"]["labels"].as_array().unwrap().len(), 8);
}

/// Rank-1 of a network's embedding on the people it was trained on, and on three of them.
fn recognition_in_float_and_int8(weights: &Path, who: &Path) {
    let rank = |more: &[&str]| {
        let mut command = affect_train();
        command
            .arg("evaluate")
            .arg("--model")
            .arg(weights)
            .arg("--data")
            .arg(who.join("set"));
        command
            .args(["--format", "lfw", "--json", "--int8"])
            .arg(format!("lfw:{}", who.join("set").display()));
        let output = run(command.arg("--runtime").arg(runtime()).args(more));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let all = rank(&[]);
    let mean = |report: &serde_json::Value, which: &str| report[which]["mean"].as_f64().unwrap();
    println!(
        "rank-1: float {}, int8 {}",
        mean(&all, "rank_1"),
        mean(&all, "rank_1_int8")
    );
    assert_eq!(
        (&all["rank_1"]["people"], &all["rank_1"]["probes"]),
        (&6.into(), &42.into())
    );
    assert!(mean(&all, "rank_1") > 0.2, "by chance it is 0.17: {all}");
    assert!(
        (mean(&all, "rank_1") - mean(&all, "rank_1_int8")).abs() < 0.15,
        "{all}"
    );

    let file = who.join("three.txt");
    std::fs::write(&file, "person_0\nperson_2\n\nperson_5\nnobody\n").unwrap();
    let three = rank(&["--people", file.to_str().unwrap(), "--size", "64"]);
    assert_eq!(
        (&three["rank_1"]["people"], &three["faces"]),
        (&3.into(), &24.into())
    );
}

/// Results per group of people, with intervals, that together are the result of all.
fn groups_add_up(report: &serde_json::Value) {
    let all = &report["expression"]["accuracy"];
    let groups = report["groups"].as_array().unwrap();
    let names: Vec<_> = groups
        .iter()
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "age 20 to 39",
            "age under 20",
            "ethnicity north",
            "ethnicity south",
            "gender female",
            "gender male",
            "the paper's, 21 to 60 years"
        ]
    );
    for kind in ["age", "ethnicity", "gender"] {
        let (mut right, mut of) = (0.0, 0.0);
        for group in groups
            .iter()
            .filter(|group| group["name"].as_str().unwrap().starts_with(kind))
        {
            let (faces, part) = (group["faces"].as_f64().unwrap(), &group["figures"]["expression"]);
            let ends = group["intervals"]["expression"].as_array().unwrap();
            let (low, value, high) = (
                ends[0].as_f64().unwrap(),
                part.as_f64().unwrap(),
                ends[1].as_f64().unwrap(),
            );
            assert!(low <= value && value <= high && low < high, "{group}");
            (right, of) = (right + value * faces, of + faces);
        }
        assert_eq!(of, all["of"].as_f64().unwrap(), "{kind}: {report}");
        assert!(
            (right - all["right"].as_f64().unwrap()).abs() < 1e-6,
            "{kind}: {report}"
        );
    }
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
        "[[phase]]\nname = \"whole\"\nepochs = 1\nrate = 1e-3\naverage = true\n\
         [[phase]]\nname = \"again\"\nepochs = 1\nrate = 1e-3\naverage = true\n[augmentation]\nflip = 0.5\n",
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
    let read = |file: &str| Weights::read(&place.path().join(file)).unwrap();
    let weights = |out: &str| read(&format!("{out}/checkpoint/weights.safetensors"));
    let state = |out: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(place.path().join(out).join("checkpoint/state.json")).unwrap())
            .unwrap()
    };
    assert_eq!(state("parts")["epoch"], 2, "{}", state("parts"));
    let (whole, parts) = (weights("whole"), weights("parts"));
    for (name, array) in whole.iter() {
        assert_eq!(parts.find(name), Some(array), "{name}");
    }
    // So does the mean of both phases' ends.
    let average = read("parts/average.safetensors");
    assert_eq!(average, read("whole/average.safetensors"));
    let ends = [
        read("whole/after-1.safetensors"),
        read("whole/after-2.safetensors"),
    ];
    for (name, array) in average.iter() {
        let [first, last] = [&ends[0], &ends[1]].map(|end| &end.find(name).unwrap().values);
        for (i, value) in array.values.iter().enumerate() {
            assert!(
                (value - (first[i] + last[i]) / 2.0).abs() <= value.abs() * 1e-6,
                "{name}"
            );
        }
    }
    assert_ne!(ends[0].find("conv1.kernel"), ends[1].find("conv1.kernel"));
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
}

#[test]
fn every_recipe_that_comes_with_the_program_makes_sense() {
    let recipes = std::fs::read_dir(root().join("crates/train/recipes")).unwrap();
    let read: Vec<_> = recipes
        .map(|file| Recipe::read(&file.unwrap().path()).unwrap())
        .collect();
    for stage in [Stage::Identity, Stage::Attributes, Stage::Emotion] {
        assert!(read.iter().any(|recipe| recipe.stage == stage), "{stage:?}");
    }
}
