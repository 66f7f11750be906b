//! Importers: what comes in computes what its source computes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use affect_core::geometry::Rect;
use affect_train::data::sample;
use affect_train::evaluate::model::open_network;
use affect_train::network::values;
use affect_train::train::validate::probabilities;
use affect_train::weights::Weights;
use burn::tensor::{Tensor, TensorData};
use common::{affect_train, ages, root, run, stderr};

/// A TensorFlow.js model with one array of each kind, half precision.
fn write_tfjs(folder: &Path, cut: usize) {
    let mut weights = Vec::new();
    let mut bytes = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        // 0x3C00 is one, 0x4000 two.
        bytes.extend((0..count).flat_map(|i| if i % 2 == 0 { [0x00, 0x3C] } else { [0x00, 0x40] }));
        weights.push(serde_json::json!({
            "name": name, "shape": shape, "dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}
        }));
    };
    let channels = [
        32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024,
    ];
    add("conv1/convolution/merged_input", &[3, 3, 3, 32]);
    add("conv1_bn/batchnorm_1/sub", &[32]);
    for block in 1..=13 {
        let (i, o) = (channels[block - 1], channels[block]);
        add(&format!("conv_dw_{block}/depthwise_kernel"), &[3, 3, i, 1]);
        add(&format!("conv_dw_{block}_bn/batchnorm_1/mul"), &[i]);
        add(&format!("conv_dw_{block}_bn/batchnorm_1/sub"), &[i]);
        add(
            &format!("conv_pw_{block}/convolution/merged_input"),
            &[1, 1, i, o],
        );
        add(&format!("conv_pw_{block}_bn/batchnorm_1/sub"), &[o]);
    }
    for (name, i, o) in [
        ("feats", 1024, 256),
        ("age_pred", 256, 100),
        ("gender_pred", 256, 1),
    ] {
        add(&format!("{name}/kernel"), &[i, o]);
        add(&format!("{name}/bias"), &[o]);
    }
    let json = serde_json::json!({"weightsManifest": [{"paths": ["faceres.bin"], "weights": weights}]});
    std::fs::write(folder.join("faceres.json"), json.to_string()).unwrap();
    bytes.truncate(bytes.len() - cut);
    std::fs::write(folder.join("faceres.bin"), bytes).unwrap();
}

#[test]
fn the_published_base_keeps_its_layout_and_depthwise_scale() {
    let place = tempfile::tempdir().unwrap();
    write_tfjs(place.path(), 0);
    let out = place.path().join("base.safetensors");
    let output = affect_train()
        .arg("import")
        .arg(place.path().join("faceres.json"))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let weights = Weights::read(&out).unwrap();
    assert_eq!(weights.iter().count(), 60);
    assert_eq!(weights.find("conv1.kernel").unwrap().shape, [32, 3, 3, 3]);
    assert_eq!(weights.find("feats.kernel").unwrap().shape, [256, 1024]);
    // Channel 1 has the scale two; its kernel's numbers are those of the odd places, two: four.
    assert_eq!(weights.find("conv_dw_1.kernel").unwrap().values[9..18], [4.0; 9]);
    assert_eq!(weights.find("conv_dw_1.kernel").unwrap().values[..9], [1.0; 9]);
    assert_eq!(
        (weights.about["channels"].as_str(), weights.about["mean"].as_str()),
        ("bgr", "103.939 116.779 123.68")
    );

    // What was imported says which network it is: it can be evaluated, at its own size and at another.
    let set = place.path().join("set");
    ages(&set, 3);
    let evaluate = |size: &[&str]| {
        let mut command = affect_train();
        command
            .arg("evaluate")
            .arg("--model")
            .arg(&out)
            .arg("--data")
            .arg(&set);
        let output = run(command.args(["--format", "utkface", "--json"]).args(size));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    for size in [&[][..], &["--size", "64"]] {
        let report = evaluate(size);
        // All kernels are alike, so all logits of age are: the two most probable of 100 equal ages are 0 and 1.
        assert_eq!(report["gender"]["of"], 3, "{report}");
        assert!(
            report["age_error"].as_f64().is_some_and(f64::is_finite),
            "{report}"
        );
    }

    // What an older import wrote is refused in words.
    let mut old = Weights::read(&out).unwrap();
    old.about
        .insert("architecture".to_owned(), "mobilenet-v1".to_owned());
    old.write(&place.path().join("old.safetensors")).unwrap();
    let mut command = affect_train();
    command
        .arg("evaluate")
        .arg("--model")
        .arg(place.path().join("old.safetensors"));
    let output = command
        .arg("--data")
        .arg(&set)
        .args(["--format", "utkface"])
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("import them again"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_keras_file_answers_to_faces_what_keras_answers() {
    let recorded: serde_json::Value = serde_json::from_str(include_str!("data/keras.json")).unwrap();
    let size = recorded["size"].as_u64().unwrap() as usize;
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        let values = value.as_array().unwrap().iter();
        values.map(|v| v.as_f64().unwrap() as f32).collect()
    };
    let labels: Vec<&str> = recorded["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label.as_str().unwrap())
        .collect();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("imported.safetensors");
    run(affect_train()
        .arg("import")
        .arg(root().join("crates/train/tests/data/mobilenet_7.h5"))
        .args([
            "--width",
            "0.25",
            "--size",
            &size.to_string(),
            "--head",
            "emotion_preds",
        ])
        .args(["--labels", &labels.join(",")])
        .arg("--out")
        .arg(&out));

    let device = affect_train::device::cpu();
    let (plan, weights, network) = open_network(&out, &device).unwrap();
    assert_eq!(weights.about["labels"], labels.join(", "));
    let (mut scores_off, mut embedding_off) = (0f32, 0f32);
    for case in recorded["cases"].as_array().unwrap() {
        let image = case["image"].as_str().unwrap();
        let picture = sample::decode(&root().join("models/emotion-mobilenet-v1").join(image)).unwrap();
        let region = Rect {
            x: case["x"].as_f64().unwrap() as f32,
            y: case["y"].as_f64().unwrap() as f32,
            w: size as f32,
            h: size as f32,
        };
        let mut planes = Vec::new();
        sample::append_region(&mut planes, &picture, &region, &plan.input).unwrap();
        let tensor: Tensor<4> = Tensor::from_data(TensorData::new(planes, [1, 3, size, size]), &device);
        let worst = |found: &[f32], wanted: &[f32]| {
            let differences = found.iter().zip(wanted).map(|(f, w)| (f - w).abs());
            differences.fold(0f32, f32::max)
        };
        let embedding = numbers(&case["embedding"]);
        let found = values(network.embed(tensor.clone()));
        embedding_off = embedding_off.max(worst(&found[..embedding.len()], &embedding));
        let wanted = numbers(&case["scores"]);
        let found = probabilities(&values(network.forward(tensor).remove(0)));
        assert_eq!(found.len(), wanted.len());
        scores_off = scores_off.max(worst(&found, &wanted));
    }
    println!("largest error: probabilities {scores_off:.1e}, features {embedding_off:.1e}");
    // The features are up to two in size, and spread by a half.
    assert!(
        scores_off < 1e-5 && embedding_off < 1e-4,
        "{scores_off} {embedding_off}"
    );
}

#[test]
fn damaged_sources_are_refused_in_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    write_tfjs(place.path(), 100);
    let import = |file: &str| {
        let mut command = affect_train();
        command
            .arg("import")
            .arg(place.path().join(file))
            .arg("--out")
            .arg(place.path().join("x.safetensors"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    assert!(
        import("faceres.json").contains("ends before `gender_pred"),
        "{}",
        import("faceres.json")
    );
    std::fs::write(place.path().join("faceres.json"), "{}").unwrap();
    assert!(import("faceres.json").contains("no `weightsManifest`"));
    std::fs::write(place.path().join("a.h5"), "no weights").unwrap();
    assert!(
        import("a.h5").contains("a.h5 is damaged or not a weight file"),
        "{}",
        import("a.h5")
    );
    assert!(import("none.h5").contains("none.h5"));
    assert!(import("a.onnx").contains("not from `.onnx`"));
}
