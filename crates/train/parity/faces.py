"""The faces of the repository's test pictures, with what one sees in them."""
import pathlib

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[3]
LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
# The published base's input: BGR minus these.
MEAN = np.array([103.939, 116.779, 123.68], np.float32)

# Picture, left, top, side of a square; expression by place in LABELS; whether the person is a man.
FACES = [
    ("five_friends", 504, 293, 155, 3, 0), ("five_friends", 657, 277, 161, 3, 0), ("five_friends", 416, 208, 116, 4, 1),
    ("five_friends", 285, 221, 150, 3, 0), ("five_friends", 192, 44, 142, 3, 1), ("seven_people", 557, 171, 48, 3, 1),
    ("seven_people", 463, 167, 40, 3, 0), ("seven_people", 184, 119, 52, 3, 1), ("seven_people", 264, 125, 44, 3, 1),
    ("seven_people", 397, 129, 45, 3, 1), ("seven_people", 515, 152, 46, 3, 0), ("seven_people", 338, 173, 44, 3, 0),
    ("portrait", 330, 110, 400, 3, 1),
]
# The 25 tiles of expressions.jpg, row by row.
for place, expression in enumerate([4, 3, 6, 2, 1, 4, 0, 2, 0, 6, 0, 2, 0, 0, 4, 5, 3, 1, 6, 5, 1, 3, 4, 6, 0]):
    FACES.append(("expressions", 256 * (place % 5) + 53, 256 * (place // 5) + 25, 150, expression, 0))

# The golden pictures of the shipped model: left, top and side of a square.
GOLDEN = {"golden-1": (37, 30, 84), "golden-2": (38, 25, 88), "golden-3": (34, 9, 92), "golden-4": (22, 0, 94)}


def cut(picture, left, top, side, size):
    return picture.resize((size, size), Image.BILINEAR, box=(left, top, left + side, top + side))


def golden(size):
    """The golden faces, by name, as pictures of `size` x `size` pixels."""
    folder = ROOT / "models/emotion-mobilenet-v1"
    return {name: cut(Image.open(folder / f"{name}.png").convert("RGB"), *box, size) for name, box in GOLDEN.items()}


def moved(size, rng=None):
    """All faces, each a little moved and perhaps mirrored where `rng` says how."""
    for name, left, top, side, _, _ in FACES:
        picture = Image.open(ROOT / f"tests/data/images/{name}.jpg").convert("RGB")
        if rng is not None:
            left, top = (at + side * rng.uniform(-0.06, 0.06) for at in (left, top))
        left, top = max(left, 0), max(top, 0)
        face = cut(picture, left, top, side, size)
        mirrored = rng is not None and rng.random() < 0.5
        yield face.transpose(Image.FLIP_LEFT_RIGHT) if mirrored else face


def calibration(size, rounds=4):
    """Calibration pictures. The first has a black and a white pixel: our writer gives the input the range of all pixel values,
    and so does a converter that sees them."""
    rng = np.random.default_rng(5)
    pictures = [face for _ in range(rounds) for face in moved(size, rng)]
    pictures[0].putpixel((0, 0), (0, 0, 0))
    pictures[0].putpixel((1, 0), (255, 255, 255))
    return pictures


def tensor(picture):
    return np.asarray(picture, np.float32)[:, :, ::-1] - MEAN
