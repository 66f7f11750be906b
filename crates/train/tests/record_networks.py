"""Records what Keras' MobileNet and EfficientNet-B0 compute, for tests/networks.rs.

    python record_networks.py          (tensorflow 2.19; writes data/networks.json)

Weights and picture are drawn from array names by a formula that the test repeats, so that no weight file is needed.
"""
import json
import pathlib

import numpy as np
import tensorflow as tf

SIZE = 64


def numbers(name, shape):
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = (np.arange(np.prod(shape), dtype=np.uint64) * 0x9E3779B9 + seed) & 0xFFFFFFFF
    h ^= h >> np.uint64(16)
    h = (h * 0x85EBCA6B) & 0xFFFFFFFF
    h ^= h >> np.uint64(13)
    h = (h * 0xC2B2AE35) & 0xFFFFFFFF
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2**32 - 0.5).reshape(shape)


def kernel(name, shape):
    """`[outputs, inputs, side, side]`, uniform by He."""
    return (numbers(name, shape) * 2 * np.sqrt(6 / np.prod(shape[1:]))).astype(np.float32)


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
    recorded = {"size": SIZE, "recorded_with": f"TensorFlow {tf.__version__}"}
    for name, (model, scale) in {"mobilenet-v1": mobilenet(), "efficientnet-b0": efficientnet()}.items():
        out = model(picture.transpose(1, 2, 0)[None] * scale, training=False).numpy()[0]
        recorded[name] = {"parameters": model.count_params(), "first": [float(v) for v in out[:64]],
                          "mean": float(out.mean()), "deviation": float(out.std())}
        print(name, model.count_params(), out[:4], out.mean(), out.std())
    path = pathlib.Path(__file__).parent / "data/networks.json"
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
