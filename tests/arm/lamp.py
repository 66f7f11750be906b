"""Lamp and button. Scenarios look at the lamp's level a number of times and compare how often it was on."""
import pathlib
import time

from guest_machine import CLIP, Daemon, check, sh, until

LAMP, BUTTON = 3, 4
INDICATOR = f"""[indicator]
led_pin = {LAMP}
button_pin = {BUTTON}
"""
# In which part of the time the lamp is on, by what it shows (src/board/sign.rs), with room for counting.
SHOWS = {"streaming": (0.99, 1.0), "no_broker": (0.75, 0.95), "no_camera": (0.05, 0.3), "paused": (0.001, 0.06),
         "dark": (0.0, 0.0)}


def lit(look, seconds):
    """In which part of the time `look` sees the lamp on."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append(look())
        time.sleep(0.013)
    return sum(seen) / len(seen)


def verdict(sign, share):
    """Fails if a lamp that is on for this share of the time does not show the sign; else the words for it."""
    least, most = SHOWS[sign]
    check(least <= share <= most, f"{sign}: the lamp is on {share:.1%} of the time, not {least:.1%} to {most:.1%}")
    return f"{sign} {share:.1%}"


def lamp_and_button():
    """A GPIO chip as on a Jetson (gpio-sim): the lamp shows what is done, the button pauses, and goes on."""
    sh("modprobe", "gpiosim")
    config = pathlib.Path("/sys/kernel/config")
    if not (config / "gpio-sim").exists():
        sh("mount", "-t", "configfs", "configfs", config)
    board = config / "gpio-sim/board"
    bank = board / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text("8")
    (board / "live").write_text("1")
    chip = (bank / "chip_name").read_text().strip()
    pins = pathlib.Path("/sys/devices/platform") / (board / "dev_name").read_text().strip() / chip
    state = pathlib.Path("/tmp/state")
    state.mkdir()

    def look():
        return int((pins / f"sim_gpio{LAMP}/value").read_text())

    def press():
        (pins / f"sim_gpio{BUTTON}/pull").write_text("pull-down")
        time.sleep(0.2)
        (pins / f"sim_gpio{BUTTON}/pull").write_text("pull-up")

    shown = []
    tables = INDICATOR + f'chip = "/dev/{chip}"\n'
    with Daemon(CLIP, more="repeat = true", tables=tables, state=state) as daemon:
        daemon.comes_to("streaming", 60)
        until(lambda: daemon.messages("window"), 60, "a window")
        shown.append(verdict("streaming", lit(look, 5)))
        press()
        daemon.comes_to("paused", 20)
        check((state / "paused").exists(), "the pause is not kept")
        shown.append(verdict("paused", lit(look, 20)))
    shown.append(verdict("dark", lit(look, 3)))
    with Daemon(CLIP, more="repeat = true", tables=tables, state=state) as daemon:
        daemon.comes_to("paused", 60)
        shown.append("after a start " + verdict("paused", lit(look, 20)))
        press()
        daemon.comes_to("streaming", 60)
        check(not (state / "paused").exists(), "the pause is still kept")
        until(lambda: [h for h in daemon.messages("health") if h["frames"]["captured"]], 60, "a frame of the source")
        shown.append(verdict("streaming", lit(look, 5)))
    (board / "live").write_text("0")
    return "the lamp is on: " + ", ".join(shown)
