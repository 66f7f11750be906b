#!/usr/bin/env bash
# Makes the daemon's memory worth swapping and looks whether it is: with a real swap file, in a group whose memory is too
# small, beside a program that wants more of it than there is. Needs root and a kernel that accounts for memory by
# groups (version 1 or 2): `make test-swap`. The same program without its lock (`replay`) shows that swapping happens.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${AFFECTD_BINARY:-target/debug/affectd}
work=$(mktemp -d target/swap.XXXXXX)
work=$(realpath "$work")
failed=0
report() { printf '%-4s  %s\n' "$@"; [[ $1 == PASS ]] || failed=1; }
[[ $(id -u) -eq 0 ]] || { echo "swap: run as root" >&2; exit 1; }

if [[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]]; then
    # Beside the group that this script is in: so it is in a container, too.
    group=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)/affectd-swap-$$ limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/affectd-swap-$$ limit=memory.max
fi
mkdir "$group" 2>/dev/null || { group=/sys/fs/cgroup/memory/affectd-swap-$$; mkdir "$group"; }
[[ -e $group/$limit ]] || { rmdir "$group"; echo "swap: the kernel does not account for memory by groups" >&2; exit 1; }
processes=()
finish() {
    kill -KILL "${processes[@]}" 2>/dev/null || true
    wait "${processes[@]}" 2>/dev/null || true
    swapoff "$work/swap" 2>/dev/null || true
    sleep 0.2; rmdir "$group" || true
    rm -rf "$work"
}
trap finish EXIT
fallocate -l 1G "$work/swap"
chmod 600 "$work/swap"
mkswap "$work/swap" >/dev/null
swapon "$work/swap"
echo $((${LIMIT_MIB:-160} << 20)) >"$group/$limit"

config() {
    cat <<TOML
config_version = 1
[deployment]
site = "test"
device = "swap"
place = "other"
purpose = "Makes the daemon swap"
controller = "the developers"
[camera]
$1
fps = 4.0
repeat = true
[mqtt]
port = 1
TOML
}
config "source = \"$PWD/tests/data/clip.mjpeg\"" >"$work/file.toml"
config 'command = ["cat", "tests/data/clip.mjpeg"]' >"$work/command.toml"
# Starts a program in the group, in the background.
start() { (echo "$BASHPID" >"$group/cgroup.procs"; exec "$@") & processes+=($!); }
swapped() { awk '/^VmSwap:/ {print $2}' "/proc/$1/status"; }
field() { awk -v field="^$2:" '$0 ~ field {print $2}' "/proc/$1/status"; }

start "$binary" run -c "$work/file.toml" 2>"$work/run.log"; locked=${processes[-1]}
start "$binary" replay tests/data/clip.mjpeg --realtime --fps 0.2 >/dev/null 2>"$work/replay.log"; open=${processes[-1]}
for _ in $(seq 150); do grep -q 'is streaming' "$work/run.log" && break; sleep 0.2; done
grep -q 'The memory is never swapped: it is locked' "$work/run.log" && report PASS "the daemon says that its memory is locked: $(field "$locked" VmLck) kB" || report FAIL "$(cat "$work/run.log")"
sleep 2
start python3 -c 'import time
memory = bytearray(400 << 20)
while True:
    for at in range(0, len(memory), 4096): memory[at] = at & 255
    time.sleep(0.1)'; hog=${processes[-1]}
for _ in $(seq 150); do [[ $(swapped "$open") -gt 1000 && $(swapped "$hog") -gt 100000 ]] && break; sleep 0.2; done
sleep 3
report "$([[ $(swapped "$open") -gt 1000 ]] && echo PASS || echo FAIL)" "swapped of the same program without a lock: $(swapped "$open") kB; of the one that wants memory: $(swapped "$hog") kB"
report "$([[ $(swapped "$locked") -eq 0 ]] && echo PASS || echo FAIL)" "swapped of the daemon: $(swapped "$locked") kB, resident $(field "$locked" VmRSS) kB"
kill -KILL "$hog"
kill -TERM "$locked"
wait "$locked" && report PASS "the daemon ends as it should" || report FAIL "the daemon ended with $?"

status=0
"$binary" run -c "$work/command.toml" 2>"$work/refused" || status=$?
report "$([[ $status -eq 78 ]] && grep -q "the camera's command: affectd does not start. Switch swap off" "$work/refused" && echo PASS || echo FAIL)" "a camera's command beside swap is refused: exit $status, $(tail -1 "$work/refused" | cut -c1-150)"
status=0
# As nobody, with a limit of locked memory as systems have it.
chmod 755 "$work" && chmod 644 "$work"/*.toml && cp "$binary" "$work/affectd" && chmod 755 "$work/affectd"
AFFECTD_SHARE=$PWD setpriv --reuid=65534 --regid=65534 --clear-groups prlimit --memlock=8388608 "$work/affectd" run -c "$work/file.toml" 2>"$work/refused" || status=$?
report "$([[ $status -eq 78 ]] && grep -q 'affectd itself: affectd does not start. Start it by its unit' "$work/refused" && echo PASS || echo FAIL)" "a daemon that may not lock its memory is refused: exit $status, $(tail -1 "$work/refused" | cut -c1-150)"
swapoff "$work/swap"
"$binary" run -c "$work/command.toml" >/dev/null 2>"$work/allowed" & processes+=($!)
for _ in $(seq 100); do grep -q 'is streaming' "$work/allowed" && break; sleep 0.2; done
report "$(grep -q 'is streaming' "$work/allowed" && echo PASS || echo FAIL)" "without swap it starts"
exit "$failed"
