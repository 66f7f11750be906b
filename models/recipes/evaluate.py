"""Measures the models with LiteRT and the independent preprocessing of record_golden.py.

    python evaluate.py detector ../yunet-320 GROUP_SCENES      a folder with faces.csv (file, x, y, w, h)
    python evaluate.py expression ../fer-mini-xception FERPLUS a folder with labels.csv and <split>/<class>/<image>
    python evaluate.py expression ../emotion-mobilenet-v1 ../fer-mini-xception PEER/fer_aug_model.h5 FERPLUS

FERPLUS:valid is another split than test. The last is models side by side on the same pictures; the .h5 is that of py-feat 0.3 (py-feat.sh fetches it), run by
Keras as py-feat's detector.py does. (environment: requirements.txt)
"""
import csv
import math
import os
import pathlib
import sys

import numpy as np
from PIL import Image

from record_golden import Network, detect, iou, tensor_of


def detector(network, data):
    truth = {}
    for row in csv.DictReader(open(data / "faces.csv")):
        truth.setdefault(row["file"], []).append([float(row[k]) for k in ("x", "y", "w", "h")])
    found = faces = extra = exact = 0
    for name, boxes in truth.items():
        detected = [list(box) for _, box, _ in detect(network, Image.open(data / name).convert("RGB"))[0]]
        centres = [(b[0] + b[2] / 2, b[1] + b[3] / 2) for b in detected]
        inside = [any(x <= cx <= x + w and y <= cy <= y + h for cx, cy in centres) for x, y, w, h in boxes]
        faces, found = faces + len(boxes), found + sum(inside)
        extra += max(0, len(detected) - sum(inside))
        exact += len(detected) == len(boxes)
    print(f"{len(truth)} scenes, {faces} faces: recall {found / faces:.4f}, extra boxes {extra}, "
          f"scenes with the right count {exact}")


class TfliteModel:
    """A model folder of ours: labels, activation and preprocessing by its manifest."""

    def __init__(self, folder):
        self.network = Network(folder)
        self.title = self.network.manifest["id"]
        self.labels = self.network.manifest["expression"]["labels"]

    def scores(self, picture):
        spec = self.network.manifest["input"]
        face = picture.convert("RGB").resize((spec["width"], spec["height"]), Image.BILINEAR)
        return self.network.run(tensor_of(face, spec))["expression"].reshape(-1)


class PyFeatModel:
    """py-feat 0.3's fer_aug_model.h5: 48 px grey, divided by 255; labels in the order of its detector.py."""

    labels = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]

    def __init__(self, file):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tf_keras
        self.title = f"py-feat 0.3 ({file.name})"
        self.model = tf_keras.models.load_model(file, compile=False)
        self.size = self.model.input_shape[1:3]

    def scores(self, picture):
        face = np.asarray(picture.convert("L").resize(self.size), np.float32) / 255
        return self.model(face[None, :, :, None], training=False).numpy()[0]


def rate(verdicts):
    """In percent, with Wilson's 95 % interval."""
    n, p, z = len(verdicts), float(np.mean(verdicts)), 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((centre + side) / (1 + z * z / n) for side in (-half, half))
    return f"{100 * p:.2f} % ({100 * low:.1f}–{100 * high:.1f}, {sum(verdicts)} of {n})"


def expression(models, data, split="test"):
    """Accuracy on seven classes, by the scores of these seven alone, against both labellings of the same pictures."""
    rows = [r for r in csv.DictReader(open(data / "labels.csv"))
            if r["split"] == split and r["majority8"] and not r["duplicate_of"]]
    fer = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    columns = {"FER+ majority": lambda row: row["majority8"] if row["majority8"] != "contempt" else None,
               "FER2013 labels": lambda row: fer.get(row["fer2013_label7"], row["fer2013_label7"])}
    print(f"| 7 classes, {split} split without duplicates | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for model in models:
        hits = {column: [] for column in columns}
        seven = [i for i, label in enumerate(model.labels) if label != "contempt"]
        for row in rows:
            path = data / split / row["majority8"] / row["image"]
            if not path.exists():
                continue
            said = model.labels[max(seven, key=model.scores(Image.open(path)).__getitem__)]
            for column, label_of in columns.items():
                if label := label_of(row):
                    hits[column].append(said == label)
        print(f"| {model.title} | {' | '.join(map(rate, hits.values()))} |", flush=True)


if __name__ == "__main__":
    task, *paths, data = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    data, _, split = str(data).partition(":")
    data, split = pathlib.Path(data), split or "test"
    if task == "detector":
        detector(Network(paths[0]), data)
    else:
        expression([PyFeatModel(path) if path.suffix == ".h5" else TfliteModel(path) for path in paths], data,
                   split)
