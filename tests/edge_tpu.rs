//! The real daemon with an Edge TPU that is a double: it works, is absent, crashes or hangs, when it is tried and later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that fails shall say where

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use affect_core::manifest::{EdgeTpuFile, Element, Manifest, Quantisation};
use common::{Mosquitto, Process, Subscriber, affectd, clip_config, free_port, root, stderr, stdout};
use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A folder with the default model, which also has a file for the Edge TPU, and a library that behaves as `mode` says.
struct Bench {
    folder: tempfile::TempDir,
    compiled_sha256: String,
    mode: String,
}

impl Bench {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(folder.path().join("libedgetpu.so.1"))
            .arg(format!("-DMODE=\"{mode}\""))
            .arg(root().join("crates/tflite/tests/delegate_double.c"))
            .status();
        assert!(built.unwrap().success());
        let from = root().join("models/emotion-mobilenet-v1");
        let model = folder.path().join("model");
        std::fs::create_dir(&model).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), model.join(file.file_name())).unwrap();
        }
        let mut bench = Self {
            folder,
            compiled_sha256: String::new(),
            mode: mode.to_owned(),
        };
        let mut manifest = bench.manifest();
        // The compiled file has one operator and one output.
        manifest.second_expression = None;
        manifest.outputs.retain(|output| output.role == "expression");
        let compiled = compile(&manifest);
        bench.compiled_sha256 = affect_vision::hex(&Sha256::digest(&compiled));
        std::fs::write(model.join("emotion_edgetpu.tflite"), compiled).unwrap();
        manifest.edge_tpu = Some(EdgeTpuFile {
            file: "emotion_edgetpu.tflite".to_owned(),
            sha256: bench.compiled_sha256.clone(),
        });
        bench.write(&manifest);
        bench
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("model")
    }

    fn manifest(&self) -> Manifest {
        Manifest::from_toml(&std::fs::read_to_string(self.model().join("model.toml")).unwrap()).unwrap()
    }

    fn write(&self, manifest: &Manifest) {
        std::fs::write(
            self.model().join("model.toml"),
            toml::to_string(manifest).unwrap(),
        )
        .unwrap();
    }

    /// Writes a configuration with this delegate, and gives its path.
    fn config(&self, port: u16, delegate: &str) -> PathBuf {
        // A busy machine may take its time, but one that hangs need not be waited for that long.
        let timeout = if self.mode == "hangs" { "3s" } else { "40s" };
        let library = self.folder.path().join("libedgetpu.so.1");
        let more = format!(
            "[model]\npath = \"{}\"\ndelegate = \"{delegate}\"\ndelegate_library = \"{}\"\ndelegate_timeout = \"{timeout}\"",
            self.model().display(),
            library.display()
        );
        let path = self.folder.path().join("affectd.toml");
        std::fs::write(&path, clip_config(port, &more)).unwrap();
        path
    }

    /// A command in this folder as the state directory, with a watchdog of four seconds.
    fn affectd(&self, command: &str, config: &Path) -> Command {
        let mut affectd = affectd();
        affectd
            .args([command, "-c"])
            .arg(config)
            .env("STATE_DIRECTORY", self.folder.path())
            .env("WATCHDOG_USEC", "4000000");
        affectd
    }

    fn start(&self, port: u16, delegate: &str) -> Process {
        Process::start(&mut self.affectd("run", &self.config(port, delegate)))
    }

    fn failures(&self) -> Option<u64> {
        let record = std::fs::read(self.folder.path().join("edge_tpu_failures")).ok()?;
        serde_json::from_slice::<Value>(&record).unwrap()["failures"].as_u64()
    }
}

/// What the Edge TPU compiler makes of a network: one operator that only the Edge TPU knows, with the network's tensors.
fn compile(manifest: &Manifest) -> Vec<u8> {
    const fn slot(number: u16) -> u16 {
        4 + 2 * number
    }
    let mut builder = FlatBufferBuilder::new();
    let b = &mut builder;
    let (input, output) = (&manifest.input, &manifest.outputs[0]);
    assert_eq!((input.element, output.element), (Element::Int8, Element::Int8));
    let shape = [1, input.height, input.width, input.channels.count()];
    let tensors = [
        tensor(b, &input.tensor, &shape, input.quantisation.unwrap()),
        tensor(b, &output.tensor, &output.shape, output.quantisation.unwrap()),
    ];
    let name = b.create_string("edgetpu-custom-op");
    let code = b.start_table();
    b.push_slot::<i8>(slot(0), 32, 0);
    b.push_slot_always(slot(1), name);
    b.push_slot::<i32>(slot(3), 32, 0);
    let code = b.end_table(code);
    let (first, second) = (b.create_vector(&[0i32]), b.create_vector(&[1i32]));
    let program = b.create_vector(b"a program for the Edge TPU");
    let operator = b.start_table();
    b.push_slot_always(slot(1), first);
    b.push_slot_always(slot(2), second);
    b.push_slot_always(slot(5), program);
    let operator = b.end_table(operator);
    let (tensors, operators) = (b.create_vector(&tensors), b.create_vector(&[operator]));
    let graph = b.start_table();
    b.push_slot_always(slot(0), tensors);
    b.push_slot_always(slot(1), first);
    b.push_slot_always(slot(2), second);
    b.push_slot_always(slot(3), operators);
    let graph = b.end_table(graph);
    let buffer = b.start_table();
    let buffer = b.end_table(buffer);
    let (codes, graphs, buffers) = (
        b.create_vector(&[code]),
        b.create_vector(&[graph]),
        b.create_vector(&[buffer]),
    );
    let model = b.start_table();
    b.push_slot::<u32>(slot(0), 3, 0);
    b.push_slot_always(slot(1), codes);
    b.push_slot_always(slot(2), graphs);
    b.push_slot_always(slot(4), buffers);
    let model = b.end_table(model);
    b.finish(model, Some("TFL3"));
    builder.finished_data().to_vec()
}

fn tensor(
    b: &mut FlatBufferBuilder<'_>,
    name: &str,
    shape: &[usize],
    quantisation: Quantisation,
) -> WIPOffset<TableFinishedWIPOffset> {
    let scale = b.create_vector(&[quantisation.scale]);
    let zero_point = b.create_vector(&[i64::from(quantisation.zero_point)]);
    let quantised = b.start_table();
    b.push_slot_always(8, scale);
    b.push_slot_always(10, zero_point);
    let quantised = b.end_table(quantised);
    let shape: Vec<i32> = shape.iter().map(|extent| *extent as i32).collect();
    let (name, shape) = (b.create_string(name), b.create_vector(&shape));
    let table = b.start_table();
    b.push_slot_always(4, shape);
    // The schema's number of INT8.
    b.push_slot::<i8>(6, 9, 0);
    b.push_slot_always(10, name);
    b.push_slot_always(12, quantised);
    b.end_table(table)
}

fn info(subscriber: &mut Subscriber) -> Value {
    subscriber.wait_for("info", |m| m.topic.ends_with("/info")).json()
}

fn fallback(model: &Value) -> &str {
    model["fallback"]
        .as_str()
        .unwrap_or_else(|| panic!("no fallback: {model}"))
}

#[test]
fn one_that_works_runs_the_model_and_info_says_so() {
    let bench = Bench::new("works");
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let mut daemon = bench.start(broker.port, "auto");
    let info = info(&mut subscriber);
    println!("{:#}", info["model"]);
    assert_eq!(info["model"]["delegate"], "edgetpu");
    assert_eq!(info["model"]["operators"], 1);
    assert_eq!(info["model"]["operators_delegated"], 1);
    assert_eq!(
        info["model"]["operators_taken"],
        serde_json::json!({"edgetpu-custom-op": 1})
    );
    assert_eq!(info["model"]["sha256"], bench.compiled_sha256.as_str());
    assert_eq!(info["model"]["fallback"], Value::Null);
    // The detector has no file for the Edge TPU, which nobody who writes "auto" complains about.
    assert_eq!(info["detector"]["delegate"], "xnnpack");
    assert_eq!(info["detector"]["fallback"], Value::Null);
    // The double finds everybody to be the second of the labels.
    assert_eq!(bench.manifest().expression.unwrap().labels[1].name(), "happiness");
    let full = subscriber.wait_for("a window with a mood", |m| {
        m.topic.ends_with("/window") && m.json()["mood"].is_object()
    });
    let window = full.json();
    assert_eq!(window["model"]["sha256"], bench.compiled_sha256.as_str());
    println!("{}", window["emotion"]);
    assert_eq!(
        window["coarsened"],
        serde_json::json!(["homogeneous_group"]),
        "{window}"
    );
    assert_eq!(
        window["emotion"],
        serde_json::json!({"at_least": {"happiness": 0.8}})
    );
    // It has not worked for a minute; but an orderly end is no failure.
    assert_eq!(bench.failures(), Some(1));
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert_eq!(bench.failures(), None);
}

#[test]
fn one_that_does_not_work_is_seen_in_info_and_the_processor_goes_on() {
    for (mode, delegate, why) in [
        ("absent", "auto", "no device was found"),
        ("refuses", "edgetpu", "failed to make an interpreter"),
        ("crashes", "auto", "crashed (signal 11) when it was tried"),
        ("hangs", "edgetpu", "gave no answer within 3s"),
    ] {
        let bench = Bench::new(mode);
        let broker = Mosquitto::started();
        let mut subscriber = Subscriber::start(broker.port, &["5"]);
        let daemon = bench.start(broker.port, delegate);
        let info = info(&mut subscriber);
        println!("{mode}: {}", info["model"]);
        assert_eq!(info["model"]["delegate"], "xnnpack", "{mode}");
        assert_eq!(info["model"]["sha256"], bench.manifest().sha256.as_str());
        assert_eq!(info["model"]["operators_delegated"], info["model"]["operators"]);
        assert!(fallback(&info["model"]).contains(why), "{mode}: {info:#}");
        assert!(daemon.log().contains(why), "{mode}: {}", daemon.log());
        match delegate {
            "auto" => assert_eq!(info["detector"]["fallback"], Value::Null),
            _ => assert!(fallback(&info["detector"]).contains("names no file for the Edge TPU")),
        }
        subscriber.window_numbers(1);
        assert_eq!(bench.failures(), None, "{mode} was never in use");
    }
}

#[test]
fn one_that_fails_in_use_is_given_up_after_three_starts() {
    let bench = Bench::new("hangs_later");
    for start in 1..=3 {
        let mut daemon = bench.start(free_port(), "auto");
        daemon.wait_for_log("it takes 1 of 1 operators");
        daemon.wait_for_log("The thread `vision` has not come round");
        assert_eq!(bench.failures(), Some(start));
        // As systemd does it, which gets no sign of life any more.
        daemon.signal("-ABRT");
        assert!(!daemon.wait().success());
    }
    let broker = Mosquitto::started();
    let mut subscriber = Subscriber::start(broker.port, &["5"]);
    let _daemon = bench.start(broker.port, "auto");
    let info = info(&mut subscriber);
    println!("{}", info["model"]);
    assert_eq!(info["model"]["delegate"], "xnnpack");
    assert!(fallback(&info["model"]).contains("3 times in a row"));
    subscriber.window_numbers(1);
    // Whoever asks beside the daemon hears the same.
    let config = bench.config(broker.port, "auto");
    let output = bench.affectd("doctor", &config).arg("--json").output().unwrap();
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        report["models"]["expression"],
        info["model"],
        "{}",
        stderr(&output)
    );
}

#[test]
fn one_that_is_lost_in_use_is_like_one_that_hangs() {
    let bench = Bench::new("fails_later");
    let daemon = bench.start(free_port(), "auto");
    daemon.wait_for_log("the device was unplugged");
    daemon.wait_for_log("The thread `vision` has not come round");
    assert_eq!(bench.failures(), Some(1));
}

#[test]
fn a_child_that_hangs_is_killed_in_time_and_leaves_nothing() {
    let bench = Bench::new("hangs");
    let config = bench.config(free_port(), "edgetpu");
    let began = Instant::now();
    let doctor = bench
        .affectd("doctor", &config)
        .args(["--json"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(3) && took < Duration::from_secs(30),
        "{took:?}"
    );
    let report: Value = serde_json::from_str(&stdout(&doctor)).unwrap();
    let expression = &report["models"]["expression"];
    assert!(
        fallback(expression).contains("gave no answer within 3s"),
        "{report:#}"
    );
    let library = bench.folder.path().display().to_string();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        assert!(!command.contains(&library), "{command:?} is left");
    }
}

#[test]
fn a_file_that_was_never_compiled_runs_on_the_processor() {
    let bench = Bench::new("works");
    let mut manifest = bench.manifest();
    manifest.edge_tpu = Some(EdgeTpuFile {
        file: manifest.file.clone(),
        sha256: manifest.sha256.clone(),
    });
    bench.write(&manifest);
    let config = bench.config(free_port(), "auto");
    let doctor = bench.affectd("doctor", &config).arg("--json").output().unwrap();
    let report: Value = serde_json::from_str(&stdout(&doctor)).unwrap();
    let expression = &report["models"]["expression"];
    assert_eq!(expression["delegate"], "xnnpack");
    assert!(
        fallback(expression).contains("takes none of the operators"),
        "{report:#}"
    );
}

#[test]
fn a_file_for_the_edge_tpu_that_is_not_the_manifests_is_refused() {
    let bench = Bench::new("works");
    let config = bench.config(free_port(), "auto");
    let mut manifest = bench.manifest();
    let compiled = manifest.edge_tpu.as_mut().unwrap();
    compiled.sha256 = "0".repeat(64);
    bench.write(&manifest);
    let refused = bench.affectd("run", &config).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let said = stderr(&refused);
    assert!(
        said.contains("emotion_edgetpu.tflite") && said.contains("SHA-256"),
        "{said}"
    );
    let model = affectd().arg("model").arg(bench.model()).output().unwrap();
    assert!(
        stderr(&model).contains("emotion_edgetpu.tflite"),
        "{}",
        stderr(&model)
    );
}
