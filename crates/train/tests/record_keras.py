"""Writes a small Keras model in the layout of the author's mobilenet_7.h5, and what it answers to faces, for tests/import.rs.

    python record_keras.py             (tensorflow, tf_keras, pillow; writes data/mobilenet_7.h5 and data/keras.json)

MobileNet-v1 of Keras 2, width 0.25, with the author's labels, input and names. It is fitted to the 25 faces of one test picture,
so that batch norm's statistics and the answers are those of a trained network.
"""
import json
import pathlib

import numpy as np
import tf_keras as keras
from PIL import Image

SIZE = 96
LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
ROOT = pathlib.Path(__file__).parents[3]
DATA = pathlib.Path(__file__).parent / "data"
# What one sees in each tile of expressions.jpg, by place in LABELS.
TILES = [4, 3, 6, 2, 1, 4, 0, 2, 0, 6, 0, 2, 0, 0, 4, 5, 3, 1, 6, 5, 1, 3, 4, 6, 0]
# Regions of SIZE x SIZE pixels, taken as they are: no resize, so importer and network are compared alone.
FACES = [("golden-1", 30, 24), ("golden-2", 33, 21), ("golden-3", 31, 8), ("golden-4", 21, 0)]


def tensor(picture):
    """RGB minus 103.939, 116.779, 123.68: the author's, order and all."""
    return np.asarray(picture, np.float32) - np.array([103.939, 116.779, 123.68], np.float32)


def tiles():
    whole = Image.open(ROOT / "tests/data/images/expressions.jpg").convert("RGB")
    for row in range(5):
        for column in range(5):
            tile = whole.crop((256 * column, 256 * row, 256 * (column + 1), 256 * (row + 1)))
            yield tensor(tile.resize((160, 160), Image.LANCZOS))


def batches(rng, count):
    pictures = list(tiles())
    for _ in range(count):
        batch = []
        for picture in pictures:
            x, y = rng.integers(22, 42), rng.integers(4, 34)
            crop = picture[y:y + SIZE, x:x + SIZE]
            batch.append(crop[:, ::rng.choice([-1, 1])])
        yield np.stack(batch)


def main():
    keras.utils.set_random_seed(7)
    base = keras.applications.MobileNet((SIZE, SIZE, 3), alpha=0.25, include_top=False, weights=None, pooling="avg")
    head = keras.layers.Dense(len(LABELS), activation="softmax", name="emotion_preds")
    model = keras.Model(base.input, head(base.output))
    wanted = 0.9 * np.eye(len(LABELS))[TILES] + 0.1 / len(LABELS)
    model.compile(keras.optimizers.Adam(3e-3), "categorical_crossentropy", metrics=["accuracy"])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    for batch in batches(np.random.default_rng(7), 150):
        loss, accuracy = model.train_on_batch(batch, wanted)
    print(f"fitted: loss {loss:.3f}, accuracy {accuracy:.2f}")

    features = keras.Model(model.input, base.output)
    cases = []
    for name, x, y in FACES:
        picture = Image.open(ROOT / f"models/emotion-mobilenet-v1/{name}.png").convert("RGB")
        face = tensor(picture.crop((x, y, x + SIZE, y + SIZE)))[None]
        answers, embedding = model(face, training=False).numpy()[0], features(face, training=False).numpy()[0]
        print(name, LABELS[answers.argmax()], answers.round(3), embedding[:4], embedding.std())
        cases.append({"image": f"{name}.png", "x": x, "y": y, "scores": [float(v) for v in answers],
                      "embedding": [float(v) for v in embedding[:64]]})
    # Without the optimiser's state and the training configuration, which double the size and are not read.
    model.save(DATA / "mobilenet_7.h5", include_optimizer=False)
    recorded = {"recorded_with": f"tf_keras {keras.__version__}", "size": SIZE, "labels": LABELS, "cases": cases}
    (DATA / "keras.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
