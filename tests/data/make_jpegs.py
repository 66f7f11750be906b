"""Makes one picture in every way in which JPEGs are coded: python tests/data/make_jpegs.py (Pillow 13.0.0)."""
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent
OUT = HERE / "jpeg"
# An odd size, so that the last units of the picture are not full.
SIZE = (157, 109)

WAYS = {
    "plain": {},
    "colours_444": {"subsampling": "4:4:4"},
    "colours_422": {"subsampling": "4:2:2"},
    "own_tables": {"optimize": True},
    "restarts": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive_422_restarts": {"progressive": True, "subsampling": "4:2:2", "restart_marker_blocks": 7},
    "rgb": {"keep_rgb": True},
    "coarse": {"quality": 5},
    "fine": {"quality": 100, "subsampling": "4:4:4"},
}

OUT.mkdir(exist_ok=True)
picture = Image.open(HERE / "images/five_friends.jpg").convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
for name, way in WAYS.items():
    picture.save(OUT / f"{name}.jpg", **({"quality": 75} | way))
for mode, name in [("L", "grey"), ("CMYK", "cmyk")]:
    picture.convert(mode).save(OUT / f"{name}.jpg", quality=75)
picture.convert("L").save(OUT / "grey_progressive.jpg", quality=75, progressive=True)
# Black and white only, side by side: as far from grey as a block can be.
sharp = Image.new("L", SIZE)
sharp.putdata([255 * ((x // 3 + y // 5) % 2) for y in range(SIZE[1]) for x in range(SIZE[0])])
sharp.save(OUT / "sharp.jpg", quality=95)
