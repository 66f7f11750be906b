"""Plays an .mjpeg file into a v4l2loopback device, which then is a camera that shows it.

    python3 feeder.py DEVICE FILE FPS [--damage N] [--format CODE]

It plays for ever; with --damage every Nth frame is cut off, and with --format it says that it is something else.
"""
import argparse
import fcntl
import pathlib
import struct
import time

VIDIOC_S_FMT = 0xC0D05605  # _IOWR('V', 5, struct v4l2_format) on 64 bits
OUTPUT, FIELD_NONE = 2, 1
WIDTH, HEIGHT = 640, 480


def pictures(path):
    """The JPEGs of the file: each begins with the mark of a new picture."""
    parts = pathlib.Path(path).read_bytes().split(b"\xff\xd8\xff")
    return [b"\xff\xd8\xff" + part for part in parts[1:]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("file")
    parser.add_argument("fps", type=float)
    parser.add_argument("--damage", type=int, default=0)
    parser.add_argument("--format", type=str.encode, default=b"MJPG")
    asked = parser.parse_args()
    jpegs = pictures(asked.file)
    with open(asked.device, "wb", buffering=0) as out:
        pixels = struct.pack("<IIIIIIII", WIDTH, HEIGHT, int.from_bytes(asked.format, "little"), FIELD_NONE, 0, 0, 0, 0)
        fcntl.ioctl(out, VIDIOC_S_FMT, bytearray(struct.pack("<II", OUTPUT, 0) + pixels.ljust(200, b"\0")))
        due, number = time.monotonic(), 0
        while True:
            picture = jpegs[number % len(jpegs)]
            number += 1
            out.write(picture[: len(picture) // 2] if asked.damage and number % asked.damage == 0 else picture)
            due += 1 / asked.fps
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
