//! EfficientNet-B0 (Tan & Le, 2019), as Keras builds it: 4.0 M parameters without a head.

use super::plan::{Activation, Convolution, Operation, Padding, Plan, Value};

/// Kernel, stride, expansion, channels and repetitions of the seven stages.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
];

/// The backbone for `size` × `size` pixels.
#[must_use]
pub fn plan(size: usize, norm: bool) -> Plan {
    let mut plan = Plan::new("efficientnet-b0".to_owned(), size);
    let mut draw = Draw {
        plan: &mut plan,
        padding: Padding::Same,
        norm,
    };
    let (mut inputs, mut value) = (32, 0);
    value = draw.dense("stem", value, (3, inputs, 3, 2), Activation::Swish);
    for (stage, (kernel, stride, expansion, outputs, repetitions)) in (1..).zip(STAGES) {
        for repetition in 0..repetitions {
            let name = format!("block{stage}{}", char::from(b'a' + repetition as u8));
            let stride = if repetition == 0 { stride } else { 1 };
            let wide = inputs * expansion;
            let mut inner = value;
            if expansion > 1 {
                inner = draw.dense(
                    &format!("{name}_expand"),
                    inner,
                    (inputs, wide, 1, 1),
                    Activation::Swish,
                );
            }
            inner = draw.depthwise(
                &format!("{name}_dw"),
                inner,
                (wide, kernel, stride),
                Activation::Swish,
            );
            let gate = draw.gate(&name, inner, (wide, inputs / 4), Activation::Swish, false);
            inner = draw.plan.step(
                format!("{name}_scale"),
                inner,
                Operation::Scale(gate, Activation::Linear),
            );
            inner = draw.dense(
                &format!("{name}_project"),
                inner,
                (wide, outputs, 1, 1),
                Activation::Linear,
            );
            if stride == 1 && inputs == outputs {
                inner = draw
                    .plan
                    .step(format!("{name}_add"), inner, Operation::Add(value));
            }
            (inputs, value) = (outputs, inner);
        }
    }
    value = draw.dense("top", value, (inputs, 1280, 1, 1), Activation::Swish);
    plan.embed(value, 1280);
    plan
}

/// Adds the layers that EfficientNet and RexNet are made of.
pub(super) struct Draw<'a> {
    pub(super) plan: &'a mut Plan,
    pub(super) padding: Padding,
    pub(super) norm: bool,
}

impl Draw<'_> {
    /// A convolution over all channels: inputs, outputs, kernel, stride.
    pub(super) fn dense(
        &mut self,
        name: &str,
        from: Value,
        (inputs, outputs, kernel, stride): (usize, usize, usize, usize),
        activation: Activation,
    ) -> Value {
        let convolution = Convolution {
            inputs,
            outputs,
            kernel,
            stride,
            depthwise: false,
            padding: self.padding,
            activation,
            norm: self.norm,
        };
        self.plan.step(name, from, Operation::Convolution(convolution))
    }

    /// A convolution per channel: channels, kernel, stride.
    pub(super) fn depthwise(
        &mut self,
        name: &str,
        from: Value,
        (channels, kernel, stride): (usize, usize, usize),
        activation: Activation,
    ) -> Value {
        let convolution = Convolution {
            inputs: channels,
            outputs: channels,
            kernel,
            stride,
            depthwise: true,
            padding: self.padding,
            activation,
            norm: self.norm,
        };
        self.plan.step(name, from, Operation::Convolution(convolution))
    }

    /// Squeeze and excitation: one number per channel from the mean of all of them.
    pub(super) fn gate(
        &mut self,
        name: &str,
        from: Value,
        (channels, squeezed): (usize, usize),
        activation: Activation,
        norm: bool,
    ) -> Value {
        let mean = self
            .plan
            .step(format!("{name}_squeeze"), from, Operation::Squeeze);
        let mut layer = |name: String, from: Value, shape: (usize, usize), activation, norm| {
            let convolution = Convolution {
                inputs: shape.0,
                outputs: shape.1,
                kernel: 1,
                stride: 1,
                depthwise: false,
                padding: Padding::Same,
                activation,
                norm,
            };
            self.plan.step(name, from, Operation::Convolution(convolution))
        };
        let reduced = layer(
            format!("{name}_reduce"),
            mean,
            (channels, squeezed),
            activation,
            norm,
        );
        layer(
            format!("{name}_excite"),
            reduced,
            (squeezed, channels),
            Activation::Sigmoid,
            false,
        )
    }
}
