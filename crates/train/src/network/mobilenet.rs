//! MobileNet-v1 (Howard et al., 2017): the paper's lightest backbone, 3.2 M parameters at width 1.

use super::plan::{Activation, Convolution, Operation, Padding, Plan, Value};

/// Channels and stride of the 13 blocks at width 1.
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// The backbone for `size` × `size` pixels; `width` scales the channels, 0.25 to 1.
///
/// `norm` is false for weights in which batch norm is already folded, as in the published base.
#[must_use]
pub fn plan(width: f32, size: usize, norm: bool) -> Plan {
    let channels = |full: usize| ((full as f32 * width) as usize).max(8);
    let mut plan = Plan::new(format!("mobilenet-v1 {width:.2}"), size);
    let layer = |plan: &mut Plan, name: String, from: Value, shape: Shape| {
        let operation = Operation::Convolution(Convolution {
            inputs: shape.inputs,
            outputs: shape.outputs,
            kernel: shape.kernel,
            stride: shape.stride,
            depthwise: shape.depthwise,
            padding: Padding::Same,
            activation: Activation::Relu6,
            norm,
        });
        plan.step(name, from, operation)
    };
    let mut inputs = channels(32);
    let stem = Shape {
        inputs: 3,
        outputs: inputs,
        kernel: 3,
        stride: 2,
        depthwise: false,
    };
    let mut value = layer(&mut plan, "conv1".to_owned(), 0, stem);
    for (block, (full, stride)) in (1..).zip(BLOCKS) {
        let outputs = channels(full);
        let depthwise = Shape {
            inputs,
            outputs: inputs,
            kernel: 3,
            stride,
            depthwise: true,
        };
        let pointwise = Shape {
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            depthwise: false,
        };
        value = layer(&mut plan, format!("conv_dw_{block}"), value, depthwise);
        value = layer(&mut plan, format!("conv_pw_{block}"), value, pointwise);
        inputs = outputs;
    }
    plan.embed(value, inputs);
    plan
}

struct Shape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    depthwise: bool,
}
