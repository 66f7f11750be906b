"""Measures the models with LiteRT and the independent preprocessing of record_golden.py.

    python evaluate.py detector ../yunet-320 GROUP_SCENES      a folder with faces.csv (file, x, y, w, h)
    python evaluate.py expression ../fer-mini-xception FERPLUS a folder with labels.csv and <split>/<class>/<image>

(environment: requirements.txt)
"""
import csv
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


def expression(network, data):
    labels, spec = network.manifest["expression"]["labels"], network.manifest["input"]
    rows = [r for r in csv.DictReader(open(data / "labels.csv"))
            if r["split"] == "test" and not r["duplicate_of"]]
    fer = {"angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness", "sad": "sadness",
           "surprise": "surprise", "neutral": "neutral"}
    hits = {"FER+ majority, 7 classes": [], "FER2013 labels, 7 classes": []}
    for row in rows:
        path = data / "test" / row["majority8"] / row["image"]
        if not row["majority8"] or not path.exists():
            continue
        face = Image.open(path).convert("RGB").resize((spec["width"], spec["height"]), Image.BILINEAR)
        scores = network.run(tensor_of(face, spec))["expression"].reshape(-1)
        said = labels[int(np.argmax(scores))]
        if row["majority8"] in labels:
            hits["FER+ majority, 7 classes"].append(said == row["majority8"])
        if row["fer2013_label7"]:
            hits["FER2013 labels, 7 classes"].append(said == fer.get(row["fer2013_label7"], row["fer2013_label7"]))
    for what, right in hits.items():
        print(f"{what}: accuracy {np.mean(right):.4f} on {len(right)} images of the test split without duplicates")


if __name__ == "__main__":
    task, folder, data = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    {"detector": detector, "expression": expression}[task](Network(folder), data)
