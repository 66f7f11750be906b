"""Weights and pictures from array names, by the formula that networks.rs repeats: no weight file is needed."""
import json

import numpy as np


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


def record(out, parameters, trainable):
    return {"parameters": int(parameters), "trainable": int(trainable), "first": [float(v) for v in out[:64]],
            "mean": float(out.mean()), "deviation": float(out.std())}


def write(path, recorded):
    for name, network in recorded.items():
        print(name, {k: v for k, v in network.items() if k != "first"} if isinstance(network, dict) else network)
    path.write_text(json.dumps(recorded, indent=1) + "\n")
