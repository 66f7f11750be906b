"""Outside the emulated Raspberry Pi: starts it, and reads the level of the lamp's pin from the machine's own registers.

    tests/arm/pins.py QEMU-COMMAND...      (tests/arm/pins.sh)"""
import re
import socket
import subprocess
import sys
import time

from lamp import lit, verdict
from guest_machine import Failed

LAMP = 17
# Registers of the BCM2837 (BCM2835 ARM Peripherals, chapter 6): which pins are outputs, and which levels are high.
GPFSEL1, GPLEV0 = 0x3F200004, 0x3F200034
SECONDS = {"paused": 24, "dark": 4}


class Monitor:
    """QEMU's monitor on a Unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        end = time.monotonic() + 30
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.answer()

    def answer(self):
        said = b""
        while not said.endswith(b"(qemu) "):
            said += self.socket.recv(4096)
        return said.decode()

    def word(self, address):
        self.socket.sendall(f"xp /1wx {address:#x}\n".encode())
        return int(re.search(rf"{address:016x}: (0x[0-9a-f]+)", self.answer()).group(1), 16)

    def is_high(self):
        return self.word(GPLEV0) >> LAMP & 1

    def is_output(self):
        return self.word(GPFSEL1) >> (LAMP - 10) * 3 & 7 == 1


def main(monitor_path, command):
    failed, looks = 0, 0
    machine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        monitor = Monitor(monitor_path)
        for line in machine.stdout:
            # The line begins with what the serial port gave before it was set up.
            line = line.decode("ascii", errors="ignore").strip("\0\r\n ")
            words = line.split()
            if words[:1] == ["LOOK"]:
                sign = words[1]
                looks += 1
                time.sleep(1)
                samples = []

                def look():
                    samples.append(monitor.is_high())
                    return samples[-1]
                try:
                    share = lit(look, SECONDS.get(sign, 10))
                    output = monitor.is_output()
                    said = f"{verdict(sign, share)} of {len(samples)} samples; the pin is {'an output' if output else 'no output'}"
                    if output != (sign != "dark"):
                        raise Failed(said)
                    print("PASS", said, flush=True)
                except Failed as bad:
                    failed += 1
                    print("FAIL", bad, flush=True)
                machine.stdin.write(b"\n")
                machine.stdin.flush()
            elif words[:1] == ["END"]:
                break
            elif line:
                print("guest:", line, flush=True)
        else:
            raise SystemExit("pins: the machine ended before its signs did")
        if words != ["END"]:
            failed += 1
            print(line.removeprefix("END "))
    finally:
        machine.kill()
    print(f"pins: {looks} looks, {failed} failed")
    return 1 if failed or looks == 0 else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
