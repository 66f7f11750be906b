"""The three networks in Keras, written from their papers and from timm, with affect-train's names for their layers."""
import json

import numpy as np
import tensorflow as tf
import tf_keras as keras
from safetensors.numpy import load_file, save_file

from faces import FACES, LABELS, moved, tensor

layers = keras.layers
HEADS = {"expression": len(LABELS), "gender": 1}


class Draw:
    """Convolution, batch norm (or a bias) and activation, as the networks are made of them."""

    def __init__(self, epsilon=1e-3, norm=True, symmetric=False):
        self.epsilon, self.norm, self.symmetric = epsilon, norm, symmetric

    def convolution(self, x, name, outputs, kernel=1, stride=1, depthwise=False, activation=None, norm=None):
        norm = self.norm if norm is None else norm
        padding = "same"
        if self.symmetric and stride > 1:
            x, padding = layers.ZeroPadding2D(kernel // 2)(x), "valid"
        same = dict(strides=stride, padding=padding, use_bias=not norm, name=name)
        x = layers.DepthwiseConv2D(kernel, **same)(x) if depthwise else layers.Conv2D(outputs, kernel, **same)(x)
        if norm:
            x = layers.BatchNormalization(epsilon=self.epsilon, momentum=0.9, name=f"{name}_bn")(x)
        return activated(x, activation)

    def gate(self, x, name, channels, squeezed, activation, norm):
        x = tf.reduce_mean(x, [1, 2], keepdims=True)
        x = self.convolution(x, f"{name}_reduce", squeezed, activation=activation, norm=norm)
        return self.convolution(x, f"{name}_excite", channels, activation="sigmoid", norm=False)


def activated(x, activation):
    return {None: lambda x: x, "relu": tf.nn.relu, "relu6": tf.nn.relu6, "swish": lambda x: x * tf.sigmoid(x),
            "sigmoid": tf.sigmoid}[activation](x)


def mobilenet(x):
    draw = Draw(norm=False)
    x = draw.convolution(x, "conv1", 32, 3, 2, activation="relu6")
    channels = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for block, outputs in enumerate(channels, 1):
        stride = 2 if block in (2, 4, 6, 12) else 1
        x = draw.convolution(x, f"conv_dw_{block}", x.shape[-1], 3, stride, True, "relu6")
        x = draw.convolution(x, f"conv_pw_{block}", outputs, activation="relu6")
    return x


def efficientnet(x):
    draw = Draw()
    x = draw.convolution(x, "stem", 32, 3, 2, activation="swish")
    stages = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
              (3, 1, 6, 320, 1)]
    for stage, (kernel, stride, expansion, outputs, repetitions) in enumerate(stages, 1):
        for repetition in range(repetitions):
            name, inputs, before = f"block{stage}{'abcd'[repetition]}", x.shape[-1], x
            if expansion > 1:
                x = draw.convolution(x, f"{name}_expand", inputs * expansion, activation="swish")
            step = stride if repetition == 0 else 1
            x = draw.convolution(x, f"{name}_dw", x.shape[-1], kernel, step, True, "swish")
            x = x * draw.gate(x, name, x.shape[-1], inputs // 4, "swish", False)
            x = draw.convolution(x, f"{name}_project", outputs)
            if step == 1 and inputs == outputs:
                x = x + before
    return draw.convolution(x, "top", 1280, activation="swish")


def rexnet(x):
    draw = Draw(epsilon=1e-5, symmetric=True)
    x = draw.convolution(x, "stem", 48, 3, 2, activation="swish")
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for block, stride in enumerate(strides):
        name, inputs, before = f"block{block}", x.shape[-1], x
        outputs = round((16 + 180 / 16 * block) * 1.5)
        if block > 0:
            x = draw.convolution(x, f"{name}_expand", inputs * 6, activation="swish")
        x = draw.convolution(x, f"{name}_dw", x.shape[-1], 3, stride, True, None if block > 2 else "relu6")
        if block > 2:
            wide = x.shape[-1]
            x = activated(x * draw.gate(x, name, wide, wide // 12, "relu", True), "relu6")
        x = draw.convolution(x, f"{name}_project", outputs)
        if stride == 1 and inputs <= outputs:
            x = x + tf.pad(before, [[0, 0], [0, 0], [0, 0], [0, outputs - inputs]])
    return draw.convolution(x, "top", 1920, activation="swish")


BACKBONES = {"mobilenet-v1": mobilenet, "efficientnet-b0": efficientnet, "rexnet-150": rexnet}


def build(name, size, base=None):
    """A network with two heads, fitted to the faces: MobileNet's heads on the published base, the others whole."""
    keras.utils.set_random_seed(7)
    picture = keras.Input((size, size, 3))
    embedding = tf.reduce_mean(BACKBONES[name](picture), [1, 2])
    model = keras.Model(picture, [layers.Dense(n, name=head)(embedding) for head, n in HEADS.items()])
    if name == "mobilenet-v1":
        weights = load_file(base)
        for layer in model.layers:
            if layer.get_weights() and layer.name not in HEADS:
                layer.set_weights(theirs(layer, [weights[f"{layer.name}.kernel"], weights[f"{layer.name}.bias"]]))
                layer.trainable = False
    fit(model, size, 60 if name == "mobilenet-v1" else 100)
    return model


def fit(model, size, steps):
    expressions = np.eye(len(LABELS))[[face[4] for face in FACES]] * 0.9 + 0.1 / len(LABELS)
    men = np.array([[face[5]] for face in FACES]) * 0.9 + 0.05
    losses = [keras.losses.CategoricalCrossentropy(from_logits=True), keras.losses.BinaryCrossentropy(from_logits=True)]
    model.compile(keras.optimizers.Adam(2e-3), losses)
    rng = np.random.default_rng(3)
    for _ in range(steps):
        batch = np.stack([tensor(face) for face in moved(size, rng)])
        losses = model.train_on_batch(batch, [expressions, men])
    print(f"fitted to {len(FACES)} faces: losses {np.round(losses[1:], 3)}")


def theirs(layer, arrays):
    """From our order of axes to Keras'."""
    order = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [a.transpose(order) if a.ndim == 4 else a for a in arrays]


def save(model, name, size, path):
    """As a weight file of affect-train, batch norm folded as the converter folds it, last bit included: TensorFlow's reciprocal
    root is an approximation, and where a number lies between two steps the last bit decides."""
    arrays = {}
    for layer in model.layers:
        values = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = values
            scale = gamma * tf.math.rsqrt(variance + np.float32(layer.epsilon)).numpy()
            step = layer.name.removesuffix("_bn")
            arrays[f"{step}.kernel"] = arrays[f"{step}.kernel"] * scale[:, None, None, None]
            arrays[f"{step}.bias"] = beta - mean * scale
        elif values:
            kernel = values[0]
            if kernel.ndim == 4:
                kernel = kernel.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (3, 2, 0, 1))
            else:
                kernel = kernel.T
            arrays |= {f"{layer.name}.kernel": kernel} | ({f"{layer.name}.bias": values[1]} if len(values) > 1 else {})
    architecture = {"name": name, "width": 1.0, "size": size, "folded": True}
    about = {"architecture": json.dumps(architecture), "heads": ", ".join(f"{h} {n}" for h, n in HEADS.items()),
             "labels": ", ".join(LABELS), "channels": "bgr", "mean": "103.939 116.779 123.68"}
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path, metadata=about)
