"""Records what timm's RexNet-150 in PyTorch computes, for tests/networks.rs.

    python record_rexnet.py            (torch, torchvision, timm; writes data/rexnet.json)
"""
import pathlib

import numpy as np
import timm
import torch

from formula import kernel, numbers, record, write

SIZE = 64


def rexnet():
    model = timm.create_model("rexnet_150", pretrained=False, num_classes=0).eval()

    def put(tensor, values):
        tensor.data = torch.from_numpy(np.asarray(values, np.float32).reshape(tensor.shape))

    def torch_norm(layer, name, shift=0.0):
        part = lambda part: numbers(f"{name}.{part}", (layer.num_features,))
        put(layer.weight, 1 + 0.2 * part("gamma"))
        put(layer.bias, 0.2 * part("beta"))
        put(layer.running_mean, 0.2 * part("mean") + shift)
        put(layer.running_var, 1 + 0.4 * part("variance"))

    def torch_convolution(layer, name):
        put(layer.weight, kernel(f"{name}.kernel", layer.weight.shape))

    def both(layer, name):
        torch_convolution(layer.conv, name)
        torch_norm(layer.bn, name)

    both(model.stem, "stem")
    *blocks, top = model.features
    for number, block in enumerate(blocks):
        for theirs, ours in ("conv_exp", "expand"), ("conv_dw", "dw"), ("conv_pwl", "project"):
            if (layer := getattr(block, theirs)) is not None:
                both(layer, f"block{number}_{ours}")
        if block.se is not None:
            # A bias before batch norm, which ours has not: batch norm's mean takes it away again.
            reduce, excite = f"block{number}_reduce", f"block{number}_excite"
            bias = 0.2 * numbers(f"{reduce}.bias", (block.se.fc1.out_channels,))
            torch_convolution(block.se.fc1, reduce)
            put(block.se.fc1.bias, bias)
            torch_norm(block.se.bn, reduce, shift=bias)
            torch_convolution(block.se.fc2, excite)
            put(block.se.fc2.bias, 0.2 * numbers(f"{excite}.bias", (block.se.fc2.out_channels,)))
    both(top, "top")
    return model


def main():
    picture = (2 * numbers("picture", (3, SIZE, SIZE))).astype(np.float32)
    model = rexnet()
    with torch.no_grad():
        out = model(torch.from_numpy(picture[None])).numpy()[0]
    stored = sum(v.numel() for name, v in model.state_dict().items() if not name.endswith("num_batches_tracked"))
    trainable = sum(value.numel() for value in model.parameters())
    recorded = {"size": SIZE, "recorded_with": f"timm {timm.__version__}, PyTorch {torch.__version__}",
                "rexnet-150": record(out, stored, trainable)}
    write(pathlib.Path(__file__).parent / "data/rexnet.json", recorded)


if __name__ == "__main__":
    main()
