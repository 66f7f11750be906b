#!/usr/bin/env bash
# systemd as PID 1 on ARM: a small Debian 12 on a disk, in which affectd is installed with its unit as it is, is booted
# in the emulated machine and put through tests/arm/unit/checks.sh; its power is cut twice. Needs tests/arm/guest.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/target/arm/unit root=$PWD/target/arm/unit/root port=${PORT:-18899}
rm -rf "$work" && mkdir -p "$work"
cross/debian.sh arm64 "$PWD/target/arm/debian-arm64" systemd systemd-sysv udev libnss-systemd base-files base-passwd bash coreutils grep sed \
    util-linux mount kmod procps mosquitto-clients libstdc++6 python3
cp -a target/arm/debian-arm64 "$root"
rm -rf "$root/.unpacked" "$root"/usr/share/{zoneinfo,i18n,perl5,perl,bash-completion} "$root"/usr/lib/*/{perl,perl-base,gconv}

# What the packages' scripts would have done.
put() { install -D -m "$1" /dev/stdin "$root$2"; }
units=$root/etc/systemd/system
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
put 600 /etc/shadow <<<'root:*:20000:0:99999:7:::'
put 644 /etc/nsswitch.conf <<<$'passwd: files systemd\ngroup: files systemd\nshadow: files\nhosts: files'
put 444 /etc/machine-id <<<"$(tr -d - </proc/sys/kernel/random/uuid)"
put 644 /etc/hostname <<<wall
put 644 /etc/systemd/network/10-outside.network <<<$'[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2'
mkdir -p "$units/multi-user.target.wants"
enable() { ln -s "/usr/lib/systemd/system/$1" "$units/multi-user.target.wants/$1"; }
ln -s /usr/lib/systemd/system/multi-user.target "$units/default.target"
enable systemd-networkd.service
for unneeded in systemd-{hwdb-update,timesyncd,journal-catalog-update,logind,pstore,update-utmp}; do ln -s /dev/null "$units/$unneeded.service"; done

# What the package of affectd will install.
install -D -m 755 target/arm/aarch64/affectd "$root/usr/bin/affectd"
install -D -m 644 target/arm/aarch64/libtensorflowlite_c.so "$root/usr/lib/affectd/libtensorflowlite_c.so"
install -D -m 644 systemd/affectd.service "$root/usr/lib/systemd/system/affectd.service"
install -D -m 644 systemd/affectd.sysusers "$root/usr/lib/sysusers.d/affectd.conf"
install -D -m 644 systemd/60-affectd.rules "$root/usr/lib/udev/rules.d/60-affectd.rules"
install -D -m 644 tests/data/clip.mjpeg "$root/usr/share/affectd/clip.mjpeg"
cp -r models "$root/usr/share/affectd/models"
enable affectd.service

# What belongs to the test: configuration, shorter times than the unit's own, the pins, and the checks.
mkdir -p "$root/etc/affectd/conf.d"
put 600 /etc/credstore/affectd.mqtt-password <<<secret
put 644 /etc/affectd/affectd.toml <<TOML
config_version = 1
[deployment]
site = "test"
device = "wall"
place = "other"
purpose = "Tests of affectd under systemd"
controller = "the developers"
[camera]
name = "door"
source = "/usr/share/affectd/clip.mjpeg"
fps = 0.5
repeat = true
[window]
length = "5s"
[mqtt]
host = "10.0.2.2"
port = $port
username = "camera"
password_file = "/run/credentials/affectd.service/affectd.mqtt-password"
# The broker lives in the time of the machine outside, which may pass much faster.
keep_alive = "1h"
[status]
health_interval = "10s"
TOML
put 644 /etc/systemd/system/affectd.service.d/test.conf <<<$'[Service]\nWatchdogSec=15\nRestartSec=1'
install -D -m 755 -t "$root/usr/local/lib" tests/arm/unit/{pins,checks}.sh tests/hold_thread.py
put 644 /usr/lib/systemd/system/pins.service <<<$'[Unit]\nBefore=affectd.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/lib/pins.sh'
put 644 /usr/lib/systemd/system/checks.service <<<$'[Unit]\nAfter=network.target pins.service\n[Service]\nExecStart=/usr/local/lib/checks.sh'
enable pins.service
enable checks.service
truncate -s 512M "$work/disk"
PATH=$PATH:/usr/sbin mke2fs -q -t ext4 -d "$root" -E root_owner=0:0 "$work/disk"
rm -r "$root"
echo "systemd: a disk with $(du -h "$work/disk" | cut -f 1) of 512 MB used"

# A broker that wants the password.
mosquitto_passwd -c -b "$work/passwords" camera secret 2>/dev/null
mosquitto_passwd -b "$work/passwords" reader reader 2>/dev/null
printf 'listener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\nuser root\n' "$port" "$work/passwords" >"$work/broker.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/broker.conf" >"$work/broker.log" 2>&1 &
processes=($!)
trap 'kill -KILL "${processes[@]}" 2>/dev/null || true' EXIT
until mosquitto_pub -p "$port" -u reader -P reader -t test/up -m up 2>/dev/null; do
    sleep 0.1
    kill -0 "${processes[0]}" || { cat "$work/broker.log" >&2; exit 1; }
done
mosquitto_sub -p "$port" -u reader -P reader -v -t 'affectd/#' >"$work/messages" 2>/dev/null &
processes+=($!)

: >"$work/results"
# The guest's clock counts its instructions, so that times in it do not depend on how busy this machine is. CLOCK=host
# takes this machine's clock instead and all its cores: faster, but on a busy machine what must be quick is late.
clock=(-smp 2 -icount shift=1)
[[ ${CLOCK:-} != host ]] || clock=(-smp 4)
# Boots for the $1st time, until the guest wants its power cut or says that it is at its end.
boot() {
    local console=$work/console-$1 end=$((SECONDS + ${LIMIT:-3600})) lines
    cross/qemu.sh qemu-system-aarch64 -M virt -cpu "${CPU:-cortex-a53}" "${clock[@]}" -m 1024 -nodefaults -no-reboot -nographic \
        -serial "file:$console" -kernel target/arm/vmlinuz -initrd target/arm/initrd.gz \
        -drive "if=none,id=disk,file=$work/disk,format=raw" -device virtio-blk-pci,drive=disk \
        -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
        -append "console=ttyAMA0 quiet panic=-1 systemd.show_status=no systemd.getty_auto=no GUEST=disk BOOT=$1 PORT=$port" </dev/null &
    local machine=$!
    processes+=("$machine")
    disown "$machine" # bash need not tell of its end
    until grep -qE '^(CUT|END)' "$console" 2>/dev/null; do
        kill -0 "$machine" 2>/dev/null || { tail -20 "$console" >&2; echo "systemd: the guest ended before its checks did (see $console)" >&2; exit 1; }
        ((SECONDS < end)) || { tail -20 "$console" >&2; echo "systemd: no end after ${LIMIT:-3600} s (see $console)" >&2; exit 1; }
        sleep 0.2
    done
    # A cut goes through the whole machine at once: what it has not written to its disk is gone.
    if grep -q '^CUT' "$console"; then kill -KILL "$machine"; fi
    lines=$(tr -d '\r' <"$console" | grep -aoE '(PASS|FAIL|guest:) .*' || true)
    echo "$lines" | tee -a "$work/results"
    timeout 600 tail --pid="$machine" -f /dev/null || { echo "systemd: the guest does not power off (see $console)" >&2; exit 1; }
}
for which in first second third; do boot $which; done
if PATH=$PATH:/usr/sbin e2fsck -fn "$work/disk" >"$work/e2fsck" 2>&1; then
    echo "PASS  the file system after two power cuts: $(tail -1 "$work/e2fsck")"
else
    echo "FAIL  the file system after two power cuts: $(tail -3 "$work/e2fsck" | paste -sd ' ')"
fi | tee -a "$work/results"
passed=$(grep -c '^PASS' "$work/results" || true) failed=$(grep -c '^FAIL' "$work/results" || true)
echo "systemd: $passed passed, $failed failed; the broker had $(grep -c '/door/window' "$work/messages") windows of $(grep -o '"boot_id":"[0-9a-f]*"' "$work/messages" | sort -u | wc -l) runs"
[[ $passed -gt 0 && $failed -eq 0 ]]
