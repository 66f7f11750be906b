"""The guest's scenarios: each is a function that checks something and gives what it measured. One line is printed for
each. SCENARIOS names those that run; empty: all."""
import os
import pathlib
import re
import sys
import time

from guest_machine import CLIP, FACES, PROGRAM, VIVID, Background, Daemon, Failed, check, feed, sh, until


def cameras_are_there():
    """Both cameras work for another program: the faces as whole JPEGs, the test driver at its rate."""
    with feed(15):
        sh("v4l2-ctl", "-d", FACES, "--stream-mmap", "--stream-count=3", "--stream-to=/tmp/faces")
    picture = pathlib.Path("/tmp/faces").read_bytes()
    check(picture[:3000] in CLIP.read_bytes(), "what comes through the loopback device is not the clip")
    told = sh("v4l2-ctl", "-d", VIVID, "--stream-mmap", "--stream-count=50")
    rates = re.findall(r"([\d.]+) fps", told)
    check(rates, f"v4l2-ctl told no rate: {told}")
    return f"loopback shows the clip, vivid gives {rates[-1]} fps"


def replay():
    """The clip as a file: no camera in between."""
    reports = sh(PROGRAM, "replay", CLIP).splitlines()
    people = [int(n) for n in re.findall(r'"distinct":(\d+)', "\n".join(reports))]
    check(max(people, default=0) >= 7, f"replay saw {people} people")
    return f"{len([r for r in reports if r.startswith('{')])} windows, up to {max(people)} people"


def file_to_broker():
    """The clip as a file, published to the broker outside."""
    with Daemon(CLIP, fps=4) as daemon:
        windows, took = until(lambda: daemon.windows(5), 90, "a window of five people on the host's broker")
    return f"a window of {windows[0]['people']['distinct']} people on the host's broker after {took:.0f} s"


SCENARIOS = [cameras_are_there, replay, file_to_broker]


def main():
    sh("modprobe", "v4l2loopback", "video_nr=0", "exclusive_caps=1", "card_label=Faces")
    sh("modprobe", "vivid", "n_devs=1", "node_types=0x1", "vid_cap_nr=1")
    wanted = [name for name in os.environ.get("SCENARIOS", "").split(",") if name]
    unknown = set(wanted) - {scenario.__name__ for scenario in SCENARIOS}
    if unknown:
        sys.exit(f"there is no scenario {', '.join(sorted(unknown))}")
    with open("/share/results", "w", buffering=1) as results:
        for scenario in SCENARIOS:
            if wanted and scenario.__name__ not in wanted:
                continue
            begin = time.monotonic()
            try:
                verdict = f"PASS  {scenario.__name__}: {scenario()}"
            except Failed as failed:
                verdict = f"FAIL  {scenario.__name__}: {failed}"
            except Exception as error:  # a fault of the scenario itself must not hide the others
                verdict = f"FAIL  {scenario.__name__}: {type(error).__name__}: {error}"
            for out in (results, sys.stdout):
                print(f"{verdict} ({time.monotonic() - begin:.0f} s)".replace("\n", " | "), file=out)
        print("END", file=results)


main()
