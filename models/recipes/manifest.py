"""Prints the [input] and [[outputs]] tables of a manifest from a .tflite file, to be checked by a person.

    python manifest.py MODEL.tflite [ONNX]      (environment: requirements.txt)

For a detector converted from ONNX, roles are found by running both on noise and comparing the outputs.
"""
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def table(detail, role=None):
    scale, zero = detail["quantization"]
    kind = detail["dtype"].__name__
    lines = [f'role = "{role}"'] if role else []
    lines += [f'tensor = "{detail["name"]}"', f'shape = {detail["shape"].tolist()}', f'type = "{kind}"']
    if scale:
        lines.append(f"quantisation = {{ scale = {float(np.float32(scale))!r}, zero_point = {zero} }}")
    return "\n".join(lines)


def main():
    interpreter = Interpreter(sys.argv[1])
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    print("[input]\n" + table(source))
    roles = {}
    if len(sys.argv) > 2:
        import onnx
        import onnxruntime
        model = onnx.load(sys.argv[2])
        size = int(source["shape"][1])
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[2].dim_value = dims[3].dim_value = size
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.shape.dim[1].dim_value = (size // int(output.name.split("_")[1])) ** 2
        session = onnxruntime.InferenceSession(model.SerializeToString())
        noise = np.random.default_rng(1).integers(0, 256, (1, size, size, 3))
        names = [o.name for o in session.get_outputs()]
        wanted = dict(zip(names, session.run(None, {"input": noise.transpose(0, 3, 1, 2).astype(np.float32)})))
        interpreter.set_tensor(source["index"], (noise - 128).astype(np.int8))
        interpreter.invoke()
        for detail in interpreter.get_output_details():
            scale, zero = detail["quantization"]
            found = (interpreter.get_tensor(detail["index"]).astype(np.float32) - zero) * scale
            same = {n: w for n, w in wanted.items() if w.shape == found.shape}
            roles[detail["name"]] = min(same, key=lambda n: np.abs(same[n] - found).mean())
        assert len(set(roles.values())) == len(names), roles
    details = interpreter.get_output_details()
    for detail in sorted(details, key=lambda d: roles.get(d["name"], "")):
        print("\n[[outputs]]\n" + table(detail, roles.get(detail["name"], "expression")))


if __name__ == "__main__":
    main()
