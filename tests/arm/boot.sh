#!/usr/bin/env bash
# Boots the guest and lets it run scenarios: tests/arm/boot.sh [NAME...]     (all of tests/arm/scenarios.py)
#
# A broker and a subscriber run on this machine. What the subscriber receives is written to target/arm/share/messages,
# which the guest sees, too: so a scenario in the guest checks what has arrived out here.
set -euo pipefail
cd "$(dirname "$0")/../.."
share=${SHARE:-$PWD/target/arm/share} port=${PORT:-18898}
rm -rf "$share" && mkdir -p "$share"
printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' "$port" >"$share/mosquitto.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$share/mosquitto.conf" >"$share/broker.log" 2>&1 &
broker=$!
trap 'kill $broker ${subscriber:-} 2>/dev/null' EXIT
until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; kill -0 $broker || { cat "$share/broker.log" >&2; exit 1; }; done
stdbuf -oL mosquitto_sub -h 127.0.0.1 -p "$port" -v -t 'affectd/#' >"$share/messages" &
subscriber=$!

# A Cortex-A53 is the core of a Raspberry Pi 3: what runs on it runs on every later one. (CPU names another.) The guest's clock counts its
# instructions, 2 ns each, so that times in it do not depend on how busy this machine is.
timeout -k 10 "${LIMIT:-7200}" cross/qemu.sh qemu-system-aarch64 -M virt -cpu "${CPU:-cortex-a53}" -smp 2 -icount shift=1 -m 1024 \
    -nodefaults -no-reboot -nographic -serial stdio -kernel target/arm/vmlinuz -initrd target/arm/initrd.gz \
    -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
    -virtfs "local,path=$PWD,mount_tag=repo,security_model=none,readonly=on" \
    -virtfs "local,path=$share,mount_tag=share,security_model=none" \
    -append "console=ttyAMA0 quiet panic=-1 PORT=$port SCENARIOS=$(IFS=,; echo "$*")" </dev/null 2>&1 | stdbuf -oL tr -d '\r' | tee "$share/console"

passed=$(grep -c '^PASS' "$share/results" || true)
failed=$(grep -c '^FAIL' "$share/results" || true)
grep -q '^END' "$share/results" || { echo "guest: ended before its scenarios did (see $share/console)" >&2; exit 1; }
echo "guest: $passed passed, $failed failed"
[[ $passed -gt 0 && $failed -eq 0 ]]
