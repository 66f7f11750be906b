"""Records what Keras' MobileNet and EfficientNet-B0 compute, for tests/networks.rs.

    python record_networks.py          (tensorflow; writes data/networks.json)
"""
import pathlib

import numpy as np
import tensorflow as tf

from formula import kernel, numbers, record, write

SIZE = 64


def convolution(layer, name):
    h, w, i, o = layer.kernel.shape
    depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
    shape = (i, 1, h, w) if depthwise else (o, i, h, w)
    values = kernel(f"{name}.kernel", shape)
    weights = [values.transpose(2, 3, 0, 1) if depthwise else values.transpose(2, 3, 1, 0)]
    if layer.use_bias:
        weights.append((0.2 * numbers(f"{name}.bias", (o,))).astype(np.float32))
    layer.set_weights(weights)


def norm(layer, name):
    n = (layer.gamma.shape[0],)
    part = lambda part: numbers(f"{name}.{part}", n)
    layer.set_weights([1 + 0.2 * part("gamma"), 0.2 * part("beta"), 0.2 * part("mean"), 1 + 0.4 * part("variance")])


def mobilenet():
    model = tf.keras.applications.MobileNet((SIZE, SIZE, 3), include_top=False, weights=None, pooling="avg")
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            norm(layer, layer.name.removesuffix("_bn"))
        elif hasattr(layer, "kernel"):
            convolution(layer, layer.name)
    return model, 1


def efficientnet():
    model = tf.keras.applications.EfficientNetB0(False, None, input_shape=(SIZE, SIZE, 3), pooling="avg")
    ours = {"stem_conv": "stem", "stem_bn": "stem", "top_conv": "top", "top_bn": "top", "dwconv": "dw", "bn": "dw",
            "se_reduce": "reduce", "se_expand": "excite", "expand_conv": "expand", "expand_bn": "expand",
            "project_conv": "project", "project_bn": "project"}
    for layer in model.layers:
        if layer.name.startswith("block"):
            block, _, part = layer.name.partition("_")
            name = f"{block}_{ours.get(part, part)}"
        else:
            name = ours.get(layer.name, layer.name)
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            norm(layer, name)
        elif isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D)):
            convolution(layer, name)
    return model, 255  # its first layer divides by 255


def main():
    picture = (2 * numbers("picture", (3, SIZE, SIZE))).astype(np.float32)
    recorded = {"size": SIZE, "recorded_with": f"TensorFlow {tf.__version__}, Keras {tf.keras.__version__}"}
    for name, (model, scale) in {"mobilenet-v1": mobilenet(), "efficientnet-b0": efficientnet()}.items():
        out = model(picture.transpose(1, 2, 0)[None] * scale, training=False).numpy()[0]
        trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
        recorded[name] = record(out, model.count_params(), trainable)
    write(pathlib.Path(__file__).parent / "data/networks.json", recorded)


if __name__ == "__main__":
    main()
