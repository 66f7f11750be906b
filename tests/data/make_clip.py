"""Makes the demo clip from the test pictures: python tests/data/make_clip.py (Pillow 13.0.0).

Two groups of real people hang side by side; the view moves over them as if they came and went: five people, then eleven, then
six; then one goes after the other; at last a family of four. JPEG pictures one after the other.
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

# Each picture's part (left, top, width; the height follows), and where it hangs on the wall (left, top, width).
WALL_SIZE = (1300, 720)
WALL = [("five_friends", (20, 0, 860), (0, 150, 500)), ("expressions", (0, 490, 768), (506, 70, 780))]
FRIENDS, BOTH, SIX, FOUR = (0, 150, 494), (0, -130, 1290), (512, 75, 764), (752, 75, 764)

# What the view is over; the way of its window (left, top, width) from one place to the next within each second; people.
SCENES = [
    ("wall", [(0, FRIENDS), (10, (18, 166, 470))], 5),
    ("wall", [(0, (18, 166, 470)), (3, BOTH), (10, (6, -126, 1282))], 11),
    ("wall", [(0, (6, -126, 1282)), (3, SIX), (10, (508, 73, 770))], 6),
    ("wall", [(0, (508, 73, 770)), (3, FOUR), (10, (748, 74, 768))], None),
    ("family_of_four", [(0, (200, 40, 980)), (10, (160, 20, 1020))], 4),
]


def picture(name):
    return Image.open(HERE / "images" / f"{name}.jpg").convert("RGB")


def part(image, left, top, width, size):
    """A part of the image, scaled; what lies outside is a wall."""
    box = (left, top, left + width, top + width * size[1] / size[0])
    if box[0] >= 0 and box[1] >= 0 and box[2] <= image.width and box[3] <= image.height:
        return image.resize(size, Image.BICUBIC, box=box)
    large = Image.new("RGB", (round(width), round(box[3] - box[1])), (92, 96, 104))
    large.paste(image, (round(-left), round(-top)))
    return large.resize(size, Image.BICUBIC)


def wall():
    image = Image.new("RGB", WALL_SIZE, (92, 96, 104))
    for name, (left, top, width), (x, y, w) in WALL:
        image.paste(part(picture(name), left, top, width, (w, w * SIZE[1] // SIZE[0])), (x, y))
    return image


def view(way, second):
    """The window of the view at a second."""
    for (t0, a), (t1, b) in zip(way, way[1:]):
        if second <= t1:
            return tuple(x + (y - x) * (second - t0) / (t1 - t0) for x, y in zip(a, b))
    return way[-1][1]


def main():
    clip, scenes = io.BytesIO(), []
    images = {"wall": wall()}
    for number, (name, way, people) in enumerate(SCENES):
        image = images.setdefault(name, None) or picture(name)
        for i in range(FPS * SECONDS):
            frame = part(image, *view(way, i / FPS), SIZE)
            frame.save(clip, "JPEG", quality=QUALITY, optimize=True)
        scenes.append({"picture": name, "first_frame": number * FPS * SECONDS, "frames": FPS * SECONDS, "people": people})
    (HERE / "clip.mjpeg").write_bytes(clip.getvalue())
    (HERE / "clip.json").write_text(json.dumps({"fps": FPS, "size": SIZE, "scenes": scenes}, indent=1) + "\n")
    print(f"{len(clip.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
