//! Forward passes beside Keras' and PyTorch's, with the same weights (tests/record_networks.py, tests/record_rexnet.py).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use affect_train::network::architecture::{Architecture, Family};
use affect_train::network::plan::{Operation, Plan, Step};
use affect_train::network::{Network, rexnet, values};
use affect_train::weights::{Array, Weights};
use burn::tensor::{Tensor, TensorData};

/// The same numbers from a name as `numbers` in the recording script.
fn numbers(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().fold(0x811C_9DC5u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (0..count as u32).map(move |i| {
        let mut h = i.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
        h ^= h >> 16;
        h = h.wrapping_mul(0x85EB_CA6B);
        h ^= h >> 13;
        h = h.wrapping_mul(0xC2B2_AE35);
        h ^= h >> 16;
        f64::from(h) / 4_294_967_296.0 - 0.5
    })
}

fn array(name: &str, shape: &[usize], offset: f64, factor: f64) -> Array {
    let count = shape.iter().product();
    Array {
        shape: shape.to_vec(),
        values: numbers(name, count)
            .map(|v| (offset + factor * v) as f32)
            .collect(),
    }
}

fn weights(plan: &Plan) -> Weights {
    let mut weights = Weights::default();
    for step in &plan.steps {
        let Operation::Convolution(c) = step.operation else {
            continue;
        };
        let name = |part: &str| format!("{}.{part}", step.name);
        let mut put = |part: &str, shape: &[usize], offset, factor| {
            weights.insert(name(part), array(&name(part), shape, offset, factor));
        };
        let shape = c.kernel_shape();
        put(
            "kernel",
            &shape,
            0.0,
            2.0 * (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt(),
        );
        if c.norm {
            put("gamma", &[c.outputs], 1.0, 0.2);
            put("beta", &[c.outputs], 0.0, 0.2);
            put("mean", &[c.outputs], 0.0, 0.2);
            put("variance", &[c.outputs], 1.0, 0.4);
        } else {
            put("bias", &[c.outputs], 0.0, 0.2);
        }
    }
    weights
}

/// Numbers that gradients move: all but batch norm's running mean and variance.
fn trainable(plan: &Plan) -> usize {
    let running = |step: &Step| match step.operation {
        Operation::Convolution(c) if c.norm => 2 * c.outputs,
        _ => 0,
    };
    let all = plan.steps[..plan.embedding].iter();
    all.map(|step| step.parameters() - running(step)).sum()
}

/// Computes the recorded picture and holds counts and embedding against what the other implementation gave.
/// `more`: how many numbers it stores, and trains, that this plan does without.
fn compare(recorded: &str, name: &str, family: Family, more: (usize, usize)) {
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let size = recorded["size"].as_u64().unwrap() as usize;
    let wanted = &recorded[name];
    let architecture = Architecture {
        name: family,
        width: 1.0,
        size,
        folded: false,
        hidden: 0,
    };
    let plan = architecture.plan().unwrap();
    let counted = (plan.backbone_parameters() + more.0, trainable(&plan) + more.1);
    let count = |what: &str| wanted[what].as_u64().unwrap() as usize;
    assert_eq!(counted, (count("parameters"), count("trainable")), "{name}");

    let device = affect_train::device::cpu();
    let network = Network::new(plan.clone(), &weights(&plan), &device).unwrap();
    let picture = array("picture", &[1, 3, size, size], 0.0, 2.0);
    let picture = TensorData::new(picture.values, picture.shape);
    let found = values(network.embed(Tensor::from_data(picture, &device)));
    let first: Vec<f64> = wanted["first"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    let worst = first
        .iter()
        .zip(&found)
        .map(|(w, f)| (w - f64::from(*f)).abs())
        .fold(0.0, f64::max);
    let scale = wanted["deviation"].as_f64().unwrap();
    println!("{name}: largest error {worst:.2e} of values that spread by {scale:.2e}");
    assert!(worst < 2e-5 * scale, "{name}: {worst} of {scale}");
    let mean = found.iter().map(|v| f64::from(*v)).sum::<f64>() / found.len() as f64;
    assert!(
        (mean - wanted["mean"].as_f64().unwrap()).abs() < 1e-5 * scale,
        "{name}"
    );
}

#[test]
fn mobilenet_and_efficientnet_compute_what_keras_computes() {
    let recorded = include_str!("data/networks.json");
    compare(recorded, "mobilenet-v1", Family::MobilenetV1, (0, 0));
    // Keras stores seven numbers of a layer that normalises the picture.
    compare(recorded, "efficientnet-b0", Family::EfficientnetB0, (7, 0));
}

#[test]
fn rexnet_computes_what_timm_computes_in_pytorch() {
    let plan = rexnet::plan(64, true);
    // In timm the first convolution of each gate has a bias before its batch norm, whose mean takes it away again.
    let biases = plan
        .steps
        .iter()
        .filter(|step| step.name.ends_with("_reduce"))
        .map(|step| match step.operation {
            Operation::Convolution(c) => c.outputs,
            _ => 0,
        })
        .sum();
    let recorded = include_str!("data/rexnet.json");
    compare(recorded, "rexnet-150", Family::Rexnet150, (biases, biases));
}
