"""Where the library's own int8 kernels on ARM first differ from this machine's: python3 tests/arm/operators.py MODEL.tflite

Runs the model on a made-up picture here, on aarch64 and on armv7, and prints for each operator how many of its values
differ, by how many steps, and how many of those lie above the zero point. Needs what tests/arm/emulated.sh makes.
"""
import math
import os
import pathlib
import platform
import random
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARM, WORK = ROOT / "target/arm", ROOT / "target/arm/operators"
# Name, C compiler, library, and the emulator with its libraries.
MACHINES = [("here", "cc", ROOT / f"runtime/{platform.machine()}", None, None),
            ("aarch64", "aarch64-linux-gnu-gcc", ARM / "aarch64", ARM / "qemu/usr/bin/qemu-aarch64", ARM / "root-arm64"),
            ("armv7", "arm-linux-gnueabihf-gcc", ARM / "armv7l", ARM / "qemu/usr/bin/qemu-arm", ARM / "root-armhf")]
NAMES = {0: "ADD", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 22: "RESHAPE",
         25: "SOFTMAX", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN", 97: "RESIZE_NEAREST_NEIGHBOR"}


class File:
    """As much of the FlatBuffer of a model as is needed here."""

    def __init__(self, data):
        self.data = data
        root = self.u32(0)
        graph = self.tables(root, 2)[0]
        self.codes = [self.byte_or_int(code) for code in self.tables(root, 1)]
        self.tensors, self.operators = self.tables(graph, 0), self.tables(graph, 3)
        self.inputs = self.ints(graph, 1)
        self.outputs_at, self.outputs = self.vector(graph, 2)

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def field(self, table, number):
        layout = table - struct.unpack_from("<i", self.data, table)[0]
        size = struct.unpack_from("<H", self.data, layout)[0]
        offset = struct.unpack_from("<H", self.data, layout + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
        return table + offset if offset else None

    def vector(self, table, number):
        field = self.field(table, number)
        if field is None:
            return 0, 0
        at = field + self.u32(field)
        return at + 4, self.u32(at)

    def tables(self, table, number):
        at, count = self.vector(table, number)
        return [at + 4 * i + self.u32(at + 4 * i) for i in range(count)]

    def ints(self, table, number):
        at, count = self.vector(table, number)
        return list(struct.unpack_from(f"<{count}i", self.data, at))

    def byte_or_int(self, code):
        new, old = self.field(code, 3), self.field(code, 0)
        return self.u32(new) if new else self.data[old] if old else 0

    def name(self, operator):
        code = self.field(operator, 0)
        number = self.codes[self.u32(code) if code else 0]
        return NAMES.get(number, f"operator {number}")

    def zero_point(self, tensor):
        quantisation = self.field(tensor, 4)
        at, count = self.vector(quantisation + self.u32(quantisation), 3)
        return struct.unpack_from("<q", self.data, at)[0] if count else 0


def picture(shape):
    """Waves with some noise, always the same."""
    noise = random.Random(1)
    _, height, width, channels = shape
    return bytes(int(127 + 60 * math.sin(x / 9) + 50 * math.cos(y / 7 + c) + noise.randint(-10, 10)) - 128 & 255
                 for y in range(height) for x in range(width) for c in range(channels))


def run(name, emulator, libraries):
    """The model's outputs on one of the machines, each as signed values."""
    environment = os.environ | ({"QEMU_LD_PREFIX": str(libraries)} if libraries else {})
    command = [emulator] * bool(emulator) + [WORK / name, WORK / "model.tflite", WORK / "input"]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    outputs, at = [], 0
    while at < len(said):
        size = struct.unpack_from("<I", said, at)[0]
        outputs.append(struct.unpack_from(f"{size}b", said, at + 4))
        at += 4 + size
    return outputs


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    for name, compiler, folder, _, _ in MACHINES:
        library = folder / "libtensorflowlite_c.so"
        subprocess.run([compiler, "-O1", ROOT / "tests/arm/operators.c", "-o", WORK / name, "-Wl,--allow-shlib-undefined", library,
                        f"-Wl,-rpath,{folder}"], check=True)
    file = File(bytearray(pathlib.Path(sys.argv[1]).read_bytes()))
    (WORK / "input").write_bytes(picture(file.ints(file.tensors[file.inputs[0]], 0)))
    results = [file.ints(operator, 2)[0] for operator in file.operators]
    # Only outputs can be read after the run: the model is made to give other tensors as its outputs, some at a time.
    for begin in range(0, len(results), file.outputs):
        some = results[begin:begin + file.outputs]
        for place in range(file.outputs):
            struct.pack_into("<i", file.data, file.outputs_at + 4 * place, some[min(place, len(some) - 1)])
        (WORK / "model.tflite").write_bytes(file.data)
        here, *there = [run(name, emulator, libraries) for name, _, _, emulator, libraries in MACHINES]
        for place, tensor in enumerate(some):
            zero, told = file.zero_point(file.tensors[tensor]), []
            for (name, *_), outputs in zip(MACHINES[1:], there):
                both = [(a, b) for a, b in zip(here[place], outputs[place]) if a != b]
                steps = [b - a for a, b in both]
                told.append(f"{name} {len(both)}" + (f" ({min(steps):+} to {max(steps):+} steps, {sum(a > zero for a, _ in both)} above zero)"
                                                     if both else ""))
            print(f"{begin + place:3} {file.name(file.operators[begin + place])}, {len(here[place])} values: {'; '.join(told)}", flush=True)


main()
