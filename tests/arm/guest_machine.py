"""What scenarios use in the guest: the daemon, cameras, other programs, and what has arrived at the host's broker."""
import json
import os
import tempfile
import pathlib
import subprocess
import time

REPO = pathlib.Path("/repo")
CLIP = REPO / "tests/data/clip.mjpeg"
MESSAGES = pathlib.Path("/share/messages")
PROGRAM = REPO / "target/arm/aarch64/affectd"
# The loopback device that shows faces, and the test driver's camera.
FACES, VIVID = pathlib.Path("/dev/video0"), pathlib.Path("/dev/video1")
ENVIRONMENT = os.environ | {"AFFECTD_SHARE": str(REPO),
                            "AFFECTD_TFLITE": str(PROGRAM.parent / "libtensorflowlite_c.so")}


class Failed(Exception):
    """The scenario did not do what it should: the text says what instead."""


def check(truth, what):
    if not truth:
        raise Failed(what)


def sh(*command):
    """Runs a program and gives what it wrote; fails with that if it does."""
    done = subprocess.run([str(c) for c in command], env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    check(done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout.strip()[-300:]}")
    return done.stdout


def until(condition, seconds, what):
    """Waits for `condition` to give something true, and gives it and how long it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        found = condition()
        if found:
            return found, time.monotonic() - begin
        time.sleep(0.1)
    raise Failed(f"{what} did not come about in {seconds} s")


class Background:
    """A program that runs while the scenario goes on, and is ended after it."""

    def __init__(self, *command, user=None, **environment):
        self.log = pathlib.Path(f"/tmp/log-{time.monotonic_ns()}")
        with self.log.open("w") as log:
            self.process = subprocess.Popen([str(c) for c in command], env=ENVIRONMENT | environment, stdout=log,
                                            stderr=subprocess.STDOUT, user=user)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"{self.process.args[0]} did not end within 20 s of SIGTERM") from None

    def said(self):
        return self.log.read_text()

    def descriptors(self):
        return sorted(os.readlink(f"/proc/{self.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self):
        """Resident memory in KiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu(self, thread=None):
        """Seconds of CPU that the program, or its thread of this name, has used."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").iterdir()
        chosen = [task for task in tasks if thread in (None, (task / "comm").read_text().strip())]
        check(chosen, f"there is no thread `{thread}`")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in chosen) / 1e9


class Daemon(Background):
    """`affectd run` with a device name of its own, so that its messages are told apart. `more` is for [camera],
    `tables` are whole ones; `state` is the folder for what outlives it."""
    count = 0

    def __init__(self, source, user=None, fps=2, window="5s", more="", tables="", state=None):
        Daemon.count += 1
        self.name = f"guest-{Daemon.count}"
        config = pathlib.Path(f"/tmp/{self.name}.toml")
        config.write_text(f"""config_version = 1
[deployment]
site = "guest"
device = "{self.name}"
place = "other"
purpose = "Tests of affectd on ARM"
controller = "the developers"
[camera]
{f'source = "{source}"' if source else ""}
fps = {fps}
{more}
[window]
length = "{window}"
[mqtt]
host = "{os.environ.get("BROKER", "10.0.2.2")}"
port = {os.environ["PORT"]}
# The broker lives in the time of the machine outside, which may pass much faster.
keep_alive = "1h"
[status]
health_interval = "10s"
[log]
level = "debug"
{tables}
""")
        # One of its own: the last report of another daemon would keep this one silent for ten minutes.
        if state is None:
            state = tempfile.mkdtemp()
            os.chmod(state, 0o777)
        environment = {"STATE_DIRECTORY": str(state)}
        super().__init__(PROGRAM, "run", "-c", config, user=user, **environment)

    def heard(self, kind):
        """What the broker has of this daemon, oldest first, as it stands: `status`, or one of JSON as below."""
        lines = [line.partition(" ") for line in MESSAGES.read_text().splitlines()]
        return [payload for topic, _, payload in lines if f"/{self.name}/" in topic and topic.endswith("/" + kind)]

    def messages(self, kind):
        """The same, read: `window`, `state`, `health`."""
        return [json.loads(payload) for payload in self.heard(kind)]

    def windows(self, people):
        """Windows with at least so many people."""
        return [w for w in self.messages("window") if w.get("people") and w["people"]["peak"] >= people]

    def comes_to(self, state, seconds, after=0):
        """Waits for a state among the messages from number `after` on; gives the message and the seconds."""
        def seen():
            return next((m for m in self.messages("state")[after:] if m["state"] == state), None)
        try:
            return until(seen, seconds, f"the state `{state}`")
        except Failed as failed:
            told = [m["state"] for m in self.messages("state")]
            raise Failed(f"{failed}; states were {told}, and the log ends: {self.said()[-400:]}") from None


def feed(fps, *more, offers="MJPG", shows=CLIP):
    """Faces on /dev/video0: the bundled clip as an MJPG camera, or one that `offers` something else. The loopback
    device is made anew each time, since it does not always become a camera again when a second program writes to it."""
    subprocess.run(["rmmod", "v4l2loopback"], stderr=subprocess.DEVNULL, check=False)
    sh("modprobe", "v4l2loopback", "video_nr=0", "exclusive_caps=1", "card_label=Faces")
    feeder = Background("python3", REPO / "tests/arm/feeder.py", FACES, shows, fps, "--format", offers, *more)
    try:
        until(lambda: offers in sh("v4l2-ctl", "-d", FACES, "--list-formats"), 15, "the loopback device's format")
    except Failed as failed:
        feeder.process.kill()
        raise Failed(f"{failed}; the feeder says: {feeder.said()[-300:]}") from None
    return feeder
