"""Plays an .mjpeg file or raw frames into a v4l2loopback device, which then is a camera that shows them.

    python3 feeder.py DEVICE FILE FPS [--damage N] [--format CODE] [--size WIDTHxHEIGHT]

It plays for ever; with --damage every Nth frame is cut off. --format is what the camera says that it is: a file of YUYV,
NV12, GREY or RGB3 has frames of that size without padding, any other is one of JPEGs.
"""
import argparse
import fcntl
import pathlib
import struct
import time

VIDIOC_S_FMT = 0xC0D05605  # _IOWR('V', 5, struct v4l2_format) on 64 bits
OUTPUT, FIELD_NONE = 2, 1
BITS_PER_PIXEL = {"YUYV": 16, "NV12": 12, "GREY": 8, "RGB3": 24}


def pictures(path):
    """The JPEGs of the file: each begins with the mark of a new picture."""
    parts = pathlib.Path(path).read_bytes().split(b"\xff\xd8\xff")
    return [b"\xff\xd8\xff" + part for part in parts[1:]]


def frames(path, code, width, height):
    if code not in BITS_PER_PIXEL:
        return pictures(path)
    size = width * height * BITS_PER_PIXEL[code] // 8
    content = pathlib.Path(path).read_bytes()
    assert len(content) % size == 0, f"{path} has no whole frames of {size} bytes"
    return [content[place:place + size] for place in range(0, len(content), size)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("file")
    parser.add_argument("fps", type=float)
    parser.add_argument("--damage", type=int, default=0)
    parser.add_argument("--format", default="MJPG")
    parser.add_argument("--size", default="640x480")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    shown = frames(asked.file, asked.format, width, height)
    with open(asked.device, "wb", buffering=0) as out:
        pixels = struct.pack("<IIIIIIII", width, height, int.from_bytes(asked.format.encode(), "little"), FIELD_NONE, 0, 0, 0, 0)
        fcntl.ioctl(out, VIDIOC_S_FMT, bytearray(struct.pack("<II", OUTPUT, 0) + pixels.ljust(200, b"\0")))
        due, number = time.monotonic(), 0
        while True:
            picture = shown[number % len(shown)]
            number += 1
            out.write(picture[: len(picture) // 2] if asked.damage and number % asked.damage == 0 else picture)
            due += 1 / asked.fps
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
