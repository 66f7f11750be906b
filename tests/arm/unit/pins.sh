#!/bin/bash
# In the guest with systemd, before affectd starts: makes the simulated bank of pins and tells affectd its chip.
set -e
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
board=/sys/kernel/config/gpio-sim/board
mkdir -p $board/bank0
echo 8 >$board/bank0/num_lines
echo 1 >$board/live
udevadm settle
printf '[indicator]\nled_pin = 3\nbutton_pin = 4\nchip = "/dev/%s"\n' "$(cat $board/bank0/chip_name)" >/etc/affectd/conf.d/pins.toml
