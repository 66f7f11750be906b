#!/usr/bin/env bash
# The lamp on a Raspberry Pi's own pin: the release binary in QEMU's Raspberry Pi 3, whose registers are read from
# outside while affectd streams, is paused, and is stopped. Needs tests/arm/guest.sh to have run.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/target/arm/pi
rm -rf "$work" && mkdir -p "$work/disk/repo/target/arm" "$work/disk/repo/tests/data" "$work/disk/share"
# What other guests are shared by the machine outside is packed behind the RAM disk here: a Pi has no such share.
cp -r target/arm/aarch64 "$work/disk/repo/target/arm/"
cp -r tests/arm "$work/disk/repo/tests/"
cp -r models "$work/disk/repo/"
cp tests/data/clip.mjpeg "$work/disk/repo/tests/data/"
{ cat target/arm/initrd.gz; (cd "$work/disk" && find . | cpio --quiet -o -H newc | gzip -1); } >"$work/initrd.gz"
rm -r "$work/disk"

# rppal reaches the registers by /dev/mem, which the kernel allows with iomem=relaxed. The serial line is the second one.
timeout -k 10 "${LIMIT:-1800}" python3 tests/arm/pins.py "$work/monitor" \
    cross/qemu.sh qemu-system-aarch64 -M raspi3b -m 1G -nodefaults -no-reboot -display none -serial null -serial stdio \
    -monitor "unix:$work/monitor,server,nowait" -kernel target/arm/vmlinuz -initrd "$work/initrd.gz" \
    -dtb "$(echo "$PWD"/target/arm/kernel/usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb)" \
    -append "console=ttyS1,115200 iomem=relaxed loglevel=1 panic=-1 GUEST=pi BROKER=127.0.0.1 PORT=1883" |& tee "$work/console"
