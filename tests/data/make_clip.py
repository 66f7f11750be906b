"""Makes the demo clip from the test pictures: python tests/data/make_clip.py (Pillow 13.0.0).

Four scenes of ten seconds, each a slow pan over a picture of real people, as JPEG pictures one after the other.
"""
import io
import json
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent
SIZE = (640, 480)
FPS = 4
SECONDS = 10
QUALITY = 55

# Picture; first and last window of the pan (left, top, width; the height follows); people in it.
SCENES = [
    ("five_friends", (20, 0, 860), (60, 5, 870), 5),
    ("seven_people", (150, 55, 470), (165, 70, 470), 7),
    ("family_of_four", (200, 40, 980), (160, 20, 1020), 4),
    ("solvay_1927", (330, 430, 560), (300, 410, 560), None),
]


def frames(picture, first, last):
    count = FPS * SECONDS
    for i in range(count):
        left, top, width = (a + (b - a) * i / (count - 1) for a, b in zip(first, last))
        box = (left, top, left + width, top + width * SIZE[1] / SIZE[0])
        yield picture.resize(SIZE, Image.BICUBIC, box=box)


def main():
    clip, scenes = io.BytesIO(), []
    for number, (name, first, last, people) in enumerate(SCENES):
        picture = Image.open(HERE / "images" / f"{name}.jpg").convert("RGB")
        for frame in frames(picture, first, last):
            frame.save(clip, "JPEG", quality=QUALITY, optimize=True)
        start = number * FPS * SECONDS
        scenes.append({"picture": f"{name}.jpg", "first_frame": start, "frames": FPS * SECONDS, "people": people})
    (HERE / "clip.mjpeg").write_bytes(clip.getvalue())
    (HERE / "clip.json").write_text(json.dumps({"fps": FPS, "size": SIZE, "scenes": scenes}, indent=1) + "\n")
    print(f"{len(clip.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
