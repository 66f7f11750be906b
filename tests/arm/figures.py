"""Figures of ARM code: how many instructions each stage takes. The guest's clock advances 2 ns with each instruction
(boot.sh), so a time is a number of instructions; `clock` checks that."""
import ctypes
import json
import mmap
import pathlib
import re
import struct
import time

from guest_machine import CLIP, PROGRAM, REPO, check, sh

NANOSECONDS = 2
ARMHF = REPO / "target/arm/root-armhf/lib/arm-linux-gnueabihf"
ARMV7 = REPO / "target/arm/armv7l"
ROUNDS = 10


def clock():
    """A loop of known length: how far the clock goes for each of its instructions."""
    # loop: subs x0, x0, #1; b.ne loop; ret
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(struct.pack("<III", 0xF1000400, 0x54FFFFE1, 0xD65F03C0))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    loop = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(address)
    loop(1000)
    turns = 50_000_000
    begin = time.thread_time_ns()
    loop(turns)
    each = (time.thread_time_ns() - begin) / (2 * turns)
    check(abs(each - NANOSECONDS) < 0.05 * NANOSECONDS, f"an instruction takes {each:.3f} ns, not {NANOSECONDS}")
    return f"{each:.3f} ns for an instruction"


def told(*command):
    """Millions of instructions per stage, from the medians of `affectd bench`."""
    # The library says a line of its own before.
    said = sh(*command, "bench", "--json", "--rounds", ROUNDS)
    report, _ = json.JSONDecoder().raw_decode(said[said.index("{"):])
    check(report["faces"] == 5, f"the picture has {report['faces']} faces")
    return {stage["stage"].strip(): stage["cpu_ms"]["median"] / NANOSECONDS for stage in report["stages"]}, report


def words(stages):
    return "; ".join(f"{name} {millions:.2f}" for name, millions in stages.items())


def bench():
    """`affectd bench` on the clip's picture with five faces."""
    stages, report = told(PROGRAM)
    return (f"millions of instructions: {words(stages)}; classify / invoke {report['classify_by_invoke']:.3f}, "
            f"frame / parts {report['frame_by_parts']:.3f}, resident {report['resident_kib']} KiB")


def bench_armv7():
    """The same with the program for armv7, whose library has no XNNPACK."""
    loader = ["env", f"AFFECTD_TFLITE={ARMV7}/libtensorflowlite_c.so", ARMHF / "ld-linux-armhf.so.3", "--library-path", ARMHF]
    stages, report = told(*loader, ARMV7 / "affectd")
    return (f"millions of instructions: {words(stages)}; classify / invoke {report['classify_by_invoke']:.3f}, "
            f"frame / parts {report['frame_by_parts']:.3f}, resident {report['resident_kib']} KiB")


def jpeg_decoders():
    """The decoders of tests/jpeg on the clip's first pictures, millions of instructions for each."""
    short = pathlib.Path("/tmp/jpegs.mjpeg")
    short.write_bytes(CLIP.read_bytes()[: CLIP.read_bytes().find(b"\xff\xd9\xff\xd8\xff", 500_000) + 2])
    said = sh(REPO / "target/arm/jpeg-bench", short)
    medians = {name: float(ms) / NANOSECONDS for name, ms in re.findall(r"^  (\S.*?) +([\d.]+) ms \(median\)", said, re.M)}
    check({"zune-jpeg", "libjpeg-turbo"} <= medians.keys(), f"it said: {said}")
    ratio = medians["zune-jpeg"] / medians["libjpeg-turbo"]
    return f"{said.splitlines()[0].partition(': ')[2]}; millions of instructions: {words(medians)}; zune-jpeg : libjpeg-turbo {ratio:.2f}"
