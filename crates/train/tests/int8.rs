//! Files that the int8 writer makes, in the real interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use affect_core::geometry::Rect;
use affect_core::preprocess::Picture;
use affect_tflite::{Delegate, Interpreter, Model, Options, Runtime};
use affect_train::data::pixels::Pixels;
use affect_train::data::sample;
use affect_train::int8::{self, Exported};
use affect_train::network::architecture::{Architecture, Family};
use affect_train::network::plan::Plan;
use affect_train::network::{Network, values};
use affect_train::weights::Weights;
use affect_vision::{Engine, LoadedModel};
use burn::module::Module as _;
use burn::tensor::{Tensor, TensorData};
use common::{face, root, runtime};
use proptest::prelude::*;

/// Tensors of drawn faces.
fn pictures(size: usize, count: usize) -> Vec<f32> {
    let mut planes = Vec::new();
    for number in 0..count {
        let drawn = face(number % 4, number, number);
        let picture = Pixels {
            width: 48,
            height: 48,
            rgb: drawn.into_raw(),
        };
        sample::append_region(
            &mut planes,
            &picture,
            &Rect::of_image(48, 48),
            &sample::float_input(size),
        )
        .unwrap();
    }
    planes
}

/// Random weights, but batch norm's running statistics are those of drawn faces: otherwise values explode from layer
/// to layer, and a comparison says nothing.
fn settled(plan: &Plan, passes: usize) -> Weights {
    let device = affect_train::device::cpu().autodiff();
    let mut weights = Weights::random(plan, 5);
    // Heads that tell classes apart, so that answers are not a matter of the last bit.
    for head in &plan.heads {
        let name = format!("{}.kernel", head.name);
        let mut kernel = weights.find(&name).unwrap().clone();
        kernel.values.iter_mut().for_each(|v| *v *= 30.0);
        weights.insert(name, kernel);
    }
    let network = Network::new(plan.clone(), &weights, &device).unwrap();
    let planes = pictures(plan.size, 8);
    for _ in 0..passes {
        let data = TensorData::new(planes.clone(), [8, 3, plan.size, plan.size]);
        let _ = network.forward(Tensor::from_data(data, &device));
    }
    network.valid().weights()
}

fn exported(name: Family, width: f32, size: usize, passes: usize) -> Exported {
    let architecture = Architecture {
        name,
        width,
        size,
        folded: false,
        hidden: 0,
    };
    let plan = architecture
        .plan()
        .unwrap()
        .with_heads(&[("expression", 8), ("gender", 1)]);
    let options = int8::Options {
        bias_correction: true,
        description: "test".to_owned(),
    };
    let weights = settled(&plan, passes);
    int8::export(
        &plan,
        &weights,
        &pictures(size, 16),
        &options,
        &affect_train::device::cpu(),
    )
    .unwrap()
}

#[test]
fn xnnpack_takes_every_operator_of_all_three_networks() {
    for (name, width) in [
        (Family::MobilenetV1, 0.25),
        (Family::EfficientnetB0, 1.0),
        (Family::Rexnet150, 1.0),
    ] {
        let exported = exported(name, width, 64, 3);
        let lines = int8::check::compare(
            &exported,
            &pictures(64, 16),
            &runtime(),
            &affect_train::device::cpu(),
        )
        .unwrap();
        // `compare` refuses a file of which XNNPACK leaves an operator.
        let operators = exported.graph.nodes.len();
        assert_eq!(
            lines[0],
            format!("XNNPACK takes {operators} of {operators} operators.")
        );
        println!("{name:?}: {lines:?}");
    }
}

#[test]
fn folding_batch_norm_changes_nothing_but_rounding() {
    let device = affect_train::device::cpu();
    for name in [Family::MobilenetV1, Family::EfficientnetB0, Family::Rexnet150] {
        let architecture = Architecture {
            name,
            width: 1.0,
            size: 64,
            folded: false,
            hidden: 0,
        };
        let plan = architecture.plan().unwrap().with_heads(&[("expression", 8)]);
        let weights = settled(&plan, 3);
        let (folded_plan, folded) = int8::fold::fold(&plan, &weights).unwrap();
        let answer = |plan: &Plan, weights: &Weights| {
            let data = TensorData::new(pictures(64, 2), [2, 3, 64, 64]);
            let network = Network::new(plan.clone(), weights, &device).unwrap();
            values(network.forward(Tensor::from_data(data, &device)).remove(0))
        };
        let (before, after) = (answer(&plan, &weights), answer(&folded_plan, &folded));
        let scale = before.iter().fold(0f32, |most, v| most.max(v.abs()));
        let worst = before
            .iter()
            .zip(&after)
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, f32::max);
        println!("{name:?}: largest difference {worst:.2e} of values up to {scale:.2e}");
        assert!(worst < 1e-3 * scale, "{name:?}: {worst} of {scale}");
    }
}

#[test]
fn a_channel_that_died_keeps_its_bias() {
    let architecture = Architecture {
        name: Family::MobilenetV1,
        width: 0.25,
        size: 48,
        folded: true,
        hidden: 0,
    };
    let plan = architecture.plan().unwrap().with_heads(&[("expression", 8)]);
    let mut weights = Weights::random(&plan, 5);
    for (channel, left) in [(2, 0.0), (3, 1e-12), (4, 1e-6)] {
        let mut kernel = weights.find("conv_pw_3.kernel").unwrap().clone();
        let each = kernel.values.len() / kernel.shape[0];
        kernel.values[channel * each..(channel + 1) * each].fill(left);
        weights.insert("conv_pw_3.kernel".to_owned(), kernel);
        let mut bias = weights.find("conv_pw_3.bias").unwrap().clone();
        bias.values[channel] = 2.5;
        weights.insert("conv_pw_3.bias".to_owned(), bias);
    }
    let options = int8::Options {
        bias_correction: false,
        description: "test".to_owned(),
    };
    let device = affect_train::device::cpu();
    let exported = int8::export(&plan, &weights, &pictures(48, 16), &options, &device).unwrap();
    let tensors = &exported.graph.tensors;
    let bias = tensors.iter().find(|t| t.name == "conv_pw_3/bias").unwrap();
    let stored = bias.data.as_ref().unwrap().as_chunks::<4>().0;
    let scales = &bias.quantised.as_ref().unwrap().scale;
    for channel in 2..5 {
        let value = i32::from_le_bytes(stored[channel]) as f32 * scales[channel];
        assert!((value - 2.5).abs() < 1e-5, "channel {channel}: {value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn what_is_written_is_read_back(width in 0.25f32..0.5, size in 48usize..80) {
        let exported = exported(Family::MobilenetV1, width, size, 1);
        let model = Model::from_bytes(exported.bytes.clone()).unwrap();
        let input = &model.inputs()[0];
        prop_assert_eq!(&input.name, "input");
        prop_assert_eq!(&input.shape, &[1, size, size, 3]);
        let quantised = input.quantisation.as_ref().unwrap();
        prop_assert_eq!(quantised.scale, exported.input.scale);
        prop_assert_eq!(quantised.zero_point, exported.input.zero_point);
        let names: Vec<&str> = model.outputs().iter().map(|o| o.name.as_str()).collect();
        prop_assert_eq!(names, ["expression", "gender"]);
        prop_assert_eq!(model.operators().len(), exported.graph.nodes.len());
        for output in model.outputs() {
            let written = exported.graph.tensors.iter().find(|t| t.name == output.name).unwrap();
            let q = written.quantised.as_ref().unwrap();
            let read = output.quantisation.as_ref().unwrap();
            prop_assert_eq!((read.scale, i64::from(read.zero_point)), (q.scale[0], q.zero_point[0]));
        }
        let options = Options { threads: 1, delegate: Delegate::None };
        let mut interpreter = Interpreter::new(&Runtime::load(&runtime()).unwrap(), &model, &options).unwrap();
        interpreter.invoke().unwrap();
    }
}

#[test]
fn trainer_and_daemon_make_the_same_tensor_of_the_same_picture_and_box() {
    let model = LoadedModel::open(&root().join("models/emotion-mobilenet-v1")).unwrap();
    let input = model.manifest.input.clone();
    let options = Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let mut daemon = Engine::new(&Runtime::load(&runtime()).unwrap(), &model, &options).unwrap();
    let picture = sample::decode(&root().join("tests/data/images/portrait.jpg")).unwrap();
    for (x, y, w, h) in [
        (300.0, 150.0, 333.3, 411.7),
        (0.0, 0.0, 99.5, 50.25),
        (700.4, 20.0, 64.0, 64.0),
    ] {
        let region = Rect { x, y, w, h };
        let view = Picture::new(picture.width, picture.height, &picture.rgb).unwrap();
        daemon.fill(&view, &region).unwrap();
        let stored = daemon.stored_input().unwrap();

        let mut planes = Vec::new();
        sample::append_region(&mut planes, &picture, &region, &sample::float_input(input.width)).unwrap();
        let quantised = input.quantisation.unwrap();
        let pixels = input.width * input.height;
        for (at, stored) in stored.iter().enumerate() {
            let real = planes[at % 3 * pixels + at / 3];
            let trained =
                ((real / quantised.scale).round() + quantised.zero_point as f32).clamp(-128.0, 127.0);
            assert_eq!(*stored, trained, "value {at} of {region:?}");
        }
    }
}

#[test]
fn no_shipped_model_has_an_identity_embedding_as_an_output() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("models")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("model.toml").is_file() {
            continue;
        }
        let model = LoadedModel::open(&folder).unwrap();
        for output in model.file.outputs() {
            let name = output.name.to_lowercase();
            for word in ["embed", "identity_", "feats", "feature", "descriptor"] {
                assert!(
                    !name.contains(word),
                    "{} has an output `{name}`",
                    folder.display()
                );
            }
            // The stand-in's only output is called `Identity` by TensorFlow: seven probabilities.
            assert!(
                output.shape.iter().product::<usize>() < 256 || model.manifest.expression.is_none(),
                "{name}"
            );
        }
        seen += 1;
    }
    assert!(seen >= 3, "{seen} models");
}
