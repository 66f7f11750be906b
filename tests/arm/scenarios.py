"""The guest's scenarios: each is a function that checks something and gives what it measured. One line is printed for
each. SCENARIOS names those that run; empty: all but the figures, which take their time."""
import os
import pathlib
import re
import signal
import sys
import time

import figures
import lamp
from feeder import pictures
from guest_machine import CLIP, FACES, PROGRAM, REPO, VIVID, Background, Daemon, Failed, check, feed, sh, until

SHORT = pathlib.Path("/tmp/short.mjpeg")
# Of the test driver only a webcam is wanted, and always as /dev/video1.
VIVID_IS = ["n_devs=1", "node_types=0x1", "vid_cap_nr=1"]


def cameras_are_there():
    """Both cameras work for another program: the faces as whole JPEGs, the test driver at its rate."""
    with feed(15):
        sh("v4l2-ctl", "-d", FACES, "--stream-mmap", "--stream-count=3", "--stream-to=/tmp/faces")
    picture = pathlib.Path("/tmp/faces").read_bytes()
    check(picture[:3000] in CLIP.read_bytes(), "what comes through the loopback device is not the clip")
    sh("v4l2-ctl", "-d", VIVID, "--set-fmt-video", "width=640,height=480,pixelformat=YUYV")
    told = sh("v4l2-ctl", "-d", VIVID, "--stream-mmap", "--stream-count=50")
    rates = re.findall(r"([\d.]+) fps", told)
    check(rates, f"v4l2-ctl told no rate: {told}")
    return f"loopback shows the clip, vivid gives {rates[-1]} fps"


def replay():
    """A part of the clip as a file: no camera in between."""
    reports = [line for line in sh(PROGRAM, "replay", SHORT, "--fps", "2").splitlines() if line.startswith("{")]
    people = [int(n) for n in re.findall(r'"peak":(\d+)', "\n".join(reports))]
    check(people and max(people) >= 5, f"replay saw {people} people")
    return f"{len(reports)} windows, {max(people)} people"


def file_to_broker():
    """The clip as a file, published to the broker outside."""
    with Daemon(CLIP) as daemon:
        windows, took = until(lambda: daemon.windows(5), 180, "a window of five people on the host's broker")
    return f"a window of {windows[0]['people']['peak']} people on the host's broker after {took:.0f} s"


def camera_to_broker():
    """Real faces through /dev/video0 (MJPG 640x480), as windows on the broker outside."""
    with feed(10), Daemon(FACES) as daemon:
        windows, took = until(lambda: daemon.windows(5)[1:], 240, "two windows of five people on the host's broker")
        opened = re.search(r"` gives (?!only)(.*)\.$", daemon.said(), re.M)
    counts = [w["people"]["peak"] for w in daemon.windows(5)]
    return f"opened as {opened[1] if opened else '?'}; windows of {counts} people, the first two after {took:.0f} s"


def latency():
    """From the camera's own time of a frame to its last classified face: the histogram of health, MJPG at 2 fps."""
    def health():
        return [h for h in daemon.messages("health") if sum(b["frames"] for b in h["latency"]) >= 20]
    with feed(10), Daemon(FACES) as daemon:
        told, _ = until(health, 240, "twenty frames in the histogram")
    buckets = [(b["up_to_ms"], b["frames"]) for b in told[-1]["latency"] if b["frames"]]
    check(all(end for end, _ in buckets), f"frames took longer than the last bucket: {buckets}")
    return "frames of published windows, " + ", ".join(f"up to {end} ms: {frames}" for end, frames in buckets)


def raw_camera():
    """The test driver's raw picture: streaming, and windows that are suppressed, since nobody is in it."""
    with Daemon(VIVID) as daemon:
        daemon.comes_to("streaming", 60)
        windows, _ = until(lambda: daemon.messages("window"), 90, "a window")
        opened = re.search(r"` gives (?!only)(.*)\.$", daemon.said(), re.M)
    check(all(w["suppressed"] for w in windows), f"a test picture has people: {windows}")
    return f"opened as {opened[1] if opened else '?'}, suppressed windows"


def raw_formats():
    """The clip as a camera gives it that knows no JPEG, in each raw format and at odd sizes: the faces are there all the same."""
    told = []
    for code in ("YUYV", "NV12", "GREY", "RGB3"):
        [frames] = (REPO / "target/arm/raw").glob(f"{code}-*")
        size = frames.name.removeprefix(f"{code}-")
        with feed(5, "--size", size, offers=code, shows=frames) as feeder, Daemon(FACES) as daemon:
            windows, _ = until(lambda: daemon.windows(5), 120, f"a window of five people in {code}")
            check(re.search(rf"` gives {code} {size.replace('x', '×')} px", daemon.said()), f"{code} was not taken: {daemon.said()[-400:]}")
            check(feeder.process.poll() is None, f"the feeder ended: {feeder.said()[-300:]}")
        told.append(f"{code} {size}: {windows[0]['people']['peak']} people, {max(windows[0]['emotion']['mean'])}")
    return "; ".join(told)


def unplugged():
    """`disconnect` of the test driver: the device answers ENODEV, and is back when all have closed it."""
    with Daemon(VIVID) as daemon:
        daemon.comes_to("streaming", 60)
        told = len(daemon.messages("state"))
        sh("v4l2-ctl", "-d", VIVID, "-c", "disconnect=1")
        gone, noticed = daemon.comes_to("no_device", 30, told)
        _, back = daemon.comes_to("streaming", 60, told)
    return f"no_device after {noticed:.1f} s ({gone['cause']}); streaming again {back:.1f} s later"


def replugged_100_times():
    """The driver is unbound and its module unloaded and loaded again, 100 times: nothing leaks, all come back."""
    rounds = int(os.environ.get("ROUNDS", "100"))
    with Daemon(VIVID, fps=1) as daemon:
        daemon.comes_to("streaming", 60)
        returns, first = [], None
        for number in range(rounds):
            told = len(daemon.messages("state"))
            pathlib.Path("/sys/bus/platform/drivers/vivid/unbind").write_text("vivid.0")
            daemon.comes_to("no_device", 60, told)
            held = [d for d in daemon.descriptors() if "video" in d]
            check(not held, f"{held} is still open while the camera is away")
            sh("rmmod", "vivid")
            sh("modprobe", "vivid", *VIVID_IS)
            returns.append(daemon.comes_to("streaming", 60, told)[1])
            # The first rounds fill caches and buffers.
            if number == min(9, rounds // 2):
                first = len(daemon.descriptors()), daemon.resident()
        last = len(daemon.descriptors()), daemon.resident()
    check(last[0] == first[0], f"{first[0]} descriptors became {last[0]}")
    check(last[1] - first[1] <= 2048, f"{first[1]} KiB of memory became {last[1]}")
    returns.sort()
    check(returns[-1] <= 5, f"the camera was back after {returns[-1]:.1f} s in the slowest round")
    return (f"{rounds} rounds: {last[0]} descriptors as before, memory {first[1]} KiB and then {last[1]} KiB, "
            f"streaming {returns[rounds // 2]:.1f} s (at most {returns[-1]:.1f} s) after the driver was loaded")


def replugged_elsewhere():
    """A camera that comes back under another number is found by its name, a link that we set as udev does."""
    link = pathlib.Path("/dev/v4l/by-id/usb-vivid-video-index0")
    link.parent.mkdir(parents=True, exist_ok=True)

    def plug(number):
        sh("modprobe", "vivid", *VIVID_IS[:2], f"vid_cap_nr={number}")
        link.symlink_to(f"../../video{number}")

    def unplug():
        pathlib.Path("/sys/bus/platform/drivers/vivid/unbind").write_text("vivid.0")
        link.unlink()

    sh("rmmod", "vivid")
    plug(1)
    try:
        with Daemon(link) as daemon:
            daemon.comes_to("streaming", 60)
            told = len(daemon.messages("state"))
            unplug()
            daemon.comes_to("no_device", 60, told)
            sh("rmmod", "vivid")
            plug(5)
            _, took = daemon.comes_to("streaming", 60, told)
            held = [d for d in daemon.descriptors() if "video" in d]
            check(held == ["/dev/video5"], f"{held} is open instead of /dev/video5")
        check(took <= 5, f"streaming took {took:.1f} s")
    finally:
        unplug()
        sh("rmmod", "vivid")
        sh("modprobe", "vivid", *VIVID_IS)
    return f"/dev/video1 came back as /dev/video5: streaming {took:.1f} s later"


def wrong_format():
    """A camera that has none of our formats: `no_signal`, which says what it has; streaming when it has one."""
    with feed(10, offers="H264") as feeder, Daemon(FACES) as daemon:
        told, _ = daemon.comes_to("no_signal", 60)
        check("H264" in told["cause"] and "MJPG" in told["cause"], f"the cause does not say it: {told['cause']}")
        feeder.process.kill()
        feeder.process.wait(20)
        with feed(10):
            _, took = daemon.comes_to("streaming", 60)
            daemon.process.terminate()
            daemon.process.wait(20)
    return f"no_signal ({told['cause']}); streaming {took:.1f} s after it had one"


def stops():
    """SIGTERM while it streams: the open window and `stopped` reach the broker, and all is over within 5 s."""
    with feed(10), Daemon(FACES, fps=10) as daemon:
        until(lambda: daemon.messages("window"), 120, "a window")
        time.sleep(2)
        begin = time.monotonic()
        daemon.process.terminate()
        code = daemon.process.wait(20)
        took = time.monotonic() - begin
    check(code == 0 and took <= 5, f"it ended with {code} after {took:.2f} s")
    until(lambda: daemon.heard("status")[-1:] == ["stopped"], 20, "the status `stopped`")
    check(daemon.messages("window")[-1]["partial"], "the open window was not published")
    return f"ended {took:.2f} s after SIGTERM, its open window and `stopped` published"


def busy():
    """Another program has the camera: `busy`, then streaming when it is free."""
    with Background("v4l2-ctl", "-d", VIVID, "--stream-mmap") as other:
        until(lambda: "<" in other.said(), 30, "the other program's stream")
        with Daemon(VIVID) as daemon:
            told, _ = daemon.comes_to("busy", 60)
            other.process.terminate()
            other.process.wait(20)
            _, took = daemon.comes_to("streaming", 60)
    return f"busy ({told['cause']}); streaming {took:.1f} s after the other program had ended"


def denied():
    """The daemon's user may not open the camera: `denied`, then streaming when it may."""
    VIVID.chmod(0o600)
    try:
        with Daemon(VIVID, user=65534) as daemon:
            told, _ = daemon.comes_to("denied", 60)
            VIVID.chmod(0o666)
            _, took = daemon.comes_to("streaming", 60)
    finally:
        VIVID.chmod(0o666)
    return f"denied ({told['cause']}); streaming {took:.1f} s after it was allowed"


def absent():
    """No such device at the start: `no_device`, and the daemon waits."""
    with Daemon("/dev/video7") as daemon:
        told, _ = daemon.comes_to("no_device", 60)
        time.sleep(3)
        check(daemon.process.poll() is None, "the daemon ended")
        check(daemon.said().count("/dev/video7`") <= 4, f"the log repeats itself: {daemon.said()[-600:]}")
    return f"no_device ({told['cause']})"


def stalled():
    """A camera that is open and gives no frame: `no_data`, then streaming when frames come."""
    with feed(10) as feeder, Daemon(FACES, more='frame_timeout = "3s"') as daemon:
        daemon.comes_to("streaming", 60)
        told = len(daemon.messages("state"))
        feeder.process.send_signal(signal.SIGSTOP)
        silent, noticed = daemon.comes_to("no_data", 60, told)
        feeder.process.send_signal(signal.SIGCONT)
        _, took = daemon.comes_to("streaming", 60, told)
    return f"no_data after {noticed:.1f} s ({silent['cause']}); streaming {took:.1f} s after frames came again"


def broken_jpegs():
    """Every fifth JPEG is cut off: dropped, counted, logged once; windows come all the same."""
    with feed(10, "--damage", 5), Daemon(FACES, fps=10) as daemon:
        until(lambda: daemon.messages("window")[1:], 180, "two windows")
        counted, _ = until(lambda: [h for h in daemon.messages("health") if h["drops"]["broken"] >= 5], 60,
                           "a health message with five broken frames")
        logged = daemon.said().count("a frame is dropped")
        check(logged == 1, f"broken frames were logged {logged} times: {daemon.said()[-600:]}")
    return f"{counted[0]['drops']['broken']} dropped, logged once"


def capture_cpu():
    """CPU of the capture thread at 30 fps MJPG beside v4l2-ctl's, which only fetches the same frames."""
    with feed(30):
        with Background("v4l2-ctl", "-d", FACES, "--stream-mmap") as other:
            alone = cpu_share(other)
        with Daemon(FACES, fps=30) as daemon:
            daemon.comes_to("streaming", 60)
            ours = cpu_share(daemon, "capture")
    check(ours <= 0.02, f"the capture thread takes {ours:.2%} of a core, v4l2-ctl {alone:.2%}")
    return f"{ours:.2%} of an emulated core (limit 2 %), v4l2-ctl alone {alone:.2%}"


def cpu_share(program, thread=None):
    """CPU per time over ten seconds, after two to settle."""
    time.sleep(2)
    begin, before = time.monotonic(), program.cpu(thread)
    time.sleep(10)
    return (program.cpu(thread) - before) / (time.monotonic() - begin)


SCENARIOS = [cameras_are_there, replay, file_to_broker, camera_to_broker, latency, raw_camera, raw_formats, unplugged, replugged_elsewhere,
             busy, denied, absent, wrong_format, stalled, broken_jpegs, capture_cpu, stops, lamp.lamp_and_button,
             replugged_100_times]
FIGURES = [figures.clock, figures.bench, figures.bench_armv7, figures.jpeg_decoders]


def main():
    sh("modprobe", "vivid", *VIVID_IS)
    # The beginning of the clip's first scene.
    SHORT.write_bytes(CLIP.read_bytes()[: sum(map(len, pictures(CLIP)[:8]))])
    wanted = [name for name in os.environ.get("SCENARIOS", "").split(",") if name]
    unknown = set(wanted) - {scenario.__name__ for scenario in SCENARIOS + FIGURES}
    if unknown:
        sys.exit(f"there is no scenario {', '.join(sorted(unknown))}")
    with open("/share/results", "w", buffering=1) as results:
        for scenario in [s for s in SCENARIOS + FIGURES if s.__name__ in wanted] if wanted else SCENARIOS:
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
