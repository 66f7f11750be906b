"""In the emulated Raspberry Pi: brings affectd to each sign of its lamp, and waits while the pin is looked at from outside.

Words on the serial line: `LOOK sign` asks tests/arm/pins.py for a look, any line back goes on; `END` is said at last."""
import pathlib
import sys

from guest_machine import CLIP, MESSAGES, Background, Daemon, Failed, check, sh, until

LAMP = 17
INDICATOR = f"[indicator]\nled_pin = {LAMP}\n"


def look(sign):
    print(f"LOOK {sign}", flush=True)
    sys.stdin.readline()


def broker():
    """A broker of its own: no network is there."""
    started = Background("mosquitto", "-c", "/share/mosquitto.conf")
    until(lambda: "running" in started.said(), 20, "the broker")
    return started


def signs():
    daemon = {"more": "repeat = true", "tables": INDICATOR, "fps": 1}
    look("dark")
    with broker() as receiving:
        listening = Background("mosquitto_sub", "-h", "127.0.0.1", "-p", 1883, "-v", "-t", "affectd/#")
        MESSAGES.symlink_to(listening.log)
        with Daemon(CLIP, **daemon) as one:
            one.comes_to("streaming", 200)
            until(lambda: one.messages("window"), 120, "a window")
            look("streaming")
            receiving.process.terminate()
            until(lambda: "roker" in one.said().splitlines()[-1], 30, "a word of the lost broker")
            look("no_broker")
        look("dark")
    state = pathlib.Path("/tmp/state")
    state.mkdir()
    (state / "paused").touch()
    with Daemon(CLIP, state=state, **daemon) as two:
        until(lambda: "rivacy pause is on" in two.said(), 60, "a pause that is taken up")
        look("paused")
    look("dark")
    with Daemon("/dev/video9", **daemon) as three:
        until(lambda: "video9" in three.said(), 60, "a word of the missing camera")
        look("no_camera")
    look("dark")


pathlib.Path("/share/mosquitto.conf").write_text("listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n")
sh("ip", "link", "set", "lo", "up")
try:
    signs()
    print("END", flush=True)
except Failed as failed:
    print(f"END FAIL {failed}", flush=True)
