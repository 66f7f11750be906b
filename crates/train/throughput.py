"""Training throughput beside PyTorch: images per CPU-second, MobileNet-v1 1.0, Adam, whole network, two threads.

    python throughput.py target/train/affect-train [--size 96] [--batch 48] [--rounds 3] [--norm]

Both train on made-up pictures, turn by turn. Each turn is a short run and a longer one of the same program, and their
difference counts: so starting, compiling and saving are left out. Ours decodes and crops its pictures on the way;
PyTorch gets tensors that are ready. Without --norm batch norm is folded; our recipes train with it. PyTorch must be installed
in the Python that runs this (pip install torch); leave the machine alone meanwhile.
"""
import argparse
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import zlib

CLASSES = ["neutral", "happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt"]
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
SHORT, LONG = 4, 16
THREADS = 2
RECIPE = """stage = "emotion"
seed = 1
[network]
name = "mobilenet-v1"
size = {size}
folded = {folded}
[[data]]
format = "folder"
path = "set"
split = ""
[validation]
format = "folder"
path = "set"
split = ""
limit = 16
[optimiser]
batch = {batch}
shards = {threads}
[[phase]]
name = "whole"
epochs = 1
rate = 1e-4
"""


def png(pixels, side):
    """A grey picture."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + pixels[y * side:(y + 1) * side] for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def made_up(folder, arguments):
    """Pictures of FER2013's size, more than the long run needs, and a recipe."""
    rng = random.Random(1)
    for label in CLASSES:
        (folder / "set" / label).mkdir(parents=True)
    for number in range((LONG + 1) * arguments.batch):
        path = folder / "set" / CLASSES[number % len(CLASSES)] / f"{number}.png"
        path.write_bytes(png(rng.randbytes(48 * 48), 48))
    (folder / "recipe.toml").write_text(RECIPE.format(
        size=arguments.size, batch=arguments.batch, threads=THREADS, folded=str(not arguments.norm).lower()))


def torch_steps(steps, arguments):
    import torch
    from torch import nn

    def layer(inputs, outputs, kernel, stride, groups):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=not arguments.norm)
        return [convolution, *([nn.BatchNorm2d(outputs)] if arguments.norm else []), nn.ReLU6()]

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    layers, inputs = layer(3, 32, 3, 2, 1), 32
    for outputs, stride in BLOCKS:
        layers += layer(inputs, inputs, 3, stride, inputs) + layer(inputs, outputs, 1, 1, 1)
        inputs = outputs
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, len(CLASSES)))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    pictures = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    labels = torch.randint(0, len(CLASSES), (arguments.batch,))
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(pictures), labels).backward()
        optimiser.step()


def cpu_seconds(command):
    """Of a child, in all its threads."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS), "RUST_LOG": "warn",
                   "OMP_WAIT_POLICY": "PASSIVE"}  # no busy waiting that would count as work
    child = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("affect_train")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--norm", action="store_true")
    parser.add_argument("--torch-steps", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch_steps:
        return torch_steps(arguments.torch_steps, arguments)
    try:
        import torch
    except ImportError:
        sys.exit("This Python has no PyTorch: pip install torch, or name another Python.")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        made_up(folder, arguments)
        runs = iter(range(1000))

        def ours(steps):
            return [arguments.affect_train, "emotion", str(folder / "recipe.toml"), "--data", str(folder),
                    "--out", str(folder / f"out{next(runs)}"), "--stop-after", str(steps)]

        def theirs(steps):
            return [sys.executable, *sys.argv, "--torch-steps", str(steps)]

        images = (LONG - SHORT) * arguments.batch
        rates = {"affect-train": [], f"PyTorch {torch.__version__}": []}
        for _ in range(arguments.rounds):
            for name, command in zip(rates, (ours, theirs)):
                rates[name].append(images / (cpu_seconds(command(LONG)) - cpu_seconds(command(SHORT))))
    print(f"| MobileNet-v1 1.0, {arguments.size} px, batches of {arguments.batch}, {THREADS} threads | "
          "images per CPU-second, by round | median |\n|---|---|---|")
    for name, values in rates.items():
        print(f"| {name} | {', '.join(f'{v:.1f}' for v in values)} | {statistics.median(values):.1f} |")
    ratios = [a / b for a, b in zip(*rates.values())]
    print(f"| ratio | {', '.join(f'{v:.2f}' for v in ratios)} | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
