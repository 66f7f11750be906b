#!/usr/bin/env bash
# As tests/swap.sh, on a whole machine that accounts for no memory by groups, as a Raspberry Pi is delivered: an emulated PC
# with 512 MiB, Debian's kernel with cgroup_disable=memory and a swap disk. The daemon runs as nobody in particular, with the
# limit of its unit. Needs qemu-system-x86, busybox-static and apt-get: `make test-swap-guest`, some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $(uname -m) == x86_64 ]] || { echo "swap-guest: the emulated machine is an x86_64 and runs this machine's binary" >&2; exit 1; }
for tool in qemu-system-x86_64 busybox setpriv; do
    command -v $tool >/dev/null || { echo "swap-guest: missing $tool: apt-get install qemu-system-x86 busybox-static" >&2; exit 1; }
done
binary=${AFFECTD_BINARY:-target/debug/affectd}
work=$PWD/target/swap-guest root=$PWD/target/swap-guest/root
mkdir -p "$work"

# Debian's kernel for virtual machines and the modules of its disks; kept for the next time.
if [[ ! -f $work/kernel/vmlinuz ]]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
    (cd "$work" && apt-get download "$package" 2>/dev/null && dpkg-deb -x linux-image-*.deb unpacked)
    mkdir -p "$work/kernel"
    cp "$work"/unpacked/boot/vmlinuz-* "$work/kernel/vmlinuz"
    for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
        find "$work/unpacked" -name "$module.ko" -exec cp {} "$work/kernel/" \;
    done
    rm -rf "$work/unpacked"
fi

rm -rf "$root"
mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc/affectd,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
"$root/bin/busybox" --install -s "$root/bin"
find "$root/bin" -type l -exec ln -sf busybox {} \;
cp "$work"/kernel/*.ko "$root/modules/"
install -D -m 755 "$binary" "$root/usr/bin/affectd"
strip "$root/usr/bin/affectd"
cp "$(command -v setpriv)" "$root/usr/bin/setpriv"
ldd "$binary" "$root/usr/bin/setpriv" runtime/x86_64/libtensorflowlite_c.so | grep -o '\s/[^ ]*' | sort -u | while read -r library; do install -D "$library" "$root$library"; done
install -D -m 755 "runtime/x86_64/libtensorflowlite_c.so" "$root/usr/lib/affectd/libtensorflowlite_c.so"
install -D -m 644 tests/data/clip.mjpeg "$root/usr/share/affectd/clip.mjpeg"
mkdir -p "$root/usr/share/affectd/models"
cp -r models/yunet-320 models/emotion-mobilenet-v1 "$root/usr/share/affectd/models/"
config() {
    cat <<TOML
config_version = 1
[deployment]
site = "test"
device = "guest"
place = "other"
purpose = "Makes the daemon swap"
controller = "the developers"
[camera]
$1
fps = 1.0
repeat = true
[mqtt]
port = 1
TOML
}
config 'source = "/usr/share/affectd/clip.mjpeg"' >"$root/etc/affectd/file.toml"
config 'command = ["cat", "/usr/share/affectd/clip.mjpeg"]' >"$root/etc/affectd/command.toml"
cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/usr/bin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
chmod 1777 /tmp
# In whatever order they need one another.
for round in 1 2 3; do for module in /modules/*.ko; do insmod $module 2>/dev/null; done; done
mkswap /dev/vda >/dev/null; swapon /dev/vda
# By its path: the shell's own setpriv knows less.
nobody='/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups'
say() { echo "RESULT $*"; }
field() { sed -n "s/^$2:[^0-9]*\([0-9]*\).*/\1/p" /proc/$1/status; }
say "memory groups: $(awk '$1 == "memory" {print $4}' /proc/cgroups); swap: $(sed -n 2p /proc/swaps | tr -s ' \t' ' ')"
(ulimit -l unlimited; exec $nobody /usr/bin/affectd run -c /etc/affectd/file.toml 2>/tmp/run.log) &
daemon=$!
(exec $nobody /usr/bin/affectd replay /usr/share/affectd/clip.mjpeg --realtime --fps 0.1 >/dev/null 2>/tmp/replay.log) &
open=$!
n=0; until grep -q 'is streaming' /tmp/run.log; do sleep 1; n=$((n + 1)); [ $n -gt 200 ] || [ ! -d /proc/$daemon ] && break; done
say "log: $(grep 'The memory' /tmp/run.log | sed 's/^.*INFO *//'); locked $(field $daemon VmLck) kB"
(exec tail -c 440000000 /dev/zero >/dev/null) &
hog=$!
n=0; until [ "$(field $open VmSwap)" -gt 2000 ] && [ "$(field $hog VmSwap)" -gt 30000 ]; do sleep 1; n=$((n + 1)); [ $n -gt 200 ] || [ ! -d /proc/$daemon ] && break; done
sleep 5
say "swapped: daemon $(field $daemon VmSwap) kB, unlocked $(field $open VmSwap) kB, hog $(field $hog VmSwap) kB"
kill -KILL $hog $open; kill -TERM $daemon; wait $daemon; say "daemon ended with $?"
(ulimit -l unlimited; exec $nobody /usr/bin/affectd run -c /etc/affectd/command.toml 2>/tmp/refused); say "command: exit $?, $(head -c 400 /tmp/refused | sed 's/`//g')"
(ulimit -l 8192; exec $nobody /usr/bin/affectd run -c /etc/affectd/file.toml 2>/tmp/refused); say "limit: exit $?, $(head -c 400 /tmp/refused | sed 's/`//g')"
poweroff -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"
rm -f "$work/swap"
truncate -s 1G "$work/swap"
accelerate=tcg
timeout "${PATIENCE:-540}" qemu-system-x86_64 -accel $accelerate -m 512 -cpu max -nographic -no-reboot -nic none \
    -kernel "$work/kernel/vmlinuz" -initrd "$work/initrd" -drive file="$work/swap",if=virtio,format=raw \
    -append "console=ttyS0 quiet cgroup_disable=memory panic=-1" </dev/null >"$work/console" 2>&1 || true
sed -n 's/\r$//; s/^.*RESULT //p' "$work/console" >"$work/results"
failed=0
check() { if grep -qE "$2" "$work/results"; then echo "PASS  $1: $(grep -E "$2" "$work/results" | cut -c1-240)"; else echo "FAIL  $1"; failed=1; fi; }
check "the kernel accounts for no memory by groups, and there is swap" '^memory groups: 0; swap: /dev/vda'
check "the daemon says that its memory is locked" '^log: The memory is never swapped: it is locked.*locked [0-9]{5,} kB'
check "of the daemon nothing is swapped, of the same program without a lock something is" '^swapped: daemon 0 kB, unlocked [1-9][0-9]{3,} kB, hog [1-9][0-9]{4,} kB'
check "the daemon ends as it should" '^daemon ended with 0'
check "a camera's command beside swap is refused" "^command: exit 78, .*the camera's command: affectd does not start"
check "a daemon that may not lock its memory is refused" '^limit: exit 78, .*affectd itself: affectd does not start'
[[ $failed == 0 ]] || { tail -20 "$work/console"; cat "$work/results"; }
exit "$failed"
