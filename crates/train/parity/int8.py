"""Our int8 files beside those of TensorFlow's converter, made of the same weights and calibration pictures.

    python int8.py AFFECT-TRAIN BASE OUT [NETWORK...]      (environment: requirements.txt; called by run.sh)

BASE is the published base as a weight file, OUT a folder for what is made. For every network: builds it in Keras, fits it to the
faces of the test pictures, exports it with `affect-train export` and with the converter, runs both files on the same faces, and
prints how far the outputs lie apart, in quantisation steps.
"""
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

import faces
import networks

SIZE = 96
RESOLVERS = {"XNNPACK": tf.lite.experimental.OpResolverType.AUTO,
             "built-in kernels": tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


def export(program, weights, pictures, out, *more):
    subprocess.run([program, "export", weights, "--out", out, "--title", "parity", "--source", "parity", "--calibrate",
                    f"folder:{pictures}", "--pictures", "100000", *more], check=True, cwd=faces.ROOT,
                   env={**os.environ, "RUST_LOG": "warn"})
    return (out / f"{out.name}.tflite").read_bytes()


def convert(model, pictures):
    function = tf.function(model).get_concrete_function(tf.TensorSpec([1, SIZE, SIZE, 3]))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([faces.tensor(p)[None]] for p in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


class File:
    def __init__(self, content, resolver):
        self.interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)
        self.interpreter.allocate_tensors()
        # Heads have different numbers of classes.
        self.outputs = {int(d["shape"][-1]): d for d in self.interpreter.get_output_details()}

    def run(self, picture):
        """Per head: the outputs as real numbers, and the size of a step."""
        detail = self.interpreter.get_input_details()[0]
        scale, zero = detail["quantization"]
        stored = np.clip(np.round(faces.tensor(picture) / scale) + zero, -128, 127).astype(np.int8)
        self.interpreter.set_tensor(detail["index"], stored[None])
        self.interpreter.invoke()
        answers = {}
        for head, classes in networks.HEADS.items():
            scale, zero = self.outputs[classes]["quantization"]
            stored = self.interpreter.get_tensor(self.outputs[classes]["index"])[0].astype(np.int32)
            answers[head] = ((stored - zero) * scale, scale)
        return answers


def operators(content):
    """Name, output scale and zero point, and stored constants of every operator."""
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=1, experimental_preserve_all_tensors=True,
                                      experimental_op_resolver_type=RESOLVERS["built-in kernels"])
    interpreter.allocate_tensors()
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    made = {o for op in interpreter._get_ops_details() for o in op["outputs"]} | {interpreter.get_input_details()[0]["index"]}
    found = []
    for op in interpreter._get_ops_details():
        constants = [interpreter.get_tensor(i) for i in op["inputs"] if i >= 0 and i not in made]
        found.append((op["op_name"], details[op["outputs"][0]]["quantization"], constants))
    return found


def with_parameters_of(theirs, ours):
    """Our file, but with the converter's scales, zero points and constants; the names of the values that have another scale
    there (not a rounded bit of the same); and how many of them the converter gave the scale of the sum that they go into."""
    model, other = (schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(c, 0)) for c in (ours, theirs))
    (mine, its), operators = (m.subgraphs[0].tensors for m in (model, other)), other.subgraphs[0].operators
    scale = lambda value: its[value].quantization.scale[0]
    changed, of_sum = [], 0
    for a, b in zip(model.subgraphs[0].operators, operators, strict=True):
        made = b.outputs[0]
        if abs(mine[a.outputs[0]].quantization.scale[0] / scale(made) - 1) > 1e-3:
            changed.append(mine[a.outputs[0]].name.decode())
            of_sum += any(made in op.inputs and scale(made) == scale(op.outputs[0]) for op in operators)
        for x, y in zip([*a.inputs, *a.outputs], [*b.inputs, *b.outputs], strict=True):
            mine[x].quantization = its[y].quantization
            model.buffers[mine[x].buffer].data = other.buffers[its[y].buffer].data
    builder = flatbuffers.Builder(len(ours))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), changed, of_sum


def compare_graphs(ours, theirs):
    """Says what differs in the files; returns whether they have the same operators."""
    ours, theirs = operators(ours), operators(theirs)
    if [op[0] for op in ours] != [op[0] for op in theirs]:
        names = sorted({op[0] for op in ours + theirs})
        counts = {n: (sum(op[0] == n for op in ours), sum(op[0] == n for op in theirs)) for n in names}
        print(f"  operators (ours, theirs): {counts}")
        return False
    scales = [abs(a[1][0] / b[1][0] - 1) for a, b in zip(ours, theirs)]
    zeros = sum(a[1][1] != b[1][1] for a, b in zip(ours, theirs))
    kernels, different, biases = 0, 0, 0
    for a, b in zip(ours, theirs):
        for x, y in zip(a[2], b[2]):
            if x.dtype == np.int8:
                kernels, different = kernels + x.size, different + int((x.reshape(-1) != y.reshape(-1)).sum())
            elif x.ndim == 1 and x.shape == y.shape and x.dtype == y.dtype:
                biases = max(biases, int(np.abs(x.astype(np.int64) - y).max()))
    print(f"  the same {len(ours)} operators; scales differ by at most {max(scales):.1e} of themselves, {zeros} zero points, "
          f"{different} of {kernels} kernel numbers, bias numbers by at most {biases}")
    return True


def compare(files, model, pictures):
    """Differences in steps of the converter's file, per head: largest, mean, part of the outputs that are equal."""
    rows = {head: [] for head in networks.HEADS}
    for picture in pictures:
        float_answers = dict(zip(networks.HEADS, model(faces.tensor(picture)[None], training=False), strict=True))
        ours, theirs = (file.run(picture) for file in files)
        for head, (values, step) in theirs.items():
            exact = np.asarray(float_answers[head])[0]
            rows[head].append([np.abs(ours[head][0] - values) / step, np.abs(ours[head][0] - exact) / step,
                               np.abs(values - exact) / step])
    for head, found in rows.items():
        apart, ours, theirs = np.array(found).transpose(1, 0, 2)
        print(f"    {head}: apart by {apart.mean():.2f} steps, at most {apart.max():.2f}; "
              f"within one step {np.mean(apart <= 1.01):.1%}; from float: ours {ours.mean():.2f}, theirs {theirs.mean():.2f}")


def main():
    program, base, out = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    folder = out / "calibration/neutral"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = faces.calibration(SIZE)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:04}.png")
    golden, all_faces = list(faces.golden(SIZE).values()), list(faces.moved(SIZE))
    for name in sys.argv[4:] or networks.BACKBONES:
        print(name)
        model = networks.build(name, SIZE, base)
        weights = out / f"{name}.safetensors"
        networks.save(model, name, SIZE, weights)
        ours = export(program, weights, folder.parent, out / f"{name}-plain", "--no-bias-correction")
        corrected = export(program, weights, folder.parent, out / f"{name}-corrected")
        theirs = convert(model, pictures)
        (out / f"{name}-converter.tflite").write_bytes(theirs)
        files = {"without bias correction": ours, "with bias correction": corrected}
        if compare_graphs(ours, theirs):
            content, changed, of_sum = with_parameters_of(theirs, ours)
            if changed:
                print(f"  the converter gives other scales to {len(changed)} values, to {of_sum} of them that of the sum they go into: "
                      f"{', '.join(changed)}")
            files["with the converter's scales, zero points and constants"] = content
        for kernels, resolver in RESOLVERS.items():
            converter = File(theirs, resolver)
            for title, content in files.items():
                for which, some in (f"{len(golden)} golden faces", golden), (f"{len(all_faces)} faces", all_faces):
                    print(f"  {kernels}, {title}, {which}")
                    compare((File(content, resolver), converter), model, some)


if __name__ == "__main__":
    main()
