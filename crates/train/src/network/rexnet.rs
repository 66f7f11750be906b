//! RexNet (Han et al., 2021) at width 1.5, as timm's `rexnet_150` builds it: 7.8 M parameters without a head.

use super::efficientnet::Draw;
use super::plan::{Activation, Operation, Padding, Plan};

/// Blocks per stage, and the stride of each stage's first block.
const STAGES: [(usize, usize); 6] = [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (5, 2)];
/// Channels grow linearly from block to block: from 16 by 180 in all, at width 1.
const FIRST: f64 = 16.0;
const GROWTH: f64 = 180.0;
const WIDTH: f64 = 1.5;
/// From this block on, squeeze and excitation to a twelfth of the channels.
const EXCITED_FROM: usize = 3;
/// PyTorch's ε for batch norm.
const EPSILON: f64 = 1e-5;

/// The backbone for `size` × `size` pixels.
#[must_use]
pub fn plan(size: usize, norm: bool) -> Plan {
    let mut plan = Plan::new("rexnet-150".to_owned(), size);
    plan.epsilon = EPSILON;
    let mut draw = Draw {
        plan: &mut plan,
        padding: Padding::Symmetric,
        norm,
    };
    let blocks: usize = STAGES.iter().map(|stage| stage.0).sum();
    let strides = STAGES
        .iter()
        .flat_map(|&(count, first)| (0..count).map(move |i| if i == 0 { first } else { 1 }));
    let mut inputs = 48;
    let mut value = draw.dense("stem", 0, (3, inputs, 3, 2), Activation::Swish);
    for (block, stride) in strides.enumerate() {
        // Python's round, which timm uses, takes halves to even numbers; so does this one.
        let outputs = ((FIRST + GROWTH / blocks as f64 * block as f64) * WIDTH).round_ties_even() as usize;
        let name = format!("block{block}");
        let (mut inner, mut wide) = (value, inputs);
        if block > 0 {
            wide = inputs * 6;
            inner = draw.dense(
                &format!("{name}_expand"),
                inner,
                (inputs, wide, 1, 1),
                Activation::Swish,
            );
        }
        if block < EXCITED_FROM {
            inner = draw.depthwise(&format!("{name}_dw"), inner, (wide, 3, stride), Activation::Relu6);
        } else {
            inner = draw.depthwise(
                &format!("{name}_dw"),
                inner,
                (wide, 3, stride),
                Activation::Linear,
            );
            let gate = draw.gate(&name, inner, (wide, wide / 12), Activation::Relu, norm);
            inner = draw.plan.step(
                format!("{name}_scale"),
                inner,
                Operation::Scale(gate, Activation::Relu6),
            );
        }
        inner = draw.dense(
            &format!("{name}_project"),
            inner,
            (wide, outputs, 1, 1),
            Activation::Linear,
        );
        if stride == 1 && inputs <= outputs {
            inner = draw
                .plan
                .step(format!("{name}_add"), inner, Operation::AddToFirst(value));
        }
        (inputs, value) = (outputs, inner);
    }
    value = draw.dense("top", value, (inputs, 1920, 1, 1), Activation::Swish);
    plan.embed(value, 1920);
    plan
}
