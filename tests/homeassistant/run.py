#!/usr/bin/env python3
"""A real Home Assistant reads what a real affectd says over a real mosquitto: `make test-ha`.

    run.py LAB AFFECTD PICTURE.png

LAB is what setup.sh made. Reads the entities back through Home Assistant's API, at every step that matters: discovery, numbers,
windows without numbers, a restart of Home Assistant, a clean end of affectd, a broker's restart, `homeassistant --remove`.
Prints one line per check; exit status 0 if all hold. Python's own library only.
"""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

LAB, AFFECTD, PICTURE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ROOT = LAB / "root"
CONFIG = "/srv/config"
processes = []
failed = 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


PORT, BROKER = free_port(), free_port()
URL = f"http://127.0.0.1:{PORT}"


def start(command, log, **more):
    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, **more)
    processes.append(process)
    return process


def stop(process, how=signal.SIGTERM, patience=40):
    if process.poll() is None:
        os.killpg(process.pid, how)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check(what, holds, seen=""):
    global failed
    print(f"{'ok  ' if holds else 'FAIL'} {what}{'' if holds else f': {seen}'}", flush=True)
    failed += not holds


def wait(what, look, patience=180):
    """Waits until `look` gives something, and gives it."""
    began = time.monotonic()
    last = None
    while time.monotonic() - began < patience:
        try:
            last = look()
        except OSError as error:
            last = error
        if last and not isinstance(last, OSError):
            check(f"{what} ({time.monotonic() - began:.1f} s)", True)
            return last
        time.sleep(0.3)
    check(what, False, f"not within {patience} s; last: {last}")
    return None


def call(path, data=None, token=None, form=False):
    body = None
    if data is not None:
        body = (urllib.parse.urlencode(data) if form else json.dumps(data)).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(URL + path, body, headers), timeout=20) as answer:
        return json.load(answer)


def log_in():
    client = URL + "/"
    flow = call("/auth/login_flow", {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client})
    done = call("/auth/login_flow/" + flow["flow_id"],
                {"client_id": client, "username": "test", "password": "test-only"})
    return call("/auth/token", {"client_id": client, "grant_type": "authorization_code", "code": done["result"]},
                form=True)


class HomeAssistant:
    def __init__(self, folder):
        self.log = folder / "homeassistant.log"
        self.tokens = folder / "tokens.json"

    def start(self):
        command = ["chroot", str(ROOT), "env", "HOME=/root", "PATH=/srv/ha/bin:/usr/bin:/bin",
                   "/srv/ha/bin/hass", "-c", CONFIG]
        self.process = start(command, self.log)
        wait("Home Assistant answers", self.is_up, 240)

    def is_up(self):
        tokens = log_in()
        self.token = tokens["access_token"]
        self.tokens.write_text(json.dumps(tokens))
        return call("/api/config", token=self.token)["state"] == "RUNNING"

    def states(self):
        """Our entities by the last part of their unique id."""
        found = {}
        for state in call("/api/states", token=self.token):
            name = state["entity_id"].split(".", 1)[1]
            # The area comes first, then the device.
            if "hall_door_" in name:
                found[name.split("hall_door_", 1)[1]] = state
        return found

    def value(self, name):
        state = self.states().get(name)
        return state and state["state"]


def config(folder, more=""):
    path = folder / "affectd.toml"
    path.write_text(f"""config_version = 1
[deployment]
site = "hall"
device = "door"
room = "test-ha-{os.getpid()}"
place = "other"
purpose = "Test of affectd with Home Assistant"
controller = "the developers"
[camera]
name = "camera"
source = "{REPOSITORY}/tests/data/clip.mjpeg"
fps = 2.0
repeat = true
[window]
length = "4s"
[status]
health_interval = "10s"
[mqtt]
port = {BROKER}
retry_max = "1s"
homeassistant = true
{more}""")
    return path


class Ears:
    """Hears everything on the broker, with times."""

    def __init__(self, folder):
        self.heard = []
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(BROKER), "-F", "%U %r %t %p", "-t", "#"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        processes.append(self.process)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            when, retained, topic, payload = (line.rstrip("\n").split(" ", 3) + ["", "", ""])[:4]
            self.heard.append((float(when), retained == "1", topic, payload))

    def of(self, topic):
        return [(when, payload) for when, _, t, payload in list(self.heard) if t == topic]


def main(folder):
    subprocess.run([HERE / "fresh.sh", ROOT, CONFIG, str(PORT), str(BROKER)], check=True)
    broker_config = folder / "mosquitto.conf"
    broker_config.write_text(f"listener {BROKER} 127.0.0.1\nallow_anonymous true\nuser root\n")
    mosquitto = next(path for path in ("/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto") if os.path.exists(path))
    broker = start([mosquitto, "-c", str(broker_config)], folder / "mosquitto.log")
    time.sleep(1)
    home = HomeAssistant(folder)
    home.start()
    version = call("/api/config", token=home.token)["version"]
    print(f"     Home Assistant {version}", flush=True)
    ears = Ears(folder)
    environment = os.environ | {"STATE_DIRECTORY": str(folder / "state"), "AFFECTD__PRIVACY__ALLOW_SWAP": "true"}
    (folder / "state").mkdir()
    file = config(folder)

    def run():
        return start([str(AFFECTD), "run", "-c", str(file)], folder / "affectd.log", env=environment)

    daemon = run()
    states = wait("the device's entities appear", lambda: len(home.states()) >= 20 and home.states())
    names = sorted(states or {})
    print("     " + ", ".join(names), flush=True)
    check("shares of all eight expressions", sum(name.startswith("share_of_") for name in names) == 8, names)

    # Numbers, and windows without: unknown, never 0.
    seen = {}
    began = time.monotonic()
    while time.monotonic() - began < 240 and not {"numbers", "suppressed", "held"} <= seen.keys():
        now = home.states()
        kind = now["report"]["state"]
        mood = now["mood"]["state"]
        # States of one message do not change all at once.
        if home.states()["report"]["last_updated"] == now["report"]["last_updated"]:
            seen.setdefault(kind, now)
        del mood
        time.sleep(0.25)
    check("windows of all three kinds came", {"numbers", "suppressed", "held"} <= seen.keys(), list(seen))
    for kind in ("suppressed", "held"):
        told = {name: state["state"] for name, state in seen.get(kind, {}).items()
                if name in ("mood", "people", "people_at_most") or name.startswith("share_of_")}
        check(f"a window that is {kind} makes what was not told unknown", set(told.values()) == {"unknown"}, told)
    numbers = {name: state["state"] for name, state in seen.get("numbers", {}).items()}
    check("a window with numbers has a mood", numbers.get("mood") in ("negative", "neutral", "positive"), numbers)
    check("and five people at least", numbers.get("people_at_most", "0").isdigit() and int(numbers.get("people_at_most", 0)) >= 5, numbers)
    wait("health comes as diagnostics", lambda: home.value("frame_rate") not in (None, "unknown", "unavailable"))
    check("the camera streams", home.value("camera") == "streaming", home.value("camera"))
    registry = json.loads((ROOT / CONFIG.lstrip("/") / ".storage/core.entity_registry").read_text()) if (
        ROOT / CONFIG.lstrip("/") / ".storage/core.entity_registry").exists() else None
    if registry:
        ours = {e["original_name"]: e["entity_category"] for e in registry["data"]["entities"] if e["platform"] == "mqtt"}
        check("health is diagnostic, the mood is not",
              ours.get("Frame rate") == "diagnostic" and ours.get("Mood") is None and "Mood" in ours, ours)

    # A picture of the device's page, while there are numbers.
    wait("numbers again", lambda: home.value("mood") in ("negative", "neutral", "positive"))
    devices = json.loads((ROOT / CONFIG.lstrip("/") / ".storage/core.device_registry").read_text()) if (
        ROOT / CONFIG.lstrip("/") / ".storage/core.device_registry").exists() else {"data": {"devices": []}}
    ids = [d["id"] for d in devices["data"]["devices"] if ["mqtt", "affectd_door"] in d["identifiers"]]
    page = f"/config/devices/device/{ids[0]}" if ids else "/config/devices/dashboard"
    shot = subprocess.run(["node", HERE / "look.mjs", LAB, URL, home.tokens, page, PICTURE], check=False)
    check("a picture of the device's page", shot.returncode == 0 and PICTURE.stat().st_size > 20_000)

    # Home Assistant starts anew: it says so, and is told again, two to five seconds later.
    stop(home.process)
    home.start()
    births = [when for when, payload in ears.of("homeassistant/status") if payload == "online"]
    topic = "homeassistant/device/affectd_door/config"
    again = wait("the discovery is sent again after Home Assistant's birth", lambda: [
        when for when, payload in ears.of(topic) if payload and when > births[-1]])
    if again:
        check(f"2 to 5 s after it ({again[0] - births[-1]:.1f} s)", 1.8 <= again[0] - births[-1] <= 6)
    wait("and there are numbers again", lambda: home.value("mood") in ("negative", "neutral", "positive"))

    # The broker forgets everything and comes back.
    stop(broker)
    broker = start([mosquitto, "-c", str(broker_config)], folder / "mosquitto.log")
    wait("numbers after the broker's restart", lambda: home.value("mood") in ("negative", "neutral", "positive"))
    ears.process.kill()

    # A clean end, and a hard one.
    stop(daemon)
    wait("a clean end makes everything unavailable", lambda: home.value("mood") == "unavailable", 20)
    daemon = run()
    wait("it is back", lambda: home.value("mood") in ("negative", "neutral", "positive"))
    stop(daemon, signal.SIGKILL)
    wait("a killed affectd is unavailable by its last will", lambda: home.value("mood") == "unavailable", 40)

    # Nothing comes any more although the status says online: expire_after.
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(BROKER), "-r", "-q", "1", "-t", "affectd/hall/door/status", "-m", "online"], check=True)
    wait("held windows alone keep the entities available", lambda: feed_held(folder, home), 5)
    wait("a device that says nothing any more expires", lambda: home.value("mood") == "unavailable", 90)

    # Taken back.
    removed = subprocess.run([AFFECTD, "homeassistant", "--remove", "-c", file], capture_output=True, text=True, env=environment, check=False)
    check("affectd homeassistant --remove", removed.returncode == 0, removed.stderr)
    wait("the entities are gone", lambda: not home.states(), 30)
    text = home.log.read_text(errors="replace")
    ours = [line for line in text.splitlines() if ("WARNING" in line or "ERROR" in line) and "mqtt" in line
            # That the broker was restarted is not our fault.
            and "connection was lost" not in line.lower() and "onnect" not in line]
    check("Home Assistant warned of nothing of ours", not ours, ours[:3])
    stop(home.process)
    return version


def feed_held(folder, home):
    """Sends windows that are held for longer than the entities live without any."""
    logged = [json.loads(line) for line in (folder / "held.jsonl").read_text().splitlines()] if (folder / "held.jsonl").exists() else []
    window = logged[-1] if logged else {
        "schema": "affectd/window/2", "device": "door", "site": "hall", "camera": "camera", "seq": 1, "boot_id": "x",
        "start": "", "end": "", "clock_synced": False, "aligned": False, "partial": False, "source": "camera",
        "held": {"min_group": 5}, "model": {"id": "x", "sha256": "x"}}
    began = time.monotonic()
    while time.monotonic() - began < 48:
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(BROKER), "-q", "1", "-t", "affectd/hall/door/camera/window",
                        "-m", json.dumps(window)], check=True)
        time.sleep(1)
        if home.value("mood") != "unknown" or home.value("report") != "held":
            return False
    return True


if __name__ == "__main__":
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            version = main(folder)
        finally:
            for process in reversed(processes):
                stop(process, patience=10)
            if failed:
                keep = LAB / "last-failure"
                keep.mkdir(exist_ok=True)
                for log in folder.glob("*.log"):
                    (keep / log.name).write_bytes(log.read_bytes())
                print(f"     logs are in {keep}")
    print(f"{'FAILED' if failed else 'passed'}: Home Assistant {version}, {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))
