"""What published expression models answer for face pictures: the teachers of our own.

    python teach.py ask TEACHERS PICTURES ANSWERS.npz [NAMES]  every picture below PICTURES, as it is and mirrored
    python teach.py weigh WEIGHTS.json ANSWERS.npz …           weights that are best on labelled pictures (`…/<class>/<picture>`)
    python teach.py write WEIGHTS.json ANSWERS.npz TABLE.csv   the weighted answer for each picture, for `teachers` in a recipe

TEACHERS is the folder that teach.sh fills; NAMES are some of them, separated by commas. A second call asks only those teachers that
ANSWERS.npz does not have. The answers are multiplied (a geometric mean with weights). (environment: requirements.txt)
"""
import csv
import json
import os
import pathlib
import sys

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LABELS = ["neutral", "happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt"]
SEVEN = LABELS[:7]
TOGETHER = 64


def sizes(pictures, size, mode):
    return np.stack([np.asarray(p.convert(mode).resize((size, size), Image.BILINEAR), np.float32) for p in pictures])


class PyFeat:
    """py-feat 0.3 (MIT), feat/resources/fer_aug_model.h5: 48 px grey, divided by 255."""
    labels = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]

    def __init__(self, folder):
        import tf_keras
        self.model = tf_keras.models.load_model(folder / "fer_aug_model.h5", compile=False)

    def __call__(self, pictures):
        return self.model(sizes(pictures, 48, "L")[..., None] / 255, training=False).numpy()


class Tflite:
    def __init__(self, file, shape):
        from ai_edge_litert.interpreter import Interpreter
        self.interpreter = Interpreter(str(file), num_threads=1)
        self.shape = shape

    def run(self, tensor):
        place = self.interpreter.get_input_details()[0]["index"]
        self.interpreter.resize_tensor_input(place, tensor.shape)
        self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(place, tensor)
        self.interpreter.invoke()
        return {d["name"]: self.interpreter.get_tensor(d["index"]) for d in self.interpreter.get_output_details()}


class Fer(Tflite):
    """fer 25.10.3 (MIT): mini-XCEPTION, 64 px grey, −1 to 1."""
    labels = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]

    def __init__(self, folder):
        super().__init__(folder / "emotion_model_quantized.tflite", 64)

    def __call__(self, pictures):
        (answer,) = self.run(sizes(pictures, 64, "L")[..., None] / 127.5 - 1).values()
        return answer


class Facex(Tflite):
    """facex 1.1.0 (MIT): 200 px, grey in three channels, divided by 255."""
    labels = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]

    def __init__(self, folder):
        super().__init__(folder / "model_optimized.tflite", 200)

    def __call__(self, pictures):
        grey = sizes(pictures, 200, "L")[..., None].repeat(3, -1) / 255
        (answer,) = self.run(grey).values()
        return answer


class FaceApi:
    """@vladmandic/face-api 1.7.15 (MIT): four blocks of separable convolutions on 112 px RGB; its weights are bytes and a scale."""
    labels = ["neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]

    def __init__(self, folder):
        import tensorflow as tf
        self.tf = tf
        data = (folder / "face_expression_model.bin").read_bytes()
        self.w, at = {}, 0
        for group in json.loads((folder / "face_expression_model-weights_manifest.json").read_text()):
            for entry in group["weights"]:
                count, q = int(np.prod(entry["shape"])), entry.get("quantization")
                kind = np.uint8 if q else np.float32
                values = np.frombuffer(data, kind, count, at).astype(np.float32)
                at += count * np.dtype(kind).itemsize
                self.w[entry["name"]] = (values * q["scale"] + q["min"] if q else values).reshape(entry["shape"])
        self.network = tf.function(self.forward)

    def separable(self, x, name, stride):
        w = self.w
        return self.tf.nn.separable_conv2d(x, w[f"{name}/depthwise_filter"], w[f"{name}/pointwise_filter"],
                                           [1, stride, stride, 1], "SAME") + w[f"{name}/bias"]

    def forward(self, x):
        tf, w = self.tf, self.w
        for block in range(4):
            name = f"dense{block}"
            first = (tf.nn.conv2d(x, w["dense0/conv0/filters"], 2, "SAME") + w["dense0/conv0/bias"] if block == 0
                     else self.separable(x, f"{name}/conv0", 2))
            first = tf.nn.relu(first)
            second = self.separable(first, f"{name}/conv1", 1)
            third = self.separable(tf.nn.relu(first + second), f"{name}/conv2", 1)
            fourth = self.separable(tf.nn.relu(first + second + third), f"{name}/conv3", 1)
            x = tf.nn.relu(first + second + third + fourth)
        x = tf.nn.avg_pool2d(x, 7, 2, "VALID")
        return tf.nn.softmax(tf.reshape(x, (-1, 256)) @ w["fc/weights"] + w["fc/bias"])

    def __call__(self, pictures):
        x = (sizes(pictures, 112, "RGB") - np.float32([122.782, 117.001, 104.298])) / 255
        return self.network(self.tf.constant(x)).numpy()


class Ours(Tflite):
    """Our own model as it was shipped before, from the folder `ours` of TEACHERS: one of its two heads."""

    def __init__(self, folder, head="expression"):
        import tomllib
        self.spec = tomllib.loads((folder / "ours/model.toml").read_text())
        self.head = next(o for o in self.spec["outputs"] if o["role"] == head)
        self.labels = self.spec[head]["labels"]
        super().__init__(folder / "ours" / self.spec["file"], 96)

    def __call__(self, pictures):
        from record_golden import real, tensor_of
        face = [p.convert("RGB").resize((96, 96), Image.BILINEAR) for p in pictures]
        tensor = np.concatenate([tensor_of(f, self.spec["input"]) for f in face])
        values = real(self.run(tensor)[self.head["tensor"]], self.head)
        values = np.exp(values - values.max(-1, keepdims=True))
        return values / values.sum(-1, keepdims=True)


class OursSecond(Ours):
    """Its other head, which learnt FER2013's own labels."""

    def __init__(self, folder):
        super().__init__(folder, "second_expression")


TEACHERS = {"py-feat": PyFeat, "face-api": FaceApi, "fer": Fer, "facex": Facex, "ours": Ours, "ours-second": OursSecond}


def in_our_order(teacher, answers):
    """Columns in the order of LABELS; 0 for contempt where a model does not have it."""
    ordered = np.zeros((len(answers), len(LABELS)), np.float32)
    for column, label in enumerate(teacher.labels):
        ordered[:, LABELS.index(label)] = answers[:, column]
    return ordered


def ask(teachers, pictures, out, only=None):
    names = sorted(str(p.relative_to(pictures)) for p in pictures.rglob("*")
                   if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not names:
        sys.exit(f"{pictures} has no picture (.png, .jpg).")
    known = dict(np.load(out)) if out.exists() else {}
    if list(known.get("files", [])) not in ([], names):
        sys.exit(f"{out} is of other pictures than {pictures}: remove it.")
    found = {"files": np.array(names), **known}
    for name, kind in TEACHERS.items():
        if name in found or (only and name not in str(only).split(",")):
            continue
        teacher, rows = kind(teachers), []
        for start in range(0, len(names), TOGETHER):
            batch = [Image.open(pictures / n).convert("RGB") for n in names[start:start + TOGETHER]]
            mirrored = [p.transpose(Image.FLIP_LEFT_RIGHT) for p in batch]
            both = [in_our_order(teacher, np.asarray(teacher(part))) for part in (batch, mirrored)]
            rows.append((both[0] + both[1]) / 2)
        found[name] = np.concatenate(rows)
        if not np.isfinite(found[name]).all():
            sys.exit(f"{name} answers something that is no number for a picture of {pictures}.")
        np.savez(out, **found)
        print(f"{pictures.name}: {name} asked about {len(names)} pictures, "
              f"mean answer {np.round(found[name].mean(0), 3)}", flush=True)


def mixed(weights, answers):
    """The weighted geometric mean, divided by its own prior to a power. Contempt is ours alone: its share stays as we see it."""
    seven = {name: np.float64(answers[name][:, :7]) for name in weights["teachers"]}
    logs = sum(w * np.log(np.clip(seven[name] / seven[name].sum(-1, keepdims=True), 1e-4, 1))
               for name, w in weights["teachers"].items() if w > 0)
    logs = logs + np.array(weights["bias"])
    scores = np.exp(logs - logs.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    contempt = answers["ours"][:, 7:] if "ours" in answers else np.zeros((len(scores), 1))
    return np.concatenate([scores * (1 - contempt), contempt], 1)


def truth(files):
    return np.array([LABELS.index(pathlib.PurePath(str(f)).parts[-2]) for f in files])


def figures(scores, labels):
    """Accuracy, mean recall and mean loss on seven classes."""
    said = scores[:, :7].argmax(-1)
    recall = np.mean([np.mean(said[labels == c] == c) for c in np.unique(labels)])
    return np.mean(said == labels), recall, -np.mean(np.log(np.clip(scores[np.arange(len(labels)), labels], 1e-6, 1)))


def weigh(out, sets):
    """Weights and bias of least loss, summed over the sets (each counts the same), by gradient; and what each teacher can alone."""
    from scipy.optimize import minimize
    loaded = [(p.stem, dict(np.load(p))) for p in sets]
    loaded = [(n, a, truth(a["files"])) for n, a in loaded]
    loaded = [(n, {k: v[y < 7] for k, v in a.items()}, y[y < 7]) for n, a, y in loaded]
    print("| teacher | " + " | ".join(f"{n}, accuracy / mean recall, %" for n, _, _ in loaded) + " |\n|---|" + "---|" * len(loaded))

    def row(title, weights):
        cells = [figures(mixed(weights, a), y) for _, a, y in loaded]
        print(f"| {title} | " + " | ".join(f"{100 * c[0]:.1f} / {100 * c[1]:.1f}" for c in cells) + " |", flush=True)

    flat = [0.0] * 7
    names = [name for name in TEACHERS if all(name in a for _, a, _ in loaded)]
    for name in names:
        row(name, {"teachers": {name: 1.0}, "bias": flat})
    row("all, equal", {"teachers": {name: 1 / len(names) for name in names}, "bias": flat})

    def unpack(x):
        return {"teachers": dict(zip(names, (float(v) for v in np.exp(x[:len(names)])))),
                "bias": [float(v) for v in x[len(names):]]}

    def loss(x):
        w = unpack(x)
        # The bias is held near 0: a few hundred pictures do not say much about a prior.
        return sum(figures(mixed(w, a), y)[2] for _, a, y in loaded) / len(loaded) + 0.02 * np.sum(np.square(w["bias"]))

    start = np.concatenate([np.full(len(names), np.log(0.2)), flat])
    best = unpack(minimize(loss, start, method="L-BFGS-B", options={"maxiter": 150}).x)
    best = {"teachers": {n: round(v, 3) for n, v in best["teachers"].items()}, "bias": [round(v, 3) for v in best["bias"]]}
    row("all, weighed (seen)", best)
    out.write_text(json.dumps(best, indent=1) + "\n")
    print(json.dumps(best))


def write(weights, answers, table):
    answers = dict(np.load(answers))
    scores = mixed(json.loads(weights.read_text()), answers)
    table.parent.mkdir(parents=True, exist_ok=True)
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *LABELS])
        writer.writerows([name, *(f"{v:.5f}" for v in row)] for name, row in zip(answers["files"], scores))
    print(f"{table}: {len(scores)} pictures, mean answer {np.round(scores.mean(0), 3)}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    what, *paths = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    {"ask": ask, "weigh": lambda out, *sets: weigh(out, sets), "write": write}[what](*paths)
